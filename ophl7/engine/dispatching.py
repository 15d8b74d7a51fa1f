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

# drain: nothing is taken from the peer any more; what waits for it leaves. resume: both ways again.
LinkVerb = Literal["pause", "resume", "drain"]


Way = Literal["pause", "drain"]
WAYS: tuple[Way, ...] = ("pause", "drain")

USED = "this Idempotency-Key was used for something else"


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
    """Nothing is sent to this destination, or taken from it, until it is resumed; what is under way gets its answer.

    key: the caller's Idempotency-Key, "" for none.
    """

    verb: LinkVerb
    destination: Side
    actor: str
    reason: str
    key: str = ""


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

    def __init__(
        self,
        stop: Stop,
        now: Callable[[], datetime],
        paused: Callable[[Side], str | None] = lambda _side: None,
        drained: Callable[[Side], str | None] = lambda _side: None,
    ) -> None:
        """paused, drained: why nothing is sent to a peer, or taken from it; None when it is."""
        self._stop = stop
        self._now = now
        self._paused = paused
        self._drained = drained

    async def carry_out(self, uow: UnitOfWork, act: DeliveryAct) -> Dispatched | NotDispatched:
        """Does it, or changes nothing. What was done before under the same key is told, not done again."""
        what = f"{act.verb} delivery {act.delivery}"
        before = await done_before(uow, act.key)
        if before is not None and before.what != what:
            return NotDispatched(settled=False, reason=USED)
        if before is not None:
            return Dispatched(before.at, _state(act.verb), before.control_id, again=True)
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
        keep_deed(uow, Deed(act.key, what, at, _state(act.verb), control_id))
        return Dispatched(at, _state(act.verb), control_id)

    async def switch(self, uow: UnitOfWork, act: LinkAct) -> float | NotDispatched:
        """Pauses, drains or resumes a link; one that is so already stays as it is, and as it was audited.

        When, in seconds since the epoch. What was done before under the same key is told, not done again.
        """
        what, at = f"{act.verb} link {act.destination}", self._now().timestamp()
        before = await done_before(uow, act.key)
        if before is not None:
            return before.at if before.what == what else NotDispatched(settled=False, reason=USED)
        closed = {way for way in WAYS if self._closed(uow, act.destination, way)}
        if act.verb == "resume":
            marks = [PauseMark(act.destination, "", way) for way in WAYS if way in closed]
        else:
            marks = [PauseMark(act.destination, act.reason, act.verb)] if act.verb not in closed else []
        if marks:
            target = f"link to the {act.destination.upper()}"
            uow.rows.pauses += marks
            uow.rows.audit.append(AuditRow(at, act.actor, f"{act.verb}-link", target, act.reason))
        keep_deed(uow, Deed(act.key, what, at, act.verb, ""))
        return at

    def _closed(self, uow: UnitOfWork, side: Side, way: Way) -> bool:
        """As it is on disk, and as this batch has it."""
        so = [bool(mark.reason) for mark in uow.rows.pauses if mark.destination == side and mark.way == way]
        known = self._paused(side) if way == "pause" else self._drained(side)
        return so[-1] if so else known is not None

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


async def done_before(uow: UnitOfWork, key: str) -> Deed | None:
    """What was done under a caller's Idempotency-Key; None for a new one, or none."""
    if not key:
        return None
    await uow.fetch(Keys(deeds={key}))
    return uow.state.deeds.get(key)


def keep_deed(uow: UnitOfWork, deed: Deed) -> None:
    """In the commit of what was done; without a key there is nothing to keep."""
    if deed.key:
        uow.put(uow.state.deeds, deed.key, deed)
        uow.rows.deeds.append(deed)


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
