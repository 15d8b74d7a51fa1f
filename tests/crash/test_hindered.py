"""Not killed but hindered: a process that stands still while its peers give up, and a disk that takes no more."""

from __future__ import annotations

import asyncio
import random
import resource
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.practice import until
from tests.acceptance.process import Served
from tests.crash.campaign import Campaign

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]


def told(broker: Served, event: str, times: int) -> bool:
    """Whether it has said so often what there is to say of its database."""
    lines = [line for line in broker.output.splitlines() if f'"event":"{event}"' in line and '"alarm":"store"' in line]
    return len(lines) >= times


async def given_up(tasks: list[asyncio.Task[None]]) -> None:
    """The senders close their connections, whatever they still wait for."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_process_that_stands_still_until_its_peers_give_up_answers_what_comes_again_once(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=6)
    await campaign.begin()
    broker = await campaign.broker()
    try:
        await broker.ready()
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                tasks = campaign.load.start(broker.addresses, group)
                await campaign.load.more(40)
                broker.process.send_signal(signal.SIGSTOP)
                await given_up(tasks)
                broker.process.send_signal(signal.SIGCONT)
    finally:
        await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
    assert campaign.load.resent > 0


async def test_a_disk_that_takes_no_more_answers_nothing_and_loses_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=6)
    await campaign.begin()
    broker = await campaign.broker()
    log = campaign.database.with_name("ophl7.db-wal")
    try:
        await broker.ready()
        pid, (_, most) = broker.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
        async with asyncio.TaskGroup() as group:
            for turn in range(3):
                tasks = campaign.load.start(broker.addresses, group)
                await campaign.load.more(40)
                # No file of this process may grow past the log as it is: to SQLite that is a write that fails.
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size + 30_000, most))
                await until(partial(told, broker, "alarm", turn + 1), 60)
                await asyncio.wait(tasks)  # every connection was closed without an answer
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
                await until(partial(told, broker, "alarm_cleared", turn + 1), 60)
    finally:
        await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
