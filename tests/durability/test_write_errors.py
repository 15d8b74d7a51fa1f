"""The disk fails beneath SQLite: nobody is told that it worked, the broker says so, and goes on when the disk is well."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from ophl7.domain.alarm_kinds import KINDS
from ophl7.errors import Ophl7Error
from ophl7.mllp.framing import frame
from ophl7.selftest.findings import rows, unsettled
from ophl7.store import sqlite as sqlite_store
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from ophl7.testing.peers import Client
from ophl7.wal import WalWatch
from tests.acceptance.messages import adt
from tests.acceptance.practice import until
from tests.acceptance.replies import read_reply
from tests.durability.bench import bench, running
from tests.durability.disk import Disk, Kind, Outcome, Trouble
from tests.durability.vfs import mounted

FULL = os.environ.get("CRASH_LENGTH") == "full"
STORMS = 40 if FULL else 6

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200 if FULL else 600)]

ERRORS: list[tuple[Outcome, Kind]] = [
    ("eio", "write"),
    ("full", "write"),
    ("short", "write"),
    ("late", "write"),
    ("eio", "sync"),
    ("late", "sync"),
]  # what a load does all the time; the rest comes in the tests of a start and of the end


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
                assert disk.hits
                disk.cut()
        disk.survive(tmp_path / "after")
        async with running(tmp_path / "after" / "ophl7.db", desks.pm, desks.emr) as (_, listening):
            found = await desks.finish(tmp_path / "after" / "ophl7.db", listening)
    assert found.broken == []
    assert desks.refused == []


@pytest.mark.parametrize(("outcome", "kind"), ERRORS, ids=[f"{outcome} at a {kind}" for outcome, kind in ERRORS])
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


@pytest.mark.parametrize("kind", ["write", "sync", "delete"])
async def test_an_error_at_the_end_when_the_log_is_moved_and_deleted_loses_nothing(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*sqlite_store._SETTINGS, "PRAGMA wal_autocheckpoint = 0")  # all of the log is left to the end
    monkeypatch.setattr(sqlite_store, "_SETTINGS", settings)
    disk = Disk(tmp_path, random.Random(1))
    async with bench() as desks:
        with mounted(disk):
            async with running(tmp_path / "ophl7.db", desks.pm, desks.emr) as (_, listening):
                await desks.register(listening)
                await desks.load(listening, 40, asyncio.Event())
                await until(lambda: unsettled(tmp_path / "ophl7.db") == 0)
                disk.expect(Trouble("eio", times=10**9, kinds=(kind,)))
            assert disk.hits
            disk.expect(None)
            async with running(tmp_path / "ophl7.db", desks.pm, desks.emr) as (_, listening):
                found = await desks.finish(tmp_path / "ophl7.db", listening)
    assert found.broken == []


async def test_a_log_that_cannot_be_moved_into_the_database_rings_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophl7.observe.alarms.KINDS", dict(KINDS, log_grows=KINDS["log_grows"]._replace(settle=0.0)))
    database, after = tmp_path / "before" / "ophl7.db", tmp_path / "after"
    database.parent.mkdir()
    disk = Disk(database.parent, random.Random(1))
    async with bench() as desks:
        with mounted(disk):
            async with running(database, desks.pm, desks.emr) as (broker, listening):
                assert isinstance(broker.store, SqliteStore)
                reader = SqliteReader(database)
                watch = WalWatch(database, broker.store, broker.engine, reader.quiet, broker.alarms, most=200_000)
                await desks.register(listening)
                disk.expect(Trouble("eio", times=10**9, kinds=("write",), only=".db"))  # its log can be written
                while watch.size <= 200_000:
                    assert "log_grows" not in broker.alarms.ringing()
                    await desks.load(listening, 20, asyncio.Event())  # accepted: what is in the log is safe
                assert not await watch.look()
                assert "log_grows" in broker.alarms.ringing()
                assert broker.health.readiness().ready
                disk.expect(None)
                assert await watch.look()
                assert "log_grows" not in broker.alarms.ringing()
                disk.expect(Trouble("eio", times=10**9, kinds=("write",), only=".db"))
                await desks.load(listening, 40, asyncio.Event())
                disk.cut()
        disk.survive(after)
        async with running(after / "ophl7.db", desks.pm, desks.emr) as (_, listening):
            found = await desks.finish(after / "ophl7.db", listening)
    assert found.broken == []
