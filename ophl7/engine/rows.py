"""The rows of one commit: everything that follows from a batch of messages and from what people decided. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ophl7.domain.appointment import Appointment
from ophl7.domain.changes import Stream
from ophl7.domain.charge import Charge, ChargeState
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient, Side
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.code_rows import CodeEntry, CodeSeen
from ophl7.engine.lists import ListProgress, ListRefusal
from ophl7.engine.resend_rows import Deed, Resend
from ophl7.engine.roll_ups import RollUp

MessageState = Literal["accepted", "rejected", "held", "ignored", "duplicate", "stale", "error"]
# How a hold ended: its condition cleared, a person set the condition aside, a person let the message go without effect.
# renewed: it waits on under another number, for another reason. unreadable: it waits as `refused` now.
# redirected: a person has said that it is about another patient.
ClosedHow = Literal["released", "accepted", "discarded", "renewed", "unreadable", "redirected"]
DeliveryState = Literal["queued", "sending", "accepted", "held", "unknown", "parked", "rejected", "skipped"]


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
    """One copy for a destination. body: None when it is the journal's bytes with our control id.

    resend_of: the delivery that it sends again in the run `resend`; 0 for nearly all.
    """

    id: int
    destination: Side
    lane: int
    stream: Stream
    message: int
    control_id: str
    state: DeliveryState
    body: bytes | None
    created_at: float
    resend_of: int = 0
    resend: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryMark:
    """What became of a try. answer: MSA-1 and code (`AE 204`), or what went wrong (`timeout`); never a peer's free text.

    locked: the peer asks for it later, without end: its record is open at somebody's desk (206), or severity F.
    """

    id: int
    state: DeliveryState
    attempts: int
    next_at: float | None
    answer: str
    at: float
    locked: bool = False


@dataclass(frozen=True, slots=True)
class LinkMark:
    """Whether bytes may be on their way to a destination: written before the first byte after it was unreachable."""

    destination: Side
    reachable: bool


@dataclass(frozen=True, slots=True)
class PauseMark:
    """Nothing is sent to a destination, for this reason, until somebody resumes it; "": it is sent to again.

    way: `drain`: nothing is taken from it any more, in place of sent to it. by_itself: no person has paused it, but three
    refusals in a row (decisions 8).
    """

    destination: Side
    reason: str
    way: Literal["pause", "drain"] = "pause"
    by_itself: bool = False


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
    alarms: dict[int, AlarmRow] = field(default_factory=dict)
    heard: dict[Side, float] = field(default_factory=dict)  # when a peer last sent anything
    resends: dict[int, Resend] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)
