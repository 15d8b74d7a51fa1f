"""Plays a role over real sockets: says what is due at a pace, takes what comes, keeps count and remembers the truth."""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Final

from ophl7.errors import Unreadable
from ophl7.mllp.sender import Address as BrokerAddress
from ophl7.simulate.line import Line, Reply, Rest
from ophl7.simulate.reading import read
from ophl7.simulate.receiver import Receiver
from ophl7.simulate.role import Role
from ophl7.simulate.steps import Step
from ophl7.simulate.tally import Tally, Teller
from ophl7.simulate.truth import Truth
from ophl7.units import Address

_REMEMBERED: Final = 10_000  # control ids of deliveries, to know a second copy
_AWAY_AFTER: Final = 20  # messages, whoever sent them, before the outage begins: in the middle of the day
_LAST_ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Playbill:
    """How it is played.

    start: the first day. days: how many; 0 for no end. once: leave when the last day is over and nothing came for `quiet`
    seconds; else go on receiving. pause: seconds between two messages. outage: seconds for which the receiver is away, once; 0
    for never. patience: seconds to wait for a broker that does not answer; 0 for ever.
    """

    start: date
    days: int = 1
    once: bool = False
    quiet: float = 5.0
    pause: float = 0.0
    outage: float = 0.0
    patience: float = 60.0


class Player:
    """One simulated system. `open`, `play`, `close`; `stop` ends `play` from outside."""

    def __init__(self, role: Role, listen: Address, teller: Teller, bill: Playbill, rest: Rest = asyncio.sleep) -> None:
        """rest: lets seconds pass (between messages, before the next try, while away)."""
        self.truth = Truth(role.side)
        self.tally = Tally()
        self._role = role
        self._teller = teller
        self._bill = bill
        self._rest = rest
        self._receiver = Receiver(listen, self._takes, teller.remark)
        self._line: Line
        self._queue: list[tuple[datetime, int, Step]] = []
        self._numbers = count()
        self._heard: OrderedDict[str, None] = OrderedDict()
        self._news = asyncio.Event()
        self._told = asyncio.Event()
        self._between = asyncio.Event()  # no message of ours is without its answer
        self._between.set()
        self._was_away = not bill.outage
        self.days_over = 0

    # -- from outside -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """Where it receives, once it is open."""
        return self._receiver.address

    @property
    def idle(self) -> bool:
        """Whether all its days are over, and everything that it had to say was said and answered."""
        return self.days_over >= self._bill.days > 0 and not self._queue and self._between.is_set() and self._receiver.listening

    async def open(self) -> None:
        """Begins to receive. Raises LinkDown when it cannot listen."""
        await self._receiver.start()

    async def play(self, to: BrokerAddress) -> None:
        """Plays its days, to the end of `once` or until `stop`. Raises LinkDown when the broker was given up."""
        self._line = Line(to, self._rest, self._bill.patience, self._teller.remark)
        playing = asyncio.ensure_future(self._play())
        ends = (playing, asyncio.ensure_future(self._told.wait()), asyncio.ensure_future(self._receiver.failed()))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._told.is_set():  # the answer to what is being said is on its way, most likely
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_ANSWER_SECONDS):
                        await self._between.wait()
        finally:
            self.tally.tried_again = self._line.tried_again
            finished = [end for end in ends if end.done()]
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            await self._line.hang_up()
        for end in finished:
            await end

    def stop(self) -> None:
        """Ends `play`; what is being said may still be answered."""
        self._told.set()

    async def close(self) -> None:
        """Receives no more. Idempotent."""
        await self._receiver.close()

    # -- what is said -------------------------------------------------------------------------------------------------

    async def _play(self) -> None:
        for number in range(self._bill.days) if self._bill.days else count():
            if not self._bill.days:
                self.truth = Truth(self._role.side)
            self._due(self._role.opens(self._bill.start + timedelta(days=number)))
            await self._say_all()
            while not self._role.owns and self._role.days_heard_closed <= number:
                await self._next_news()
            if self._told.is_set():
                return
            self.days_over += 1
        while True:
            try:
                async with asyncio.timeout(self._bill.quiet if self._bill.once else None):
                    await self._news.wait()
            except TimeoutError:
                return
            await self._next_news()

    async def _next_news(self) -> None:
        await self._news.wait()
        self._news.clear()
        await self._say_all()

    async def _say_all(self) -> None:
        """Everything that is due, in the order of the practice's clock; what becomes due meanwhile too."""
        await self._be_away()
        while self._queue and not self._told.is_set():
            if self._bill.pause:
                await self._rest(self._bill.pause)
            await self._be_away()
            _, _, step = heapq.heappop(self._queue)
            self._between.clear()
            await self._say(step)
            self._between.set()

    async def _say(self, step: Step) -> None:
        payload = self._role.hand.write(step)
        if step.fresh:
            await self._line.hang_up()
        self.tally.unanswered += 1
        reply = await self._line.exchange(payload, step.control_id)
        self.tally.unanswered -= 1
        self.tally.sent += 1
        self.tally.answers[reply.code] += 1
        expected = self._is_expected(step, reply)
        self._teller.said(step, reply, expected=expected)
        if expected:
            self.truth.take(step.records)
            self._due(self._role.said(step, payload))
        if step.again:
            await self._say_again(step, payload, reply)

    async def _say_again(self, step: Step, payload: bytes, first: Reply) -> None:
        """The same bytes over a new connection, as if the answer had been lost: the same answer, byte for byte (#84)."""
        await self._line.hang_up()
        second = await self._line.exchange(payload, step.control_id)
        self.tally.again += 1
        same = second == first
        self.tally.surprises += not same
        self._teller.said(step, second, expected=same, again=True)

    def _is_expected(self, step: Step, reply: Reply) -> bool:
        right = reply.code == step.code and step.reason in {"", reply.reason}
        self.tally.surprises += not right
        return right

    def _due(self, steps: Iterable[Step]) -> None:
        for step in steps:
            heapq.heappush(self._queue, (step.at, next(self._numbers), step))
            self._news.set()

    # -- what is heard ------------------------------------------------------------------------------------------------

    def _takes(self, payload: bytes) -> bool:
        """Called by the receiver before the answer leaves: what follows from a delivery is due when the broker gets its AA."""
        try:
            heard = read(payload)
        except Unreadable as error:
            self._teller.remark(f"received something that cannot be read: {error}")
            return False
        self._news.set()
        if heard.control_id in self._heard:
            self.tally.received_twice += 1
            return True
        self._heard[heard.control_id] = None
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        self.tally.received[heard.event] += 1
        self._teller.heard(heard)
        self.truth.charged(heard.charges, heard.chart)
        self._due(self._role.hears(heard))
        return True

    async def _be_away(self) -> None:
        """The outage: nothing is received and nothing is sent for a while."""
        if self._was_away or self.tally.sent + self.tally.received.total() < _AWAY_AFTER:
            return
        self._was_away = True
        self._teller.remark(f"is switched off for {self._bill.outage:g} s: the broker keeps what is for it")
        await self._receiver.stop()
        await self._line.hang_up()
        await self._rest(self._bill.outage)
        await self._receiver.start()
        self._teller.remark("is back")
