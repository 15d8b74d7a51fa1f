"""The reader: read-only, bounded, and out of the engine's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ophl7.admin.ports import Reads
from ophl7.engine.storage import AuditRow, Rows
from ophl7.errors import StoreAway
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.integration.admin.practice import NOON, Practice, adt

LIMIT = 20.0
ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def store(practice: Practice) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(practice.path)
    await opened.open()
    yield opened
    await opened.close()


def audit(number: int) -> Rows:
    return Rows(audit=[AuditRow(NOON, "api", f"act {number}", "", "")])


async def test_it_is_what_the_api_reads_from(practice: Practice) -> None:
    reads: Reads = SqliteReader(practice.path)
    assert isinstance(reads, SqliteReader)


async def test_what_was_committed_is_seen_at_once_beside_the_open_store(practice: Practice, store: SqliteStore) -> None:
    reads = SqliteReader(practice.path)
    for number in range(3):
        await store.commit(audit(number))
        assert (await reads.audit(limit=1))[0]["action"] == f"act {number}"
    await reads.close()


async def test_a_read_that_takes_too_long_is_broken_off_and_the_next_one_works(practice: Practice, store: SqliteStore) -> None:
    await store.commit(audit(1))
    reads = SqliteReader(practice.path, limit=0.05)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(TimeoutError, match="broken off"):
            await reads._rows(ENDLESS, ())
        assert len(await reads.audit()) == 1
        await reads.close()


async def test_a_read_whose_caller_is_gone_ends_long_before_its_time(practice: Practice, store: SqliteStore) -> None:
    await store.commit(audit(1))
    reads = SqliteReader(practice.path, limit=3600)
    await reads.audit()
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    assert reads._connection is not None

    def runs() -> int:
        loop.call_soon_threadsafe(began.set)
        return 0

    await reads._connection.set_progress_handler(runs, 100_000)
    async with asyncio.timeout(LIMIT):
        reading = asyncio.create_task(reads._rows(ENDLESS, ()))
        await began.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert len(await reads.audit()) == 1
        await reads.close()


async def test_it_cannot_write(practice: Practice, store: SqliteStore) -> None:
    reads = SqliteReader(practice.path)
    with pytest.raises(StoreAway, match="readonly"):
        await reads._rows("DELETE FROM audit", ())
    await reads.close()


async def test_reads_leave_no_transaction_open_so_the_log_can_be_folded_back(practice: Practice, store: SqliteStore) -> None:
    reads = SqliteReader(practice.path)
    await store.commit(audit(1))
    await reads.audit()
    await store.commit(audit(2))
    assert store._connection is not None
    busy, _, _ = store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0
    assert len(await reads.audit()) == 2
    await reads.close()


async def test_a_database_that_is_not_there_is_away_and_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    reads = SqliteReader(missing)
    for _ in range(2):
        with pytest.raises(StoreAway):
            await reads.audit()
    await reads.close()
    assert not missing.exists()


async def test_it_comes_when_the_database_does(practice: Practice) -> None:
    reads = SqliteReader(practice.path)
    with pytest.raises(StoreAway):
        await reads.audit()
    practice.audit("start")
    await practice.commit()
    assert len(await reads.audit()) == 1
    await reads.close()


async def test_a_closed_reader_says_so(practice: Practice, store: SqliteStore) -> None:
    reads = SqliteReader(practice.path)
    await reads.audit()
    await reads.close()
    await reads.close()
    with pytest.raises(StoreAway, match="closed"):
        await reads.audit()


async def test_many_readers_at_once_share_the_connection(practice: Practice, store: SqliteStore) -> None:
    await store.commit(audit(1))
    reads = SqliteReader(practice.path)
    found = await asyncio.gather(*[reads.audit() for _ in range(20)])
    assert [len(rows) for rows in found] == [1] * 20
    await reads.close()


async def test_an_empty_choice_of_subjects_finds_nothing(practice: Practice) -> None:
    practice.message(adt(), subject=1)
    await practice.commit()
    reads = SqliteReader(practice.path)
    assert await reads.messages(subjects=()) == []
    assert await reads.patients() == []
    assert await reads.heads(()) == {}
    await reads.close()


async def test_the_states_are_those_of_the_last_messages_only(practice: Practice) -> None:
    practice.message(adt(), state="rejected")
    for _ in range(2):
        practice.message(adt())
    practice.message(adt(), state="held")
    await practice.commit()
    reads = SqliteReader(practice.path)
    assert await reads.states(3) == {"accepted": 2, "held": 1}
    await reads.close()


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ({"subjects": (1, 2)}, "journal_subject"),
        ({"control_id": "C1"}, "journal_control"),
    ],
)
async def test_the_usual_questions_use_an_index(
    practice: Practice, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, condition: dict[str, object], index: str
) -> None:
    reads = SqliteReader(practice.path)
    asked: list[tuple[str, tuple[object, ...]]] = []
    plain = reads._read

    async def listen(sql: str, values: tuple[object, ...]) -> list[dict[str, object]]:
        asked.append((sql, values))
        return await plain(sql, values)

    monkeypatch.setattr(reads, "_read", listen)
    await reads.messages(**condition)  # type: ignore[arg-type]
    sql, values = asked[0]
    plan = await plain(f"EXPLAIN QUERY PLAN {sql}", values)
    assert any(index in str(step["detail"]) for step in plan)
    assert not any(str(step["detail"]) == "SCAN journal" for step in plan)
    await reads.close()


async def test_a_file_that_is_no_database_is_away_and_leaves_no_connection(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_bytes(b"this is no database, only some text\n" * 100)
    reads = SqliteReader(file)
    with pytest.raises(StoreAway, match="not a database"):
        await reads.audit()
    await reads.close()
