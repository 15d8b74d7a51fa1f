"""The charges that the PM does not have, as a file: for the day when it is down and somebody must work from paper."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from ophl7.admin.calls import Asked
from ophl7.admin.instants import bounds, iso, iso_of_hl7
from ophl7.admin.naming import name_of, named_in
from ophl7.admin.people import name
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem
from ophl7.domain.charge import Charge
from ophl7.domain.patient import NAME, Patient

FORMATS = ("csv", "jsonl")
STANDINGS: Mapping[str, tuple[str, ...]] = {
    "pending": ("pending",),
    "held": ("held",),
    "parked": ("parked",),
    "open": ("pending", "held", "parked"),
}
FIELDS = (
    "id", "received_at", "state", "patient", "family", "given", "visit", "date", "transaction_id", "kind", "procedure",
    "modifiers", "units", "diagnoses", "amount", "message",
)  # fmt: skip

MOST = 20_000  # charges in one file
_PAGE = 500

# What a spreadsheet takes for the begin of a formula (OWASP, CSV injection); a plain number is none.
_FORMULA = re.compile(r"^[\s]*[=+\-@\t\r\n|%＝＋－＠]")  # noqa: RUF001 - the wide forms are meant
_NUMBER = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")


async def export(face: Face, asked: Asked) -> Response:
    """`GET /charges/export`: all of it or a problem, never a part; audited."""
    query = asked.query
    day, since, until = query.day("date"), query.day("since"), query.day("until")
    if day is not None and (since is not None or until is not None):
        raise Problem(400, "date: name either date, or since and until", parameter="date")
    first, last = (day, day) if day is not None else (since, until)
    wanted = query.one_of("state", tuple(STANDINGS)) or "pending"
    kind = query.one_of("format", FORMATS) or _by_accept(asked)
    rows = await _rows(
        face,
        bounds(first, face.zone)[0] if first is not None else None,
        bounds(last, face.zone)[1] if last is not None else None,
        STANDINGS[wanted],
    )
    await face.audit(asked.actor, "export-charges", f"{len(rows)} charges, {wanted}", "")
    body, media = (as_csv(rows), "text/csv") if kind == "csv" else (as_jsonl(rows), "application/jsonl")
    headers = {"Content-Disposition": f'attachment; filename="charges.{kind}"', "Cache-Control": "no-store"}
    return Response(body, media_type=media, headers=headers)


def _by_accept(asked: Asked) -> str:
    accept = asked.request.headers.get("accept", "")
    return "jsonl" if "json" in accept and "csv" not in accept else "csv"


async def _rows(face: Face, since: float | None, until: float | None, standings: Sequence[str]) -> list[Document]:
    found: list[Document] = []
    after = 0
    while True:
        part = await face.books.reads.open_charges(since=since, until=until, standings=standings, after=after, limit=_PAGE)
        found += await _named(face, part)
        if len(found) > MOST:
            raise Problem(400, f"there are more than {MOST} charges; ask for some days at a time", parameter="since")
        if len(part) < _PAGE:
            return found
        after = part[-1][0].id


async def _named(face: Face, part: Sequence[tuple[Charge, str, float]]) -> list[Document]:
    subjects = {charge.subject for charge, _, _ in part}
    known = {one.subject: one for one in await face.reads.patients(subjects=subjects)} if subjects else {}
    unknown = {charge.message for charge, _, _ in part if charge.subject not in known}
    heads = await face.reads.heads(unknown) if unknown else {}
    named = {number: named_in(head, face.namings[peer]) for number, (peer, head) in heads.items()}
    return [
        _row(face, charge, standing, at, known.get(charge.subject), named.get(charge.message)) for charge, standing, at in part
    ]


def _row(face: Face, charge: Charge, standing: str, at: float, patient: Patient | None, named: str | None) -> Document:
    parts = name(patient.fields.get(NAME, "")) if patient is not None else {}
    return {
        "id": charge.id,
        "received_at": iso(at, face.zone),
        "state": standing,
        "patient": name_of(patient) if patient is not None else named,
        "family": parts.get("family"),
        "given": parts.get("given"),
        "visit": charge.visit or None,
        "date": iso_of_hl7(charge.date, face.zone),
        "transaction_id": charge.transaction_id or None,
        "kind": charge.kind or None,
        "procedure": charge.procedure or None,
        "modifiers": list(charge.modifiers),
        "units": charge.units or None,
        "diagnoses": list(charge.diagnoses),
        "amount": charge.amount or None,
        "message": charge.message,
    }


def as_csv(rows: Sequence[Document]) -> str:
    """RFC 4180, with a heading; several codes in one cell stand apart by blanks. No cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    writer.writerows([[_cell(row[field]) for field in FIELDS] for row in rows])
    return text.getvalue()


def as_jsonl(rows: Sequence[Document]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text
