"""What a person decides about a delivery or a link (decisions 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, cast

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked
from ophl7.admin.instants import iso
from ophl7.admin.messages import PEERS
from ophl7.admin.parameters import path_number
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem, not_found
from ophl7.admin.queues import delivery_item
from ophl7.domain.patient import Side
from ophl7.engine.dispatching import ENDS, DeliveryAct, DeliveryVerb, LinkAct, LinkVerb, NotDispatched
from ophl7.errors import StoreRefused


async def decide(face: Face, asked: Asked, body: Mapping[str, Any], *, verb: DeliveryVerb) -> Document:
    """`POST /deliveries/{id}/VERB`; again is no fault where it stands as it was asked for.

    Raises Problem 404, 409 for one that waits no more or is being sent, 500, 503.
    """
    number = path_number(asked.request)
    if number is None or await _found(face, number) is None:
        raise not_found("no delivery has this number")
    try:
        done = await face.dispatch(DeliveryAct(verb, number, asked.actor, reason_in(body), asked.key))
    except (StoreRefused, TimeoutError) as failed:
        _undone(failed)
    now = await _found(face, number)
    if isinstance(done, NotDispatched) and done.settled and now is not None:
        before = await _decided(face, number, verb)
        if before is not None:
            return {**now, "decided_at": iso(before["at"], face.zone), "decided_by": before["actor"]}
    if isinstance(done, NotDispatched):
        raise Problem(409, done.reason, delivery=now)
    return {**(now or {}), "decided_at": iso(done.at, face.zone), "decided_by": asked.actor}


async def switch(face: Face, asked: Asked, body: Mapping[str, Any], *, verb: LinkVerb) -> Document:
    """`POST /links/{peer}/VERB`; again is no fault. Raises Problem 404, 409 for a used key, 500, 503."""
    peer = str(asked.request.path_params["peer"])
    if peer not in PEERS:
        raise not_found("the links are those to pm and emr")
    try:
        at = await face.switch(LinkAct(verb, cast("Side", peer), asked.actor, reason_in(body), asked.key))
    except (StoreRefused, TimeoutError) as failed:
        _undone(failed)
    if isinstance(at, NotDispatched):
        raise Problem(409, at.reason)
    link = next(link for link in face.links() if link["peer"] == peer)
    return {**link, "decided_at": iso(at, face.zone), "decided_by": asked.actor}


async def _decided(face: Face, number: int, verb: DeliveryVerb) -> Row | None:
    """The audit row of the act that settled this delivery, where just this verb has."""
    rows = await face.reads.deliveries(before=number + 1, limit=1)
    if verb not in ENDS or not rows or rows[0]["state"] != ENDS[verb] or rows[0]["changed_at"] is None:
        return None
    at = rows[0]["changed_at"]
    acts = await face.reads.audit(action=f"{verb}-delivery", since=at, until=at + 0.001, limit=500)
    return next((one for one in acts if one["target"] == f"delivery {number}"), None)


async def _found(face: Face, number: int) -> Document | None:
    rows = await face.reads.deliveries(before=number + 1, limit=1)
    return delivery_item(face, rows[0]) if rows and rows[0]["id"] == number else None


def _undone(failed: StoreRefused | TimeoutError) -> NoReturn:
    if isinstance(failed, TimeoutError):
        raise Problem(503, "it was not on disk in time; look again before you try once more") from None
    detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
    raise Problem(500, detail, code=failed.code) from failed
