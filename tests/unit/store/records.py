"""Rows for stores, short to write."""

from __future__ import annotations

from typing import Any

from ophl7.domain.appointment import Appointment, Progress, Resource
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.patient import Patient
from ophl7.engine.code_rows import CodeEntry
from ophl7.engine.storage import (
    DeliveryMark,
    DeliveryRow,
    DriftRow,
    HeldMessage,
    HoldRow,
    JournalRow,
    Keys,
    Rows,
)


def ident(value: str, authority: str = "PM", kind: str = "MR") -> Identifier:
    return Identifier(authority, value, kind)


def patient(number: int, *identifiers: Identifier, **changed: Any) -> Patient:  # noqa: ANN401 - any field
    named = identifiers or (ident(f"P{number}"),)
    values: dict[str, Any] = {
        "id": number,
        "subject": subject_of(named[0]),
        "lane": subject_of(named[0]),
        "identifiers": named,
        "fields": {"PID-5": "Rivers^Ada", "IN1": "IN1|1|é\rIN1|2"},
        "created_at": 1000.0,
        "message": 1,
    }
    return Patient(**(values | changed))


def code(text: str, to: str | None) -> CodeEntry:
    return CodeEntry("emr", "provider", text, to, "somebody", 1000.0, "why")


def registered(*people: Patient) -> Rows:
    """Patients with all their ids."""
    rows = Rows(patients={one.id: one for one in people})
    rows.aliases = [(identifier, one.id) for one in people for identifier in one.identifiers]
    return rows


def appointment(number: int, filler: str = "", placer: str = "", **changed: Any) -> Appointment:  # noqa: ANN401
    values: dict[str, Any] = {
        "id": number,
        "origin": "pm",
        "filler": filler,
        "placer": placer,
        "subject": number,
        "patient": None,
        "start": "20240305090000",
        "starts_at": 1709647200.0,
        "duration": "30",
        "status": "booked",
        "status_raw": "Booked",
        "resources": (Resource("AIP", "D1", "Doe^Jo"), Resource("AIL", "R1", "")),
        "progress": (Progress("booked", 1000.5, 1),),
        "message": 1,
    }
    return Appointment(**(values | changed))


def charge(number: int, subject: int, transaction: str = "T1", **changed: Any) -> Charge:  # noqa: ANN401
    values: dict[str, Any] = {
        "id": number,
        "message": number,
        "line": 0,
        "subject": subject,
        "transaction_id": transaction,
        "kind": "CG",
        "date": "20240301",
        "procedure": "99213",
        "modifiers": ("25", 'a,b"c'),
        "units": "1",
        "diagnoses": ("Z00.129",),
        "amount": "142.00",
        "visit": "V1",
        "content": b"\x00content",
        "state": "sent",
    }
    return Charge(**(values | changed))


def journal(number: int, **changed: Any) -> JournalRow:  # noqa: ANN401
    raw = changed.get("raw", b"MSH|^~\\&|raw\x00\xff%d\r" % number)
    values: dict[str, Any] = {
        "id": number,
        "peer": "pm",
        "connection": 3,
        "received_at": 1000.25 + number,
        "event": "ADT^A04",
        "control_id": f"C{number}",
        "digest": b"digest%d" % number,
        "state": "accepted",
        "ack_code": "AA",
        "answer": b"MSA|AA",
        "row": "#1",
        "reason": "",
        "subject": None,
        "repeats": None,
        "raw": raw,
        "start": 0,
        "end": len(raw),
        "detail": "{}",
    }
    return JournalRow(**(values | changed))


def hold(number: int, message: int, key: str = "patient:PM:P1", blocks: str = "", **changed: Any) -> HoldRow:  # noqa: ANN401
    values: dict[str, Any] = {"reason": "why", "since": 1000.0, "peer": "pm"}
    return HoldRow(number, message, key, blocks, **(values | changed))


def held(row: JournalRow) -> HeldMessage:
    return HeldMessage(row.id, row.peer, row.raw, row.start, row.end, row.received_at)


def delivery(number: int, message: int = 1, **changed: Any) -> DeliveryRow:  # noqa: ANN401
    values: dict[str, Any] = {
        "id": number,
        "destination": "emr",
        "lane": 5,
        "stream": "record",
        "message": message,
        "control_id": f"D{number}",
        "state": "queued",
        "body": None,
        "created_at": 1000.0,
    }
    return DeliveryRow(**(values | changed))


def mark(number: int, state: Any = "accepted", attempts: int = 1, next_at: float | None = None) -> DeliveryMark:  # noqa: ANN401
    return DeliveryMark(number, state, attempts, next_at, "AA", 2000.0)


def drift(number: int, message: int = 1) -> DriftRow:
    return DriftRow(number, message, 1, "emr", "PID-11", "Elm St", None, "#5", 1000.0)


def ids_of(*values: str, authority: str = "PM") -> Keys:
    return Keys(identifiers={(authority, value) for value in values})
