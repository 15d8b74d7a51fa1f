"""What a person does with a message in custody: the order, and what became of it (decisions 11). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Side
from ophl7.engine.storage import ClosedHow, MessageState

Verb = Literal["release", "discard", "redirect"]


@dataclass(frozen=True, slots=True)
class Act:
    """Release, discard or redirect the message of one hold.

    actor, reason: who and why, for the audit and the hold, never for a log. patient: for whom it is redirected.
    """

    verb: Verb
    hold: int
    message: int
    actor: str
    reason: str
    patient: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Unmerge:
    """Take one side's merge apart (#73). token: of the plan that was shown, None: as things are. look: only the plan."""

    merge: int
    side: Side
    actor: str = ""
    reason: str = ""
    token: str | None = None
    look: bool = False


@dataclass(frozen=True, slots=True)
class Replaying:
    """Have a message judged again. apply_stale: also if it comes too late (#87). resend: sides that had a copy get another.

    actor, reason: who and why, for the audit, never for a log.
    """

    message: int
    actor: str
    reason: str
    apply_stale: bool = False
    resend: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """It is on disk. at: seconds since the epoch. message: the journal id of the run; replay_of: of what came.

    spared: sides that had a copy before and got none now; deliveries: copies that it makes, with their destinations.
    released: how many messages left custody in the same commit.
    """

    at: float
    message: int
    replay_of: int
    state: MessageState
    row: str
    reason: str
    waits_for: tuple[str, ...]
    deliveries: tuple[tuple[int, Side], ...]
    spared: tuple[Side, ...]
    released: int


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
