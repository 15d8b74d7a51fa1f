"""A database of an earlier version: brought up to date whole or not at all, whatever happens; a newer one is left alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import OSCAR, adt, control_id_of, relayed
from tests.acceptance.practice import PM_OWNS, Ledger, environment, until
from tests.acceptance.process import run, served
from tests.acceptance.replies import read_reply
from tests.crash.model import unsound_file
from tests.crash.old_versions import HELD, LEVELS, WAITING, level_of, made_by

FULL = os.environ.get("CRASH_LENGTH") == "full"
SOME = LEVELS if FULL else [LEVELS[0], LEVELS[len(LEVELS) // 2], LEVELS[-2]]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600 if FULL else 120)]


@pytest.mark.parametrize("level", SOME)
async def test_what_an_earlier_version_left_goes_on_where_it_was(tmp_path: Path, level: int) -> None:
    database = tmp_path / "ophl7.db"
    made_by(level, database)
    async with ScriptedPeer() as pm, ScriptedPeer() as emr, served(database, PM_OWNS, pm.url, emr.url) as broker:
        (waited,) = await emr.received(1, 60)
        assert waited == relayed(WAITING, "OLD1")
        async with Client(*broker.addresses["pm"]) as line:
            assert read_reply(await line.send(adt("R2", "A28", OSCAR), 60)).code == "AA"
        (charge,) = await pm.received(1, 60)
        assert charge == relayed(HELD, control_id_of(charge))
        await until(lambda: not Ledger(database).rows("SELECT 1 FROM delivery WHERE state <> 'accepted'"), 60)
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    assert level_of(database) == LEVELS[-1]
    assert unsound_file(database) == []


AMID = [("amid a migration", passage) for passage in ((1, 9, 17, 25, 33, 41) if FULL else (17,))]


@pytest.mark.parametrize(("step", "passage"), [*AMID, ("before a migration's COMMIT", 1), ("after a migration's COMMIT", 1)])
async def test_a_kill_at_any_step_of_an_upgrade_leaves_all_of_it_or_nothing_and_the_next_start_goes_on(
    tmp_path: Path, step: str, passage: int
) -> None:
    database = tmp_path / "ophl7.db"
    made_by(LEVELS[0], database)
    command = (sys.executable, "-m", "tests.crash.doomed", step, str(passage))
    killed = await run(database, environment(database, PM_OWNS, "", ""), command)
    assert await killed.stopped() == -signal.SIGKILL
    assert f"doomed: {step}" in killed.output
    # Before its end, the version before could go on with it.
    assert level_of(database) == (LEVELS[-1] if step.startswith("after") else LEVELS[0])
    async with ScriptedPeer() as emr, served(database, PM_OWNS, "", emr.url):
        await emr.received(1, 60)
    assert level_of(database) == LEVELS[-1]
    assert Ledger(database).holds() == ["patient:PM:7051"]
    assert unsound_file(database) == []


async def test_a_newer_database_stops_the_start_with_2_and_stays_as_it_is_to_the_byte(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    made_by(LEVELS[-1], database)
    # As a killed process leaves it: the newest rows in the log beside the file.
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("INSERT INTO schema_version (number, name, digest) VALUES (9001, '9001_later.sql', 'x')")
        names = ("ophl7.db", "ophl7.db-wal")
        left = {name: (tmp_path / name).read_bytes() for name in names}
    for name, data in left.items():
        (tmp_path / name).write_bytes(data)
    broker = await run(database, environment(database, PM_OWNS, "", ""))
    assert await broker.stopped() == 2
    assert "made by a newer ophl7 (schema step 9001" in broker.output
    assert "Traceback" not in broker.output
    assert {name: (tmp_path / name).read_bytes() for name in names} == left


async def test_the_database_of_another_program_stops_the_start_with_2_and_is_not_touched(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = database.read_bytes()
    broker = await run(database, environment(database, PM_OWNS, "", ""))
    assert await broker.stopped() == 2
    assert "another program" in broker.output
    assert database.read_bytes() == before
