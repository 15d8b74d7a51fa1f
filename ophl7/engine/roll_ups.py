"""Roll-ups: a biller's note that charges went into a claim, which is made in the PM; nothing is ever sent. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

MOST_CHARGES = 1000  # in one roll-up


@dataclass(frozen=True, slots=True)
class RollUp:
    """One note. claim: the PM's reference; note: the person's own words, "" for none. at: seconds since the epoch.

    charges: ledger ids, ascending. taken_back_*: who took it back, when and why; None while it stands.
    """

    id: int
    at: float
    actor: str
    claim: str
    note: str
    charges: tuple[int, ...]
    taken_back_at: float | None = None
    taken_back_by: str | None = None
    taken_back_reason: str | None = None


class Entry(NamedTuple):
    """A charge as a roll-up is decided on. standing: its delivery's state where it was sent, else the ledger's.

    roll_up: the one that stands for it, None for none.
    """

    charge: int
    message: int
    standing: str
    roll_up: int | None


@dataclass(frozen=True, slots=True)
class NoteRollUp:
    """What a person wants noted."""

    charges: tuple[int, ...]
    claim: str
    note: str
    actor: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A note that was wrong. reason: why, kept with it."""

    roll_up: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class NotNoted:
    """Nothing was changed. charges: those that stand in the way; reason: one sentence, with what to do instead."""

    reason: str
    charges: Sequence[int] = ()
