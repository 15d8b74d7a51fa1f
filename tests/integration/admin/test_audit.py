"""The audit: filters, and a chain that shows what was changed behind our back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from ophl7.store.sqlite import SqliteStore
from tests.integration.admin.practice import Desk, Practice


async def written(practice: Practice, *actions: str) -> None:
    """One commit each."""
    for action in actions:
        practice.audit(action)
        await practice.commit()


async def verified(desk: Desk) -> tuple[bool, int | None]:
    found = (await desk.get("/api/v1/audit/verify")).json()
    assert (found["fault"] is None) == found["ok"]
    return found["ok"], found["first_bad"]


def behind_our_back(practice: Practice, sql: str) -> None:
    with closing(sqlite3.connect(practice.path)) as connection, connection:
        connection.execute(sql)


async def test_what_was_written_is_whole_also_over_many_commits_and_starts(practice: Practice, desk: Desk) -> None:
    await practice.commit()
    assert await verified(desk) == (True, None)
    practice.audit("one")
    practice.audit("two")
    await practice.commit()
    await written(practice, "three", "four")
    answer = (await desk.get("/api/v1/audit/verify")).json()
    assert answer == {"ok": True, "rows": 4, "first_bad": None, "fault": None, "removed": 0}


@pytest.mark.parametrize(
    ("sql", "first_bad"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE id = 2", 2),
        ("UPDATE audit SET reason = 'a better one' WHERE id = 1", 1),
        ("UPDATE audit SET at = at + 1 WHERE id = 4", 4),
        ("UPDATE audit SET digest = zeroblob(32) WHERE id = 3", 3),
        ("UPDATE audit SET digest = NULL WHERE id = 3", 3),
        ("DELETE FROM audit WHERE id = 1", 2),
        ("DELETE FROM audit WHERE id = 2", 3),
        ("DELETE FROM audit WHERE id = 4", 4),
        ("DELETE FROM audit", 1),
        ("DELETE FROM meta WHERE name = 'audit head'", 1),
        ("UPDATE meta SET value = 'nothing' WHERE name = 'audit head'", 1),
    ],
)
async def test_a_row_that_was_changed_or_removed_is_found(practice: Practice, desk: Desk, sql: str, first_bad: int) -> None:
    await written(practice, "one", "two", "three", "four")
    behind_our_back(practice, sql)
    assert await verified(desk) == (False, first_bad)


async def test_what_is_written_after_a_row_was_removed_does_not_heal_the_chain(practice: Practice, desk: Desk) -> None:
    await written(practice, "one", "two", "three")
    behind_our_back(practice, "DELETE FROM audit WHERE id = 3")
    await written(practice, "four")
    assert await verified(desk) == (False, 4)
    behind_our_back(practice, "DELETE FROM meta WHERE name = 'audit head'")
    await written(practice, "five")
    assert (await verified(desk))[0] is False


async def test_rows_from_before_there_was_a_chain_are_taken_into_it(practice: Practice, desk: Desk) -> None:
    await written(practice, "one", "two", "three")
    behind_our_back(practice, "UPDATE audit SET digest = NULL")
    behind_our_back(practice, "DELETE FROM audit WHERE id = 2")
    behind_our_back(practice, "DELETE FROM meta WHERE name = 'audit head'")
    store = SqliteStore(practice.path)
    await store.open()
    await store.close()
    assert await verified(desk) == (True, None)
    assert [item["action"] for item in await desk.items("/audit")] == ["three", "one"]


async def test_the_audit_is_searched_by_who_what_and_when(practice: Practice, desk: Desk) -> None:
    await written(practice, "release-hold", "view-raw", "release-hold")
    assert [item["id"] for item in await desk.items("/audit", action="release-hold")] == [3, 1]
    assert [item["id"] for item in await desk.items("/audit", actor="api 127.0.0.1", limit=1)] == [3]
    assert await desk.items("/audit", actor="nobody") == []
    assert len(await desk.items("/audit", since="2026-11-23", until="2026-11-23")) == 3
    assert await desk.items("/audit", until="2026-11-22") == []
