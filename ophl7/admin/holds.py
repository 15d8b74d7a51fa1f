"""Messages in custody: what waits for what, and a person's release or discard (decisions 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.messages import PEERS
from ophl7.admin.naming import find as find_patient
from ophl7.admin.parameters import Query, path_number
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem, not_found
from ophl7.domain.identifiers import Identifier
from ophl7.engine.acts import Act, Done, Verb
from ophl7.errors import StoreRefused

# How a hold ended, in the words of people.
ENDS = {
    "released": "its condition has cleared",
    "accepted": "a person has set the condition aside",
    "discarded": "a person has discarded the message",
    "renewed": "the message waits on under another number, for what it waits for now",
    "redirected": "a person has said that the message is about another patient",
    "unreadable": "the message waits on under another number: it cannot be read under the settings of today",
}


async def holds(face: Face, query: Query) -> Page:
    """`GET /holds`: the open ones."""
    found = await face.reads.holds(
        peer=query.one_of("peer", PEERS), message=query.number("message"), before=query.before, limit=query.limit + 1
    )
    return page([item(face, row) for row in found], query.limit)


async def hold(face: Face, asked: Asked) -> Document:
    """`GET /holds/{id}`: one of them, open or not."""
    return document(face, await find(face, asked.request))


async def release(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /holds/{id}/release`."""
    return await _carry_out(face, asked, "release", body)


async def discard(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /holds/{id}/discard`."""
    return await _carry_out(face, asked, "discard", body)


async def redirect(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /holds/{id}/redirect`: the message is taken for that patient instead."""
    return await _carry_out(face, asked, "redirect", body)


async def patient_in(face: Face, given: object) -> Identifier:
    """The patient for whom a message is redirected. Raises Problem 422 when nobody is named, 409 where several are."""
    if not isinstance(given, str) or not given.strip():
        raise Problem(422, "patient: whose it is, as AUTHORITY:id", parameter="patient")
    found = (await find_patient(face, given)).patient
    if found is None:
        raise Problem(422, "patient: nobody has this identifier; register the patient first", parameter="patient")
    return found.key


async def _carry_out(face: Face, asked: Asked, verb: Verb, body: Mapping[str, Any]) -> Document:
    row = await find(face, asked.request)
    reason = reason_in(body)
    patient = await patient_in(face, body.get("patient")) if verb == "redirect" else None
    done = await carry_out(face, asked.actor, verb, row, reason, patient)
    return {
        **item(face, row),
        "closed_at": iso(done.at, face.zone),
        "closed_how": done.how,
        "closed_by": asked.actor,
        "closed_reason": reason,
        "redirected_to": str(patient) if patient is not None else None,
        "state": done.state,
        "waits_for": list(done.waits_for),
        "released": done.released,
    }


async def find(face: Face, request: Request) -> Row:
    """The hold that the path names. Raises Problem 404."""
    number = path_number(request)
    row = await face.reads.hold(number) if number is not None else None
    if row is None:
        raise not_found("no hold has this number")
    return row


async def carry_out(face: Face, actor: str, verb: Verb, row: Row, reason: str, patient: Identifier | None = None) -> Done:
    """Has it done, once.

    Raises Problem 409 for a hold that is closed or that a release cannot end, 500 where the database refuses it, 503 where it
    takes too long, and StoreAway.
    """
    if row["closed_at"] is not None:
        raise _closed(face, row)
    try:
        done = await face.act(Act(verb, row["id"], row["message"], actor, reason, patient))
    except StoreRefused as refused:
        detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=refused.code) from refused
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; look at the hold again before you try once more") from None
    if isinstance(done, Done):
        return done
    if done.still_open:
        raise Problem(409, done.reason, hold=document(face, row))
    raise _closed(face, await face.reads.hold(row["id"]) or row)  # somebody, or its condition, was faster


def _closed(face: Face, row: Row) -> Problem:
    how = ENDS.get(row["closed_how"] or "", "it was closed")
    return Problem(409, f"this hold does not wait any more: {how}", hold=document(face, row))


def document(face: Face, row: Row) -> Document:
    """One hold with how it ended; those fields are null while it waits."""
    return {
        **item(face, row),
        "closed_at": iso(row["closed_at"], face.zone),
        "closed_how": row["closed_how"],
        "closed_by": row["closed_by"],
        "closed_reason": row["closed_reason"],
        "redirected_to": row["redirected_to"],
    }


def item(face: Face, row: Row) -> Document:
    """One open hold."""
    return {
        "id": row["id"],
        "reason": row["reason"],
        "key": row["key"],
        "message": row["message"],
        "since": iso(row["since"], face.zone),
        "peer": row["peer"],
    }
