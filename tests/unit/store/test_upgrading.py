"""`ophl7 db migrate`: all steps or none, a copy only when it is asked for, and never beside a running broker."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ophl7.cli import run
from ophl7.cli.exits import Exit
from ophl7.errors import DatabaseLocked, MigrationError, StoreAway
from ophl7.store.lease import Lease
from ophl7.store.migrations import migrate, shipped
from ophl7.store.upgrading import upgrade

STEPS = shipped("sqlite")
EARLIER, LATER = STEPS[:3], [step.name for step in STEPS[3:]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """As an earlier version has left it."""
    file = tmp_path / "ophl7.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, EARLIER)
    return file


def steps_of(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM schema_version ORDER BY number")]


EVERY = [step.name for step in STEPS]
FEW = [step.name for step in EARLIER]


def test_it_makes_what_is_missing_once_and_copies_nothing_unasked(database: Path) -> None:
    before = {path.name for path in database.parent.iterdir()}
    assert upgrade(database) == LATER
    assert steps_of(database) == EVERY
    assert upgrade(database) == []
    assert {path.name for path in database.parent.iterdir()} - before <= {"ophl7.db-wal", "ophl7.db-shm", "ophl7.db.lock"}


def test_a_copy_is_what_was_before_and_its_owner_s_alone(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "before.db"
    assert upgrade(database, copy) == LATER
    assert steps_of(copy) == FEW
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert steps_of(database) == EVERY


def test_a_file_that_is_there_is_no_place_for_a_copy_and_nothing_is_made(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "before.db"
    copy.write_text("mine")
    with pytest.raises(StoreAway, match="is there already"):
        upgrade(database, copy)
    assert copy.read_text() == "mine"
    assert steps_of(database) == FEW


def test_no_database_is_made_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(StoreAway, match="there is no database"):
        upgrade(tmp_path / "ophl7.db")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_beside_a_running_broker(database: Path) -> None:
    lease = Lease(database)
    lease.take()
    try:
        with pytest.raises(DatabaseLocked):
            upgrade(database)
    finally:
        lease.give_back()
    assert steps_of(database) == FEW


class Narrow(sqlite3.Connection):
    """A database that may grow by two pages: then SQLite says that the disk is full."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:  # noqa: ANN401 - as its parent
        if sql == "BEGIN IMMEDIATE":
            (pages,) = super().execute("PRAGMA page_count").fetchone()
            super().execute(f"PRAGMA max_page_count = {pages + 2}")
        return super().execute(sql, *values)


@pytest.fixture
def full_disk(database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda *values, **named: real(*values, factory=Narrow, **named))
        yield


@pytest.mark.usefixtures("full_disk")
def test_a_disk_that_is_full_amid_the_steps_leaves_what_was_there(database: Path) -> None:
    with pytest.raises(MigrationError, match=r"none was made: database or disk is full"):
        upgrade(database)
    with closing(sqlite3.Connection(database)) as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM schema_version ORDER BY number")] == FEW
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_command_names_the_steps_that_it_has_made(
    database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPHL7_DATABASE_URL", f"sqlite:///{database}")
    copy = database.with_name("before.db")
    assert run(["db", "migrate", "--copy", str(copy), "--json"]) == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert said == {"database": str(database), "steps": LATER, "copy": str(copy)}
    assert run(["db", "migrate"]) == Exit.OK
    assert "up to date; no steps made" in capsys.readouterr().err
    assert run(["db", "migrate", "--copy", str(copy)]) == Exit.CONFIGURATION
    assert "is there already" in capsys.readouterr().err
