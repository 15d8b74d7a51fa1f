"""The batch loop: takes what waits, loads, decides, commits once, answers. At most one batch is open at a time.

Envelopes, the outbox's delivery marks and operators' acts all go through here, so one commit (one fsync) serves whoever waits.
It never waits to fill a batch: under load the batch forms by itself while the one before is being committed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import TypeVar

from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import hold
from ophl7.engine.admission import Admission
from ophl7.engine.arrival import Arrival, collect_keys
from ophl7.engine.asked import Asked, Outcome, Request, Work, answer, perform
from ophl7.engine.audience import Mark, Observer, Outlet
from ophl7.engine.chores import Chore, Chores
from ophl7.engine.deciding import Decider, Decision
from ophl7.engine.frames import Frame, join_answers, read_frame
from ophl7.engine.handover import fresh, made_anew
from ophl7.engine.ids import Ids
from ophl7.engine.judging import describe, record_scope
from ophl7.engine.lost_charges import keep_back
from ophl7.engine.matching import NO_MATCH, match
from ophl7.engine.pace import Pace
from ophl7.engine.ports import Clock, Envelope
from ophl7.engine.refusals import explain
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import DeliveryMark, Keys, LinkMark, PauseMark, Rows, Store
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import StoreAway, StoreRefused
from ophl7.kit import Match

# A batch is what waits, but never more than it may take time (engine.pace): so long an answer waits for its neighbours.
# Nor, where they are large, more than this many bytes and one frame: what is judged takes time by its bytes.
MOST_BYTES = 2 * 1024 * 1024

# Up to this many frames the rows are read on the loop: a hop to the store's thread would cost more than the reading.
FEW_FRAMES = 4

_PROBE_SECONDS = 0.5

T = TypeVar("T")


async def _nothing() -> None:
    """What happens before anybody is bound."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """A batch that is on disk, with what is to be told now."""

    uow: UnitOfWork
    frames: Sequence[Frame]
    answers: Sequence[bytes | None]
    decided: Sequence[Sequence[Decision]]
    outcomes: Sequence[Outcome]
    began: float


class Engine:
    """The intake of both listeners and the owner of the store's two calls."""

    def __init__(
        self, store: Store, decider: Decider, policy: Policy, clock: Clock, ids: Ids, outlet: Outlet, observer: Observer
    ) -> None:
        self._store = store
        self._decider = decider
        self._policy = policy
        self._clock = clock
        self._ids = ids
        self._outlet = outlet
        self._observer = observer
        self._frames = Admission()
        self._marks: deque[Mark] = deque()
        self._asked = Asked()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed: set[str] = set()
        self._doubted = False
        self._chores = Chores(clock.monotonic)
        self._pace = Pace()
        self._on_connected: Callable[[Side], None] = lambda _peer: None
        self._on_away: Callable[[], None] = lambda: None
        self._on_back: Callable[[], Awaitable[None]] = _nothing
        self.extra_reads = 0

    def bind(
        self, *, on_connected: Callable[[Side], None], on_away: Callable[[], None], on_back: Callable[[], Awaitable[None]]
    ) -> None:
        """Who is told of an inbound connection (the peer's link), and of the store: away (close all connections), and back.

        Back: a commit that failed may be on disk all the same, so what is not settled is taken up again.
        """
        self._on_connected = on_connected
        self._on_away = on_away
        self._on_back = on_back

    # -- what others call ---------------------------------------------------------------------------------------------

    def offer(self, envelope: Envelope) -> bool:
        """Takes an envelope. False while anything forbids it: close without an answer (#94)."""
        if self._closed:
            return False
        self._frames.put(envelope)
        self._work()
        return True

    def connected(self, peer: str) -> None:
        """A peer opened a connection."""
        self._on_connected("pm" if peer == "pm" else "emr")

    def mark(self, mark: Mark) -> None:
        """What became of a delivery or a link; it rides in the next commit."""
        self._marks.append(mark)
        self._work()

    async def perform(self, work: Work[T]) -> T:
        """What a person asked for: decided inside the next batch, durable with all that follows from it when this returns.

        Raises what `work` raises, which then has left nothing behind; StoreRefused when the database refuses its rows; and
        StoreAway when it cannot be written: nothing is kept for later, for whoever asked has been told that it failed.
        """
        if "store" in self._closed:
            raise StoreAway("the database cannot be written just now")
        waits = self._asked.put(work)
        self._work()
        return await waits

    def doubt_store(self) -> None:
        """Has a row of our own written as soon as nothing else waits: a dead disk is seen before a message meets it."""
        self._doubted = True
        self._work()

    async def tidy(self, chore: Chore[T], *, soon: bool = False) -> T:
        """Has something short done with the store between two batches: when nothing else waits, or it has waited long enough.

        soon: behind the batch that is open, whatever waits.

        Raises what it raises; StoreAway also while the database cannot be written.
        """
        if "store" in self._closed:
            raise StoreAway("the database cannot be written just now")
        waits = self._chores.put(chore, soon=soon)
        self._work()
        return await waits

    def close_for(self, reason: str) -> None:
        """Nothing is accepted any more for this reason: `draining`, `disk`, `store`."""
        self._closed.add(reason)

    def open_for(self, reason: str) -> None:
        """This reason is gone."""
        self._closed.discard(reason)

    @property
    def closed_for(self) -> frozenset[str]:
        """Why nothing is accepted; empty when all is well."""
        return frozenset(self._closed)

    @property
    def waiting(self) -> int:
        """Envelopes that no batch has taken yet."""
        return len(self._frames)

    async def settled(self) -> None:
        """Returns when everything that was offered has been decided and committed."""
        await self._idle.wait()

    def _work(self) -> None:
        self._idle.clear()
        self._wake.set()

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Runs until cancelled. What is open then was not answered, so its sender sends it again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while True:
                if self._chores.due:
                    await self._tidy_up()
                elif self._frames or self._marks or self._asked:
                    await self._batch()
                    self._chores.passed()
                elif self._doubted:
                    await self._prove_store()
                elif self._chores:
                    await self._tidy_up()
                else:
                    break
            self._idle.set()

    async def _batch(self) -> None:
        taken = self._frames.take(self._pace.most, MOST_BYTES)
        marks, asked = list(self._marks), self._asked.take()
        self._marks.clear()
        frames = [read_frame(envelope, self._policy) for envelope in taken]
        try:
            done = await self._settle(frames, marks, asked)
        except StoreAway as away:
            self._marks.extendleft(reversed(marks))
            await self._wait_for_store(taken, asked, str(away))
        except Exception as error:  # noqa: BLE001 - one message's fault must not cost the others: judge again one by one
            await self._one_by_one(frames, marks, asked, error)
        else:
            self._tell(done)
        finally:
            self._outlet.thaw()  # what a merge stopped goes on, on what is on disk now

    async def _settle(self, frames: Sequence[Frame], marks: list[Mark], asked: Sequence[Request]) -> _Committed:
        """The road of a batch up to its commit: load, decide, write."""
        began, since = perf_counter(), self._clock.monotonic()
        uow = UnitOfWork(self._store, self._ids)
        keys = Keys()
        for frame in frames:
            for arrival in frame.arrivals:
                collect_keys(arrival, keys, self._policy)
        if keys:
            await uow.load(keys, small=len(frames) <= FEW_FRAMES)
        decided = [await self._decide(uow, frame) for frame in frames]
        self._pace.judged(len(frames), self._clock.monotonic() - since)
        outcomes = [await perform(uow, request) for request in asked]
        await explain(uow, marks, self._policy)
        await keep_back(uow, marks, self._clock.now().timestamp())
        return await self._finish(uow, frames, decided, marks, outcomes, began)

    async def _decide(self, uow: UnitOfWork, frame: Frame) -> list[Decision]:
        if frame.damage is not None:
            return [self._decider.quarantine(uow, frame, frame.damage)]
        return [await self._decider.decide(uow, arrival) for arrival in frame.arrivals]

    async def _finish(
        self,
        uow: UnitOfWork,
        frames: Sequence[Frame],
        decided: Sequence[Sequence[Decision]],
        marks: list[Mark],
        outcomes: Sequence[Outcome],
        began: float,
    ) -> _Committed:
        rows = uow.rows
        # What the outbox has found out comes first: a person's decision is about what he was shown.
        rows.marks = [*(mark for mark in marks if isinstance(mark, DeliveryMark)), *rows.marks]
        rows.links = [mark for mark in marks if isinstance(mark, LinkMark)]
        rows.pauses = [*(mark for mark in marks if isinstance(mark, PauseMark)), *rows.pauses]
        when = self._clock.now()
        answers = [self._answer(uow, frame, decisions, when) for frame, decisions in zip(frames, decided, strict=True)]
        await self._store.commit(rows)
        return _Committed(uow, frames, answers, decided, outcomes, began)

    def _tell(self, done: _Committed) -> None:
        """It is on disk: answers, the outbox, observers. What fails here is seen, never judged a second time."""
        for frame, payload in zip(done.frames, done.answers, strict=True):
            frame.source.session.answer(payload)
        for outcome in done.outcomes:
            outcome.tell()
        self._decider.committed(done.uow)
        self._hand_over(done.uow.rows)
        self.extra_reads += done.uow.extra_reads
        for decisions in done.decided:
            for decision in decisions:
                self._observer.decided(decision)
        if done.frames:
            self._observer.committed(len(done.frames), perf_counter() - done.began)

    def _answer(self, uow: UnitOfWork, frame: Frame, decisions: Sequence[Decision], when: datetime) -> bytes | None:
        if len(decisions) == 1 and not frame.envelope:
            return decisions[0].answer
        if self._policy.peers[frame.peer].ack_mode == "none":
            return None  # nor its envelope
        control_id = uow.ids.control_id("B", decisions[0].message)
        return join_answers(frame, [decision.answer for decision in decisions], control_id, when, self._policy.zone)

    def _hand_over(self, rows: Rows) -> None:
        """Only now, after the commit: what is marked, lanes that merges united, what goes on with other bytes, what is new."""
        if rows.marks or rows.links or rows.pauses:
            self._outlet.marked([*rows.marks, *rows.links, *rows.pauses])
        if rows.united or rows.rendered:
            self._outlet.merged(rows.united, made_anew(rows))
        if rows.deliveries:
            self._outlet.feed(fresh(rows))

    # -- when it fails --------------------------------------------------------------------------------------------------

    async def _one_by_one(self, frames: Sequence[Frame], marks: list[Mark], asked: Sequence[Request], error: Exception) -> None:
        """The batch did not go through although the store works: each frame alone, each in its own commit."""
        if not frames and not asked:
            raise error  # nothing but our own marks: a fault that must be seen, not repeated for ever
        try:
            done = await self._settle([], marks, [])
        except StoreAway as away:
            self._marks.extendleft(reversed(marks))
            await self._wait_for_store([frame.source for frame in frames], asked, str(away))
            return
        self._tell(done)
        for position, frame in enumerate(frames):
            try:
                await self._alone(frame)
            except StoreAway as away:
                await self._wait_for_store([rest.source for rest in frames[position:]], asked, str(away))
                return
        for position, request in enumerate(asked):
            try:
                done = await self._settle([], [], [request])
            except StoreAway as away:
                await self._wait_for_store([], asked[position:], str(away))
                return
            except Exception as refused:  # noqa: BLE001 - it is told to whoever asked
                answer(request, refused)
            else:
                self._tell(done)

    async def _alone(self, frame: Frame) -> None:
        try:
            done = await self._settle([frame], [], [])
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001 - it is kept, and told
            await self._keep(frame, error)
        else:
            self._tell(done)

    async def _keep(self, frame: Frame, error: Exception) -> None:
        """It fails alone while the store works: custody without judgement; if even that fails, no answer."""
        reason = "the database refused its rows" if isinstance(error, StoreRefused) else f"the engine failed: {describe(error)}"
        self._observer.failed_alone(frame.peer, reason)
        failure: Exception = error
        for counted in (True, False):  # if its charges are what the database refuses, the message is kept without them
            uow = UnitOfWork(self._store, self._ids)
            try:
                decisions = [
                    self._decider.keep(
                        uow, arrival, self._store_hold(await self._known(uow, arrival), arrival, reason), counted=counted
                    )
                    for arrival in frame.arrivals
                ]
                done = await self._finish(uow, [frame], [decisions], [], [], perf_counter())
            except StoreAway:
                raise
            except Exception as again:  # noqa: BLE001 - tried without its charges, then told
                failure = again
            else:
                self._tell(done)
                return
        # Its sender gets no answer and sends again.
        self._observer.failed_alone(frame.peer, f"it could not be kept either: {describe(failure)}")
        frame.source.session.abandon()

    async def _known(self, uow: UnitOfWork, arrival: Arrival) -> Match:
        """Whom it is about, so that the right patient's later messages wait; nobody, when just that cannot be read."""
        keys = Keys(identifiers={identifier.key for identifier in arrival.named.keys})
        try:
            if keys:
                await uow.load(keys, small=True)
            return match(uow, arrival.named, arrival.peer, self._policy)
        except StoreRefused:
            return NO_MATCH

    @staticmethod
    def _store_hold(found: Match, arrival: Arrival, reason: str) -> Ruling:
        ruling = Ruling(found)
        scope = record_scope(found, arrival, arrival.message) if arrival.message is not None else ""
        ruling.note(hold("#95", "handler:store", reason, blocks=scope))
        return ruling

    async def _tidy_up(self) -> None:
        if (away := await self._chores.do_one()) is not None:
            await self._wait_for_store([], [], away)

    async def _prove_store(self) -> None:
        self._doubted = False
        try:
            await self._store.probe()
        except StoreAway as away:
            await self._wait_for_store([], [], str(away))

    async def _wait_for_store(self, taken: Sequence[Envelope], asked: Sequence[Request], reason: str) -> None:
        """Nobody is answered; all connections close, and open again when a write goes through."""
        self.close_for("store")
        self._observer.store_away(reason)
        for envelope in (*taken, *self._frames.give_up()):
            envelope.session.abandon()
        self._asked.give_up(asked, reason)
        self._chores.give_up(reason)
        self._on_away()
        while True:
            try:
                await self._store.probe()
                await self._on_back()
                break
            except StoreAway:
                await asyncio.sleep(_PROBE_SECONDS)
        self.open_for("store")
        self._observer.store_back()
