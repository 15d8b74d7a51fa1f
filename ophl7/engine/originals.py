"""A message as it came, with every time that it was judged: what a replay begins with. Values only."""

from __future__ import annotations

from typing import NamedTuple

from ophl7.domain.patient import Side


class Run(NamedTuple):
    """One time that a message was judged: when it came, or when a person asked. copies: where it had copies sent to."""

    message: int
    state: str
    copies: tuple[Side, ...]


class Original(NamedTuple):
    """A message as it came, to be judged again. raw: None where retention has removed it. row: what was decided then.

    runs: all times that it was judged, the first one first; a side that has had a copy is spared the next one.
    """

    message: int
    peer: Side
    event: str
    row: str
    raw: bytes | None
    start: int
    end: int
    runs: tuple[Run, ...]
