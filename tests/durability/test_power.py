"""The power goes: what was acknowledged is on the disk, with all that follows from it, whatever the cache made of the rest."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from ophl7.errors import Ophl7Error
from ophl7.selftest.findings import examine, rows
from ophl7.store import sqlite as sqlite_store
from tests.durability.bench import Bench, bench, running
from tests.durability.disk import Disk, Kind, Trouble
from tests.durability.vfs import mounted

FULL = os.environ.get("CRASH_LENGTH") == "full"
CHAINS = 15 if FULL else 1
ROUNDS = 10  # cuts of one chain: each starts on what the one before has left
FIRST_STEPS = range(1, 330, 1 if FULL else 31)
MOST_OPERATIONS = 2500 if FULL else 700

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200 if FULL else 600)]


@pytest.fixture
def chance() -> random.Random:
    """Each run has its own; the seed is printed when a test fails."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


async def until_the_power_goes(desks: Bench, disk: Disk, trouble: Trouble) -> None:
    """A broker on this disk under load until `trouble`, which switches the power off; it may come while it starts."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        loop.call_soon_threadsafe(over.set)

    disk.on_cut = tell
    with mounted(disk):
        disk.expect(trouble)
        try:
            async with running(disk.folder / "ophl7.db", desks.pm, desks.emr) as (_, listening):
                try:
                    await desks.register(listening)
                except (EOFError, OSError):
                    assert not disk.on
                else:
                    await desks.load(listening, 5000, over)
        except Ophl7Error:
            assert not disk.on
    disk.cut()


async def check(desks: Bench, database: Path) -> int:
    """A broker starts on what is left, everybody goes on, and the books are right. How many were acknowledged."""
    async with running(database, desks.pm, desks.emr) as (_, listening):
        await desks.register(listening)
        found = await desks.finish(database, listening)
    assert found.broken == []
    assert desks.refused == []
    return found.acknowledged


@pytest.mark.parametrize("checkpoint", [1000, 40], ids=["", "with frequent checkpoints"])
async def test_power_cuts_under_load_lose_nothing_that_was_acknowledged(
    tmp_path: Path, chance: random.Random, checkpoint: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = (*sqlite_store._SETTINGS, f"PRAGMA wal_autocheckpoint = {checkpoint}")
    monkeypatch.setattr(sqlite_store, "_SETTINGS", settings)
    acknowledged = 0
    for chain in range(CHAINS):
        (tmp_path / str(chain)).mkdir()
        acknowledged += await chain_of_cuts(tmp_path / str(chain), chance)
    with capsys.disabled():
        print(f"\npower: {CHAINS * ROUNDS} cuts, {acknowledged} messages acknowledged, nothing lost, doubled or out of order")
    assert acknowledged > CHAINS * ROUNDS


async def chain_of_cuts(home: Path, chance: random.Random) -> int:
    """ROUNDS cuts, from an empty folder on; how many were acknowledged."""
    kinds: list[tuple[Kind, ...]] = [("write",), ("sync",), ("write", "sync", "truncate", "delete", "open")]
    folder = home / "0"
    folder.mkdir()
    async with bench() as desks:
        for number in range(1, ROUNDS + 1):
            disk = Disk(folder, chance)
            which = chance.choice(kinds)
            most = MOST_OPERATIONS // 12 if which == ("sync",) else MOST_OPERATIONS
            await until_the_power_goes(desks, disk, Trouble("off", chance.randint(1, most), kinds=which))
            folder = home / str(number)
            disk.survive(folder)
            if desks.acknowledged:  # before anybody goes on: it is all there already
                assert examine_at_rest(desks, folder / "ophl7.db") == []
        return await check(desks, folder / "ophl7.db")


def examine_at_rest(desks: Bench, database: Path) -> list[str]:
    """What is missing now, while copies may still wait: the journal, the effects, and the copies themselves."""
    found = examine(database, desks.workers, desks.received)
    under_way = ("was delivered under 0", "is queued", "is sending", "no acknowledged message", "the effect of")
    missing = [line for line in found.broken if not any(words in line for words in under_way)]
    stored = {
        row["control_id"] for row in rows(database, "SELECT j.control_id FROM delivery d JOIN journal j ON j.id = d.message")
    }
    for worker in desks.workers:
        missing += [f"no copy of {one.control_id}" for one in worker.acknowledged if one.control_id not in stored]
    return missing


@pytest.mark.parametrize("part", range(3))
async def test_a_power_cut_at_any_step_of_the_first_start_leaves_a_database_that_starts(
    tmp_path: Path, chance: random.Random, part: int
) -> None:
    for step in list(FIRST_STEPS)[part::3]:
        before = tmp_path / f"before-{step}"
        before.mkdir()
        disk = Disk(before, chance)
        async with bench() as desks:
            await until_the_power_goes(desks, disk, Trouble("off", step))
            disk.survive(tmp_path / f"after-{step}")
            await check(desks, tmp_path / f"after-{step}" / "ophl7.db")


async def test_on_a_disk_that_lies_about_syncs_the_same_power_cut_loses_what_was_acknowledged(
    tmp_path: Path, chance: random.Random
) -> None:
    losses = 0
    for number in range(4):
        before = tmp_path / f"before-{number}"
        before.mkdir()
        disk = Disk(before, chance, lies=True)
        async with bench() as desks:
            await until_the_power_goes(desks, disk, Trouble("off", 700, kinds=("write",)))
            assert desks.acknowledged > 0
            disk.survive(tmp_path / f"after-{number}")
            losses += bool(examine_at_rest_or_broken(desks, tmp_path / f"after-{number}" / "ophl7.db"))
    assert losses > 0  # or the tests above could not fail


def examine_at_rest_or_broken(desks: Bench, database: Path) -> list[str]:
    found = examine(database, desks.workers, desks.received)
    return found.damaged or examine_at_rest(desks, database)


async def test_a_disk_that_is_gone_is_not_taken_for_a_lock_that_somebody_will_give_back(
    tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCK_SECONDS", 3600.0)
    disk = Disk(tmp_path, chance)
    async with bench() as desks:
        # It says that the database is away, and can be stopped: no thread waits for an hour.
        await until_the_power_goes(desks, disk, Trouble("off", 500, kinds=("write",)))
    assert desks.acknowledged > 0
