"""What goes on beside the messages: a person's acts, retention, the fold of the log, readers that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from ophl7.broker import Broker
from ophl7.engine.chain_walk import verify_chain
from ophl7.engine.dispatching import LinkAct, LinkVerb
from ophl7.engine.retention import Ages, retire_all
from ophl7.errors import StoreAway
from ophl7.selftest.findings import rows
from ophl7.store.care import DirectChain, looking
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from ophl7.wal import WalWatch

LOG_BYTES = 100_000


class Chores:
    """One person at the link to the EMR. may_be: what it may be on disk; more than one while there was no answer."""

    def __init__(self) -> None:
        self.may_be: set[LinkVerb] = {"resume"}
        self.done = 0

    @asynccontextmanager
    async def beside(self, broker: Broker) -> AsyncIterator[None]:
        """All of it, over and over, until the block ends; what has begun then is waited for, so that nothing stays open."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_on(broker, over))
            try:
                yield
            finally:
                over.set()

    async def switch(self, broker: Broker, verb: LinkVerb) -> None:
        """Raises StoreAway: it may have been done."""
        self.may_be.add(verb)
        act = LinkAct(verb, "emr", "somebody", "to see what a power cut leaves")
        await broker.engine.perform(partial(broker._dispatch.switch, act=act))
        self.may_be = {verb}
        self.done += 1

    async def _keep_on(self, broker: Broker, over: asyncio.Event) -> None:
        store = broker.store
        assert isinstance(store, SqliteStore)
        while not over.is_set():
            reader = SqliteReader(store.path)  # a connection that is opened under load
            watch = WalWatch(store.path, store, broker.engine, reader.quiet, broker.alarms, most=LOG_BYTES)
            try:
                await self.switch(broker, "pause")
                await watch.look()
                await self.switch(broker, "resume")
                await reader.read("SELECT count(*) FROM journal", ())
                now = broker.clock.now().timestamp()
                await retire_all(store, Ages(0, 0, now, now), broker.engine.tidy, asyncio.sleep)
            except StoreAway:
                await asyncio.sleep(0.005)  # a person's pause
            finally:
                with suppress(StoreAway):
                    await reader.close()

    async def missing(self, database: Path) -> list[str]:
        """What of it is not on the disk as it was told, or not whole."""
        paused = rows(database, "SELECT 1 FROM meta WHERE name = 'pause emr' AND value <> ''")
        verb: LinkVerb = "pause" if paused else "resume"
        found = [] if verb in self.may_be else [f"the link is as after {verb}, and {self.may_be} was told"]
        with looking(database) as connection:
            fault = (await verify_chain(DirectChain(connection))).fault
        return found + ([f"the audit: {fault}"] if fault is not None else [])
