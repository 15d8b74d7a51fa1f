"""A copy that its receiver refused because it does not know the patient (204), when a merge explains why (decisions 8)."""

from __future__ import annotations

from collections.abc import Iterable

from ophl7.domain.identifiers import named_patient
from ophl7.domain.merge import redirects
from ophl7.domain.policy import Policy
from ophl7.engine.outgoing import readdressed
from ophl7.engine.storage import DeliveryMark, Keys, QueuedBytes, Rendering
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message


async def explain(uow: UnitOfWork, marks: Iterable[object], policy: Policy) -> None:
    """Makes anew what was refused under an id that its receiver has merged away meanwhile; all else waits for a person.

    The merge itself makes anew what had been refused before it came (engine.merging); this is for the refusal that comes after.
    """
    refused = {mark.id for mark in marks if isinstance(mark, DeliveryMark) and mark.state == "held"}
    if not refused:
        return
    await uow.fetch(Keys(queued=refused))
    for number in sorted(refused):
        source = uow.state.queued.get(number)
        body = await _for_survivor(uow, source, policy) if source is not None else None
        if body is not None:
            renewed = uow.ids.control_id("D", uow.ids.next("delivery"))
            uow.rows.rendered.append(Rendering(number, body, renewed))


async def _for_survivor(uow: UnitOfWork, source: QueuedBytes, policy: Policy) -> bytes | None:
    sender = policy.peers[source.peer]
    named = named_patient(Message.parse_lenient(source.body, sender.encoding).first("PID"), policy.namings[source.peer])
    await uow.fetch(Keys(identifiers={identifier.key for identifier in named.keys}))
    known = [patient for one in named.keys if (patient := uow.patient(one.key)) is not None]
    mates = [mate for patient in known for mate in uow.mates(patient)]
    mapping = redirects(source.destination, mates, uow.state.patients)
    return readdressed(source.body, "ANEW", mapping, policy, source.peer, source.destination) if mapping else None
