"""A message's segments against the structure that its event has: which are missing, which stand where none may (HL7 2.5.2).

Greedy from left to right, as the standard means its structures to be read. Pure, and without any table of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, eq=False)  # compared by identity: the caches below must not walk whole structures
class Part:
    """One place of a structure: a segment (parts is None) or a group. most: -1 for as often as one likes.

    choice: one of the parts, instead of all in their order.
    """

    name: str
    least: int
    most: int
    parts: tuple[Part, ...] | None = None
    choice: bool = False


@dataclass(frozen=True, slots=True)
class Misfit:
    """position: of the segment that is wrong, or before which `name` is missing; from 0. kind: `missing`, `often`, `place`."""

    kind: str
    name: str
    position: int


@lru_cache(maxsize=4096)
def _first(part: Part) -> frozenset[str]:
    """The segments that can begin this part."""
    if part.parts is None:
        return frozenset({part.name})
    found: set[str] = set()
    for inner in part.parts:
        found |= _first(inner)
        if inner.least > 0 and not part.choice and not _may_be_empty(inner):
            break
    return frozenset(found)


@lru_cache(maxsize=4096)
def _anywhere(part: Part) -> frozenset[str]:
    """All segments of this part."""
    if part.parts is None:
        return frozenset({part.name})
    return frozenset().union(*(_anywhere(inner) for inner in part.parts))


@lru_cache(maxsize=4096)
def _may_be_empty(part: Part) -> bool:
    if part.least == 0:
        return True
    if part.parts is None:
        return False
    empty = [_may_be_empty(inner) for inner in part.parts]
    return any(empty) if part.choice else all(empty)


class _Walk:
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.at = 0
        self.misfits: list[Misfit] = []

    def take(self, parts: tuple[Part, ...], first: frozenset[str], anywhere: frozenset[str]) -> None:
        """Consumes what fits these parts in their order. first, anywhere: what may begin, or be part of, what comes behind."""
        behind = [(first, anywhere)]
        for part in reversed(parts[1:]):
            first, anywhere = first | _first(part), anywhere | _anywhere(part)
            behind.append((first, anywhere))
        for part, later in zip(parts, reversed(behind), strict=True):
            self._occurrences(part, *later)

    def _occurrences(self, part: Part, first: frozenset[str], anywhere: frozenset[str]) -> None:
        """All repetitions of a part. first, anywhere: as above."""
        own, count = _first(part), 0
        while self._is_next(part, own, first, anywhere):
            name = self.names[self.at]
            if 0 <= part.most <= count:
                if name in first:
                    break  # it is that place's, not one too many here
                self.misfits.append(Misfit("often", name, self.at))
            self._one(part, own | first, _anywhere(part) | anywhere)
            count += 1
        if count < part.least and not _may_be_empty(part):
            self.misfits.append(Misfit("missing", _name(part), self.at))

    def _is_next(self, part: Part, own: frozenset[str], first: frozenset[str], anywhere: frozenset[str]) -> bool:
        """Whether the next segment is this part's; what is nobody's is told and passed over.

        A group without its beginning is still that group, if nothing that comes later begins so.
        """
        while self.at < len(self.names):
            name = self.names[self.at]
            if name in own:
                return True
            if name in first:
                return False
            if name in _anywhere(part):
                return True
            if name in anywhere:
                return False
            self.misfits.append(Misfit("place", name, self.at))
            self.at += 1
        return False

    def _one(self, part: Part, first: frozenset[str], anywhere: frozenset[str]) -> None:
        """One occurrence; at least one segment is consumed."""
        if part.parts is None:
            self.at += 1
        elif part.choice:
            name = self.names[self.at]
            chosen = [inner for inner in part.parts if name in _first(inner)]
            one = (chosen or [inner for inner in part.parts if name in _anywhere(inner)])[0]
            self._occurrences(one, first, anywhere)
        else:
            self.take(part.parts, first, anywhere)


def _name(part: Part) -> str:
    """The segment by which people know a part: of a group the first that it must have, of a choice any."""
    if part.choice:
        return " or ".join(_name(inner) for inner in part.parts or ())
    needed = next((inner for inner in part.parts or () if not _may_be_empty(inner)), None)
    return part.name if needed is None else _name(needed)


def misfits(names: Sequence[str], structure: tuple[Part, ...]) -> list[Misfit]:
    """What does not fit, in the order of the message; [] where all does. names: the segments, without local ones (Z).

    A segment that is missing in a group that is there is told for each such group. Every segment is consumed: the work grows
    with their number, and never with anything else.
    """
    walk = _Walk(names)
    walk.take(structure, frozenset(), frozenset())
    walk.misfits += [Misfit("place", name, position) for position, name in enumerate(names[walk.at :], start=walk.at)]
    return sorted(walk.misfits, key=lambda one: one.position)
