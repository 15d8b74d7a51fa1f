"""Charges that are replaced: the void of what was sent, from the very bytes that were (#49, decision record 0039)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ophl7.domain.changes import AddCharge
from ophl7.domain.patient import Patient
from ophl7.domain.policy import Policy
from ophl7.engine.charge_writing import void_edits
from ophl7.engine.outgoing import readdressed
from ophl7.engine.ruling import Judged, Ruling
from ophl7.engine.storage import Keys, QueuedBytes
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import AuthorError
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import rewrite

# The outbox writes the copy's own MSH-10 before it leaves.
_LATER = "VOID"


class Void(NamedTuple):
    """A DFT that takes charges back. of: the copy that had carried them."""

    of: int
    body: bytes


def replaces(judged: Judged) -> bool:
    """Whether this is a charge that leaves after the void of another one."""
    return judged.applies and isinstance(judged.change, AddCharge) and judged.change.correction == "replace"


def follows(ruling: Ruling) -> set[int]:
    """The copies whose charges this message credits or updates: if one of them is lost, it must not leave (#50)."""
    found: set[int] = set()
    for judged in ruling.judged:
        change = judged.change
        if not isinstance(change, AddCharge) or not judged.applies or change.known is None or change.known.delivery is None:
            continue
        if change.correction == "update" or (change.line.verb in {"void", "update"} and not change.correction):
            found.add(change.known.delivery)
    return found


async def prepare_voids(uow: UnitOfWork, ruling: Ruling) -> None:
    """Before the effects: reads what was sent of the charges that this message replaces."""
    if AddCharge not in ruling.kinds or ruling.state != "accepted":
        return
    fresh = {row.id for row in uow.rows.deliveries}
    wanted = set(_replaced(ruling)) - fresh - set(uow.state.queued)
    if wanted:
        await uow.fetch(Keys(queued=wanted))


def voids(uow: UnitOfWork, ruling: Ruling, policy: Policy, mapping: Mapping[tuple[str, str], Patient]) -> Iterator[Void]:
    """One for each copy of which charges are replaced, oldest first: a receiver takes a DFT as a whole.

    mapping: retired ids of the patient at the PM -> the survivor, who has the charges by now. Raises AuthorError when what was
    sent is not kept any more.
    """
    rules = policy.peers["pm"].profile.charges
    for delivery, transactions in sorted(_replaced(ruling).items()):
        source = _sent(uow, delivery)
        sender = policy.peers[source.peer]
        sent = Message.parse_lenient(source.body, sender.encoding)
        body = rewrite(sent, _LATER, void_edits(sent, transactions, rules))
        if mapping:
            body = readdressed(body, _LATER, mapping, policy, source.peer, source.destination) or body
        yield Void(delivery, body)


def _replaced(ruling: Ruling) -> dict[int, set[str]]:
    """Copies that were sent, and by FT1-2 which of their charges this message replaces."""
    found: dict[int, set[str]] = {}
    for judged in ruling.judged:
        change = judged.change
        if replaces(judged) and isinstance(change, AddCharge) and change.known is not None:
            if change.known.delivery is None:
                raise AuthorError("a charge is replaced that has not left; a rule must hold it (#49)")
            found.setdefault(change.known.delivery, set()).add(change.known.transaction_id)
    return found


def _sent(uow: UnitOfWork, delivery: int) -> QueuedBytes:
    rendered = {one.id: one.body for one in uow.rows.rendered}
    row = next((row for row in uow.rows.deliveries if row.id == delivery), None)
    if row is None:
        stored = uow.state.queued.get(delivery)
        if stored is None:
            raise AuthorError("what was sent of the charge that is replaced is not kept any more")
        return QueuedBytes(stored.peer, rendered.get(delivery, stored.body), stored.destination)
    peer, raw = uow.source_of(row.message)
    body = rendered.get(delivery, row.body if row.body is not None else raw)
    return QueuedBytes(peer, body, row.destination)
