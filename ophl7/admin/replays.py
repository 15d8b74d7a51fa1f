"""A message that a person has judged again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin.bodies import flag_in, reason_in
from ophl7.admin.calls import Asked
from ophl7.admin.instants import iso
from ophl7.admin.parameters import path_number
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem, not_found
from ophl7.engine.acts import NotDone, Replaying
from ophl7.errors import StoreRefused


async def replay(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /messages/{id}/replay`.

    Raises Problem 404, 409 for what cannot be replayed, with what to do instead, 500 where the database refuses it, 503 where
    it takes too long, and StoreAway.
    """
    number = path_number(asked.request)
    reason = reason_in(body)
    flags = flag_in(body, "apply_stale"), flag_in(body, "resend")
    if number is None:
        raise not_found("no message has this number")
    try:
        done = await face.replay(Replaying(number, asked.actor, reason, *flags))
    except StoreRefused as refused:
        detail = "the database refused what would follow from this; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=refused.code) from refused
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; look at the message's timeline before you try once more") from None
    if isinstance(done, NotDone):
        raise Problem(409, done.reason) if done.still_open else not_found(done.reason)
    return {
        "id": done.message,
        "replay_of": done.replay_of,
        "at": iso(done.at, face.zone),
        "state": done.state,
        "row": done.row or None,
        "reason": done.reason or None,
        "waits_for": list(done.waits_for),
        "deliveries": [{"id": delivery, "destination": side} for delivery, side in done.deliveries],
        "spared": list(done.spared),
        "released": done.released,
    }
