"""What the calls of the books need: `store` implements :class:`BookReads`, `book_orders` fills a :class:`Books`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge
from ophl7.domain.current import AcceptedCharge
from ophl7.domain.patient import Side
from ophl7.domain.reconciliation import DftRow, LedgerLine
from ophl7.engine.roll_ups import NoteRollUp, NotNoted, RollUp, TakeBack

Row = Mapping[str, Any]


class BookReads(Protocol):
    """The database as billers look at it. Every read is bounded in time: raises StoreAway, TimeoutError.

    Times are seconds since the epoch, `until` is exclusive.
    """

    async def day_messages(self, since: float, until: float) -> Sequence[tuple[str, bool, int]]:
        """What came: state, whether it came again later and is counted there (#84b), how many."""

    def day_dfts(self, since: float, until: float) -> AsyncIterator[DftRow]:
        """Every DFT that came but copies, each with its charges as they stand at the same moment."""

    async def day_numbers(self, since: float, until: float) -> tuple[int, int] | None:
        """The ids that messages of that time have, the last exclusive; None when nothing came."""

    async def strays(self, first: int, end: int, limit: int) -> Sequence[tuple[int, LedgerLine]]:
        """Charges of messages with these ids that the journal does not have, or has as something else than a DFT."""

    async def sent_twice(self, first: int, end: int, limit: int) -> Sequence[Row]:
        """Charges whose equal had left in an earlier message. Columns: id message other other_message."""

    async def missing(
        self, since: float, until: float, today: float, day: tuple[str, str], before: int | None, limit: int
    ) -> Sequence[Appointment]:
        """Appointments that came to an end without a charge. day: service dates that count, YYYYMMDD, the last exclusive."""

    async def lanes(self, after: int, limit: int) -> Sequence[int]:
        """Patients, merged charts together, in ascending order."""

    async def accepted_charges(self, lanes: Collection[int]) -> Sequence[AcceptedCharge]:
        """All that the PM has accepted of these, ordered by lane, message and line."""

    async def open_charges(
        self, *, since: float | None, until: float | None, standings: Collection[str], after: int, limit: int
    ) -> Sequence[tuple[Charge, str, float]]:
        """What the PM does not have, oldest first: the charge, `pending` `held` or `parked`, when its message came."""

    async def superbills(self, after: int, limit: int) -> Sequence[Row]:
        """Refused claims and superbills (#56), oldest first. Columns: id peer received_at event raw."""

    async def roll_ups(
        self,
        *,
        subjects: Collection[int] | None = None,
        claim: str | None = None,
        number: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[RollUp]:
        """Billers' notes, newest first."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the face is handed for the books.

    note, take_back: durable when they return; raise StoreAway, StoreRefused, TimeoutError. encodings: the charset that a
    setting prescribes for a peer. user_fields: where a peer's profile says that the user stands, "" as usual.
    """

    reads: BookReads
    note: Callable[[NoteRollUp], Awaitable[RollUp | NotNoted]]
    take_back: Callable[[TakeBack], Awaitable[RollUp | NotNoted]]
    now: Callable[[], datetime]
    encodings: Mapping[Side, str | None]
    user_fields: Mapping[Side, str]
