"""Paths into a message: `PID-3[2].4.1`, `OBX[2]-5`; inside a segment `3[2].4.1`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ophl7.errors import AuthorError

_INSIDE = r"(\d{1,3})(?:\[(\d{1,4})\])?(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?"
_FIELD = re.compile(_INSIDE)
_MESSAGE = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[(\d{1,4})\])?-" + _INSIDE)


class FieldPath(NamedTuple):
    """A place in a segment. Counts from 1; component and subcomponent 0 = not asked for."""

    field: int
    repetition: int
    component: int
    subcomponent: int


class MessagePath(NamedTuple):
    """A place in a message: the `occurrence`-th segment (from 1) of that name, and a place in it."""

    segment: str
    occurrence: int
    inside: FieldPath


def _inside(field: str, repetition: str | None, component: str | None, subcomponent: str | None) -> FieldPath | None:
    # None: not written. A written 0 is no position.
    parts = (field, repetition, component, subcomponent)
    if any(part is not None and int(part) == 0 for part in parts):
        return None
    return FieldPath(int(field), int(repetition or 1), int(component or 0), int(subcomponent or 0))


@lru_cache(maxsize=4096)
def field_path(path: str) -> FieldPath:
    """`3[2].4.1` as numbers. Raises AuthorError for anything else."""
    found = _FIELD.fullmatch(path)
    inside = _inside(*found.groups()) if found else None
    if inside is None:
        raise AuthorError(f"{path!r} is no path inside a segment; write it like 3, 5.1 or 3[2].4.1")
    return inside


@lru_cache(maxsize=4096)
def message_path(path: str) -> MessagePath:
    """`OBX[2]-5.1` as name and numbers. Raises AuthorError for anything else."""
    found = _MESSAGE.fullmatch(path)
    inside = _inside(*found.groups()[2:]) if found else None
    if found is None or inside is None or found[2] == "0":
        raise AuthorError(f"{path!r} is no HL7 path; write it like PID-3, PID-5.1, PID-3[2].4.1 or OBX[2]-5")
    return MessagePath(found[1], int(found[2] or 1), inside)
