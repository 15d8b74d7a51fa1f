"""What is remembered of patient lists, in the same commits as the patients."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.engine.lists import ListProgress, ListRefusal, Tally
from ophl7.engine.storage import Rows
from ophl7.errors import StoreRefused
from ophl7.store.memory import MemoryStore
from ophl7.store.migrations import migrate, shipped
from ophl7.store.sqlite import SqliteStore
from ophl7.store.sqlite_lists import SqliteLists
from tests.unit.store.records import drift, ids_of, journal, patient, registered

BEGUN = ListProgress(1, "pm", "abc", 1000.5)
HALF = replace(BEGUN, offset=2**40, place=500, tally=Tally(1, 2, 3, 4, 5, 6, 7, 8))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(tmp_path / "ophl7.db")
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def book(store: SqliteStore) -> SqliteLists:
    return SqliteLists(store)


async def test_how_far_a_list_is_comes_back_as_it_was_written(store: SqliteStore, book: SqliteLists) -> None:
    assert (await book.last_list(), await book.list_of("pm", "abc")) == (0, None)
    await store.commit(Rows(lists=[BEGUN]))
    assert await book.list_of("pm", "abc") == BEGUN
    await store.commit(Rows(lists=[HALF]))
    assert await book.list_of("pm", "abc") == HALF
    done = replace(HALF, finished_at=2000.0)
    await store.commit(Rows(lists=[done]))
    assert (await book.last_list(), await book.list_of("pm", "abc")) == (1, done)


async def test_the_newest_run_of_that_list_for_that_peer_counts(store: SqliteStore, book: SqliteLists) -> None:
    runs = [BEGUN, replace(BEGUN, id=2), replace(BEGUN, id=3, peer="emr"), replace(BEGUN, id=4, digest="x")]
    await store.commit(Rows(lists=[*runs, replace(BEGUN, id=5, digest="")]))
    assert await book.list_of("pm", "abc") == runs[1]
    assert await book.list_of("emr", "abc") == runs[2]
    assert await book.list_of("emr", "x") is None
    assert await book.list_of("pm", "") is None, "what cannot be read twice is never the same list again"
    assert await book.last_list() == 5


async def test_refusals_come_by_place_a_page_at_a_time(store: SqliteStore, book: SqliteLists) -> None:
    found = [ListRefusal(1, place, "refused", "#3", "", "why") for place in (9, 2, 5)]
    other = ListRefusal(2, 3, "held", "#7", "P01", "else")
    await store.commit(Rows(list_refusals=[*found, other]))
    assert await book.refusals(1, after=0, limit=2) == [found[1], found[2]]
    assert await book.refusals(1, after=5, limit=2) == [found[0]]
    assert await book.refusals(2, after=0, limit=9) == [other]


async def test_a_place_is_refused_once_and_with_it_its_whole_commit(store: SqliteStore, book: SqliteLists) -> None:
    refusal = ListRefusal(1, 2, "refused", "#3", "", "why")
    rows = registered(patient(1))
    rows.lists, rows.list_refusals = [HALF], [refusal, refusal]
    with pytest.raises(StoreRefused):
        await store.commit(rows)
    assert await book.list_of("pm", "abc") is None
    assert (await store.load(ids_of("P1"), small=True)).patients == {}


async def test_differences_are_those_of_this_peer_and_these_patients(store: SqliteStore, book: SqliteLists) -> None:
    rows = [drift(1), replace(drift(2), patient=2, kept="x"), replace(drift(3), peer="pm"), replace(drift(4), patient=9)]
    await store.commit(Rows(journal=[journal(1)], drift=rows))
    assert await book.differences("emr", range(1, 5000)) == {(1, "PID-11", "Elm St", None), (2, "PID-11", "Elm St", "x"),
                                                             (9, "PID-11", "Elm St", None)}  # fmt: skip
    assert await book.differences("emr", [2]) == {(2, "PID-11", "Elm St", "x")}
    assert await book.differences("emr", []) == set()


async def test_the_store_in_memory_takes_the_same_rows() -> None:
    memory = MemoryStore()
    refusal = ListRefusal(1, 2, "refused", "#3", "", "why")
    await memory.commit(Rows(lists=[BEGUN], list_refusals=[refusal]))
    await memory.commit(Rows(lists=[HALF]))
    assert (memory.lists, memory.list_refusals) == ({1: HALF}, [refusal])


def test_the_step_of_the_schema_stands_alone_whatever_came_before_it() -> None:
    steps = shipped("sqlite")
    (own,) = [step for step in steps if step.name == "0003_patient_lists.sql"]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        assert migrate(connection, [own]) == 1
        assert migrate(connection, steps) == len(steps) - 1
