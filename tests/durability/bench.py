"""A broker on the model disk under a small load, and what must be true of what the disk holds afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ophl7 import settings
from ophl7.broker import Broker, Listening
from ophl7.observe.logs import make_log
from ophl7.selftest.findings import Findings, examine, unsettled
from ophl7.selftest.load import Sender, Side, register, senders
from ophl7.testing.peers import ScriptedPeer
from tests.acceptance.practice import PM_OWNS, environment, until

LIMIT_SECONDS = 240.0  # never reached where nothing is stuck, also on a machine busy with other work


@asynccontextmanager
async def running(database: Path, pm: ScriptedPeer, emr: ScriptedPeer) -> AsyncIterator[tuple[Broker, Listening]]:
    """The real broker in this process."""
    broker = Broker(
        settings.load(environment(database, PM_OWNS, pm.url, emr.url)), make_log("error", "json", stream=StringIO())
    )
    listening = await broker.start()
    try:
        yield broker, listening
    finally:
        await broker.stop()


@dataclass(slots=True)
class Bench:
    """The senders and the destinations, which outlive every broker. cut: when the power went, what had left was safe."""

    pm: ScriptedPeer
    emr: ScriptedPeer
    workers: list[Sender] = field(default_factory=lambda: senders(2, 2))

    @property
    def received(self) -> dict[Side, list[bytes]]:
        return {"pm": self.pm.payloads, "emr": self.emr.payloads}

    @property
    def acknowledged(self) -> int:
        return sum(len(worker.acknowledged) for worker in self.workers)

    async def load(self, listening: Listening, answers: int, over: asyncio.Event) -> None:
        """Everybody sends, and connects again when the line is closed, until there were `answers` or it is `over`."""
        counted = asyncio.Semaphore(0)
        enough = asyncio.create_task(self._count(counted, answers))
        ended = asyncio.create_task(over.wait())
        work = [asyncio.create_task(self._keep_on(worker, listening, counted)) for worker in self.workers]
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await asyncio.wait({enough, ended, *work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (enough, ended, *work):
                task.cancel()
            outcomes = await asyncio.gather(enough, ended, *work, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _count(self, counted: asyncio.Semaphore, answers: int) -> None:
        for _ in range(answers):
            await counted.acquire()

    async def _keep_on(self, worker: Sender, listening: Listening, counted: asyncio.Semaphore) -> None:
        address = listening.pm if worker.side == "pm" else listening.emr
        while True:
            await worker.work(address, counted)
            await asyncio.sleep(0.005)  # the broker has closed the line: a sender's pause

    async def finish(self, database: Path, listening: Listening) -> Findings:
        """Everybody sends what had no answer; when everything is delivered, the books are opened."""
        for worker in self.workers:
            await worker.finish(listening.pm if worker.side == "pm" else listening.emr)
        await until(lambda: unsettled(database) == 0, LIMIT_SECONDS)
        return examine(database, self.workers, self.received)

    async def register(self, listening: Listening) -> None:
        await register(listening.pm, self.workers)

    @property
    def refused(self) -> list[str]:
        return [line for worker in self.workers for line in worker.refused]


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        yield Bench(pm, emr)
