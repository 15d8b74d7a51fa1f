"""Everything to a destination since some time, sent again: a run, what it finds, and how far it is. Values only."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ophl7.domain.changes import Stream
from ophl7.domain.patient import Side

ResendState = Literal["running", "stopped", "done", "dropped"]

# In place of an answer: a copy that did not leave because its run was stopped before.
WITHHELD = "withheld: its run was stopped"


class Resend(NamedTuple):
    """One run. since, until: what the destination had accepted in between, until exclusive. See the table `resend`."""

    id: int
    destination: Side
    since: float
    until: float
    streams: tuple[Stream, ...]
    stop_after: int
    key: str
    started_at: float
    last: int
    state: ResendState
    place: int = 0
    made: int = 0
    gone: int = 0
    forgiven: int = 0


class ResendTally(NamedTuple):
    """What has become of a run's copies. withheld: stopped before they were sent; refused: by the receiver."""

    waiting: int = 0
    accepted: int = 0
    refused: int = 0
    withheld: int = 0
    skipped: int = 0


class ResendWindow(NamedTuple):
    """Where a run looks next: deliveries behind `after` up to `upto`, so many copies at most, but for whole lanes."""

    run: Resend
    after: int
    upto: int
    most: int


class Lost(NamedTuple):
    """A delivery that a run sends again. lane: as it is by now. gone: its bytes were removed when their retention was over.

    merged: whether its destination has merged somebody of that lane; known_by: an id of the patient, ("", "") for none.
    """

    id: int
    stream: Stream
    lane: int
    gone: bool
    merged: bool
    known_by: tuple[str, str]


class LostFound(NamedTuple):
    """What a window held, oldest first, and up to which delivery that is all."""

    rows: tuple[Lost, ...]
    place: int


class OpenCopy(NamedTuple):
    """A copy of a run that is not settled."""

    id: int
    state: str
    attempts: int
    withheld: bool


class Deed(NamedTuple):
    """What was done under an Idempotency-Key. what: verb and object; state, control_id: as the answer said."""

    key: str
    what: str
    at: float
    state: str
    control_id: str
