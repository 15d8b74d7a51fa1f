"""A copy to try things on: complete, beside the database, gone at the end."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ophl7.engine.storage import Rows
from ophl7.errors import StoreAway
from ophl7.store.rehearsal import rehearsal
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import ids_of, patient, registered


async def opened(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    await store.open()
    return store


async def test_the_copy_has_what_is_committed_while_the_database_is_in_use_and_what_is_done_to_it_does_not_stay(
    tmp_path: Path,
) -> None:
    store = await opened(tmp_path / "ophl7.db")
    await store.commit(registered(patient(1)))
    with rehearsal(tmp_path / "ophl7.db", 0) as copy:
        assert copy.parent.parent == tmp_path
        assert copy.parent.stat().st_mode & 0o077 == 0
        tried = await opened(copy)
        assert set((await tried.load(ids_of("P1"), small=True)).patients) == {1}
        await tried.commit(registered(patient(2)))
        await store.commit(registered(patient(3)))
        await tried.close()
    assert not copy.parent.exists()
    assert set((await store.load(ids_of("P2"), small=True)).patients) == set()
    assert set((await store.load(ids_of("P3"), small=True)).patients) == {3}
    await store.close()


async def test_a_database_that_is_not_there_yet_stays_so(tmp_path: Path) -> None:
    with rehearsal(tmp_path / "ophl7.db", 0) as copy:
        store = await opened(copy)
        await store.commit(Rows())
        await store.close()
    assert not copy.parent.exists()
    assert not (tmp_path / "ophl7.db").exists()


def test_it_is_gone_also_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), rehearsal(tmp_path / "ophl7.db", 0):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_without_room_nothing_is_copied(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ophl7.db")) as connection:
        connection.execute("CREATE TABLE x (y)")
    with pytest.raises(StoreAway, match="no room for a copy"), rehearsal(tmp_path / "ophl7.db", 2**62):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["ophl7.db"]


def test_a_file_that_is_no_database_and_a_folder_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "ophl7.db").write_bytes(b"no database at all, but long enough to be taken for one" * 40)
    with pytest.raises(StoreAway, match="cannot be copied"), rehearsal(tmp_path / "ophl7.db", 0):
        pass
    with pytest.raises(StoreAway, match="cannot be used"), rehearsal(tmp_path / "nowhere" / "ophl7.db", 0):
        pass


def test_what_a_killed_one_left_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    left = tmp_path / ".ophl7-rehearsal-killed"
    left.mkdir()
    (left / "rehearsal.lock").write_text("4711\n")
    (left / "ophl7.db").write_bytes(b"records")
    with rehearsal(tmp_path / "ophl7.db", 0) as first:
        assert not left.exists()
        with rehearsal(tmp_path / "ophl7.db", 0) as second:
            assert first.parent.exists()
            assert second.parent.exists()
