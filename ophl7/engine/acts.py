"""What a person does with a message in custody: the order, and what became of it (decisions 11). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ophl7.engine.storage import ClosedHow, MessageState

Verb = Literal["release", "discard"]


@dataclass(frozen=True, slots=True)
class Act:
    """Release or discard the message of one hold. actor, reason: who and why, for the audit and the hold, never for a log."""

    verb: Verb
    hold: int
    message: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """It is on disk. at: seconds since the epoch. state: the message's now. waits_for: keys of what it waits for still.

    released: how many other messages left custody in the same commit.
    """

    at: float
    how: ClosedHow
    state: MessageState
    waits_for: tuple[str, ...] = ()
    released: int = 0


@dataclass(frozen=True, slots=True)
class NotDone:
    """Nothing was changed. still_open: whether the hold waits as before; reason: one sentence, with what to do instead."""

    still_open: bool
    reason: str
