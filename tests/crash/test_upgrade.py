"""A database of an earlier version: brought up to date whole or not at all, whatever happens; a newer one is left alone."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.store.migrations import migrate, shipped
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import OSCAR, RUTH, adt, control_id_of, dft, relayed
from tests.acceptance.practice import PM_OWNS, Ledger, environment, until
from tests.acceptance.process import run, served
from tests.acceptance.replies import read_reply
from tests.crash.model import unsound

STEPS = shipped("sqlite")
LEVELS = [step.number for step in STEPS if step.number > 0]
FULL = os.environ.get("CRASH_LENGTH") == "full"
SOME = LEVELS if FULL else [LEVELS[0], LEVELS[len(LEVELS) // 2], LEVELS[-2]]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600 if FULL else 120)]

WAITING = adt("R1", "A08", RUTH)  # for the EMR
HELD = dft("C1", who=OSCAR)  # until the PM registers him


def made_by(level: int, database: Path) -> None:
    """What a version of that schema has left: a patient, a copy that waits for the EMR, a charge of somebody unknown."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, [step for step in STEPS if step.number <= level])
        connection.execute("BEGIN")
        journal = (
            "INSERT INTO journal (id, peer, connection, received_at, event, control_id, digest, state, ack_code, answer,"
            ' decision_row, reason, subject, raw, start, "end", detail) VALUES (?,?,1,1700000000.0,?,?,?,?,?,?,?,?,?,?,0,?,?)'
        )
        for row in (
            (1, "pm", "ADT^A08", "R1", b"1", "accepted", "AA", b"ACK", "#4", "", 1, WAITING, len(WAITING), "{}"),
            (2, "emr", "DFT^P03", "C1", b"2", "held", "AA", b"ACK", "#43", "unknown", None, HELD, len(HELD), "{}"),
        ):
            connection.execute(journal, row)
        connection.execute(
            "INSERT INTO patient (id, subject, lane, identifiers, fields, created_at, message, provisional)"
            " VALUES (1, 1, 1, ?, ?, 1700000000.0, 1, 0)",
            ('[["7050","PM","MR"]]', "{}"),
        )
        connection.execute("INSERT INTO alias (value, authority, type, patient) VALUES ('7050', 'PM', 'MR', 1)")
        connection.execute(
            "INSERT INTO delivery (id, destination, lane, stream, message, control_id, state, created_at)"
            " VALUES (1, 'emr', 1, 'record', 1, 'OLD1', 'queued', 1700000000.0)"
        )
        connection.execute(
            "INSERT INTO hold (id, message, key, blocks, reason, since, peer)"
            " VALUES (1, 2, 'patient:PM:7051', '', 'the patient is not known yet', 1700000000.0, 'emr')"
        )
        connection.execute("COMMIT")


def level_of(database: Path) -> int:
    (row,) = Ledger(database).rows("SELECT max(number) AS level FROM schema_version")
    return int(row["level"])


def sound(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        assert list(unsound(connection)) == []


@pytest.mark.parametrize("level", SOME)
async def test_what_an_earlier_version_left_goes_on_where_it_was(tmp_path: Path, level: int) -> None:
    database = tmp_path / "ophl7.db"
    made_by(level, database)
    async with ScriptedPeer() as pm, ScriptedPeer() as emr, served(database, PM_OWNS, pm.url, emr.url) as broker:
        (waited,) = await emr.received(1, 20)
        assert waited == relayed(WAITING, "OLD1")
        async with Client(*broker.addresses["pm"]) as line:
            assert read_reply(await line.send(adt("R2", "A28", OSCAR), 20)).code == "AA"
        (charge,) = await pm.received(1, 20)
        assert charge == relayed(HELD, control_id_of(charge))
        await until(lambda: not Ledger(database).rows("SELECT 1 FROM delivery WHERE state <> 'accepted'"), 20)
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    assert level_of(database) == LEVELS[-1]
    sound(database)


@pytest.mark.parametrize("passage", (1, 9, 17, 25, 33, 41) if FULL else (1, 17))
async def test_a_kill_amid_the_steps_leaves_what_the_earlier_version_made_and_the_next_start_makes_them(
    tmp_path: Path, passage: int
) -> None:
    database = tmp_path / "ophl7.db"
    made_by(LEVELS[0], database)
    command = (sys.executable, "-m", "tests.crash.doomed", "amid a migration", str(passage))
    killed = await run(database, environment(database, PM_OWNS, "", ""), command)
    assert await killed.stopped() == -signal.SIGKILL
    assert "doomed: amid a migration" in killed.output
    assert level_of(database) == LEVELS[0]  # the version before could go on with it
    async with ScriptedPeer() as emr, served(database, PM_OWNS, "", emr.url):
        await emr.received(1, 20)
    assert level_of(database) == LEVELS[-1]
    assert Ledger(database).holds() == ["patient:PM:7051"]
    sound(database)


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


async def test_sigterm_while_it_starts_ends_it_and_the_next_start_works(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    made_by(LEVELS[0], database)
    broker = await run(database, environment(database, PM_OWNS, "", ""))
    broker.tell_to_stop()
    assert await broker.stopped() in (0, -signal.SIGTERM)
    async with served(database, PM_OWNS, "", "") as again, Client(*again.addresses["pm"]) as line:
        await line.send_raw(frame(adt("R2", "A28", OSCAR)))
        assert read_reply(await line.read_answer(20)).code == "AA"
