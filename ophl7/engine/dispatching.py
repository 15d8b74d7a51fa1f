"""What a person does with the queue: send again, send as new, let go, or stop a link (decisions 8). Carried out inside a batch.

A delivery that is being sent just now is nobody's to decide: its answer does. All that is decided is in the batch's one commit,
with its audit row; only then is the outbox told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from ophl7.domain.patient import Side
from ophl7.engine.lanes import STOPPED
from ophl7.engine.resend_rows import Deed
from ophl7.engine.storage import AuditRow, DeliveryMark, DeliveryState, Keys, OpenDelivery, PauseMark, Rendering
from ophl7.engine.unit_of_work import UnitOfWork

# retry: the same bytes under the same MSH-10. renew: the same bytes under a new one. skip: it never leaves. close: it is over,
# refused for good. arrived: the peer has it, as a person has seen there.
DeliveryVerb = Literal["retry", "renew", "skip", "close", "arrived"]

LinkVerb = Literal["pause", "resume"]


# The lane stands still from now on; the delivery, and whether it is being sent. None: it does not wait anywhere.
# let_go: it is to leave the queue; then one of which not a byte has left is not being sent.
class Stop(Protocol):
    """Has the lane of a delivery stand still."""

    def __call__(self, delivery: int, *, let_go: bool = False) -> tuple[OpenDelivery, bool] | None:
        """See above."""


ENDS: dict[DeliveryVerb, DeliveryState] = {"skip": "skipped", "close": "rejected", "arrived": "accepted"}
_WORDS: dict[DeliveryVerb, str] = {
    "retry": "sent again by a person",
    "skip": "skipped by a person",
    "close": "closed by a person",
    "arrived": "a person saw that it arrived",
}


@dataclass(frozen=True, slots=True)
class DeliveryAct:
    """actor, reason: who and why, for the audit, never for a log. key: the caller's Idempotency-Key, "" for none."""

    verb: DeliveryVerb
    delivery: int
    actor: str
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class LinkAct:
    """Nothing is sent to this destination until it is resumed; what is being sent gets its answer."""

    verb: LinkVerb
    destination: Side
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dispatched:
    """It is on disk. at: seconds since the epoch. control_id: with which the delivery goes on, "" where it does not.

    again: it had been done before, under the same key; nothing was done now.
    """

    at: float
    state: DeliveryState
    control_id: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True)
class NotDispatched:
    """Nothing was changed. settled: it waits no more; reason: one sentence, with what to do instead."""

    settled: bool
    reason: str


class Dispatch:
    """Carries out what people decide about deliveries and links."""

    def __init__(self, stop: Stop, now: Callable[[], datetime], paused: Callable[[Side], str | None] | None = None) -> None:
        """paused: why nothing is sent to a destination, None when it is; where nobody says it, every switch is one."""
        self._stop = stop
        self._now = now
        self._paused = paused

    async def carry_out(self, uow: UnitOfWork, act: DeliveryAct) -> Dispatched | NotDispatched:
        """Does it, or changes nothing. What was done before under the same key is told, not done again."""
        what = f"{act.verb} delivery {act.delivery}"
        if act.key:
            await uow.fetch(Keys(deeds={act.key}))
            before = uow.state.deeds.get(act.key)
            if before is not None and before.what == what:
                return Dispatched(before.at, _state(act.verb), before.control_id, again=True)
            if before is not None:
                return NotDispatched(settled=False, reason="this Idempotency-Key was used for something else")
        found = self._stop(act.delivery, let_go=act.verb == "skip")
        if found is None:
            return NotDispatched(settled=True, reason="this delivery does not wait any more")
        delivery, out = found
        unfit = _unfit(act.verb, delivery, out=out)
        if unfit:
            return NotDispatched(settled=False, reason=unfit)
        at = self._now().timestamp()
        control_id = await self._renew(uow, delivery) if act.verb == "renew" else self._mark(uow, act.verb, delivery, at)
        uow.rows.audit.append(AuditRow(at, act.actor, f"{act.verb}-delivery", f"delivery {act.delivery}", act.reason))
        if act.key:
            deed = Deed(act.key, what, at, _state(act.verb), control_id)
            uow.put(uow.state.deeds, act.key, deed)
            uow.rows.deeds.append(deed)
        return Dispatched(at, _state(act.verb), control_id)

    async def switch(self, uow: UnitOfWork, act: LinkAct) -> float:
        """Pauses or resumes a link; one that is so already stays as it is, and as it was audited. Seconds since the epoch."""
        at = self._now().timestamp()
        if self._paused is not None:
            so = [bool(mark.reason) for mark in uow.rows.pauses if mark.destination == act.destination]
            if (so[-1] if so else self._paused(act.destination) is not None) == (act.verb == "pause"):
                return at
        uow.rows.pauses.append(PauseMark(act.destination, act.reason if act.verb == "pause" else ""))
        uow.rows.audit.append(AuditRow(at, act.actor, f"{act.verb}-link", f"link to the {act.destination.upper()}", act.reason))
        return at

    @staticmethod
    def _mark(uow: UnitOfWork, verb: DeliveryVerb, delivery: OpenDelivery, at: float) -> str:
        state = _state(verb)
        uow.rows.marks.append(DeliveryMark(delivery.id, state, delivery.attempts, None, _WORDS[verb], at))
        return delivery.control_id if state == "queued" else ""

    @staticmethod
    async def _renew(uow: UnitOfWork, delivery: OpenDelivery) -> str:
        await uow.fetch(Keys(queued={delivery.id}))
        source = uow.state.queued[delivery.id]
        control_id = uow.ids.control_id("D", uow.ids.next("delivery"))
        uow.rows.rendered.append(Rendering(delivery.id, source.body, control_id))
        return control_id


def _state(verb: DeliveryVerb) -> DeliveryState:
    return ENDS.get(verb, "queued")


def _unfit(verb: DeliveryVerb, delivery: OpenDelivery, *, out: bool) -> str:
    """Why this cannot be done with it now; "" when it can."""
    if out:
        return "it is being sent just now, and the answer decides; look again in a moment, or pause the link first"
    if verb == "arrived" and delivery.state != "unknown":
        return "only of a delivery without an answer (unknown) a person may say that it arrived; skip it, or close it"
    if verb in ("renew", "close") and delivery.state not in STOPPED:
        return "it waits for its turn, and nothing was refused yet; skip it if it must not leave"
    return ""
