"""No look at the queue reads the history: what SQLite says that it would do, and what it does among many settled rows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ophl7.store.migrations import migrate, shipped
from ophl7.store.reader import SqliteReader
from ophl7.store.statements import statements

SETTLED = 20_000
STATES = ("open", "queued", "sending", "held", "unknown", "parked", "rejected", "skipped")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as found:
        migrate(found, shipped("sqlite"))
        yield found


def plan(connection: sqlite3.Connection, sql: str, values: Sequence[Any] | None = None) -> list[str]:
    places = max(map(int, re.findall(r"\?(\d+)", sql)), default=sql.count("?"))
    bound = [1] * places if values is None else values
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bound)]


def test_a_start_reads_what_is_open_and_not_the_history(connection: sqlite3.Connection) -> None:
    steps = plan(connection, statements("sqlite", "queries")["open_deliveries"])
    assert any("delivery_open" in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps


TOUCHING = [name for name, sql in statements("sqlite", "queries").items() if "delivery" in sql and "INSERT" not in sql]


@pytest.mark.parametrize("name", sorted(TOUCHING))
def test_every_statement_of_the_outbox_finds_its_rows_by_an_index(connection: sqlite3.Connection, name: str) -> None:
    sql = statements("sqlite", "queries")[name].replace("VALUES {keys}", "VALUES (?, ?)").replace("{keys}", "?, ?")
    scans = [step for step in plan(connection, sql) if step.startswith("SCAN") and "CONSTANT" not in step]
    assert [step for step in scans if "delivery" in step or step in {"SCAN d", "SCAN j"}] == []


class Recorded(SqliteReader):
    """Keeps the statements that it is asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[tuple[str, Sequence[Any]]] = []

    async def _rows(self, sql: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        self.asked.append((sql, values))
        return await super()._rows(sql, values)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("destination", [None, "emr"])
async def test_a_list_of_deliveries_in_a_state_is_found_among_many_settled_ones(
    tmp_path: Path, state: str, destination: str | None
) -> None:
    path = tmp_path / "ophl7.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, shipped("sqlite"))
        connection.execute("PRAGMA foreign_keys = OFF")
        insert = (
            "INSERT INTO delivery (id, destination, lane, stream, message, control_id, state, created_at) "
            "VALUES (?, 'emr', ?, 'record', ?, 'D', ?, 0.0)"
        )
        connection.execute("BEGIN")
        connection.execute(insert, (1, 1, 1, "queued" if state == "open" else state))
        connection.executemany(insert, ((number, number, number, "accepted") for number in range(2, SETTLED)))
        connection.execute("COMMIT")
        reader = Recorded(path)
        try:
            found = await reader.deliveries(state=state, destination=destination)
        finally:
            await reader.close()
        assert [row["id"] for row in found] == [1]
        ((sql, values),) = reader.asked
        steps = plan(connection, sql, values)
        assert not any(step.startswith("SCAN") for step in steps), steps
