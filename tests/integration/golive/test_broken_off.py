"""A load that is killed, stopped, or meets a row that the database refuses: it goes on where it was, with the same end."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7 import settings
from ophl7.cli.exits import Exit
from ophl7.engine.lists import ListProgress, ListRefusal
from ophl7.engine.storage import Rows
from ophl7.errors import ListUnusable, StoreAway, StoreRefused
from ophl7.golive import loading
from ophl7.golive.loading import Loaded, Order, load_lists
from ophl7.golive.source import Source
from ophl7.store.sqlite import SqliteStore
from tests.acceptance.messages import Person, dft, siu
from tests.acceptance.practice import PM_OWNS, Practice, environment
from tests.integration.golive.lists import Office, announcement, charts_table, database_rows, people, registry, table

LIMIT_SECONDS = 50.0


def wait_for(database: Path, run: int, more_than: int, process: subprocess.Popen[bytes]) -> None:
    """Returns when the run has committed more than so many records and is not at its end."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        with suppress(Exception):  # no database yet, no table yet
            found = database_rows(database, "SELECT place FROM patient_list WHERE id = ? AND finished_at IS NULL", run)
            if found and found[0][0] > more_than:
                return
    raise TimeoutError


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


async def something_waits(database: Path) -> None:
    """Messages that wait for patients of the list."""
    who = people([1500])[0]
    async with Practice(database, PM_OWNS) as practice:
        held = Person(who[0], who[1], who[2], "", who[4], who[5])
        await practice.accepted("emr", dft("D1", who=held), dft("D2", who=replace(held, ids="E-51^^^EMR^MR")))
        await practice.accepted("pm", siu("S1", "S12", who=held))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_kill_9_in_the_middle_and_again_ends_as_if_nothing_had_been(office: Office, tmp_path: Path) -> None:
    count = 3000
    rows = people(range(count))
    rows[5] = (*rows[5][:3], "13/13/2013", *rows[5][4:])
    pm, emr = table(office.folder / "pm.csv", rows), charts_table(office.folder / "emr.csv", range(count))
    asyncio.run(something_waits(office.database))
    undisturbed = tmp_path / "undisturbed.db"
    undisturbed.write_bytes(office.database.read_bytes())  # nobody has it open: all of it is in this file
    for run, (peer, path) in enumerate((("pm", pm), ("emr", emr)), 1):
        for more_than in (0, 1000):
            process = office.start("patients", "load", path, "--peer", peer)
            wait_for(office.database, run, more_than, process)
            kill(process)
        assert office.type("patients", "load", path, "--peer", peer, "--json") == Exit.OK
        assert "patients were done already; it goes on behind them" in office.said
    left = registry(office.database)
    office.settings["OPHL7_DATABASE_URL"] = f"sqlite:///{undisturbed}"
    office.apply()
    office.load("pm", pm)
    office.load("emr", emr)
    wanted = registry(undisturbed)
    assert wanted["lists"][0][5:] == (count - 1, 0, 0, 0, 1, 0, 0, 2)
    for name, found in wanted.items():
        assert left[name] == found, name
    assert office.rows("PRAGMA integrity_check") == [("ok",)]
    assert [row[2:] for row in wanted["holds"]] == [
        ("patient:PM:8500", "released"),
        ("patient:EMR:E-51", "released"),
        ("patient:PM:8500", "released"),
    ]


def test_ctrl_c_stops_behind_a_commit_and_says_how_to_go_on(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(3000)))
    process = office.start("patients", "load", pm, "--peer", "pm")
    wait_for(office.database, 1, 0, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == Exit.INTERRUPTED
    assert b"Broken off. What was loaded stays; give the same command again" in said
    assert b"Traceback" not in said
    (found,) = office.load("pm", pm)
    assert 0 < found["before"] < 3000
    assert (found["records"], found["created"]) == (3000, 3000)


def test_standard_input_is_loaded_and_says_that_it_cannot_be_taken_up_again(office: Office) -> None:
    process = office.start("patients", "load", "-", "--peer", "pm")
    out, said = process.communicate(table(office.folder / "pm.csv", people(range(700))).read_bytes(), timeout=LIMIT_SECONDS)
    assert process.returncode == Exit.OK, said
    assert b"standard input: 700 patients loaded" in out
    assert b"standard input: cannot be taken up again when it is broken off; a file can" in said
    assert office.rows("SELECT digest, created FROM patient_list") == [("", 700)]
    assert office.one("pm", office.folder / "pm.csv") == {"unchanged": 700}


def test_on_a_terminal_there_is_a_bar(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(700)))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ophl7", "patients", "load", str(pm), "--peer", "pm"],
        env={**os.environ, **office.settings, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal is gone when the process is
            while chunk := os.read(ours, 4096):
                shown += chunk
        out, _ = process.communicate(timeout=LIMIT_SECONDS)
    os.close(ours)
    assert process.returncode == Exit.OK
    assert b"100%" in shown
    assert b"700 patients loaded" in out


class Quiet:
    """Hears everything, says nothing."""

    def __init__(self) -> None:
        self.advanced: list[int] = []
        self.told: list[ListRefusal] = []

    def begins(self, source: Source, progress: ListProgress) -> None:
        pass

    def advances(self, source: Source, progress: ListProgress) -> None:
        self.advanced.append(progress.place)

    def refused(self, source: Source, refusals: Sequence[ListRefusal]) -> None:
        self.told += refusals

    def ends(self, loaded: Loaded) -> None:
        pass


def practice_settings(database: Path) -> settings.Settings:
    return settings.load(environment(database, PM_OWNS, "", ""))


class Picky(SqliteStore):
    """Refuses every commit with this patient in it, or is away from a commit on."""

    refused = "7003"
    away_from = 0
    commits = 0

    async def commit(self, rows: Rows) -> None:
        type(self).commits += 1
        if self.away_from and self.commits >= self.away_from:
            raise StoreAway("the disk was pulled out")
        if any(identifier.value == self.refused for identifier, _ in rows.aliases):
            raise StoreRefused("the database refused a row")
        await super().commit(rows)


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> type[Picky]:
    monkeypatch.setattr(loading, "SqliteStore", Picky)
    monkeypatch.setattr(loading, "BATCH_RECORDS", 5)
    monkeypatch.setattr(Picky, "commits", 0)
    monkeypatch.setattr(Picky, "away_from", 0)
    return Picky


async def test_a_patient_whom_the_database_refuses_costs_nobody_else(picky: type[Picky], tmp_path: Path) -> None:
    pm, tell = table(tmp_path / "pm.csv", people(range(12))), Quiet()
    (found,) = await load_lists(practice_settings(tmp_path / "ophl7.db"), Order([str(pm)], "pm", "test"), tell)
    assert (found.progress.tally.created, found.progress.tally.refused) == (11, 1)
    assert [(one.place, one.row) for one in tell.told] == [(5, "#95")]
    assert tell.told[0].reason.startswith("it cannot be written: StoreRefused at test_broken_off.py:")
    assert [
        value for (value,) in database_rows(tmp_path / "ophl7.db", "SELECT value FROM alias ORDER BY length(value), 1")
    ] == [row[0] for row in people(range(12)) if row[0] != "7003"]


async def test_a_database_that_goes_away_ends_the_load_and_it_goes_on_there(
    picky: type[Picky], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pm, tell = table(tmp_path / "pm.csv", people(range(20, 40))), Quiet()
    order = Order([str(pm)], "pm", "test")
    monkeypatch.setattr(picky, "away_from", 3)
    with pytest.raises(StoreAway, match="pulled out"):
        await load_lists(practice_settings(tmp_path / "ophl7.db"), order, tell)
    assert tell.advanced == [6, 11]
    monkeypatch.setattr(picky, "away_from", 0)
    (found,) = await load_lists(practice_settings(tmp_path / "ophl7.db"), order, tell)
    assert (found.before, found.progress.tally.created, found.already) == (10, 20, False)
    assert tell.advanced == [6, 11, 16, 21]


async def test_a_list_that_is_written_while_it_is_read_is_not_gone_on_with(picky: type[Picky], tmp_path: Path) -> None:
    pm = table(tmp_path / "pm.csv", people(range(20, 40)))

    class Writing(Quiet):
        def advances(self, source: Source, progress: ListProgress) -> None:
            with pm.open("a") as file:
                file.write("x")

    with pytest.raises(ListUnusable, match="was changed while it was read; load it again as it is now"):
        await load_lists(practice_settings(tmp_path / "ophl7.db"), Order([str(pm)], "pm", "test"), Writing())
    (found,) = await load_lists(practice_settings(tmp_path / "ophl7.db"), Order([str(pm)], "pm", "test"), Quiet())
    assert (found.before, found.progress.tally.created, found.progress.tally.unchanged) == (0, 15, 5)


async def test_a_batch_is_bounded_by_its_bytes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH_BYTES", 300)
    hl7, tell = tmp_path / "pm.hl7", Quiet()
    hl7.write_bytes(b"".join(announcement(f"A{n}", row) for n, row in enumerate(people(range(5)))))
    await load_lists(practice_settings(tmp_path / "ophl7.db"), Order([str(hl7)], "pm", "test"), tell)
    assert tell.advanced == [2, 4, 5]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_thousand_patients_are_loaded_linked_and_loaded_again(office: Office) -> None:
    count = 20_000
    pm, emr = table(office.folder / "pm.csv", people(range(count))), charts_table(office.folder / "emr.csv", range(count))
    assert office.one("pm", pm) == {"created": count}
    assert office.one("emr", emr)["linked"] == count
    assert office.one("pm", pm, "--again") == {"unchanged": count}
    assert office.rows("SELECT count(*), (SELECT count(*) FROM alias) FROM patient") == [(count, 2 * count)]
    assert office.rows("SELECT count(*) FROM delivery") == [(0,)]
