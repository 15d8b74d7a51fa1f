"""The whole intake in one process without sockets: two real sessions, the real engine, a store in memory, real log lines.

Time stands still until `Loop.pass_time` moves it, so that the 50 ms of #90b cost nothing.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeVar

from ophl7.domain.policy import Policy
from ophl7.engine.custody import Custody
from ophl7.engine.deciding import Decider
from ophl7.engine.ids import Ids
from ophl7.engine.intake import Engine
from ophl7.engine.judging import Judge
from ophl7.engine.ports import Clock, Envelope, Intake
from ophl7.engine.router import Router
from ophl7.engine.runner import Runner, Watchdog
from ophl7.extend.loading import load_parts
from ophl7.mllp.session import Limits, ListenerObserver, Session
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from ophl7.observe.metrics import Counters
from ophl7.observe.telling import EngineTeller, ListenerTeller
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import ManualClock, Seen

T = TypeVar("T")
MAX_BYTES = 128 * 1024


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock is moved by hand; what fails where nobody waits is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0
        self.failed: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _loop, context: self.failed.append(context))

    def time(self) -> float:
        return self.moment

    async def pass_time(self, seconds: float) -> None:
        """Timers that are due by then run, and what they start later does too."""
        self.moment += seconds
        for _ in range(3):
            await asyncio.sleep(0)


class Wire(asyncio.Transport):
    """The far end of a connection: keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        """Nothing is pushed while nobody looks."""

    def resume_reading(self) -> None:
        """See pause_reading."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is kept back."""


class Counting:
    """The engine's intake, and how often each envelope was settled."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.offered: list[Envelope] = []

    def offer(self, envelope: Envelope) -> bool:
        self.offered.append(envelope)
        return self.engine.offer(envelope)

    def connected(self, peer: str) -> None:
        self.engine.connected(peer)


class House:
    """What a listener is to its sessions, with a door for everybody."""

    def __init__(self, peer: str, desk: FuzzDesk) -> None:
        self.peer = peer
        self.limits = Limits(max_bytes=MAX_BYTES)
        self.intake: Intake = desk.intake
        self.clock: Clock = desk.clock
        self.observer: ListenerObserver = ListenerTeller(desk.log, desk.counters)
        self._desk = desk

    def admit(self, session: Session, transport: asyncio.Transport) -> int:
        del session, transport
        self._desk.connections += 1
        self.observer.opened(self.peer, self._desk.connections, "127.0.0.1:5000")
        return self._desk.connections

    def forget(self, session: Session) -> None:
        """Nothing is kept of it."""

    def spoke_tls(self, transport: asyncio.Transport) -> None:
        """It is told by the listener, which is not here."""


class Answered(Session):
    """A session that remembers what each of its envelopes was settled with."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.settled: list[bytes | None] = []
        self.abandoned = 0

    def answer(self, payload: bytes | None) -> None:
        self.settled.append(payload)
        super().answer(payload)

    def abandon(self) -> None:
        self.abandoned += 1
        super().abandon()


@lru_cache(maxsize=1)
def _router() -> Router:
    parts = load_parts()
    return Router(parts.handlers, parts.rules)


class FuzzDesk:
    """One broker's intake. Made anew for each input, so that every find is one input."""

    def __init__(self, chosen: Policy) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.seen = Seen()
        self.lines = io.StringIO()
        self.log = make_log("debug", "json", stream=self.lines, clock=lambda: self.clock.moment, strict=True)
        self.counters = Counters()
        self.policy = chosen
        self.connections = 0
        self.intake: Counting
        self.task: asyncio.Task[None]

    async def start(self) -> None:
        """The engine runs."""
        judge = Judge(_router(), self.policy, Runner(Watchdog(30.0)))
        decider = Decider(judge, self.policy, self.clock.now, self.seen.freeze)
        Custody(judge, self.policy, self.seen.freeze)
        teller = EngineTeller(self.log, self.counters, Alarms(self.log))
        engine = Engine(self.store, decider, self.policy, self.clock, Ids(await self.store.open()), self.seen, teller)
        self.intake = Counting(engine)
        self.task = asyncio.create_task(engine.run())

    async def stop(self) -> None:
        """It stops; what it failed with is raised."""
        if self.task.done():
            self.task.result()
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def settled(self) -> None:
        """Everything that was offered is decided; a loop that broke shows its own error."""
        waiting = asyncio.create_task(self.intake.engine.settled())
        await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.task.done():
            self.task.result()

    def connect(self, peer: str) -> tuple[Answered, Wire]:
        """A new connection of that peer."""
        session, wire = Answered(House(peer, self)), Wire()
        session.connection_made(wire)
        return session, wire


@lru_cache(maxsize=1)
def loop() -> Loop:
    """One event loop for all inputs."""
    return Loop()


def run(call: Callable[[], Awaitable[T]]) -> T:
    """Runs a coroutine in that loop."""

    async def called() -> T:
        return await call()

    return loop().run_until_complete(called())
