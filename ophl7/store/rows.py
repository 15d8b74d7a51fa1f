"""Records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

from ophl7.domain.appointment import Appointment, Progress, Resource
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient
from ophl7.engine.alarm_rows import MOST_KEPT
from ophl7.engine.ids import longest
from ophl7.engine.lists import ListProgress
from ophl7.engine.resend_rows import Resend
from ophl7.engine.roll_ups import RollUp
from ophl7.engine.storage import ClosedHold, DeliveryRow, JournalRow, Rows

Row = Sequence[Any]


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _json(value: object) -> str:
    return _JSON.encode(value)


def _codes(codes: tuple[str, ...]) -> str:
    """A JSON list of codes; nearly all are empty or plain, and need no encoder."""
    if not codes:
        return "[]"
    joined = '","'.join(codes)
    return f'["{joined}"]' if "".join(codes).isalnum() else _json(codes)


def _identifiers(patient: Patient) -> str:
    """A JSON list of [authority, id, type]; most are plain."""
    parts = [part for one in patient.identifiers for part in (one.authority, one.value, one.type)]
    if not "".join(parts).isalnum():
        return _json([[one.authority, one.value, one.type] for one in patient.identifiers])
    return "[" + ",".join([f'["{one.authority}","{one.value}","{one.type}"]' for one in patient.identifiers]) + "]"


def patient_row(patient: Patient) -> tuple[Any, ...]:
    """As `upsert_patient` takes it."""
    return (
        patient.id,
        patient.subject,
        patient.lane,
        _identifiers(patient),
        _json(dict(patient.fields)),
        patient.created_at,
        patient.message,
        int(patient.provisional),
        patient.merged_pm,
        patient.merged_emr,
        patient.inactive_pm,
        patient.inactive_emr,
        patient.origins,
        patient.mark_pm,
        patient.mark_emr,
    )


def patient_from(row: Row) -> Patient:
    """The inverse."""
    identifiers = tuple([Identifier(*one) for one in json.loads(row[3])])
    return Patient(row[0], row[1], row[2], identifiers, json.loads(row[4]), row[5], row[6], bool(row[7]), *row[8:15])


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
        one.mark_pm,
        one.mark_emr,
    )


def appointment_from(row: Row) -> Appointment:
    """The inverse."""
    resources = tuple([Resource(*one) for one in json.loads(row[11])])
    progress = tuple([Progress(*one) for one in json.loads(row[12])])
    values: list[Any] = [*row[:11], resources, progress, *row[13:16]]
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
        _codes(charge.modifiers),
        charge.units,
        _codes(charge.diagnoses),
        charge.amount,
        charge.visit,
        charge.content,
        charge.state,
        delivery,
        charge.verb,
        charge.same_set or None,
    )


# What people are shown of a charge; what follows is for rules.
SHOWN = Charge._fields[:15]


def charge_from(row: Row) -> Charge:
    """The inverse, as far as people are shown it."""
    values = list(row[: len(SHOWN)])
    values[8], values[10] = tuple(json.loads(row[8])), tuple(json.loads(row[10]))
    return Charge(*values)


def known_charge_from(row: Row) -> Charge:
    """The same with what rules need of it: verb, set, delivery, and whether a person skipped that."""
    verb, same_set, delivery, skipped = row[15:19]
    return charge_from(row)._replace(verb=verb, same_set=same_set or b"", delivery=delivery, skipped=bool(skipped))


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
        row.replay_of,
        row.spared,
    )


def writes(rows: Rows) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """The statements of one commit: parents before children; within a table by key, so that neighbours share a page.

    But for the audit: its rows are a chain, see store.audit_chain.
    """
    # Two merges of one batch may render a delivery twice: only the last bytes are ever sent.
    rendered = {one.id: one for one in rows.rendered}.values()
    upserts: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
        ("upsert_patient", [patient_row(rows.patients[number]) for number in sorted(rows.patients)]),
        ("upsert_alias", [(one.value, one.authority, one.type, number) for one, number in rows.aliases]),
        ("insert_journal", [journal_row(row) for row in rows.journal]),
        ("upsert_appointment", [appointment_row(rows.appointments[number]) for number in sorted(rows.appointments)]),
        ("insert_charge", [charge_row(charge, delivery) for charge, delivery in rows.charges]),
        ("update_charge", [(c.state, c.subject, c.delivery, c.message, c.line) for c in rows.charge_updates]),
        ("cancel_charges", [(number,) for number in rows.cancelled]),
        ("insert_hold", [(h.id, h.message, h.key, h.blocks, h.reason, h.since, h.peer) for h in rows.holds]),
        ("close_hold", [_closed(one) for one in rows.closed_holds]),
        ("update_journal", [(u.state, u.subject, u.row, u.reason, u.detail, u.id) for u in rows.updates]),
        ("insert_delivery", [delivery_row(row) for row in rows.deliveries]),
        ("upsert_resend", [resend_row(rows.resends[number]) for number in sorted(rows.resends)]),
        ("insert_deed", [tuple(one) for one in rows.deeds]),
        ("insert_taken_back", rows.taken_back),
        ("mark_delivery", [(m.state, m.attempts, m.next_at, m.answer, m.at, m.locked, m.id) for m in rows.marks]),
        ("mark_link", [(one.destination, "up" if one.reachable else "down") for one in rows.links]),
        ("mark_pause", [(one.way, one.destination, one.reason) for one in rows.pauses]),
        (
            "mark_who_paused",
            [(one.destination, "yes" if one.by_itself else "") for one in rows.pauses if one.way == "pause"],
        ),
        ("move_delivery", [(lane, number) for number, lane in rows.moved]),
        ("sending_delivery", [(number,) for number in rows.sending]),
        ("render_delivery", [(one.body, one.id) for one in rendered if not one.renewed]),
        ("renew_delivery", [(one.body, one.renewed, one.id) for one in rendered if one.renewed]),
        ("keep_renewed", [(one,) for one in (longest(one.renewed for one in rendered),) if one]),
        ("upsert_merge", [merge_row(rows.merges[number]) for number in sorted(rows.merges)]),
        ("insert_unmerge", [tuple(one) for one in rows.unmerges]),
        (
            "insert_drift",
            [(d.id, d.message, d.patient, d.peer, d.field, d.offered, d.kept, d.rule, d.at, d.restored) for d in rows.drift],
        ),
        *code_writes(rows),
        ("upsert_list", [list_row(progress) for progress in rows.lists]),
        ("insert_list_refusal", [tuple(refusal) for refusal in rows.list_refusals]),
        ("upsert_roll_up", [roll_up_row(rows.roll_ups[number]) for number in sorted(rows.roll_ups)]),
        ("upsert_rolled_up", [row for one in rows.roll_ups.values() for row in rolled_up_rows(one)]),
        ("upsert_alarm", [tuple(rows.alarms[number]) for number in sorted(rows.alarms)]),
        ("trim_alarms", [(max(rows.alarms) - MOST_KEPT,)] if rows.alarms else []),
        ("mark_heard", list(rows.heard.items())),
    )
    return ((name, values) for name, values in upserts if values)


def code_writes(rows: Rows) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Codes that were seen without an entry, then what people have entered: the last word on each code counts."""
    seen = [(s.peer, s.table, s.code, s.message, s.message, s.at, s.at) for s in rows.codes_seen]
    last = {(entry.peer, entry.table, entry.code): entry for entry in rows.codes}
    entered = [entry for entry in last.values() if entry.to is not None]
    yield "see_code", seen
    yield "enter_code", [(e.peer, e.table, e.code, e.to, e.by, e.at, e.reason) for e in entered]
    yield "take_code_back", [place for place, entry in last.items() if entry.to is None]
    yield "end_code_task", [(entry.peer, entry.table, entry.code) for entry in entered]


def _closed(hold: ClosedHold) -> tuple[Any, ...]:
    authority, value = hold.taken_for.key if hold.taken_for is not None else (None, None)
    return (hold.at, hold.how, hold.by, hold.reason, hold.message, authority, value, hold.id)


def merge_row(merge: Merge) -> tuple[Any, ...]:
    """As `upsert_merge` takes it."""
    return astuple(merge)


def roll_up_row(one: RollUp) -> tuple[Any, ...]:
    """As `upsert_roll_up` takes it."""
    return (one.id, one.at, one.actor, one.claim, one.note, one.taken_back_at, one.taken_back_by, one.taken_back_reason)


def rolled_up_rows(one: RollUp) -> list[tuple[int, int, int]]:
    """As `upsert_rolled_up` takes them: whether each charge stands in it."""
    return [(one.id, number, int(one.taken_back_at is None)) for number in one.charges]


def roll_up_from(row: Row) -> RollUp:
    """The inverse, with the charges as a JSON list at the end."""
    values: list[Any] = [*row[:5], tuple(sorted(json.loads(row[8]))), *row[5:8]]
    return RollUp(*values)


def list_row(progress: ListProgress) -> tuple[Any, ...]:
    """As `upsert_list` takes it."""
    one = progress
    return (one.id, one.peer, one.digest, one.started_at, one.finished_at, one.offset, one.place, *astuple(one.tally))


def delivery_row(row: DeliveryRow) -> tuple[Any, ...]:
    """As `insert_delivery` takes it."""
    return (
        row.id,
        row.destination,
        row.lane,
        row.stream,
        row.message,
        row.control_id,
        row.state,
        row.body,
        row.created_at,
        row.resend_of or None,
        row.resend or None,
    )


def resend_row(one: Resend) -> tuple[Any, ...]:
    """As `upsert_resend` takes it."""
    return (*one[:4], " ".join(one.streams), *one[5:])


def resend_from(row: Row) -> Resend:
    """The inverse."""
    values: list[Any] = [*row[:4], tuple(row[4].split()), *row[5:]]
    return Resend(*values)
