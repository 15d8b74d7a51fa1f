"""A destination whose peers, clock and database follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from ophl7.engine.audience import Mark
from ophl7.engine.link import LinkPolicy
from ophl7.engine.outbox import Outbox
from ophl7.engine.ports import Answer, AnswerError
from ophl7.engine.storage import DeliveryMark, DeliveryRow, LinkMark, PauseMark, Rows
from ophl7.errors import LinkDown
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import LIMIT_SECONDS, ManualClock, adt
from tests.unit.store.records import delivery, journal

Script = str | LinkDown | Answer


class Peer:
    """A sender. `script`: what comes of each exchange: an MSA-1 (with a code, `AE 206`), an Answer, or a LinkDown; then AA."""

    def __init__(self, *script: Script) -> None:
        self.script = list(script)
        self.received: list[tuple[str, bytes]] = []
        self.gate: asyncio.Event | None = None
        self.closed = 0

    @property
    def connected(self) -> bool:
        return True

    async def connect(self) -> None:
        """Whatever happens is the script's to say, at the exchange."""

    async def exchange(self, payload: bytes, control_id: str) -> Answer:
        self.received.append((control_id, payload))
        if self.gate is not None:
            await self.gate.wait()
        said = self.script.pop(0) if self.script else "AA"
        if isinstance(said, LinkDown):
            raise said
        if isinstance(said, Answer):
            return said
        code, _, error = said.partition(" ")
        errors = (AnswerError(int(error), "E", ""),) if error else ()
        return Answer(code, control_id, errors, b"")

    async def close(self) -> None:
        self.closed += 1

    @property
    def ids(self) -> list[str]:
        return [control_id for control_id, _ in self.received]


class Link:
    """An outbox that runs. Marks are committed at once, unless `commits` is taken away."""

    def __init__(
        self, *peers: Peer, store: MemoryStore | None = None, first: float = 10.0, longest: float = 900.0, review: bool = False
    ) -> None:
        self.peers = peers
        self.store = store if store is not None else MemoryStore()
        self.clock = ManualClock(5000.0)
        self.marks: list[DeliveryMark] = []
        self.links: list[LinkMark] = []
        self.pauses: list[PauseMark] = []
        self.pending: list[Mark] = []
        self.commits = True
        self.told: list[tuple[Any, ...]] = []
        self.box = Outbox(
            "emr",
            self.store,
            peers,
            LinkPolicy(first, longest, "park", review=review),
            self.mark,
            self.clock,
            self,
            lambda: 0.5,
        )
        self._task: asyncio.Task[None]

    # -- the observer -------------------------------------------------------------------------------------------------

    def delivered(self, destination: str, number: int, state: str, answer: str, seconds: float) -> None:
        self.told.append(("delivered", number, state, answer))

    def link_down(self, destination: str, kind: str, words: str) -> None:
        self.told.append(("down", kind))

    def link_up(self, destination: str) -> None:
        self.told.append(("up",))

    def link_paused(self, destination: str, reason: str) -> None:
        self.told.append(("paused", reason))

    def link_resumed(self, destination: str) -> None:
        self.told.append(("resumed",))

    # -- life ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.box.run())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def mark(self, mark: Mark) -> None:
        if isinstance(mark, DeliveryMark):
            self.marks.append(mark)
        elif isinstance(mark, LinkMark):
            self.links.append(mark)
        else:
            self.pauses.append(mark)
        self.pending.append(mark)
        if self.commits:
            asyncio.get_running_loop().call_soon(self.commit_marks)

    def commit_marks(self) -> None:
        marks, self.pending = self.pending, []
        for mark in marks:
            self.box.marked(mark)

    async def feed(self, *rows: DeliveryRow, at_hand: bool = True) -> None:
        """New deliveries: in the database first, then to the outbox, as the batch loop does it."""
        messages = {row.message for row in rows} - set(self.store.journal)
        await self.store.commit(
            Rows(
                journal=[journal(n, raw=adt(f"C{n}"), start=0, end=len(adt(f"C{n}"))) for n in messages], deliveries=list(rows)
            )
        )
        for row in rows:
            self.box.feed(row, row.body or self.store.journal[row.message].raw if at_hand else None)

    async def until(self, condition: Callable[[], object]) -> None:
        """Lets the loop turn until it holds."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():  # noqa: ASYNC110 - whatever it is that the test waits for
                await asyncio.sleep(0)  # a turn of the loop, no time

    async def quiet(self) -> None:
        """Lets the loop turn until nothing more happens by itself."""
        seen = -1
        while seen != (seen := len(self.marks) + sum(len(peer.received) for peer in self.peers) + len(self.told)):
            for _ in range(20):
                await asyncio.sleep(0)

    async def wait(self, seconds: float) -> None:
        """Time goes by: whatever is due wakes up."""
        self.clock.moment += seconds
        self.box._wake.set()
        await self.quiet()


def row(number: int, message: int = 1, **changed: Any) -> DeliveryRow:  # noqa: ANN401 - any field
    return delivery(number, message, **changed)
