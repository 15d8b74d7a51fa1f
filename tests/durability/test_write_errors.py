"""The disk fails beneath SQLite: nobody is told that it worked, the broker says so, and goes on when the disk is well."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from ophl7.errors import Ophl7Error
from ophl7.mllp.framing import frame
from ophl7.selftest.findings import rows
from ophl7.store import sqlite as sqlite_store
from ophl7.testing.peers import Client
from tests.acceptance.messages import adt
from tests.acceptance.practice import until
from tests.acceptance.replies import read_reply
from tests.durability.bench import bench, running
from tests.durability.disk import Disk, Kind, Outcome, Trouble
from tests.durability.vfs import mounted

FULL = os.environ.get("CRASH_LENGTH") == "full"
STORMS = 40 if FULL else 6

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600 if FULL else 180)]

ERRORS: list[tuple[Outcome, Kind]] = [
    ("eio", "write"),
    ("full", "write"),
    ("short", "write"),
    ("late", "write"),
    ("eio", "sync"),
    ("late", "sync"),
    ("eio", "truncate"),
    ("eio", "read"),
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker looks quickly whether the disk is well, and moves the log into the database often."""
    monkeypatch.setattr("ophl7.engine.intake._PROBE_SECONDS", 0.01)
    settings = (*sqlite_store._SETTINGS, "PRAGMA wal_autocheckpoint = 30", "PRAGMA cache_size = 20")
    monkeypatch.setattr(sqlite_store, "_SETTINGS", settings)


@pytest.mark.parametrize(("outcome", "kind"), ERRORS, ids=[f"{outcome} at a {kind}" for outcome, kind in ERRORS])
async def test_errors_under_load_lose_and_double_nothing_not_even_when_the_power_goes_then(
    tmp_path: Path, outcome: Outcome, kind: Kind
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    before = tmp_path / "before"
    before.mkdir()
    disk = Disk(before, chance)
    async with bench() as desks:
        with mounted(disk):
            async with running(before / "ophl7.db", desks.pm, desks.emr) as (broker, listening):
                await desks.register(listening)
                for _ in range(STORMS):
                    first = chance.randint(1, {"write": 150, "sync": 15}.get(kind, 4))
                    disk.expect(Trouble(outcome, first, chance.choice((1, 1, 4)), (kind,)))
                    await desks.load(listening, 60, asyncio.Event())
                disk.expect(None)
                await until(lambda: broker.health.readiness().ready)
                await desks.load(listening, 10, asyncio.Event())
                assert disk.hits or kind in {"truncate", "read"}  # SQLite may need neither
                disk.cut()
        disk.survive(tmp_path / "after")
        async with running(tmp_path / "after" / "ophl7.db", desks.pm, desks.emr) as (_, listening):
            found = await desks.finish(tmp_path / "after" / "ophl7.db", listening)
    assert found.broken == []
    assert desks.refused == []


@pytest.mark.parametrize(("outcome", "kind"), ERRORS[:6], ids=[f"{outcome} at a {kind}" for outcome, kind in ERRORS[:6]])
async def test_94_while_every_commit_fails_nobody_is_answered_it_is_told_and_it_ends_by_itself(
    tmp_path: Path, outcome: Outcome, kind: Kind
) -> None:
    disk = Disk(tmp_path, random.Random(1))
    async with bench() as desks:
        with mounted(disk):
            async with running(tmp_path / "ophl7.db", desks.pm, desks.emr) as (broker, listening):
                disk.expect(Trouble(outcome, times=10**9, kinds=(kind,)))
                async with Client(*listening.emr) as neighbour:
                    for _ in range(3):
                        async with Client(*listening.pm) as line:
                            await line.send_raw(frame(adt("R1", "A28")))
                            await line.closed()
                    await neighbour.closed()
                reasons = broker.health.readiness().reasons
                assert [name for name, reason in reasons.items() if reason is not None] == ["store"]
                assert "store" in broker.alarms.ringing()
                disk.expect(None)
                await until(lambda: broker.health.readiness().ready)
                async with Client(*listening.pm) as line:
                    assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
                await desks.emr.received(1)
                await until(lambda: rows(tmp_path / "ophl7.db", "SELECT state FROM delivery") == [{"state": "accepted"}])
                taken = rows(tmp_path / "ophl7.db", "SELECT state FROM journal WHERE control_id = 'R1'")
                assert [row["state"] for row in taken if row["state"] != "duplicate"] == ["accepted"]
                assert len(desks.emr.payloads) == 1


@pytest.mark.parametrize("part", range(3))
async def test_an_error_at_any_step_of_a_start_is_told_in_our_words_and_the_next_start_works(tmp_path: Path, part: int) -> None:
    for step in list(range(1, 330, 1 if FULL else 23))[part::3]:
        folder = tmp_path / str(step)
        folder.mkdir()
        disk = Disk(folder, random.Random(step))
        async with bench() as desks:
            with mounted(disk):
                disk.expect(Trouble("eio", step))
                said = "disk I/O error"  # where the step was one that SQLite can do without, the start works
                try:
                    async with running(folder / "ophl7.db", desks.pm, desks.emr):
                        pass
                except Ophl7Error as error:
                    said = str(error)
                assert "disk I/O error" in said or "unable to open" in said
                disk.expect(None)
                async with running(folder / "ophl7.db", desks.pm, desks.emr) as (_, listening):
                    await desks.register(listening)
                    assert rows(folder / "ophl7.db", "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
