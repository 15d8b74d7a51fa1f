"""What the engine asks of a store: two calls a batch, load and commit, plus what the outbox needs.

The guarantees that every store gives, and that one test suite checks on each:

- `load` answers with what was committed before it was called, following references until none is left open: an id's patient,
  everybody in that patient's lane, a patient's survivors, an appointment's patient.
- `commit` writes all rows or none, and returns only when they would survive a loss of power.
- One call at a time: the engine never overlaps them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ophl7.domain.changes import Stream
from ophl7.domain.patient import Side
from ophl7.engine.alarm_rows import AlarmsKept
from ophl7.engine.retention import RetiringStore
from ophl7.engine.rows import (
    AuditRow,
    ChargeUpdate,
    ClosedHold,
    ClosedHow,
    DeliveryMark,
    DeliveryRow,
    DeliveryState,
    DriftRow,
    HoldRow,
    JournalRow,
    JournalUpdate,
    LinkMark,
    MessageState,
    Parting,
    PauseMark,
    Rendering,
    Restored,
    Rows,
    UnmergeRow,
)
from ophl7.engine.state import (
    MOST_OF_AFTERMATH,
    Aftermath,
    AftermathKey,
    HeldMessage,
    Keys,
    Origin,
    Processed,
    QueuedBytes,
    Seen,
    State,
    claim,
    takes_over,
    was_taken,
)

__all__ = [
    "MOST_OF_AFTERMATH",
    "Aftermath",
    "AftermathKey",
    "AuditRow",
    "ChargeUpdate",
    "ClosedHold",
    "ClosedHow",
    "Counters",
    "DeliveryMark",
    "DeliveryRow",
    "DeliveryState",
    "DriftRow",
    "HeldMessage",
    "HoldRow",
    "JournalRow",
    "JournalUpdate",
    "Keys",
    "LinkMark",
    "MessageState",
    "OpenDelivery",
    "Origin",
    "Parting",
    "PauseMark",
    "Processed",
    "QueuedBytes",
    "Rendering",
    "Restored",
    "Rows",
    "Seen",
    "State",
    "Store",
    "UnmergeRow",
    "as_open",
    "claim",
    "takes_over",
    "was_taken",
]


@dataclass(frozen=True, slots=True)
class OpenDelivery:
    """A delivery that is not settled. attempts: tries whose outcome is on disk; the one under way is not counted."""

    id: int
    destination: Side
    lane: int
    stream: Stream
    control_id: str
    state: DeliveryState
    attempts: int
    next_at: float | None
    created_at: float
    resend_of: int = 0
    resend: int = 0

    @property
    def order(self) -> tuple[int, int]:
        """Its place in its lane: what is sent again stands where the first of it stood, before all that came later."""
        return (self.resend_of or self.id, self.id)


def as_open(row: DeliveryRow) -> OpenDelivery:
    """A new delivery, as it waits."""
    place = (row.id, row.destination, row.lane, row.stream, row.control_id)
    return OpenDelivery(*place, row.state, 0, None, row.created_at, row.resend_of, row.resend)


@dataclass(frozen=True, slots=True)
class Counters:
    """The last ids in use, and the prefix of control ids that is this database's own."""

    journal: int
    patient: int
    appointment: int
    charge: int
    hold: int
    delivery: int
    drift: int
    merge: int
    prefix: str


class Store(RetiringStore, Protocol):
    """Durable memory. Raises StoreAway when it cannot be read or written, StoreRefused when it works but refuses these rows."""

    async def open(self) -> Counters:
        """Takes the lease, brings the schema up to date, and tells the last ids. Raises DatabaseLocked, MigrationError."""

    async def load(self, keys: Keys, *, small: bool) -> State:
        """The rows behind these keys. small: few enough to be read without leaving the event loop."""

    async def commit(self, rows: Rows) -> None:
        """All or nothing, durable on return."""

    async def unreachable(self) -> Collection[Side]:
        """Destinations to which nothing can have been on its way when the process before ended (see LinkMark)."""

    async def paused(self) -> Mapping[Side, PauseMark]:
        """Destinations to which nothing is sent until somebody resumes them, each with its last mark."""

    async def drained(self) -> Mapping[Side, str]:
        """Peers from which nothing is taken until somebody resumes them, each with why (see PauseMark)."""

    async def alarms(self) -> AlarmsKept:
        """Alarms that are open, the last id in use, and when each peer was last heard of."""

    async def open_deliveries(self) -> Sequence[OpenDelivery]:
        """Everything that is not settled, oldest first."""

    async def body_of(self, delivery: int) -> bytes:
        """The bytes to send: the delivery's own, or the journal's with our control id."""

    async def probe(self) -> None:
        """Writes a row of no meaning as a commit would, durable on return; raises StoreAway when that does not go through."""

    async def close(self) -> None:
        """Gives the lease back. Idempotent."""
