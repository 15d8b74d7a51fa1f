"""The schema: numbered steps, each once, each known by its digest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from ophl7.errors import MigrationError
from ophl7.store.migrations import Migration, migrate, shipped

FIRST = Migration(0, "0000_a.sql", "CREATE TABLE a (x INTEGER);\nCREATE TABLE b (x INTEGER);\n")
SECOND = Migration(1, "0001_b.sql", "-- a comment;\nINSERT INTO a VALUES (1);\n")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as found:
        yield found


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_shipped_steps_have_a_number_each_and_work(connection: sqlite3.Connection) -> None:
    steps = shipped("sqlite")
    numbers = [step.number for step in steps]
    assert numbers == sorted(set(numbers))
    assert migrate(connection, steps) == len(steps)
    assert {"journal", "patient", "alias", "appointment", "charge", "hold", "delivery", "drift", "audit"} <= tables(connection)
    assert migrate(connection, steps) == 0


def test_numbers_that_were_taken_before_they_were_written_down_stay_taken(connection: sqlite3.Connection) -> None:
    steps = shipped("sqlite")
    migrate(connection, [step for step in steps if step.number < 18])
    for number, (control_id, former) in enumerate([("ABCDDZ", "ABCDD1"), ("ABCDD10", "ABCDD2"), ("ABCDDZZZ", "")], start=1):
        connection.execute(
            "INSERT INTO delivery (id, destination, lane, stream, message, control_id, state, created_at, former_control_id)"
            " VALUES (?, 'pm', 1, 'charges', 1, ?, 'accepted', 1.0, ?)",
            (number, control_id, former),
        )
    migrate(connection, steps)
    assert connection.execute("SELECT value FROM meta WHERE name = 'renewed'").fetchall() == [("ABCDD10",)]


def test_only_what_is_missing_is_applied_in_order(connection: sqlite3.Connection) -> None:
    assert migrate(connection, [FIRST]) == 1
    assert migrate(connection, [FIRST, SECOND]) == 1
    assert connection.execute("SELECT x FROM a").fetchall() == [(1,)]


def test_a_step_that_was_changed_afterwards_stops_the_start_and_is_named(connection: sqlite3.Connection) -> None:
    migrate(connection, [FIRST])
    changed = Migration(0, "0000_a.sql", FIRST.text + " ")
    with pytest.raises(MigrationError, match=r"0000_a\.sql is not the one"):
        migrate(connection, [changed, SECOND])
    assert connection.execute("SELECT x FROM a").fetchall() == []


def test_a_database_of_a_newer_version_is_left_alone_and_says_what_to_do(connection: sqlite3.Connection) -> None:
    migrate(connection, [FIRST, SECOND])
    with pytest.raises(MigrationError, match=r"newer ophl7 \(schema step 1, this version knows 0\)"):
        migrate(connection, [FIRST])


@pytest.mark.parametrize(
    "text", ["CREATE TABLE c (x INTEGER);\nNO SUCH STATEMENT;\n", "CREATE TABLE c (x);\nCREATE TABLE a (x);\n"]
)
def test_a_step_that_fails_leaves_nothing_behind(connection: sqlite3.Connection, text: str) -> None:
    with pytest.raises(MigrationError, match=r"0001_bad\.sql failed"):
        migrate(connection, [FIRST, Migration(1, "0001_bad.sql", text)])
    assert "c" not in tables(connection)
    assert not connection.in_transaction
    assert migrate(connection, [FIRST, SECOND]) == 2  # the steps before it were not made either


def test_a_last_statement_without_its_semicolon_is_not_forgotten(connection: sqlite3.Connection) -> None:
    migrate(connection, [Migration(0, "0000_a.sql", "CREATE TABLE a (x INTEGER);\nCREATE TABLE z (x INTEGER)\n")])
    assert {"a", "z"} <= tables(connection)
