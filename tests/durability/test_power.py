"""The power goes: what was acknowledged is on the disk, with all that follows from it, whatever the disk's cache made of the rest."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path

import pytest

from ophl7.selftest.findings import Findings
from ophl7.errors import Ophl7Error
from tests.durability.bench import Bench, bench, running
from tests.durability.disk import Disk, Trouble
from tests.durability.vfs import mounted

FULL = os.environ.get("CRASH_LENGTH") == "full"
ROUNDS = 300 if FULL else 8

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600 if FULL else 60)]


async def one_cut(folder: Path, chance: random.Random, trouble: Trouble, *, lies: bool = False) -> tuple[Findings, Bench, Disk]:
    """A broker from its first start on; the power goes; it starts again on what the disk holds, and everybody goes on."""
    before = folder / "before"
    before.mkdir(parents=True)
    disk = Disk(before, chance, lies=lies)
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    disk.on_cut = lambda: loop.call_soon_threadsafe(over.set) and None
    async with bench() as desks:
        with mounted(disk):
            disk.expect(trouble)
            try:
                async with running(before / "ophl7.db", desks.pm, desks.emr) as (_, listening):
                    try:
                        await desks.register(listening)
                    except (EOFError, OSError):
                        assert not disk.on
                    else:
                        await desks.load(listening, 5000, over)
            except Ophl7Error:
                assert not disk.on  # the cut came while it started
            disk.cut()
            disk.survive(folder / "after")
        async with running(folder / "after" / "ophl7.db", desks.pm, desks.emr) as (_, listening):
            if not desks.acknowledged:
                await desks.register(listening)
            found = await desks.finish(folder / "after" / "ophl7.db", listening)
        assert desks.refused == []
        return found, desks, disk


async def test_x(tmp_path):
    chance = random.Random(5)
    for round in range(ROUNDS):
        found, desks, disk = await one_cut(tmp_path / str(round), chance, Trouble("off", chance.randint(1, 2000)))
        print(found.acknowledged, found.broken[:3], disk.operations, sum(w.resent for w in desks.workers))
