"""No report of one day reads the whole history: what SQLite says that it would do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from ophl7.store.migrations import migrate, shipped
from ophl7.store.statements import statements

PARTS = {"with_charges_of"}  # a condition, no statement
# Notes are few, and their number is asked for in a batch that writes one; the outer one reads what the inner ones found.
FEW = {"roll_ups": {"SCAN roll_up"}, "open_charges": {"SCAN (subquery-2)", "SCAN h USING INDEX hold_open_message"}}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as found:
        migrate(found, shipped("sqlite"))
        yield found


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [1] * sql.count("?"))]


@pytest.mark.parametrize("name", sorted(statements("sqlite", "books").keys() - PARTS))
def test_a_statement_of_the_books_finds_its_rows_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    sql = statements("sqlite", "books")[name].replace("{where}", "").replace("{keys}", "?, ?")
    scans = {step for step in plan(connection, sql) if step.startswith("SCAN")}
    assert scans <= FEW.get(name, set())


def test_the_charges_of_a_service_date_are_found_by_it(connection: sqlite3.Connection) -> None:
    where = "WHERE date >= ? AND date < ?"
    steps = plan(connection, statements("sqlite", "reads")["charges"].replace("{where}", where))
    assert any("charge_date" in step for step in steps), steps
    assert not any(step.startswith(("SCAN c", "SCAN d")) for step in steps), steps
