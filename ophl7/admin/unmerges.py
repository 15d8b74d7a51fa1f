"""Taking a merge apart (#73): the plan as a document, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked
from ophl7.admin.instants import iso
from ophl7.admin.naming import names_on_side, side
from ophl7.admin.parameters import path_number
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem, bad_parameter, not_found
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Side
from ophl7.engine.acts import Unmerge
from ophl7.engine.aftermath import CannotUnmerge, UnmergePlan, what_came
from ophl7.errors import StoreRefused

_SIDES = ("pm", "emr")
_WHICH = "pm or emr: on whose side the merge is taken apart; it may be left out where only one has merged them"


async def plan(face: Face, asked: Asked) -> Document:
    """`GET /merges/{id}/unmerge?side=pm`: what would happen; nothing is changed."""
    merge = await find(face, asked.request)
    given = asked.request.query_params.get("side", _only_side(merge))
    if given not in _SIDES:
        raise bad_parameter("side", _WHICH)
    return await document(face, await carry_out(face, Unmerge(merge.id, side(given), look=True)))


async def unmerge(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /merges/{id}/unmerge`: the plan that was agreed to, or nothing."""
    merge = await find(face, asked.request)
    given, token = body.get("side", _only_side(merge)), body.get("plan")
    if given not in _SIDES:
        raise Problem(422, f"side: {_WHICH}", parameter="side")
    if token is not None and not isinstance(token, str):
        raise Problem(422, "plan: the text that the plan came with", parameter="plan")
    act = Unmerge(merge.id, side(str(given)), asked.actor, reason_in(body), token)
    return await document(face, await carry_out(face, act))


def _only_side(merge: Merge) -> str:
    """The side that has merged them, where it is one alone; "" where somebody must say which."""
    merged = [one for one in _SIDES if merge.at(side(one)) is not None]
    return merged[0] if len(merged) == 1 else ""


async def find(face: Face, request: Request) -> Merge:
    """The merge that the path names. Raises Problem 404."""
    number = path_number(request)
    found = await face.reads.merge(number) if number is not None else None
    if found is None:
        raise not_found("no merge has this number")
    return found


async def carry_out(face: Face, act: Unmerge) -> UnmergePlan:
    """Has it planned, or done.

    Raises Problem 409 where it cannot be, with the new plan where just that has changed; 500, 503 as for any act; StoreAway.
    """
    try:
        came = await face.unmerge(act)
    except StoreRefused as refused:
        detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=refused.code) from refused
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; look at the merge again before you try once more") from None
    if isinstance(came, CannotUnmerge):
        more = {} if came.plan is None else {"plan": await document(face, came.plan)}
        raise Problem(409, came.reason, **more)
    return came


async def document(face: Face, plan: UnmergePlan) -> Document:
    """The plan in the words of people, each chart by its id on that side."""
    names = await names_on_side(face, {plan.retired, plan.survivor, *plan.charts}, plan.side)
    return {
        "merge": plan.merge,
        "side": plan.side,
        "retired": names.get(plan.retired),
        "survivor": names.get(plan.survivor),
        "charts": [names.get(number) for number in plan.charts],
        "lane_parts": plan.lane_parts,
        "messages": [
            {"id": one.message, "at": iso(one.received_at, face.zone), "type": one.event or None, "what": what_came(one)}
            for one in plan.processed
        ],
        "moves": [_copy(one.delivery, one.message, one.destination, one.charges) for one in plan.copies if not one.stays],
        "stays": [
            {**_copy(one.delivery, one.message, one.destination, one.charges), "state": one.state, "why": one.stays}
            for one in plan.copies
            if one.stays
        ],
        "holds": list(plan.holds),
        "appointments": [
            {
                "id": one.id,
                "reference": one.reference or None,
                "stays_with": names.get(plan.survivor if one.moved else plan.retired),
            }
            for one in plan.appointments
        ],
        "by_hand": list(plan.by_hand),
        "plan": plan.token,
        "done_at": iso(plan.at, face.zone),
        "released": plan.released,
    }


def _copy(delivery: int, message: int, destination: Side, charges: bool) -> Document:
    return {"delivery": delivery, "message": message, "destination": destination, "charges": charges}
