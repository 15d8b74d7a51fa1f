"""Turns an accepted ruling into rows: the registry, the schedule, the ledger, drift, and the copies to deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ophl7.domain.changes import (
    AddCharge,
    ConfirmPatient,
    CreatePatient,
    Deliver,
    LinkIdentifier,
    MergePatients,
    SetActive,
    SetAppointment,
    SetField,
    Translate,
)
from ophl7.domain.charge import Charge, ChargeLine, ChargeState, clears
from ophl7.domain.identifiers import subject_of, subject_of_block
from ophl7.domain.merge import redirects
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.domain.provenance import Origin, noted
from ophl7.domain.verdicts import Outcome
from ophl7.engine.charge_writing import charge_edits
from ophl7.engine.coding import beside, coded, headed, without_a_word
from ophl7.engine.correcting import follows, replaces, voids
from ophl7.engine.merging import MergeEffects
from ophl7.engine.outgoing import Address, render
from ophl7.engine.ruling import Judged, Ruling
from ophl7.engine.scheduling import ScheduleEffects
from ophl7.engine.storage import DeliveryRow, DriftRow
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import rewrite


class Effects:
    """Applies one message's changes. `cleared` then names the conditions that it has met for messages in custody."""

    def __init__(
        self, uow: UnitOfWork, policy: Policy, number: int, peer: Side, message: Message, at: float, *, renamed: bool = False
    ) -> None:
        """number: the message's journal id; at: seconds since the epoch, when it is decided.

        renamed: the message is not the journal's bytes any more: a person has said whose it is.
        """
        self._renamed = renamed
        self._uow = uow
        self._policy = policy
        self._number = number
        self._peer = peer
        self._message = message
        self._at = at
        self._schedule = ScheduleEffects(uow, policy, number, peer, at, self._said_at)
        self.cleared: list[str] = []
        self.deliveries: list[DeliveryRow] = []
        self.patient: Patient | None = None  # as he is afterwards, None when the message is about none

    def apply(self, ruling: Ruling) -> None:
        """Writes everything that the ruling takes."""
        if SetField in ruling.kinds:
            self._family(ruling)
        patient = self.patient = self._record(ruling)
        mark = ruling.mark if self._message.type == "SIU" else None  # an ADT's is his patient's (#87)
        self._schedule.apply(ruling, patient, mark)
        delivery: int | None = None
        copies: list[Deliver] = []  # two handlers that want one copy get one
        for judged in ruling.judged:
            if judged.applies and isinstance(judged.change, Deliver) and judged.change not in copies:
                copies.append(judged.change)
                self._void(ruling, patient)
                delivery = self._deliver(judged.change, ruling, patient)
        if AddCharge in ruling.kinds:
            for judged in ruling.judged:
                if isinstance(judged.change, AddCharge) and patient is not None and judged.applies:
                    self._charge(judged.change, _of(judged.change, patient), "sent", delivery)
            if delivery is not None:
                self._uow.rows.taken_back += [(earlier, delivery) for earlier in sorted(follows(ruling))]
        if Translate in ruling.kinds:
            self._uow.rows.codes_seen += without_a_word(ruling, self._peer, self._number, self._at)

    # -- patients -----------------------------------------------------------------------------------------------------

    def _record(self, ruling: Ruling) -> Patient | None:
        patient = ruling.match.patient
        fields: dict[str, str] | None = None
        taken: dict[str, list[str]] = {}  # row of decisions.md -> the fields that came by it
        merges: list[MergePatients] = []
        for judged in ruling.judged:
            change = judged.change
            if isinstance(change, SetField):
                if patient is not None and _is_his(change, patient):
                    fields = self._field(judged, change, patient, fields)
                    if judged.applies:
                        taken.setdefault(judged.verdict.row if judged.verdict is not None else "", []).append(change.path)
            elif isinstance(change, MergePatients) and judged.applies:
                merges.append(change)
            elif judged.applies:
                patient = self._person(judged, patient)
        if merges:
            self.cleared += self._merge(merges)
            patient = self._uow.state.patients[patient.id] if patient is not None else None
        if patient is None:
            return None
        changed: dict[str, Any] = {}
        if fields is not None:
            changed = {"fields": fields, "message": self._number, "origins": self._origins(patient, fields, taken)}
        if ruling.mark is not None and self._message.type == "ADT":
            changed[f"mark_{self._peer}"] = ruling.mark
        if changed:
            patient = replace(patient, **changed)
            self._uow.save_patient(patient)
        return patient

    def _family(self, ruling: Ruling) -> None:
        """Fields of somebody whom the message does not name: another member of the family (#69)."""
        for judged in ruling.judged:
            change, own = judged.change, ruling.match.patient
            if not isinstance(change, SetField) or change.of is None or (own is not None and _is_his(change, own)):
                continue
            other = self._uow.state.patients[change.of.id]
            fields = self._field(judged, change, other, None)
            if fields is not None:
                taken = {judged.verdict.row if judged.verdict is not None else "": [change.path]}
                origins = self._origins(other, fields, taken)
                self._uow.save_patient(replace(other, fields=fields, message=self._number, origins=origins))

    def _field(
        self, judged: Judged, change: SetField, patient: Patient, fields: dict[str, str] | None
    ) -> dict[str, str] | None:
        """The patient's fields with this one, a copy of his own from the first that is taken."""
        if not judged.applies:
            self._drift(judged, change, patient)
            return fields
        if fields is None:
            fields = dict(patient.fields)
        if isinstance(change.value, str):
            fields[change.path] = change.value
        else:
            fields.pop(change.path, None)
        return fields

    def _origins(self, patient: Patient, fields: Mapping[str, str], taken: Mapping[str, Sequence[str]]) -> str:
        """Where his fields come from after these changes; what was deleted comes from nowhere any more."""
        origins = patient.origins
        for row, paths in taken.items():
            gone = [path for path in paths if path not in fields]
            present = [path for path in paths if path in fields] if gone else paths
            origins = noted(origins, present, Origin(self._number, row, self._at), gone)
        return origins

    def _person(self, judged: Judged, patient: Patient | None) -> Patient | None:
        """Whom the message is about, after a change of who he is."""
        change = judged.change
        if isinstance(change, CreatePatient):
            return self._create(change, judged.verdict.row if judged.verdict is not None else "")
        if isinstance(change, LinkIdentifier):
            of = change.of if change.of is not None else patient
            return self._link(change, self._uow.state.patients[of.id]) if of is not None else None
        if isinstance(change, ConfirmPatient | SetActive) and patient is not None:
            return self._standing(change, patient)
        return patient

    def _create(self, change: CreatePatient, row: str) -> Patient:
        subject = subject_of(change.identifiers[0])
        fields = {path: value for path, value in change.fields.items() if isinstance(value, str)}
        patient = Patient(
            id=self._uow.ids.next("patient"),
            subject=subject,
            lane=subject,
            identifiers=(*change.identifiers, *change.others),
            fields=fields,
            created_at=self._at,
            message=self._number,
            provisional=change.provisional,
            origins=noted("", fields, Origin(self._number, row, self._at)),
        )
        self._uow.save_patient(patient)
        for identifier in change.identifiers:
            self._uow.link(identifier, patient)
            self.cleared += (f"patient:{identifier}", f"target:{identifier}")
        return patient

    def _standing(self, change: ConfirmPatient | SetActive, patient: Patient) -> Patient:
        """A provisional patient is confirmed; a chart is inactivated, or used again, which releases what waited for that."""
        if isinstance(change, ConfirmPatient):
            patient = replace(patient, provisional=False, message=self._number)
        else:
            since = None if change.active else self._said_at()
            patient = replace(patient.inactivated(self._peer, since), message=self._number)
            if change.active:
                self.cleared += [f"patient:{identifier}" for identifier in patient.identifiers]
        self._uow.save_patient(patient)
        return patient

    def _link(self, change: LinkIdentifier, patient: Patient) -> Patient:
        identifier = change.identifier
        known = patient.identifiers
        patient = replace(
            patient,
            identifiers=(identifier, *known) if change.first else (*known, identifier),
            message=self._number,
        )
        self._uow.save_patient(patient)
        if not change.key:
            return patient
        self._uow.link(identifier, patient)
        self.cleared += (f"patient:{identifier}", f"target:{identifier}")
        return patient

    def _merge(self, changes: Sequence[MergePatients]) -> list[str]:
        effects = MergeEffects(self._uow, self._policy, self._number, self._peer, self._said_at(), self._at)
        effects.apply(changes)
        return effects.cleared

    def _drift(self, judged: Judged, change: SetField, patient: Patient) -> None:
        verdict = judged.verdict
        if verdict is None or verdict.outcome is not Outcome.STRIP:
            return
        self._uow.rows.drift.append(
            DriftRow(
                id=self._uow.ids.next("drift"),
                message=self._number,
                patient=patient.id,
                peer=self._peer,
                field=change.path,
                offered=change.value if isinstance(change.value, str) else '""',
                kept=change.current,
                rule=verdict.row,
                at=self._at,
            )
        )

    def _said_at(self) -> float:
        """When the sender says that it happened: EVN-2, else MSH-7, else when we took it."""
        for text in (self._message.text("EVN-2"), self._message.sent_at_text):
            if text:
                read = timestamps.parse(text, self._policy.zone)
                if read is not None:
                    return read.instant.timestamp()
        return self._at

    # -- deliveries and charges ---------------------------------------------------------------------------------------

    def _deliver(self, change: Deliver, ruling: Ruling, patient: Patient | None) -> int:
        number = self._uow.ids.next("delivery")
        control_id = self._uow.ids.control_id("D", number)
        about = patient if patient is not None else self._survivor(ruling)
        lane = about.lane if about is not None else self._block_lane(ruling)
        more = headed(self._message, self._policy.peers[change.to].profile.outbound)
        if change.to != self._peer and Translate in ruling.kinds:
            more += coded(self._message, ruling)
        written = charge_edits(self._message, ruling, self._policy, change.to, more)
        written = beside(written, more) if more else written
        body = render(self._message, control_id, ruling, patient, self._address(change.to, patient), change.only, written)
        if body is None and self._renamed:
            body = rewrite(self._message, control_id)
        row = DeliveryRow(number, change.to, lane, change.stream, self._number, control_id, "queued", body, self._at)
        self._uow.rows.deliveries.append(row)
        self.deliveries.append(row)
        return number

    def _void(self, ruling: Ruling, patient: Patient | None) -> None:
        """Charges that this message replaces are voided before it leaves, each as the PM knows it (#49)."""
        if patient is None or AddCharge not in ruling.kinds or not any(replaces(judged) for judged in ruling.judged):
            return
        mates = self._uow.mates(patient)
        mapping = redirects("pm", mates, self._uow.state.patients) if len(mates) > 1 else {}
        for void in voids(self._uow, ruling, self._policy, mapping):
            number = self._uow.ids.next("delivery")
            control_id = self._uow.ids.control_id("D", number)
            row = DeliveryRow(number, "pm", patient.lane, "charges", self._number, control_id, "queued", void.body, self._at)
            self._uow.rows.deliveries.append(row)
            self._uow.rows.taken_back.append((void.of, number))
            self.deliveries.append(row)

    def _survivor(self, ruling: Ruling) -> Patient | None:
        """Whom a merge that is passed on is about, where its PID does not name him alone."""
        merges = [one.change for one in ruling.judged if isinstance(one.change, MergePatients)]
        stays = next((one.survivor for one in merges if one.survivor is not None), None)
        return self._uow.state.patients[stays.id] if stays is not None else None

    def _address(self, to: Side, patient: Patient | None) -> Address | None:
        """How the receiver knows the patient; None when the message names him as it should, as nearly all of the owner's do."""
        if patient is None:
            return None
        mates = self._uow.mates(patient)
        usual = self._peer == self._policy.patient_authority and self._policy.namings[to].expects == 3
        if len(mates) == 1 and usual:
            return None
        mapping = redirects(to, mates, self._uow.state.patients) if len(mates) > 1 else {}
        own, theirs = self._uow.survivor(patient, self._peer), self._uow.survivor(patient, to)
        return Address(self._peer, to, self._policy, mapping, own, theirs)

    def _block_lane(self, ruling: Ruling) -> int:
        """An appointment without a patient is a lane of its own; anything else without a patient is one by its message.

        A message without PID about a patient's appointment goes in that patient's lane, behind what is said of it before.
        """
        for judged in ruling.judged:
            if isinstance(judged.change, SetAppointment):
                known = judged.change.known
                if known is not None and known.patient is not None:
                    return self._uow.state.patients[known.patient].lane
                return subject_of_block(judged.change.origin, judged.change.booking.reference)
        return subject_of_block(self._peer, f"message {self._number}")

    def _charge(self, change: AddCharge, subject: int, state: ChargeState, delivery: int | None) -> None:
        self._uow.add_charge(new_charge(self._uow, self._number, change.number, subject, change.line, state, delivery))
        key = clears(change.line)
        if key and self._uow.waiting_for(key):
            self.cleared.append(key)


def _of(change: AddCharge, patient: Patient) -> int:
    """Under whom a charge stands: what follows another one, under its chart, also where that was merged (decisions 5)."""
    known = change.known
    return known.subject if known is not None and known.state == "sent" else patient.subject


def new_charge(
    uow: UnitOfWork,
    message: int,
    number: int,
    subject: int,
    line: ChargeLine,
    state: ChargeState,
    delivery: int | None = None,
) -> Charge:
    """A ledger row. An FT1-2 that identifies nothing is kept in the journal only: it must never match another charge (#57)."""
    return Charge(
        id=uow.ids.next("charge"),
        message=message,
        line=number,
        subject=subject,
        transaction_id=line.transaction_id if line.usable_id else "",
        kind=line.kind,
        date=line.date,
        verb=line.verb,
        same_set=line.same_set,
        procedure=line.procedure,
        modifiers=line.modifiers,
        units=line.units,
        diagnoses=line.diagnoses,
        amount=line.amount,
        visit=line.visit,
        content=line.content,
        state=state,
        delivery=delivery,
    )


def _is_his(change: SetField, patient: Patient) -> bool:
    return change.of is None or change.of.id == patient.id
