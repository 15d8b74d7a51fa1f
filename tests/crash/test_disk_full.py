"""A disk that takes no more: nobody is answered, nothing is lost, and it goes on by itself when there is room again."""

from __future__ import annotations

import asyncio
import os
import random
import re
import resource
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.acceptance.process import Served
from tests.crash.campaign import Campaign

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]

PATIENCE = 60.0
_PAGE = re.compile(r"Status page: (http://[^/\s]+)/")


async def readiness(broker: Served, status: int) -> None:
    """Returns when the broker says so of itself."""
    found = _PAGE.search(broker.output)
    assert found is not None, broker.output
    async with httpx.AsyncClient(base_url=found[1]) as client, asyncio.timeout(PATIENCE):
        while (await client.get("/readyz")).status_code != status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # it is another process's to say


async def test_a_disk_that_takes_no_more_answers_nothing_and_loses_nothing(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=random.randrange(2**32), families=6)
    await campaign.begin()
    broker = await campaign.broker()
    try:
        await broker.ready()
        limit = partial(resource.prlimit, broker.process.pid, resource.RLIMIT_FSIZE)
        _, most = limit()
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                tasks = campaign.load.start(broker.addresses, group)
                await campaign.load.more(40)
                # No file of this process may grow past this: to SQLite that is a write that fails, in the log and in the file.
                limit((16_384, most))
                await readiness(broker, 503)
                await asyncio.wait(tasks)  # every connection was closed without an answer
                limit((most, most))
                await readiness(broker, 200)
    finally:
        if broker.running:
            await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
    assert campaign.load.resent > 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory: a real one that gets full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system; the limit on the size of files above stands for it")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2500k", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("no file system may be mounted here; the limit on the size of files above stands for it")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)


def make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=256m", folder], check=True, capture_output=True)


async def test_a_file_system_that_is_full_answers_nothing_and_loses_nothing(small_disk: Path) -> None:
    campaign = Campaign(small_disk, seed=random.randrange(2**32), families=6, DISK_RESERVE="1B")
    await campaign.begin()
    broker = await campaign.broker()
    try:
        await broker.ready()
        async with asyncio.TaskGroup() as group:
            tasks = campaign.load.start(broker.addresses, group)
            await readiness(broker, 503)
            await asyncio.wait(tasks)
            make_room(small_disk)
            await readiness(broker, 200)
            campaign.load.start(broker.addresses, group)
            await campaign.load.more(40)
            await broker.kill()
    finally:
        if broker.running:
            await broker.kill()
    found = await campaign.end()
    assert found.clean, f"seed {campaign.seed}: {found.first()}"
    assert campaign.load.wrong == []
    assert campaign.load.resent > 0
