"""Patients, their appointments, their charges."""

from __future__ import annotations

from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import bounds, day_of_hl7, iso, iso_of_hl7
from ophl7.admin.naming import find, named_in, names_by_number, names_by_subject, subjects_of
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face, Registry
from ophl7.admin.problems import not_found
from ophl7.domain.patient import BIRTH_DATE, NAME, SEX, Patient, Side
from ophl7.domain.provenance import origins_of
from ophl7.hl7v2.escapes import unescape

CHARGE_STATES = ("held", "queued", "accepted", "rejected", "parked", "cancelled", "skipped")
_SIDES: tuple[Side, Side] = ("pm", "emr")
# XPN, HL7 v2.5.1, 2.A.88: family, given, further given, suffix, prefix.
_NAME_PARTS = ("family", "given", "middle", "suffix", "prefix")


async def patient(face: Face, asked: Asked) -> Document:
    """`GET /patients/{identifier}`: audited before it is shown, by the number of the row: the audit names no patient."""
    found = await one_patient(face, asked.request.path_params["identifier"])
    await face.audit(asked.actor, "view-patient", f"patient {found['id']}", "")
    return found


async def one_patient(face: Registry, identifier: str) -> Document:
    """Somebody's document. Raises Problem: 404 when nobody has this identifier, 409 with the list when several have it."""
    found = (await find(face, identifier)).patient
    if found is None:
        raise not_found("no patient has this identifier")
    survivors = {side: found.merged_into(side) for side in _SIDES}
    rows = await face.reads.patients(numbers={number for number in survivors.values() if number is not None})
    by_number = {row.id: row for row in rows}
    return {
        "id": found.id,
        "identifiers": [{"id": one.value, "authority": one.authority, "type": one.type} for one in found.identifiers],
        "name": name(found.fields.get(NAME, "")),
        "birth_date": day_of_hl7(_first(found.fields.get(BIRTH_DATE, ""))),
        "sex": _first(found.fields.get(SEX, "")) or None,
        "active": {side: not found.inactive_on(side) for side in _SIDES},
        "merged_into": {side: _survivor(face, by_number, number, side) for side, number in survivors.items()},
        "provisional": found.provisional,
        "fields": dict(found.fields),
        "origins": {
            path: {"message": origin.message, "rule": origin.rule or None, "at": iso(origin.at, face.zone)}
            for path, origin in origins_of(found.origins).items()
        },
        "created_at": iso(found.created_at, face.zone),
        "message": found.message,
    }


def name(text: str) -> Document:
    """PID-5 in the standard delimiters: the first repetition's parts, None for what is not said."""
    parts = text.split("~", 1)[0].split("^")
    # FN, the family name, may have parts of its own; the surname is the first (2.A.30).
    said = [unescape(part.split("&", 1)[0]).strip() for part in parts]
    said = [part if part != '""' else "" for part in said]
    return {key: (said[at] or None) if at < len(said) else None for at, key in enumerate(_NAME_PARTS)}


def _first(text: str) -> str:
    """The first component of the first repetition."""
    return unescape(text.split("~", 1)[0].split("^", 1)[0]).strip()


def _survivor(face: Registry, rows: dict[int, Patient], number: int | None, side: Side) -> str | None:
    """The survivor by the id of that side's own authority where he has one."""
    if number is None or number not in rows:
        return None
    survivor = rows[number]
    own = survivor.identifier_of(face.authorities[side])
    chosen = own if own is not None else next(iter(survivor.identifiers), None)
    return str(chosen) if chosen is not None else None


async def appointments(face: Face, query: Query) -> Page:
    """`GET /appointments`; `date` is a day of the practice's zone."""
    day = query.day("date")
    since, until = bounds(day, face.zone) if day is not None else (None, None)
    found = await face.reads.appointments(
        subjects=await subjects_of(face, query.text("patient")),
        since=since,
        until=until,
        before=query.before,
        limit=query.limit + 1,
    )
    names = await names_by_number(face, {row.patient for row in found if row.patient is not None})
    items: list[Document] = [
        {
            "id": row.id,
            "placer_id": row.placer or None,
            "filler_id": row.filler or None,
            "patient": names.get(row.patient) if row.patient is not None else None,
            "start": iso(row.starts_at, face.zone),
            "duration": row.duration or None,
            "status": row.status,
            "status_raw": row.status_raw or None,
            "progress": [
                {"status": step.status, "at": iso(step.at, face.zone), "message": step.message} for step in row.progress
            ],
            "resources": [{"kind": one.kind, "id": one.id, "text": one.text} for one in row.resources],
            "origin": row.origin,
            "message": row.message,
        }
        for row in found
    ]
    return page(items, query.limit)


async def charges(face: Face, query: Query) -> Page:
    """`GET /charges`; `date` is the service date as the sender wrote it."""
    day = query.day("date")
    found = await face.reads.charges(
        subjects=await subjects_of(face, query.text("patient")),
        state=query.one_of("state", CHARGE_STATES),
        day=day.strftime("%Y%m%d") if day is not None else None,
        before=query.before,
        limit=query.limit + 1,
    )
    known = await names_by_subject(face, [charge.subject for charge, _, _ in found])
    unknown = {charge.message for charge, _, _ in found if charge.subject not in known}
    heads = await face.reads.heads(unknown) if unknown else {}
    named = {number: named_in(head, face.namings[peer]) for number, (peer, head) in heads.items()}
    items: list[Document] = [
        {
            "id": charge.id,
            "transaction_id": charge.transaction_id or None,
            "patient": known.get(charge.subject) or named.get(charge.message),
            "visit": charge.visit or None,
            "date": iso_of_hl7(charge.date, face.zone),
            "procedure": charge.procedure or None,
            "modifiers": list(charge.modifiers),
            "units": charge.units or None,
            "diagnoses": list(charge.diagnoses),
            "amount": charge.amount or None,
            "kind": charge.kind or None,
            "state": state,
            "message": charge.message,
            "line": charge.line + 1,
            "delivery": delivery,
        }
        for charge, state, delivery in found
    ]
    return page(items, query.limit)
