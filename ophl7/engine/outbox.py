"""Delivery to one destination: lanes in order, the same bytes and MSH-10 on every try, success only by the peer's own answer.

A try's outcome is a mark that rides in the next commit; the lane goes on when that commit is on disk. So after a crash only
what was in flight is sent again, never anything that came before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from time import perf_counter

from ophl7.domain.patient import Side
from ophl7.engine.at_hand import AtHand
from ophl7.engine.audience import Mark
from ophl7.engine.backoff import JITTER, delay
from ophl7.engine.lanes import STOPPED, Lanes
from ophl7.engine.link import LinkPolicy, LinkStatus, OutboxObserver
from ophl7.engine.link_state import LinkState
from ophl7.engine.ports import Answer, Clock, Sender
from ophl7.engine.resend_rows import WITHHELD
from ophl7.engine.resend_watch import ResendWatch
from ophl7.engine.settlement import settle
from ophl7.engine.storage import (
    DeliveryMark,
    DeliveryRow,
    DeliveryState,
    LinkMark,
    OpenDelivery,
    Parting,
    PauseMark,
    Rendering,
    Store,
    as_open,
)
from ophl7.errors import LinkDown, PeerFault, StoreAway, StoreRefused
from ophl7.hl7v2.rewrite import with_control_id

# What went wrong with an exchange, as a mark's answer: the peer's being seen alive ends the delay that followed.
_LINK_TROUBLE = frozenset({"timeout", "closed", "garbage", "foreign"})


class Outbox:
    """The queue and the connections of one destination."""

    def __init__(
        self,
        destination: Side,
        store: Store,
        senders: Sequence[Sender],
        policy: LinkPolicy,
        mark: Callable[[Mark], None],
        clock: Clock,
        observer: OutboxObserver,
        chance: Callable[[], float],
        watch: ResendWatch | None = None,
    ) -> None:
        """senders: one per connection, none when no URL is set. chance: 0 to 1, for the jitter. watch: over runs."""
        self._watch = watch if watch is not None else ResendWatch()
        self.destination = destination
        self._store = store
        self._senders = senders
        self._policy = policy
        self._mark = mark
        self._clock = clock
        self._epoch = clock.now().timestamp() - clock.monotonic()
        self._observer = observer
        self._chance = chance
        self._link = LinkState(destination, policy, mark, observer, chance)
        self._lanes = Lanes()
        self._tried: dict[int, tuple[OpenDelivery, DeliveryMark]] = {}
        self._at_hand = AtHand()
        self._wake = asyncio.Event()
        self._parked = 0
        self._stopping = False
        self._in_flight = 0
        self._linked = asyncio.Event()  # the last that was said of the link is on disk
        self._unsent: set[int] = set()  # given out, but not a byte of it has left
        self._announced: dict[int, asyncio.Event] = {}  # set when the disk knows that it is being sent (ON_TIMEOUT=review)

    # -- what is to be sent -------------------------------------------------------------------------------------------

    def start(self, deliveries: Iterable[OpenDelivery], *, reachable: bool, paused: PauseMark | None = None) -> None:
        """What is unsettled on disk, oldest first, before `run`.

        reachable: whether the process before may have had something on its way when it ended; if so, the heads of the lanes
        count as tried. paused: that nothing is sent here, None when it is.
        """
        self._link.reachable = reachable
        if paused is not None:
            self._pause(paused)
        waiting, unknown = list(deliveries), set[int]()
        if self._policy.review and reachable:  # nobody knows whether these arrived
            unknown = {delivery.id for delivery in waiting if delivery.state == "sending"}
            waiting = [replace(one, state="unknown") if one.id in unknown else one for one in waiting]
        self._take_up(waiting, recovered=reachable)
        for delivery in waiting:
            if delivery.id in unknown:
                self._settle(delivery, "unknown", delivery.attempts + 1, None, "no answer before the restart", 0.0)
        if not self._senders and reachable and not self._lanes.recovered:
            self._link.say(reachable=False)

    def take_up(self, deliveries: Iterable[OpenDelivery]) -> None:
        """The same after the store was away.

        What is known stays as it is, but for merges: one whose commit seemed to fail may be on disk all the same.
        """
        self._take_up(deliveries, recovered=False)

    def _take_up(self, deliveries: Iterable[OpenDelivery], *, recovered: bool) -> None:
        now, copies = self._now(), False
        for delivery in deliveries:
            copies = copies or bool(delivery.resend_of)
            lane = self._lanes.lane_of(delivery.id)
            if lane is None:
                self._lanes.add(replace(delivery, next_at=self._within(delivery.next_at)), now, recovered=recovered)
                self._parked += delivery.state in STOPPED
            elif lane != delivery.lane:
                self._lanes.halt({lane, delivery.lane})
                self._lanes.part(lane, {delivery.id}, delivery.lane)
        if copies:
            self._lanes.by_age()
        self._at_hand.clear()
        self._lanes.thaw(now)
        self._wake.set()

    def feed(self, row: DeliveryRow, body: bytes | None) -> None:
        """A new delivery, committed. body: the bytes that were stored for it or its message, None when they are not at hand."""
        if body is not None and self._senders:
            self._at_hand.keep(row.id, body)
        self._lanes.add(
            as_open(row),
            self._now(),
        )
        self._parked += row.state in STOPPED
        self._wake.set()

    def marked(self, mark: Mark) -> None:
        """This mark is on disk: its lane, or whoever waits for the link, may go on."""
        if isinstance(mark, LinkMark):
            if self._link.marked(mark):
                self._linked.set()
        elif isinstance(mark, PauseMark):
            if mark.destination == self.destination and mark.way == "pause":
                self._pause(mark)
        elif mark.state == "sending":
            if (announced := self._announced.get(mark.id)) is not None:
                announced.set()
        else:
            self._changed(mark)

    def _changed(self, mark: DeliveryMark) -> None:
        """What became of a delivery: by a try of ours, or because a person has decided so."""
        self._tried.pop(mark.id, None)
        waiting = self._lanes.waiting(mark.id)
        if waiting is None:
            return  # another destination's
        delivery, _ = waiting
        changed = replace(delivery, state=mark.state, attempts=mark.attempts, next_at=self._within(mark.next_at))
        self._parked += (mark.state in STOPPED) - (delivery.state in STOPPED)
        if mark.state in {"accepted", "skipped", "rejected"}:
            self._lanes.done(delivery, self._now())
            self._at_hand.forget(mark.id)
        elif mark.state in STOPPED:
            self._lanes.stop(delivery, changed, self._now())
        else:
            self._lanes.later(delivery, changed, self._now(), for_link=mark.answer in _LINK_TROUBLE)
        self._wake.set()

    def hold_back(self, delivery: int, *, let_go: bool = False) -> tuple[OpenDelivery, bool] | None:
        """Its lane sends nothing until `thaw`. The delivery, and whether it is being sent now; None when it does not wait.

        let_go: it is to leave the queue. Then one of which not a byte has left is not being sent: its connection hangs.
        """
        found = self._lanes.waiting(delivery)
        if found is None:
            return None
        self._lanes.halt({found[0].lane})
        if let_go and delivery in self._unsent and delivery not in self._announced:
            self._unsent.discard(delivery)  # whoever was about to send it gives it back
            return found[0], False
        return found

    def _pause(self, mark: PauseMark) -> None:
        self._link.pause(mark)
        self._wake.set()

    @property
    def paused_because(self) -> str | None:
        """Why nothing is sent here; None while it is."""
        return self._link.paused

    def freeze(self, lanes: Collection[int]) -> list[tuple[OpenDelivery, bool]]:
        """These lanes send nothing until `thaw`. What waits in them, each with whether its bytes may have been tried."""
        return self._lanes.freeze(lanes, self._unsent)

    def merged(self, united: Iterable[tuple[int, int] | Parting], rendered: Iterable[Rendering]) -> None:
        """Merges are on disk: their lanes are one, or two again, and what waits here with other bytes forgets the old ones."""
        for step in united:
            if isinstance(step, Parting):
                self._lanes.part(step.lane, step.deliveries, step.into)
            else:
                self._lanes.unite(*step)
        if united:
            self._unsent.clear()  # another delivery may be the head of its lane by now
        for one in rendered:
            if self._lanes.lane_of(one.id) is None:
                continue  # another destination's
            self._at_hand.forget(one.id)
            self._unsent.discard(one.id)  # whoever was about to send it has the old bytes
            if one.renewed:
                self._parked -= self._lanes.renewed(one.id, one.renewed, self._now()).state in STOPPED

    def thaw(self) -> None:
        """Frozen lanes go on."""
        self._lanes.thaw(self._now())
        self._wake.set()

    def hurry(self) -> None:
        """The peer was seen alive: what the link had failed goes at once (decisions 8).

        A delivery that the peer itself asked to have later (206, 207) keeps its own time.
        """
        self._link.down_until = 0.0
        self._lanes.hurry()
        self._wake.set()

    @property
    def status(self) -> LinkStatus:
        """The link as it is now."""
        oldest, unblocked = self._lanes.oldest(), self._lanes.oldest_unblocked()
        return LinkStatus(
            state=self._link.word if self._senders or self._link.paused is not None else "unset",
            queued=self._lanes.depth - self._parked,
            parked=self._parked,
            oldest_seconds=max(0.0, self._wall() - oldest.created_at) if oldest is not None else None,
            last_error=self._link.last_error,
            paused_because=self._link.paused,
            unblocked_seconds=max(0.0, self._wall() - unblocked.created_at) if unblocked is not None else None,
            by_itself=self._link.by_itself,
        )

    # -- sending ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Runs all connections until cancelled."""
        async with asyncio.TaskGroup() as group:
            for sender in self._senders:
                group.create_task(self._work(sender))

    async def drain(self) -> None:
        """Takes nothing new up, and returns when what is in flight has its answer. The caller sets the time limit."""
        self._stopping = True
        self._wake.set()
        while self._in_flight:
            self._wake.clear()
            await self._wake.wait()

    async def _work(self, sender: Sender) -> None:
        try:
            while True:
                delivery = await self._next()
                if delivery.resend and self._watch.stopped(delivery.resend):  # its lane waits with it for a person
                    self._mark(DeliveryMark(delivery.id, "parked", delivery.attempts, None, WITHHELD, self._wall()))
                    continue
                self._in_flight += 1
                try:
                    await self._try(sender, delivery)
                finally:
                    self._in_flight -= 1
                    if self._stopping:
                        self._wake.set()
        finally:
            await sender.close()

    async def _next(self) -> OpenDelivery:
        while True:
            self._wake.clear()
            now = self._now()
            down_until, paused = self._link.down_until, self._link.paused is not None
            if not self._stopping and not paused and now >= down_until:
                delivery = self._lanes.take(now)
                if delivery is not None:
                    return delivery
            due = down_until if now < down_until else self._lanes.next_time()
            still = due is None or self._stopping or paused
            await self._wait(None if due is None or still else max(0.0, due - now))

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _try(self, sender: Sender, delivery: OpenDelivery) -> None:
        body = await self._ready(sender, delivery)
        if body is None:
            return
        began = perf_counter()
        attempts = delivery.attempts + 1
        try:
            answer = await self._exchange(sender, body, delivery.control_id)
        except LinkDown as down:
            self._fail(delivery, down, attempts, perf_counter() - began)
            return
        self._link.answered()
        settled = settle(answer, attempts=attempts, nack_default=self._policy.nack_default, sent_before=bool(delivery.resend))
        if delivery.resend:
            self._watch.settled(delivery.resend, refused=settled.outcome in {"parked", "held"})
        if settled.outcome == "retry":
            seconds = perf_counter() - began
            self._settle(delivery, "queued", attempts, self._later(attempts), settled.answer, seconds, locked=settled.locked)
        else:
            self._settle(delivery, settled.outcome, attempts, None, settled.answer, perf_counter() - began)
        self._link.refused_or_not(settled)

    async def _exchange(self, sender: Sender, body: bytes, control_id: str) -> Answer:
        self._link.sending(1)
        try:
            return await sender.exchange(body, control_id)
        finally:
            self._link.sending(-1)

    async def _ready(self, sender: Sender, delivery: OpenDelivery) -> bytes | None:
        """The bytes to send, once the peer can be reached and the disk knows; None when the delivery was given back or parked.

        Until then not a byte has left, so a merge may still make it anew: then another one may be its lane's head.
        """
        self._unsent.add(delivery.id)
        try:
            body: bytes | None = None
            while body is None or not self._link.reachable:  # another connection may find nobody while this one reads
                if not sender.connected or not self._link.reachable:
                    await sender.connect()
                    await self._say_reachable()
                if delivery.id not in self._unsent:
                    break
                body = await self._body(delivery)
                if self._policy.review and delivery.id in self._unsent:
                    await self._announce(delivery)
        except LinkDown as down:
            self._fail(delivery, down, delivery.attempts + 1, 0.0)
            return None
        except StoreAway:
            self._lanes.give_back(delivery, self._now())
            self._link.down_until = self._now() + self._policy.first
            return None
        except (PeerFault, StoreRefused):
            # Stored bytes that are no message: nothing that trying again could mend.
            self._settle(delivery, "parked", delivery.attempts, None, "unreadable", 0.0)
            return None
        finally:
            untouched = delivery.id in self._unsent
            self._unsent.discard(delivery.id)
        if untouched and body is not None and not self._lanes.frozen(delivery.id):
            return body
        self._lanes.give_back(delivery, self._now())
        return None

    async def _announce(self, delivery: OpenDelivery) -> None:
        """The disk knows that it is being sent before its first byte leaves: after a crash it is a person's to settle."""
        announced = self._announced[delivery.id] = asyncio.Event()
        self._mark(DeliveryMark(delivery.id, "sending", delivery.attempts, None, "", self._wall()))
        try:
            await announced.wait()
        finally:
            del self._announced[delivery.id]

    async def _say_reachable(self) -> None:
        """Before the first byte after the peer was unreachable: a crash from now on may leave something on its way."""
        while not self._link.reachable:
            self._linked.clear()
            self._link.say(reachable=True)
            await self._linked.wait()

    def _fail(self, delivery: OpenDelivery, down: LinkDown, attempts: int, seconds: float) -> None:
        if self._link.failed(down, self._now(), tried=self._lanes.recovered):
            self._lanes.give_back(delivery, self._now())
            return
        if self._policy.review:
            if delivery.resend:  # its lane waits for a person, as with a refusal
                self._watch.settled(delivery.resend, refused=True)
            self._settle(delivery, "unknown", attempts, None, down.kind, seconds)
            return
        # A peer may close a quiet connection; that shows itself only at the next send, and says nothing against trying at once.
        when = self._now() if down.kind == "closed" and attempts == 1 else self._later(attempts)
        self._settle(delivery, "queued", attempts, when, down.kind, seconds)

    def _later(self, attempts: int) -> float:
        return self._now() + delay(attempts, self._policy.first, self._policy.longest, self._chance())

    def _settle(
        self,
        delivery: OpenDelivery,
        state: DeliveryState,
        attempts: int,
        next_at: float | None,
        answer: str,
        seconds: float,
        *,
        locked: bool = False,
    ) -> None:
        """The outcome becomes a mark; the lane waits for its commit."""
        if state != "accepted":
            self._link.last_error = answer
        mark = DeliveryMark(delivery.id, state, attempts, next_at, answer, self._wall(), locked)
        self._tried[delivery.id] = (delivery, mark)
        self._observer.delivered(self.destination, delivery.id, state, answer, seconds)
        self._mark(mark)

    async def _body(self, delivery: OpenDelivery) -> bytes:
        known = self._at_hand.get(delivery.id)
        if known is None:
            known = await self._store.body_of(delivery.id)
        return with_control_id(known, delivery.control_id)

    def _within(self, next_at: float | None) -> float | None:
        """A time from the database, in ours: no delay is longer than the longest, whatever was done to the clock meanwhile."""
        return None if next_at is None else min(next_at, self._now() + self._policy.longest * (1 + JITTER))

    def _now(self) -> float:
        """For delays: the wall clock as it was at our start, carried on by what never goes back. To be set must not stop us."""
        return self._epoch + self._clock.monotonic()

    def _wall(self) -> float:
        """For people: when something happened."""
        return self._clock.now().timestamp()
