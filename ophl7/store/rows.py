"""Records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ophl7.domain.appointment import Appointment, Progress, Resource
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Patient
from ophl7.engine.storage import JournalRow

Row = Sequence[Any]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def patient_row(patient: Patient) -> tuple[Any, ...]:
    """As `upsert_patient` takes it."""
    return (
        patient.id,
        patient.subject,
        patient.lane,
        _json([[one.authority, one.value, one.type] for one in patient.identifiers]),
        _json(dict(patient.fields)),
        patient.created_at,
        patient.message,
        int(patient.provisional),
        patient.merged_pm,
        patient.merged_emr,
        patient.inactive_pm,
        patient.inactive_emr,
    )


def patient_from(row: Row) -> Patient:
    """The inverse."""
    identifiers = tuple([Identifier(*one) for one in json.loads(row[3])])
    return Patient(row[0], row[1], row[2], identifiers, json.loads(row[4]), row[5], row[6], bool(row[7]), *row[8:12])


def appointment_row(one: Appointment) -> tuple[Any, ...]:
    """As `upsert_appointment` takes it."""
    return (
        one.id,
        one.origin,
        one.filler,
        one.placer,
        one.subject,
        one.patient,
        one.start,
        one.starts_at,
        one.duration,
        one.status,
        one.status_raw,
        _json([[resource.kind, resource.id, resource.text] for resource in one.resources]),
        _json([[step.status, step.at, step.message] for step in one.progress]),
        one.message,
    )


def appointment_from(row: Row) -> Appointment:
    """The inverse."""
    resources = tuple([Resource(*one) for one in json.loads(row[11])])
    progress = tuple([Progress(*one) for one in json.loads(row[12])])
    values: list[Any] = [*row[:11], resources, progress, row[13]]
    return Appointment(*values)


def charge_row(charge: Charge, delivery: int | None) -> tuple[Any, ...]:
    """As `insert_charge` takes it."""
    return (
        charge.id,
        charge.message,
        charge.line,
        charge.subject,
        charge.transaction_id,
        charge.kind,
        charge.date,
        charge.procedure,
        _json(charge.modifiers),
        charge.units,
        _json(charge.diagnoses),
        charge.amount,
        charge.visit,
        charge.content,
        charge.state,
        delivery,
    )


def charge_from(row: Row) -> Charge:
    """The inverse, without the delivery."""
    values = list(row[:15])
    values[8], values[10] = tuple(json.loads(row[8])), tuple(json.loads(row[10]))
    return Charge(*values)


def journal_row(row: JournalRow) -> tuple[Any, ...]:
    """As `insert_journal` takes it. Texts that came damaged hold no lone surrogates here: the bytes are in `raw`."""
    return (
        row.id,
        row.peer,
        row.connection,
        row.received_at,
        row.event,
        row.control_id,
        row.digest,
        row.state,
        row.ack_code,
        row.answer,
        row.row,
        row.reason,
        row.subject,
        row.repeats,
        row.raw,
        row.start,
        row.end,
        row.detail,
    )
