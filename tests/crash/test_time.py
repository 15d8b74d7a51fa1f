"""Time: a wall clock that is set by hours under load, and kills amid the removal of what is old."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from tests.crash.campaign import Campaign
from tests.crash.doomed import IN_RETENTION

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


async def test_a_wall_clock_that_is_set_by_hours_loses_nothing_and_stops_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=6, nuisance=0.1)
    await campaign.begin()
    for _ in range(2):
        broker = await campaign.broker()
        try:
            await broker.ready()
            async with asyncio.TaskGroup() as group:
                campaign.load.start(broker.addresses, group)
                for _ in range(6):
                    await asyncio.wait_for(campaign.load.more(25), 60)
                    broker.process.send_signal(signal.SIGUSR1)
                await asyncio.wait_for(campaign.load.more(25), 60)
                await broker.kill()
            assert broker.output.count("doomed: the clock is") == 6
        finally:
            if broker.running:
                await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
    assert found.repeated > 0


async def test_kills_amid_the_removal_of_what_is_old_lose_nothing_of_what_stays(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=6, answers=(5, 30), AUDIT_RETENTION="90d")
    await campaign.begin()
    await campaign.round("at random", (150, 150))
    await campaign.grown_old()
    for step in IN_RETENTION:
        await campaign.round(step)
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
    assert found.removed > 0
    assert set(IN_RETENTION) <= set(campaign.tally.kills)
