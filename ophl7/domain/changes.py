"""What a handler may propose. A change is data: nothing happens until the rules have judged it and the batch is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from ophl7.domain.appointment import Appointment, Booking, Status
from ophl7.domain.charge import Charge, ChargeLine, Correction
from ophl7.domain.charge_reading import Fault
from ophl7.domain.coding import CodePlace
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Relation
from ophl7.domain.patient import Patient, Side
from ophl7.hl7v2.message import Value

Stream = Literal["record", "charges"]  # patient and schedule | charges: one does not wait for the other (decisions 8)


@dataclass(frozen=True, slots=True)
class Change:
    """Base of all changes. kind: the name by which rules ask for it."""

    kind: ClassVar[str] = "change"


@dataclass(frozen=True, slots=True)
class Receive(Change):
    """The message itself, judged by its header before any handler runs. Proposed by the engine."""

    kind: ClassVar[str] = "message.receive"
    known: bool  # whether any handler is registered for its event


@dataclass(frozen=True, slots=True)
class CreatePatient(Change):
    """A new patient. announced: by a registration event (A28 A04 A05 A01) rather than by an update of somebody unknown.

    provisional: out of a message that is not about him as such (#30, go-live); the owner's next ADT confirms him.
    """

    kind: ClassVar[str] = "patient.create"
    identifiers: tuple[Identifier, ...]
    others: tuple[Identifier, ...]
    fields: Mapping[str, Value]
    announced: bool
    complete: bool
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class UpdatePatient(Change):
    """What the message says of a known patient; the engine makes a SetField of each value that differs."""

    kind: ClassVar[str] = "patient.update"
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class SetField(Change):
    """One field of a known patient gets another value. current: what the registry holds, None when nothing.

    of: the patient, None for the message's own.
    """

    kind: ClassVar[str] = "patient.field"
    path: str
    value: Value
    current: str | None
    of: Patient | None = None


@dataclass(frozen=True, slots=True)
class LinkIdentifier(Change):
    """An id that is new to us, beside a known one of the same patient: how the EMR's chart id is learned (decisions 2).

    key: whether it may match from now on; SS, DL and the like are only kept and shown. of: the patient, None for the message's
    own. first: it is the one in use from now on (#72).
    """

    kind: ClassVar[str] = "patient.link"
    identifier: Identifier
    key: bool = True
    of: Patient | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmPatient(Change):
    """A provisional patient is confirmed by his owner's own ADT (#30)."""

    kind: ClassVar[str] = "patient.confirm"


@dataclass(frozen=True, slots=True)
class SetActive(Change):
    """The sender's side inactivates the chart (#12), or uses it again (#9).

    open_business: what is still open about the patient, "" for nothing.
    """

    kind: ClassVar[str] = "patient.active"
    active: bool
    open_business: str = ""


@dataclass(frozen=True, slots=True)
class MergePatients(Change):
    """The sender's side has merged one chart into another (decisions 6). None: an id that nobody has yet.

    retired_id, survivor_ids: as the message names them. relation: what this is against both maps, the message's own earlier
    merges included.
    """

    kind: ClassVar[str] = "patient.merge"
    retired_id: Identifier
    survivor_ids: tuple[Identifier, ...]
    retired: Patient | None
    survivor: Patient | None
    relation: Relation

    @property
    def survivor_id(self) -> Identifier:
        """The first id of the chart that remains."""
        return self.survivor_ids[0]


@dataclass(frozen=True, slots=True)
class Note(Change):
    """Something of the message that is kept and counted, and changes nothing. row: of decisions.md.

    warning: whether the sender is told, too.
    """

    kind: ClassVar[str] = "message.note"
    row: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class SetAppointment(Change):
    """An appointment is added or changed. known: its row, if there is one. about_patient: whether the SIU carries a PID.

    differing: against `known`, which of filler, patient, start, duration, status, resources. whole: it says all
    resources, or that nobody needs them any more, so that a change that waits for them is over (#24).
    """

    kind: ClassVar[str] = "appointment.set"
    booking: Booking
    known: Appointment | None
    about_patient: bool
    origin: Side
    default_status: Status
    differing: frozenset[str]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class SetProgress(Change):
    """How far an appointment is, and nothing else of it: by an ADT of the owner (#23), or as the other side saw it (#28).

    raw: the code or text that said so, "" when the event did.
    """

    kind: ClassVar[str] = "appointment.progress"
    known: Appointment
    status: Status
    raw: str


@dataclass(frozen=True, slots=True)
class AddCharge(Change):
    """One FT1. known: the charge of the same identity that the ledger already has. faults: why it is incomplete (#41).

    correction: how it leaves when it corrects that charge (#49). repeats: the message that brought the same set of charges
    before, None for none (#57).
    """

    kind: ClassVar[str] = "charge.add"
    line: ChargeLine
    number: int  # its place in the message, from 0
    known: Charge | None
    faults: tuple[Fault, ...]
    correction: Correction = ""
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Deliver(Change):
    """A copy of the message for a side, in a stream of its lane.

    only: the fields of the patient of which the side wants to hear (#5): the copy leaves when one of them was taken, and every
    other field of the patient leaves as the registry has it. None: it leaves, with all that is in it.
    """

    kind: ClassVar[str] = "message.deliver"
    to: Side
    stream: Stream
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Translate(Change):
    """A code of the sender's that leaves for the other system. Proposed by the engine, one for each table and code.

    to: what it is called there, None when nobody has said (#36, #46): then it leaves as it came. places: where it stands.
    """

    kind: ClassVar[str] = "code.translate"
    table: str
    code: str
    to: str | None
    places: tuple[CodePlace, ...]

    @property
    def path(self) -> str:
        """What provenance calls it: the table; the code itself stands in the message."""
        return self.table


KINDS: Mapping[str, type[Change]] = {
    change.kind: change
    for change in (
        Receive,
        Note,
        CreatePatient,
        ConfirmPatient,
        UpdatePatient,
        SetField,
        LinkIdentifier,
        SetActive,
        MergePatients,
        SetAppointment,
        SetProgress,
        AddCharge,
        Deliver,
        Translate,
    )
}
