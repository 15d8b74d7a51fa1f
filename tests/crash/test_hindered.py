"""Not killed but hindered: a process that stands still while its peers give up."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.crash.campaign import Campaign

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]


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
