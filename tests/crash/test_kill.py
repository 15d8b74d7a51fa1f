"""`kill -9` under load, again and again: nothing acknowledged is lost, nothing has a second effect, nothing overtakes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import Side
from tests.acceptance.practice import PM_OWNS, Ledger, until
from tests.acceptance.process import Served, served
from tests.acceptance.replies import read_reply
from tests.crash.load import Sender, registrations, senders
from tests.crash.model import examine

FULL = os.environ.get("CRASH_LENGTH") == "full"
ROUNDS = 24 if FULL else 4
CONNECTIONS_EACH = 4
PATIENTS_EACH = 3
# A round ends after so many answers, drawn anew for each: soon after a start as well as in full run.
ANSWERS = (1, 400) if FULL else (1, 150)

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1200 if FULL else 60)]


async def round_of_load(broker: Served, workers: list[Sender], answers: int) -> None:
    """Everybody sends until `answers` more were given; then the broker is killed in the middle of it."""
    counted = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        for worker in workers:
            group.create_task(worker.work(broker.addresses[worker.side], counted))
        async with asyncio.timeout(30):
            for _ in range(answers):
                await counted.acquire()
        await broker.kill()


async def test_kill_9_under_load_loses_nothing_and_doubles_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    ledger, workers = Ledger(tmp_path / "ophl7.db"), senders(CONNECTIONS_EACH, PATIENTS_EACH)
    began = time.monotonic()
    async with ScriptedPeer() as pm, ScriptedPeer() as emr, AsyncExitStack() as stack:

        async def start() -> Served:
            return await stack.enter_async_context(
                served(ledger.database, PM_OWNS, pm.url, emr.url, PM_CONNECTIONS="2", EMR_CONNECTIONS="2")
            )

        broker = await start()
        async with Client(*broker.addresses["pm"]) as line:
            for payload in registrations(workers):
                assert read_reply(await line.send(payload)).code == "AA"
        for _ in range(ROUNDS):
            await round_of_load(broker, workers, chance.randint(*ANSWERS))
            assert broker.process.returncode == -signal.SIGKILL
            broker = await start()
        for worker in workers:
            await worker.finish(broker.addresses[worker.side])
        await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"), 60)
        broker.tell_to_stop()
        assert await broker.stopped() == 0
        received: dict[Side, list[bytes]] = {"pm": pm.payloads, "emr": emr.payloads}
    found = examine(ledger, workers, received)
    resent = sum(worker.resent for worker in workers)
    with capsys.disabled():
        print(
            f"\ncrash: {ROUNDS} rounds in {time.monotonic() - began:.1f} s, seed {seed}: {found.messages} messages "
            f"acknowledged ({resent} sent again), {found.deliveries} copies ({found.repeated} delivered again), "
            f"lost {len(found.lost)}, doubled {len(found.doubled)}, out of order {len(found.out_of_order)}, "
            f"altered {len(found.altered)}, invented {len(found.invented)}"
        )
    assert [control_id for worker in workers for control_id in worker.refused] == []
    assert found.clean, found.first()
    assert ledger.rows("PRAGMA integrity_check")[0]["integrity_check"] == "ok"
    assert found.messages > ROUNDS * CONNECTIONS_EACH
