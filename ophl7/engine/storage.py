"""What the engine asks of a store: two calls a batch, load and commit, plus what the outbox needs.

The guarantees that every store gives, and that one test suite checks on each:

- `load` answers with what was committed before it was called, following references until none is left open: an id's patient,
  everybody in that patient's lane, a patient's survivors, an appointment's patient.
- `commit` writes all rows or none, and returns only when they would survive a loss of power.
- One call at a time: the engine never overlaps them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from ophl7.domain.appointment import Appointment
from ophl7.domain.changes import Stream
from ophl7.domain.charge import Charge, ChargeState
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient, Side
from ophl7.engine.code_rows import CodeEntry, CodeSeen
from ophl7.engine.lists import ListProgress, ListRefusal
from ophl7.engine.originals import Original
from ophl7.engine.roll_ups import Entry, RollUp
from ophl7.hl7v2.ack import POSITIVE

MessageState = Literal["accepted", "rejected", "held", "ignored", "duplicate", "stale", "error"]
# How a hold ended: its condition cleared, a person set the condition aside, a person let the message go without effect.
# renewed: it waits on under another number, for another reason. unreadable: it waits as `refused` now.
# redirected: a person has said that it is about another patient.
ClosedHow = Literal["released", "accepted", "discarded", "renewed", "unreadable", "redirected"]
DeliveryState = Literal["queued", "sending", "accepted", "held", "unknown", "parked", "rejected", "skipped"]


@dataclass(slots=True)
class Keys:
    """What a batch can touch.

    controls: (peer, control id, digest). identifiers: (authority, id). appointments: (origin, SCH-1 or SCH-2).
    charges: (authority, id, FT1-2). last: (peer, subject, authority, id), for messages that can only repeat the last one of
    their lane (#86); authority and id are "" for a block. held: journal ids of messages in our custody, with all their holds.
    waiting: keys of holds. merges: patient ids, for every pair with one of them. queued: deliveries whose bytes are wanted.
    appointments_of: subjects, for the holds of appointments whose messages are about them.
    open_for: (subject, now), for what is open about a patient: appointments that begin later, charges without an answer.
    blocks: objects whose later messages wait behind a hold (domain.verdicts.Condition).
    entries: charges that a biller wants to roll up; roll_ups: notes about that.
    originals: journal ids, of messages or of replays of them, for a replay.
    maps: (peer, table, code), for what people have said that these codes are called in the other system.
    restored: patient ids, for the values of theirs that were answered with the owner's.
    sets: (authority, id, digest), for charges that no FT1-2 names (#57).
    lost: deliveries that will never reach their destination, for what takes back their charges (#50).
    accounts: numbers of accounts, for everybody whose PID-18 they are. pairs: ids of merges, with both their charts.
    origins: deliveries, with the messages that they came of. aftermath: what came of a redirect (#73).
    """

    controls: set[tuple[str, str, bytes]] = field(default_factory=set)
    identifiers: set[tuple[str, str]] = field(default_factory=set)
    appointments: set[tuple[Side, str]] = field(default_factory=set)
    charges: set[tuple[str, str, str]] = field(default_factory=set)
    last: set[tuple[Side, int, str, str]] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    merges: set[int] = field(default_factory=set)
    queued: set[int] = field(default_factory=set)
    appointments_of: set[int] = field(default_factory=set)
    open_for: set[tuple[int, float]] = field(default_factory=set)
    blocks: set[str] = field(default_factory=set)
    entries: set[int] = field(default_factory=set)
    roll_ups: set[int] = field(default_factory=set)
    originals: set[int] = field(default_factory=set)
    maps: set[tuple[Side, str, str]] = field(default_factory=set)
    restored: set[int] = field(default_factory=set)
    sets: set[tuple[str, str, bytes]] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    pairs: set[int] = field(default_factory=set)
    origins: set[int] = field(default_factory=set)
    aftermath: set[AftermathKey] = field(default_factory=set)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


class Seen(NamedTuple):
    """An earlier message: the last one with that control id and digest, or the last one of its lane.

    positive: see `was_taken`. answer: the bytes it was answered with, None for none.
    """

    message: int
    digest: bytes
    received_at: float
    positive: bool
    ack_code: str
    answer: bytes | None


def was_taken(ack_code: str, state: str) -> bool:
    """Whether a message was taken when it came, so that a copy of it has no second effect (#84).

    The answer that it got says it; where it got none (ACK_MODE=none), what became of it.
    """
    return ack_code in POSITIVE if ack_code else state not in {"rejected", "error"}


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message in our custody, to be judged again.

    spared: sides that get no copy of it, see engine.originals. taken_for: whose it is, as a person has said.
    """

    message: int
    peer: Side
    raw: bytes
    start: int
    end: int
    received_at: float
    spared: tuple[Side, ...] = ()
    taken_for: Identifier | None = None


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One open hold. blocks: whose later messages wait too; see domain.verdicts.Condition."""

    id: int
    message: int
    key: str
    blocks: str
    reason: str
    since: float
    peer: Side


@dataclass(frozen=True, slots=True)
class QueuedBytes:
    """What a waiting delivery would send, before our control id. peer: whose message it is."""

    peer: Side
    body: bytes
    destination: Side


class Origin(NamedTuple):
    """The message of a delivery as it came: its subject and sender, its bytes, and what is stored to be sent in their place."""

    message: int
    subject: int | None
    peer: Side
    raw: bytes
    body: bytes | None
    taken_for: Identifier | None = None


# What a plan to take a merge apart lists of each kind, at most: somebody must read it.
MOST_OF_AFTERMATH = 1000


class AftermathKey(NamedTuple):
    """subjects: charts that a redirect led away; others: whom it led to. after: the message that said so."""

    subjects: frozenset[int]
    others: frozenset[int]
    after: int


class Processed(NamedTuple):
    """A message about one of those charts, with one of its copies; None where it has none."""

    message: int
    peer: Side
    received_at: float
    event: str
    state: MessageState
    row: str
    subject: int
    destination: Side | None
    copy: DeliveryState | None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What came of a redirect, within limits. moved: appointments that were of `subjects` and are of `others` now."""

    processed: tuple[Processed, ...]
    appointments: tuple[Appointment, ...]
    moved: tuple[Appointment, ...]


class ClosedHold(NamedTuple):
    """The end of a hold. by, reason: the person who decided, and why; None where its condition cleared by itself.

    message: the one that met the condition. taken_for: the id of the patient for whom he said that it is.
    """

    id: int
    at: float
    how: ClosedHow
    by: str | None = None
    reason: str | None = None
    message: int | None = None
    taken_for: Identifier | None = None


@dataclass(slots=True)
class State:
    """What `load` found. A key with None was looked for and does not exist; one that is absent was not looked for.

    accepted: of held messages, key and reason of each hold that a person has set aside; absent where there is none.
    """

    controls: dict[tuple[str, str, bytes], Seen | None] = field(default_factory=dict)
    reused: set[tuple[str, str]] = field(default_factory=set)
    aliases: dict[tuple[str, str], int | None] = field(default_factory=dict)
    patients: dict[int, Patient] = field(default_factory=dict)
    lanes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    appointments: dict[tuple[Side, str], int | None] = field(default_factory=dict)
    appointment_rows: dict[int, Appointment] = field(default_factory=dict)
    charges: dict[tuple[int, str], Charge | None] = field(default_factory=dict)
    last: dict[tuple[Side, int], Seen | None] = field(default_factory=dict)
    holds: dict[int, HoldRow] = field(default_factory=dict)
    held: dict[int, HeldMessage] = field(default_factory=dict)
    merges: dict[tuple[int, int], Merge] = field(default_factory=dict)
    queued: dict[int, QueuedBytes] = field(default_factory=dict)
    unanswered: dict[int, int] = field(default_factory=dict)  # subject -> charges that the PM has not answered
    accepted: dict[int, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    entries: dict[int, Entry | None] = field(default_factory=dict)
    roll_ups: dict[int, RollUp | None] = field(default_factory=dict)
    last_roll_up: int = 0  # the last number that was given; told with entries
    originals: dict[int, Original] = field(default_factory=dict)  # by the id that was asked for; absent: no such message
    maps: dict[tuple[Side, str, str], str | None] = field(default_factory=dict)  # None: no person has entered it
    restored: dict[int, tuple[Restored, ...]] = field(default_factory=dict)
    sets: dict[tuple[int, bytes], tuple[Charge, ...]] = field(default_factory=dict)  # the line that stands for each set (#57)
    taken_back: dict[int, tuple[int, ...]] = field(default_factory=dict)  # a lost delivery -> what waits behind it
    accounts: dict[str, tuple[int, ...]] = field(default_factory=dict)
    origins: dict[int, Origin] = field(default_factory=dict)
    aftermath: dict[AftermathKey, Aftermath] = field(default_factory=dict)


def claim(state: State, appointment: Appointment) -> None:
    """Answers the references that were asked for with this appointment; to be called in ascending order of ids.

    Where two appointments claim one reference, the one that has it as SCH-2 wins (#20), else the newer one.
    """
    references = state.appointments
    for reference in (appointment.placer, appointment.filler):
        place = (appointment.origin, reference)
        if reference and place in references and takes_over(state, references[place], appointment, reference):
            references[place] = appointment.id


def takes_over(state: State, holder: int | None, appointment: Appointment, reference: str) -> bool:
    """Whether `appointment` answers to a reference that `holder` has answered to so far; see `claim`."""
    if holder is None or holder == appointment.id:
        return True
    known = state.appointment_rows[holder]
    ours, theirs = appointment.filler == reference, known.filler == reference
    return (ours, appointment.id) > (theirs, known.id)


# The rows that every message makes are tuples: a frozen dataclass costs four times as much to make.
class JournalRow(NamedTuple):
    """One message as it came and what was decided. start, end: the member's place in `raw` when the frame held several.

    detail: JSON of what the rules said and what changed: the one provenance row of the message.
    replay_of: the message that came, where a person had it judged again; spared: see HeldMessage, sides parted by blanks.
    """

    id: int
    peer: Side
    connection: int
    received_at: float
    event: str
    control_id: str
    digest: bytes
    state: MessageState
    ack_code: str
    answer: bytes | None
    row: str
    reason: str
    subject: int | None
    repeats: int | None
    raw: bytes
    start: int
    end: int
    detail: str
    replay_of: int | None = None
    spared: str = ""


@dataclass(frozen=True, slots=True)
class JournalUpdate:
    """What a release made of a held message. subject: now that its patient is known. None: as it was."""

    id: int
    state: MessageState
    subject: int | None
    row: str | None
    reason: str
    detail: str | None


class DeliveryRow(NamedTuple):
    """One copy for a destination. body: None when it is the journal's bytes with our control id."""

    id: int
    destination: Side
    lane: int
    stream: Stream
    message: int
    control_id: str
    state: DeliveryState
    body: bytes | None
    created_at: float


@dataclass(frozen=True, slots=True)
class DeliveryMark:
    """What became of a try. answer: MSA-1 and code (`AE 204`), or what went wrong (`timeout`); never a peer's free text."""

    id: int
    state: DeliveryState
    attempts: int
    next_at: float | None
    answer: str
    at: float


@dataclass(frozen=True, slots=True)
class LinkMark:
    """Whether bytes may be on their way to a destination: written before the first byte after it was unreachable."""

    destination: Side
    reachable: bool


@dataclass(frozen=True, slots=True)
class PauseMark:
    """Nothing is sent to a destination, for this reason, until somebody resumes it; "": it is sent to again."""

    destination: Side
    reason: str


class Rendering(NamedTuple):
    """A delivery that waits is made anew, with the bytes for the survivor (decisions 6).

    renewed: the control id that it goes on with when the receiver had refused the old one (204), or a person sends it as new;
    "" when it was never tried.
    """

    id: int
    body: bytes
    renewed: str


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A value that was not taken (#5).

    restored: `sent` = the owner's value was sent back, `task` = it was not, which is a person's; None: nobody asked for that.
    """

    id: int
    message: int
    patient: int
    peer: Side
    field: str
    offered: str
    kept: str | None
    rule: str
    at: float
    restored: Literal["sent", "task"] | None = None


class Restored(NamedTuple):
    """A value of a peer's that was answered with the owner's before."""

    peer: Side
    field: str
    offered: str
    at: float


@dataclass(frozen=True, slots=True)
class ChargeUpdate:
    """A charge of a message that was held or refused moves on. line: its place in the message, from 0."""

    message: int
    line: int
    state: ChargeState
    subject: int
    delivery: int | None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what: `actor` is a name or address of a person's session, never of a patient."""

    at: float
    actor: str
    action: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Parting:
    """A lane becomes two (#73): these waiting deliveries of `lane` go on in `into`."""

    lane: int
    into: int
    deliveries: frozenset[int]


class UnmergeRow(NamedTuple):
    """Who took which merge apart, on which side (#73)."""

    merge: int
    side: Side
    at: float
    actor: str
    reason: str


@dataclass(slots=True)
class Rows:
    """Everything that one commit writes. Lists are in order; dictionaries hold the last value of each row.

    cancelled: messages whose charges, as far as they are held, are cancelled after all other rows.
    """

    journal: list[JournalRow] = field(default_factory=list)
    updates: list[JournalUpdate] = field(default_factory=list)
    patients: dict[int, Patient] = field(default_factory=dict)
    aliases: list[tuple[Identifier, int]] = field(default_factory=list)
    appointments: dict[int, Appointment] = field(default_factory=dict)
    charges: list[tuple[Charge, int | None]] = field(default_factory=list)
    charge_updates: list[ChargeUpdate] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    closed_holds: list[ClosedHold] = field(default_factory=list)
    deliveries: list[DeliveryRow] = field(default_factory=list)
    marks: list[DeliveryMark] = field(default_factory=list)
    links: list[LinkMark] = field(default_factory=list)
    pauses: list[PauseMark] = field(default_factory=list)
    drift: list[DriftRow] = field(default_factory=list)
    audit: list[AuditRow] = field(default_factory=list)
    merges: dict[int, Merge] = field(default_factory=dict)
    # In their order: a lane, and the one that it goes on in; or a lane that became two.
    united: list[tuple[int, int] | Parting] = field(default_factory=list)
    unmerges: list[UnmergeRow] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)  # a waiting delivery, and its lane from now on
    rendered: list[Rendering] = field(default_factory=list)
    taken_back: list[tuple[int, int]] = field(default_factory=list)  # a delivery, and one that takes charges of it back
    sending: list[int] = field(default_factory=list)  # deliveries that were on their way when a merge united their lanes
    lists: list[ListProgress] = field(default_factory=list)
    list_refusals: list[ListRefusal] = field(default_factory=list)
    roll_ups: dict[int, RollUp] = field(default_factory=dict)
    codes: list[CodeEntry] = field(default_factory=list)
    codes_seen: list[CodeSeen] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


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


class Store(Protocol):
    """Durable memory. Raises StoreAway when it cannot be read or written, StoreRefused when it works but refuses these rows."""

    async def open(self) -> Counters:
        """Takes the lease, brings the schema up to date, and tells the last ids. Raises DatabaseLocked, MigrationError."""

    async def load(self, keys: Keys, *, small: bool) -> State:
        """The rows behind these keys. small: few enough to be read without leaving the event loop."""

    async def commit(self, rows: Rows) -> None:
        """All or nothing, durable on return."""

    async def unreachable(self) -> Collection[Side]:
        """Destinations to which nothing can have been on its way when the process before ended (see LinkMark)."""

    async def paused(self) -> Mapping[Side, str]:
        """Destinations to which nothing is sent until somebody resumes them, each with why (see PauseMark)."""

    async def open_deliveries(self) -> Sequence[OpenDelivery]:
        """Everything that is not settled, oldest first."""

    async def body_of(self, delivery: int) -> bytes:
        """The bytes to send: the delivery's own, or the journal's with our control id."""

    async def probe(self) -> None:
        """Writes a row of no meaning as a commit would, durable on return; raises StoreAway when that does not go through."""

    async def close(self) -> None:
        """Gives the lease back. Idempotent."""
