"""What the HTTP face needs from the rest of the house: what it reads, and what it is handed.

`store` implements :class:`Reads` (one read-only connection of its own), `app` fills a :class:`Face`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ophl7.admin.books_ports import Books
from ophl7.admin.resend_ports import ResendFace
from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier, Naming
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient, Side
from ophl7.domain.profile import Profile
from ophl7.engine.acts import Act, Done, NotDone, Replayed, Replaying, Unmerge
from ophl7.engine.aftermath import CannotUnmerge, UnmergePlan
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.chain import Link
from ophl7.engine.code_entries import Entered, Entry
from ophl7.engine.dispatching import DeliveryAct, Dispatched, LinkAct, NotDispatched
from ophl7.engine.explaining import Explained
from ophl7.engine.storage import DriftRow

Row = Mapping[str, Any]
"""One row by column name; each method says which. Times are seconds since the epoch."""

Document = dict[str, Any]
"""One JSON object."""


class Reads(Protocol):
    """The database as people look at it: committed rows, newest first, `limit` of them, ids below `before` (None: all).

    A filter that is None asks for everything; an empty collection of subjects finds nothing. Every read is bounded in time: it
    raises TimeoutError when it took too long, and StoreAway when the database cannot be read.
    """

    async def messages(
        self,
        *,
        peer: str | None = None,
        event: str | None = None,
        control_id: str | None = None,
        state: str | None = None,
        subjects: Collection[int] | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """The journal. event: `ADT^A08`, or a type alone. since: inclusive, until: exclusive.

        Columns: id peer received_at event control_id state ack_code decision_row reason subject repeats replay_of head (the
        first bytes of the member, None where retention has removed it).
        """

    async def message(self, number: int) -> Row | None:
        """One journal row: the columns of `messages` without head, and more.

        Columns: connection raw start end answer detail body_removed_at; raw is None where retention has removed it.
        """

    async def again(self, number: int, limit: int = 100) -> Sequence[Row]:
        """The same message when it came again, and its replays, oldest first. Columns: id received_at state replay_of."""

    async def heads(self, numbers: Collection[int]) -> Mapping[int, tuple[Side, bytes | None]]:
        """Who sent these messages, and their first bytes."""

    async def states(self, last: int) -> Mapping[str, int]:
        """How many of the last so many messages are in which state."""

    async def patients(
        self, *, numbers: Collection[int] = (), subjects: Collection[int] = (), lane: int | None = None
    ) -> Sequence[Patient]:
        """The patients with one of these ids or one of these subjects, and everybody in that lane."""

    async def named(self, value: str, authority: str | None) -> Sequence[tuple[Identifier, Patient]]:
        """Who has this id, from this authority or from any."""

    async def appointments(
        self,
        *,
        subjects: Collection[int] | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Appointment]:
        """The schedule. since: first start, inclusive; until: exclusive."""

    async def charges(
        self,
        *,
        subjects: Collection[int] | None = None,
        state: str | None = None,
        day: str | None = None,
        message: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[tuple[Charge, str, int | None]]:
        """The ledger without superseded rows: the charge, where it stands (contract 6), the delivery that carries it.

        day: YYYYMMDD of the service date as the sender wrote it.
        """

    async def merges(
        self,
        *,
        patients: Collection[int] | None = None,
        state: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Merge]:
        """Pairs of charts that a side has merged. patients: those with one of them on either place."""

    async def merge(self, number: int) -> Merge | None:
        """One of them."""

    async def unmerges(self, merges: Collection[int]) -> Sequence[Row]:
        """Who took these merges apart, oldest first. Columns: id merge side at actor reason."""

    async def holds(
        self, *, peer: str | None = None, message: int | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Row]:
        """What is in our custody. Columns: id message key blocks reason since peer."""

    async def hold(self, number: int) -> Row | None:
        """One hold, open or closed.

        Columns: those of `holds`, closed_at closed_how closed_by closed_reason redirected_to closed_by_message (of the one that
        met the condition).
        """

    async def custody(self, message: int) -> Sequence[Row]:
        """Every hold that a message had, oldest first. Columns: those of `hold`."""

    async def drift(
        self,
        *,
        patients: Collection[int] | None = None,
        peer: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[DriftRow]:
        """Values that were not taken."""

    async def deliveries(
        self,
        *,
        destination: str | None = None,
        state: str | None = None,
        message: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """The outbox.

        Columns: id destination lane stream message control_id state created_at attempts next_at last_answer changed_at.
        """

    async def code_entries(self, *, peer: str | None = None, table: str | None = None) -> Sequence[Row]:
        """What people have entered into code tables, by peer, table and code.

        Columns: peer name code target made_by made_at reason.
        """

    async def code_tasks(
        self, *, peer: str | None = None, table: str | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Row]:
        """Codes that came without an entry. Columns: id peer name code first_message last_message first_at last_at messages."""

    async def alarms(
        self, *, open_only: bool | None = None, kind: str | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[AlarmRow]:
        """What has rung. open_only: True = what is open, False = what is over."""

    async def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """Who did what. Columns: id at actor action target reason. since: inclusive, until: exclusive."""

    async def audit_links(self, *, after: int, limit: int) -> Sequence[Link]:
        """The audit rows behind that id, oldest first, each with its digest."""

    async def audit_head(self) -> str | None:
        """The last link as it is kept apart from the rows; None where there is no chain."""

    async def audit_anchor(self) -> str | None:
        """The last link that retention has removed; None where nothing was removed."""


class Registry(Protocol):
    """What it takes to look somebody up, with or without a running broker: a :class:`Face` has it all."""

    @property
    def reads(self) -> Reads:
        """The database."""

    @property
    def zone(self) -> ZoneInfo:
        """The practice's."""

    @property
    def authorities(self) -> Mapping[Side, str]:
        """The default assigning authority of each side."""


@dataclass(frozen=True, slots=True)
class Face:
    """What the HTTP face is handed.

    token: what a caller must bring; token_is_explicit: whether somebody set it (otherwise only loopback is let in).
    ready: status and document of `/readyz`. exposition: text and content type of `/metrics`. links: one object a peer, as
    contract 6 has it. audit: (actor, action, target, reason), durable when it returns; raises StoreAway. act: a person's order,
    durable with all that follows from it when it returns; raises StoreAway, StoreRefused. dispatch, switch, enter_code, replay,
    unmerge: the same for a delivery, a link, an entry in a code table, a message, and a merge. explain: what would become of a
    frame of that peer, which changes nothing; raises StoreAway, TimeoutError. profiles: what each peer's product is like;
    namings: how it names patients. routes, plugins: one object each. authorities: the default assigning authority of each side.
    alarms: those that are open, newest first. acknowledge: (id, actor, reason), as `act`; None when no such alarm is open.
    retention: its last run, `at` in seconds since the epoch; purge: begins a run now.
    books: see `books_ports`; resends: see `resend_ports`.
    """

    reads: Reads
    token: str
    token_is_explicit: bool
    ready: Callable[[], tuple[int, Document]]
    alive: Callable[[], bool]
    exposition: Callable[[], tuple[bytes, str]]
    links: Callable[[], Sequence[Document]]
    audit: Callable[[str, str, str, str], Awaitable[None]]
    act: Callable[[Act], Awaitable[Done | NotDone]]
    dispatch: Callable[[DeliveryAct], Awaitable[Dispatched | NotDispatched]]
    switch: Callable[[LinkAct], Awaitable[float | NotDispatched]]
    replay: Callable[[Replaying], Awaitable[Replayed | NotDone]]
    explain: Callable[[Side, bytes], Awaitable[list[Explained]]]
    enter_code: Callable[[Entry], Awaitable[Entered | NotDone]]
    profiles: Mapping[Side, Profile]
    unmerge: Callable[[Unmerge], Awaitable[UnmergePlan | CannotUnmerge]]
    routes: Callable[[], list[Document]]
    plugins: Callable[[], list[Document]]
    zone: ZoneInfo
    authorities: Mapping[Side, str]
    namings: Mapping[Side, Naming]
    version: str
    alarms: Callable[[], Sequence[AlarmRow]]
    acknowledge: Callable[[int, str, str], Awaitable[AlarmRow | None]]
    books: Books
    retention: Callable[[], Document]
    purge: Callable[[], None]
    resends: ResendFace
