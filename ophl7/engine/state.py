"""What a batch asks for, and what it is told: keys, and the rows behind them as they were committed before it. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient, Side
from ophl7.engine.originals import Original
from ophl7.engine.resend_rows import Deed, LostFound, OpenCopy, Resend, ResendTally, ResendWindow
from ophl7.engine.roll_ups import Entry, RollUp
from ophl7.engine.rows import DeliveryState, HoldRow, MessageState, Restored
from ophl7.hl7v2.ack import POSITIVE


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
    resends: keys of runs that send everything again, "" for those that are open; windows: where one looks next; copies: runs.
    deeds: Idempotency-Keys of people's orders.
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
    resends: set[str] = field(default_factory=set)
    windows: set[ResendWindow] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    deeds: set[str] = field(default_factory=set)

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
    resends: dict[int, Resend] = field(default_factory=dict)
    resend_tallies: dict[int, ResendTally] = field(default_factory=dict)  # of the runs that were asked for
    last_resend: int = 0  # the last number that was given; told with resends
    windows: dict[ResendWindow, LostFound] = field(default_factory=dict)
    copies: dict[int, tuple[OpenCopy, ...]] = field(default_factory=dict)
    deeds: dict[str, Deed | None] = field(default_factory=dict)


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
