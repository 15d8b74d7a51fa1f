"""The self-test must be able to fail: each promise is broken by hand in a database that a broker has made."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from ophl7.selftest.findings import Findings, examine
from ophl7.selftest.load import Sender, Side, relayed
from tests.durability.bench import bench, running


class Books:
    """A whole outcome, and what can be done to it."""

    def __init__(self, database: Path, workers: list[Sender], received: dict[Side, list[bytes]]) -> None:
        self.database = database
        self.workers = workers
        self.received = received

    def do(self, sql: str) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            assert connection.execute(sql).rowcount > 0
            connection.commit()

    def found(self) -> Findings:
        return examine(self.database, self.workers, self.received)


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    database = tmp_path / "ophl7.db"
    async with bench() as desks:
        async with running(database, desks.pm, desks.emr) as (_, listening):
            await desks.register(listening)
            await desks.load(listening, 40, asyncio.Event())
            await desks.finish(database, listening)
        yield Books(database, desks.workers, {side: list(payloads) for side, payloads in desks.received.items()})


def test_nothing_is_found_where_nothing_is_wrong(books: Books) -> None:
    found = books.found()
    assert found.broken == []
    assert found.acknowledged >= 40
    assert found.delivered > found.acknowledged  # the registrations too


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        ("DELETE FROM journal WHERE control_id = 'P0-1'", "lost"),
        ("UPDATE journal SET state = 'rejected' WHERE control_id = 'P0-1'", "lost"),
        ("UPDATE journal SET raw = CAST(raw || 'x' AS BLOB) WHERE control_id = 'P0-1'", "altered"),
        ("DELETE FROM charge WHERE transaction_id = 'T-E0-0'", "lost"),
        ("UPDATE charge SET transaction_id = 'T-other' WHERE transaction_id = 'T-E0-0'", "doubled"),
        ("UPDATE appointment SET start = '1999' WHERE filler = 'S-8000'", "lost"),
        ("UPDATE patient SET fields = '{}'", "lost"),
        ("UPDATE delivery SET state = 'queued' WHERE id = 3", "lost"),
        ("DELETE FROM delivery WHERE id = 3", "lost"),
    ],
)
def test_what_is_missing_or_changed_in_the_database_is_found(books: Books, harm: str, kind: str) -> None:
    books.do(harm)
    assert getattr(books.found(), kind) != []


def test_what_the_destinations_did_not_get_got_twice_or_in_another_order_is_found(books: Books) -> None:
    whole = books.received["pm"]
    books.received["pm"] = whole[:-1]
    assert books.found().lost != []
    books.received["pm"] = [*whole, relayed(whole[0], "other")]
    assert books.found().lost != []  # a control id that is not stored
    books.received["pm"] = whole[::-1]
    assert books.found().out_of_order != []
    books.received["pm"] = [whole[0] + b"ZZZ\r", *whole[1:]]
    assert books.found().altered != []
    books.received["pm"] = [whole[0], *whole]
    found = books.found()
    assert (found.broken, found.repeated) == ([], 1)  # the same again under the same MSH-10 is what may happen


def test_a_damaged_database_is_found(books: Books) -> None:
    with books.database.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(8192))
    assert books.found().damaged != []
