"""What retention has removed, and a run that somebody wants now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked
from ophl7.admin.instants import iso
from ophl7.admin.ports import Document, Face


async def status(face: Face, _asked: Asked) -> Document:
    """`GET /retention`: the last run since the start."""
    return shown(face)


async def purge(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /retention/run`: a run begins now, in small steps between the messages; audited. Raises StoreAway."""
    reason = reason_in(body)
    await face.audit(asked.actor, "run-retention", "retention", reason)
    face.purge()
    return {**shown(face), "running": True}


def shown(face: Face) -> Document:
    """The last run, as the API and the status page tell it."""
    found = face.retention()
    return {**found, "at": iso(found["at"], face.zone)}
