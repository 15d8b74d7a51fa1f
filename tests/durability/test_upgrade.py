"""The power goes while a database of an earlier version is brought up to date: it is wholly old or wholly new, and starts."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ophl7.errors import Ophl7Error
from ophl7.store.sqlite import SqliteStore
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import OSCAR, adt, relayed
from tests.acceptance.replies import read_reply
from tests.crash.model import unsound_file
from tests.crash.old_versions import HELD, LEVELS, WAITING, level_of, made_by
from tests.durability.bench import running
from tests.durability.disk import Disk, Kind, Trouble
from tests.durability.vfs import mounted

FULL = os.environ.get("CRASH_LENGTH") == "full"
KINDS: tuple[Kind, ...] = ("write", "sync", "truncate", "delete", "open")
SOME = [LEVELS[0], LEVELS[len(LEVELS) // 2], LEVELS[-2]] if FULL else [LEVELS[0]]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200 if FULL else 600)]

# What an upgrade writes with the time or by chance: the steps' times, the prefix of control ids, the beginning of the audit.
_BY_CHANCE = tuple(f'INSERT INTO "{table}"' for table in ("schema_version", "meta", "audit"))


def told(database: Path) -> list[str]:
    """Tables and rows, without what is made by chance."""
    with closing(sqlite3.connect(database)) as connection:
        return [line for line in connection.iterdump() if not line.startswith(_BY_CHANCE)]


async def upgrade(database: Path) -> None:
    store = SqliteStore(database)
    try:
        await store.open()
    finally:
        await store.close()


@pytest.mark.parametrize("level", SOME)
async def test_a_power_cut_at_any_step_of_an_upgrade_leaves_the_old_database_or_the_new_one(tmp_path: Path, level: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    made_by(level, old / "ophl7.db")
    shutil.copytree(old, new)
    whole = Disk(new, chance)
    with mounted(whole):
        await upgrade(new / "ophl7.db")
    steps = sum(whole.operations[kind] for kind in KINDS)
    before, after = told(old / "ophl7.db"), told(new / "ophl7.db")
    assert before != after
    found = set()
    # Each step at full length; else a few amid it, and the last ones, where it is decided.
    for step in range(1, steps + 1) if FULL else {*range(1, steps, max(1, steps // 10)), *range(max(1, steps - 12), steps + 1)}:
        cut, left = tmp_path / f"cut-{step}", tmp_path / f"left-{step}"
        shutil.copytree(old, cut)
        disk = Disk(cut, chance)
        with mounted(disk):
            disk.expect(Trouble("off", step, kinds=KINDS))
            with suppress(Ophl7Error):
                await upgrade(cut / "ophl7.db")
        disk.cut()
        disk.survive(left)
        version = level_of(left / "ophl7.db")
        found.add(version)
        assert version in {level, LEVELS[-1]}
        assert told(left / "ophl7.db") == (before if version == level else after)
        await upgrade(left / "ophl7.db")
        assert told(left / "ophl7.db") == after
        assert unsound_file(left / "ophl7.db") == []
    assert found == {level, LEVELS[-1]}
    await goes_on(tmp_path / f"left-{steps}" / "ophl7.db")


async def goes_on(database: Path) -> None:
    """What the version before has left is done: the copy leaves, and the charge when its patient is known."""
    async with ScriptedPeer() as pm, ScriptedPeer() as emr, running(database, pm, emr) as (_, listening):
        assert await emr.received(1, 20) == [relayed(WAITING, "OLD1")]
        async with Client(*listening.pm) as line:
            assert read_reply(await line.send(adt("R2", "A28", OSCAR), 20)).code == "AA"
        (charge,) = await pm.received(1, 20)
        assert charge.partition(b"\r")[2] == HELD.partition(b"\r")[2]
