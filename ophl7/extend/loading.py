"""Finds handlers and rules: the shipped folders, folders that an operator mounts, installed packages. All through one door."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules
from stat import S_IWGRP, S_IWOTH
from types import ModuleType

import ophl7
from ophl7.errors import RegistrationError
from ophl7.kit import Handlers, Rules
from ophl7.kit.parts import RegisteredHandler, RegisteredRule

Part = Handlers | Rules


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part came from. origin: `shipped`, `folder` or `package`; place: a file or a distribution, for people."""

    name: str
    origin: str
    place: str
    part: Part


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything that takes part. off: shipped parts that a setting switched off, to be said loudly at start."""

    sources: tuple[Source, ...]
    off: tuple[str, ...]

    @property
    def handlers(self) -> list[RegisteredHandler]:
        """In loading order."""
        return [one for source in self.sources if isinstance(source.part, Handlers) for one in source.part.registered]

    @property
    def rules(self) -> list[RegisteredRule]:
        """In loading order."""
        return [one for source in self.sources if isinstance(source.part, Rules) for one in source.part.registered]


def shipped_folder(name: str) -> Path:
    """`handlers` or `plugins`: inside the package in a wheel, beside it in a checkout."""
    package = Path(ophl7.__file__).parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name


def load_parts(
    *,
    handlers_path: Sequence[Path] = (),
    plugins_path: Sequence[Path] = (),
    enabled: Iterable[str] = (),
    installed: Callable[[str], Iterable[EntryPoint]] = lambda group: entry_points(group=group),
) -> Loaded:
    """The shipped parts, then the folders', then the enabled ones of installed packages (found is not enabled).

    enabled: names of `OPHL7_PLUGINS`; `-name` switches a shipped part off. Raises RegistrationError, naming the place.
    """
    names = list(enabled)
    off = {name[1:] for name in names if name.startswith("-")}
    wanted = {name for name in names if not name.startswith("-")}
    sources: list[Source] = []
    for kind, folders in (("handlers", handlers_path), ("plugins", plugins_path)):
        sources += _from_folder(shipped_folder(kind), f"ophl7_shipped_{kind}", "shipped")
        for position, folder in enumerate(folders):
            sources += _from_folder(_trusted(folder), f"ophl7_{kind}_{position}", "folder")
    known = {source.name for source in sources if source.origin == "shipped"}
    missing = off - known
    if missing:
        raise RegistrationError(f"OPHL7_PLUGINS switches off {_list(missing)}, but what is shipped is {_list(known)}")
    kept = [source for source in sources if not (source.origin == "shipped" and source.name in off)]
    kept += _from_packages(wanted, installed)
    _refuse_twins(kept)
    return Loaded(tuple(kept), tuple(sorted(off)))


def mount(folder: Path, name: str) -> list[ModuleType]:
    """The plain modules of a folder, as one private package, so that they may import each other relatively.

    name: flat, without a dot. Modules whose name begins with `_` are helpers of the others and not loaded by themselves.
    """
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    for loaded in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[loaded]  # each load makes parts of its own: nothing is shared between two brokers in one process
    sys.modules[name] = package
    found = sorted(module.name for module in iter_modules([str(folder)]) if not module.name.startswith("_"))
    modules: list[ModuleType] = []
    for module in found:
        try:
            modules.append(import_module(f"{name}.{module}"))
        except RegistrationError as error:
            raise RegistrationError(f"{folder / module}.py: {error}") from error
        except Exception as error:
            raise RegistrationError(f"{folder / module}.py cannot be loaded: {type(error).__name__}: {error}") from error
    return modules


def _from_folder(folder: Path, name: str, origin: str) -> list[Source]:
    if not folder.is_dir():
        raise RegistrationError(f"{folder} is not a folder")
    sources: list[Source] = []
    for module in mount(folder, name):
        parts = [value for value in vars(module).values() if isinstance(value, Handlers | Rules)]
        place = str(getattr(module, "__file__", folder))
        if not parts:
            raise RegistrationError(f"{place}: there are neither Handlers nor Rules in it; name helpers with a leading _")
        sources += [Source(part.name, origin, place, part) for part in parts]
    # A part that one module imports from another, or that has two names, is one part: where it is seen first.
    return list({id(source.part): source for source in reversed(sources)}.values())[::-1]


def _from_packages(wanted: set[str], installed: Callable[[str], Iterable[EntryPoint]]) -> list[Source]:
    found: dict[str, EntryPoint] = {}
    for group in ("ophl7.handlers", "ophl7.plugins"):
        for entry in installed(group):
            if entry.name in wanted and entry.name in found:
                raise RegistrationError(
                    f"two installed packages offer {entry.name!r}: {found[entry.name].value}, {entry.value}"
                )
            found[entry.name] = entry
    missing = wanted - set(found)
    if missing:
        raise RegistrationError(
            f"OPHL7_PLUGINS names {_list(missing)}, but what is installed is {_list(set(found)) or 'nothing'}"
        )
    sources: list[Source] = []
    for name in sorted(wanted):
        try:
            part = found[name].load()
        except Exception as error:
            raise RegistrationError(f"{found[name].value} cannot be loaded: {type(error).__name__}: {error}") from error
        if not isinstance(part, Handlers | Rules):
            raise RegistrationError(f"{found[name].value} is neither Handlers nor Rules")
        sources.append(Source(part.name, "package", found[name].value, part))
    return sources


def _trusted(folder: Path) -> Path:
    """Loading a folder is running it: nobody but its owner may write there, nor into its modules."""
    for place in (folder, *sorted(folder.rglob("*.py"))):
        if place.exists() and place.stat().st_mode & (S_IWGRP | S_IWOTH):
            raise RegistrationError(f"{place} can be written by others than its owner; take that right away (chmod go-w)")
    return folder


def _refuse_twins(sources: Iterable[Source]) -> None:
    seen: dict[tuple[type[Part], str], Source] = {}
    for source in sources:
        twin = seen.setdefault((type(source.part), source.name), source)
        if twin is not source:
            raise RegistrationError(
                f"two parts are called {source.name!r}: {twin.place} and {source.place}; rename one, or put "
                f"-{source.name} into OPHL7_PLUGINS to replace a shipped one"
            )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
