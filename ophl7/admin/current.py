"""What billing has to roll up yet, by patient and visit; and the notes about what was rolled up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ophl7.admin.bodies import LONGEST_REASON, line_in, reason_in
from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso, iso_of_hl7
from ophl7.admin.naming import find, name_of, subjects_of
from ophl7.admin.parameters import Query, path_number
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem, not_found
from ophl7.domain.current import AcceptedCharge, Item, Visit, current
from ophl7.domain.patient import Patient
from ophl7.engine.roll_ups import MOST_CHARGES, NoteRollUp, NotNoted, RollUp, TakeBack
from ophl7.errors import StoreRefused

_LANES = 200  # patients in one statement
_STEPS = 25  # statements of one page
_LONGEST_CLAIM = 100  # characters


async def current_charges(face: Face, query: Query) -> Page:
    """`GET /charges/current`: whole patients, so a page may hold some visits more than asked for, or fewer."""
    text = query.text("patient")
    if text is not None:
        return Page(await _documents(face, await visits_of(face, text)))
    found: list[Visit] = []
    after = query.before or 0
    for _ in range(_STEPS):
        lanes = await face.books.reads.lanes(after, _LANES)
        if not lanes:
            return Page(await _documents(face, found))
        by_lane: dict[int, list[Visit]] = {}
        for visit in _current(face, await face.books.reads.accepted_charges(lanes)):
            by_lane.setdefault(visit.lane, []).append(visit)
        for lane in lanes:
            found += by_lane.get(lane, ())
            after = lane
            if len(found) >= query.limit:
                return Page(await _documents(face, found), str(after))
        if len(lanes) < _LANES:
            return Page(await _documents(face, found))
    return Page(await _documents(face, found), str(after))


async def visits_of(face: Face, text: str) -> list[Visit]:
    """What is current of somebody. Raises Problem 409 where several patients have this id."""
    patient = (await find(face, text)).patient
    if patient is None:
        return []
    return _current(face, await face.books.reads.accepted_charges({patient.lane}))


async def _documents(face: Face, visits: Sequence[Visit]) -> list[Document]:
    people = await _people(face, {visit.items[0].charge.subject for visit in visits})
    return [
        {
            "patient": people.get(visit.items[0].charge.subject),
            "visit": visit.visit or None,
            "count": visit.sum.count,
            "amount": format(visit.sum.amount, "f"),
            "without_amount": visit.sum.without_amount,
            "oldest": iso_of_hl7(visit.oldest, face.zone),
            "credited": visit.credited,
            "charges": [_charge(face, item) for item in visit.items],
        }
        for visit in visits
    ]


def _charge(face: Face, item: Item) -> Document:
    charge, before = item.charge, item.corrects
    corrects: Document | None = None
    if before is not None:
        corrects = {"charge": before.id, "roll_up": before.roll_up, "claim": before.claim, "amount": before.amount or None}
    return {
        "id": charge.id,
        "transaction_id": charge.transaction_id or None,
        "date": iso_of_hl7(charge.date, face.zone),
        "procedure": charge.procedure or None,
        "modifiers": list(charge.modifiers),
        "units": charge.units or None,
        "diagnoses": list(charge.diagnoses),
        "amount": charge.amount or None,
        "net": format(item.net, "f") if item.net is not None else None,
        "kind": charge.kind or None,
        "message": charge.message,
        "corrects": corrects,
    }


async def _people(face: Face, subjects: Iterable[int]) -> Mapping[int, str | None]:
    """Subject -> the chart that the PM has him under by now."""
    wanted = set(subjects)
    found = list(await face.reads.patients(subjects=wanted)) if wanted else []
    known: dict[int, Patient] = {}
    more = {one.merged_pm for one in found if one.merged_pm is not None}
    while more:
        known |= {one.id: one for one in await face.reads.patients(numbers=more)}
        more = {one.merged_pm for one in known.values() if one.merged_pm is not None} - set(known)
    names: dict[int, str | None] = {}
    for one in found:
        seen: set[int] = set()
        chart = one
        while chart.merged_pm is not None and chart.merged_pm in known and chart.merged_pm not in seen:
            seen.add(chart.merged_pm)
            chart = known[chart.merged_pm]
        names[one.subject] = name_of(chart)
    return names


# -- roll-ups -----------------------------------------------------------------------------------------------------------------


async def roll_ups(face: Face, query: Query) -> Page:
    """`GET /charges/roll-ups`."""
    found = await face.books.reads.roll_ups(
        subjects=await subjects_of(face, query.text("patient")),
        claim=query.text("claim"),
        before=query.before,
        limit=query.limit + 1,
    )
    return page([_roll_up(face, one) for one in found], query.limit)


async def note_roll_up(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /charges/roll-ups`: by the ids of charges, or all that is current of a patient's visit."""
    claim = line_in(body, "claim", _LONGEST_CLAIM)
    if "note" in body and "reason" in body:
        raise Problem(422, "note: say it in `note` or in `reason`, not in both", parameter="note")
    name = "reason" if "reason" in body else "note"
    note = line_in(body, name, LONGEST_REASON) if body.get(name) is not None else ""
    charges = await _meant(face, body)
    return _roll_up(face, await _done(lambda: face.books.note(NoteRollUp(charges, claim, note, asked.actor))))


async def take_back(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /charges/roll-ups/{id}/take-back`."""
    number = path_number(asked.request)
    reason = reason_in(body)
    if number is None or not await face.books.reads.roll_ups(number=number, limit=1):
        raise not_found("no roll-up has this number")
    return _roll_up(face, await _done(lambda: face.books.take_back(TakeBack(number, asked.actor, reason))))


async def _done(act: Callable[[], Awaitable[RollUp | NotNoted]]) -> RollUp:
    try:
        done = await act()
    except StoreRefused as refused:
        detail = "the database refused this note; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=refused.code) from refused
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; list the roll-ups before you try once more") from None
    if isinstance(done, NotNoted):
        which = f" (charge {', '.join(map(str, done.charges))})" if done.charges else ""
        raise Problem(409, f"{done.reason}{which}; nothing was changed", charges=list(done.charges))
    return done


async def _meant(face: Face, body: Mapping[str, Any]) -> tuple[int, ...]:
    """The charges that a roll-up is about. Raises Problem 422 for a wrong member, 409 where nothing is current."""
    given = body.get("charges")
    if given is not None:
        if body.get("visit") is not None or body.get("patient") is not None:
            raise Problem(422, "charges: name either charges, or a patient and a visit", parameter="charges")
        if not (isinstance(given, list) and 0 < len(given) <= MOST_CHARGES and all(_is_id(one) for one in given)):
            raise Problem(422, f"charges: a list of 1 to {MOST_CHARGES} ids of charges", parameter="charges")
        return tuple(sorted(set(given)))
    if body.get("patient") is None or "visit" not in body:
        raise Problem(422, "charges: name charges by their ids, or a patient and a visit", parameter="charges")
    patient = line_in(body, "patient", LONGEST_REASON)
    visit = "" if body["visit"] is None else line_in(body, "visit", LONGEST_REASON)  # null: charges of no visit
    found = [one for one in await visits_of(face, patient) if one.visit == visit]
    charges = tuple(sorted(item.charge.id for one in found for item in one.items))
    if not charges:
        raise Problem(409, "nothing is current of this patient and visit; nothing was changed", charges=[])
    if len(charges) > MOST_CHARGES:
        raise Problem(422, f"charges: this visit has more than {MOST_CHARGES}; name them by their ids", parameter="charges")
    return charges


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63


def _roll_up(face: Face, one: RollUp) -> Document:
    return {
        "id": one.id,
        "claim": one.claim,
        "note": one.note or None,
        "charges": list(one.charges),
        "by": one.actor,
        "at": iso(one.at, face.zone),
        "taken_back_at": iso(one.taken_back_at, face.zone),
        "taken_back_by": one.taken_back_by,
        "taken_back_reason": one.taken_back_reason,
    }


def _current(face: Face, charges: Sequence[AcceptedCharge]) -> list[Visit]:
    """By what the PM does with another content under a known number."""
    return current(charges, corrected=face.profiles["pm"].charges.corrections != "hold")
