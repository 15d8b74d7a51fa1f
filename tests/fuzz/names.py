"""The targets by name: a module of tests/fuzz/targets each, with its sentence at the top."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in (FOLDER / "targets").glob("*.py") if not path.stem.startswith("_"))


def load(name: str) -> ModuleType:
    """The module: `check(data)`, `seeds()`, HEAD, TOKENS, BUDGET_SECONDS. Raises KeyError for a name that is none."""
    if name not in NAMES:
        raise KeyError(f"there is no target {name!r}; there are {', '.join(NAMES)}")
    return import_module(f"tests.fuzz.targets.{name}")


def sentence(name: str) -> str:
    """The invariant: the first sentence of the module."""
    return (load(name).__doc__ or "").partition("\n")[0]
