"""The console's page of a day's schedule: each appointment with its status and every step on the way there. No names in it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from starlette.requests import Request

from ophl7.admin.instants import bounds, iso
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.domain.appointment import Appointment

MOST = 500  # appointments on the page


async def schedule_of(face: Face, request: Request) -> Document:
    """What the page shows of `?date=2026-11-23`, else of today in the practice's zone. Raises Problem 400, StoreAway."""
    query = Query(request, ("date",), face.zone)
    day = query.day("date") or datetime.now(face.zone).date()
    since, until = bounds(day, face.zone)
    rows = await face.reads.appointments(since=since, until=until, limit=MOST + 1)
    shown = sorted(rows[:MOST], key=lambda row: (row.starts_at or 0.0, row.id))
    return {
        "day": day.isoformat(),
        "before": _near(day, -1),
        "after": _near(day, 1),
        "more": len(rows) > MOST,
        "appointments": [_line(face, row) for row in shown],
    }


def _near(day: date, step: int) -> str | None:
    """The day before or after; None where the calendar ends."""
    try:
        return (day + timedelta(days=step)).isoformat()
    except OverflowError:
        return None


def _line(face: Face, row: Appointment) -> Document:
    """The patient stays out of it: who may read more finds him by the appointment's number in the API."""
    return {
        "id": row.id,
        "start": iso(row.starts_at, face.zone),
        "duration": row.duration,
        "status": row.status,
        "raw": row.status_raw,
        "block": row.patient is None,
        "origin": row.origin,
        "resources": [one.id for one in row.resources],
        "steps": [{"status": one.status, "at": iso(one.at, face.zone), "message": one.message} for one in row.progress],
    }
