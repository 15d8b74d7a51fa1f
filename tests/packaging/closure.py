"""What a package stands on, as the metadata of the installed distributions says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# A wheel and an image run on any of these; a package that only one of them needs belongs to the closure too.
PYTHONS = ("3.11", "3.12", "3.13")


def closure(name: str, *extras: str) -> set[str]:
    """The names of everything that `name` with these extras needs on Linux, itself left out. Raises PackageNotFoundError."""
    metadata.distribution(name)
    found: set[str] = set()
    waiting, done = [(name, extras)], set[tuple[str, tuple[str, ...]]]()
    while waiting:
        one = waiting.pop()
        if one in done:
            continue
        done.add(one)
        for need in _needs(*one):
            found.add(canonicalize_name(need.name))
            waiting.append((canonicalize_name(need.name), tuple(sorted(need.extras))))
    return found


def _needs(name: str, extras: Iterable[str]) -> Iterator[Requirement]:
    try:
        said = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # needed on another Python than this one
        return
    for text in said:
        need = Requirement(text)
        if need.marker is None or any(
            need.marker.evaluate(_environment(python, extra)) for python in PYTHONS for extra in ("", *extras)
        ):
            yield need


def _environment(python: str, extra: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "extra": extra,
    }
