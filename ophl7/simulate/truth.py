"""A simulator's memory: what the broker must hold after all that was said and answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophl7.simulate.reading import Chart, Line
from ophl7.simulate.steps import ChargeIs, FieldIs, Merged, NoPatient, NoVisit, PatientIs, Record, Side, VisitIs

Document = dict[str, Any]


class Truth:
    """Filled by `take` once a message got the answer that it must get, and by `charged` with what the PM received."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._patients: dict[str, PatientIs] = {}
        self._fields: dict[tuple[str, str], str] = {}
        self._nobody: dict[str, None] = {}
        self._visits: dict[str, VisitIs] = {}
        self._no_visits: dict[str, None] = {}
        self._charges: dict[tuple[str, str], ChargeIs] = {}
        self._merges: dict[str, Merged] = {}
        self._received: dict[tuple[str, str], str | None] = {}

    def take(self, records: Sequence[Record]) -> None:
        """The newest word about each thing counts."""
        for record in records:
            match record:
                case PatientIs(id=key):
                    self._patients[key] = record
                case FieldIs(patient, path, value):
                    self._fields[patient, path] = value
                case NoPatient(key):
                    self._nobody[key] = None
                case VisitIs(filler=filler):
                    self._visits[filler] = record
                case NoVisit(filler):
                    self._no_visits[filler] = None
                case ChargeIs():
                    self._charges[record.transaction, record.kind] = record
                case Merged(retired=retired):
                    self._merges[retired] = record
                    # Which chart has the fields of two that are one is for the owner to say.
                    self._fields = {at: value for at, value in self._fields.items() if at[0] != retired}

    def charged(self, lines: Sequence[Line], chart: Chart | None) -> None:
        """Charges that were delivered to this side. chart: whom they name; of him this side's own number is remembered."""
        own = self._side.upper()
        patient = f"{own}:{chart.ids[own]}" if chart is not None and own in chart.ids else None
        for line in lines:
            self._received[line.transaction, line.kind] = patient

    def document(self) -> Document:
        """As JSON, for `--expect`: lists in the order of their keys, so that two runs can be compared line by line."""
        return {
            "side": self._side,
            "patients": [_patient(one) for _, one in sorted(self._patients.items())],
            "fields": [{"patient": at[0], "path": at[1], "value": value} for at, value in sorted(self._fields.items())],
            "unknown_patients": sorted(self._nobody),
            "appointments": [
                {"filler_id": one.filler, "patient": one.patient, "start": one.start, "status": one.status}
                for _, one in sorted(self._visits.items())
            ],
            "unknown_appointments": sorted(self._no_visits),
            "charges": [_charge(one) for _, one in sorted(self._charges.items())],
            "merges": [{"retired": one.retired, "survivor": one.survivor} for _, one in sorted(self._merges.items())],
            "charges_received": [
                {"transaction_id": at[0], "kind": at[1], "patient": patient} for at, patient in sorted(self._received.items())
            ],
        }


def _patient(one: PatientIs) -> Document:
    return {
        "id": one.id,
        "name": {"family": one.family, "given": one.given},
        "birth_date": one.birth,
        "sex": one.sex,
        "fields": dict(one.fields),
        "active": one.active,
    }


def _charge(one: ChargeIs) -> Document:
    return {
        "transaction_id": one.transaction,
        "kind": one.kind,
        "patient": one.patient,
        "procedure": one.procedure,
        "modifiers": list(one.modifiers),
        "units": one.units,
        "amount": one.amount,
        "state": one.state,
    }


def counts(documents: Sequence[Document]) -> Mapping[str, int]:
    """How many of each kind, over both sides, for a sentence to people. A merge that both sides did counts once."""
    merges = {(one["retired"], one["survivor"]) for document in documents for one in document["merges"]}
    kinds = ("patients", "appointments", "charges")
    return {kind: sum(len(document[kind]) for document in documents) for kind in kinds} | {"merges": len(merges)}
