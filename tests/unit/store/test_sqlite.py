"""The store on SQLite: the common guarantees, and those of a file on a disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from ophl7.engine.ids import Ids
from ophl7.engine.storage import ClosedHold, JournalUpdate, Keys, Rendering, Rows
from ophl7.errors import DatabaseLocked, StoreAway, StoreRefused
from ophl7.store import sqlite as sqlite_module
from ophl7.store.sqlite import SqliteStore
from ophl7.store.statements import padded, statements, with_keys
from tests.unit.store.records import charge, delivery, hold, ident, ids_of, journal, mark, patient, registered
from tests.unit.store.suite import StoreSuite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(tmp_path / "ophl7.db")
    await found.open()
    yield found
    await found.close()


class TestSqliteStore(StoreSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        found = SqliteStore(tmp_path / "ophl7.db")
        await found.open()
        yield found
        await found.close()


class TestSqliteStoreInItsThread(StoreSuite):
    """The same with every commit wholly in the thread, as large batches go."""

    @pytest.fixture
    async def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
        monkeypatch.setattr(sqlite_module, "FEW_MESSAGES", -1)
        found = SqliteStore(tmp_path / "ophl7.db")
        await found.open()
        yield found
        await found.close()


def connection_of(store: SqliteStore) -> sqlite3.Connection:
    assert store._connection is not None
    return store._connection


def big(number: int, size: int = 200_000) -> Rows:
    return Rows(journal=[journal(number, raw=b"x" * size, end=size)])


async def saved(store: SqliteStore, number: int) -> bool:
    state = await store.load(Keys(controls={("pm", f"C{number}", b"digest%d" % number)}), small=True)
    return state.controls["pm", f"C{number}", b"digest%d" % number] is not None


# -- durability -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["_connection", "_bodies"])
async def test_commits_wait_for_the_disk(store: SqliteStore, name: str) -> None:
    connection: sqlite3.Connection = getattr(store, name)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


async def test_the_number_of_a_renewed_control_id_is_taken_also_after_a_start(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "ophl7.db")
    ids = Ids(await first.open())
    await first.commit(Rows(journal=[journal(1)], deliveries=[delivery(1, 1)]))
    await first.commit(Rows(rendered=[Rendering(1, b"MSH|", ids.control_id("D", 70))]))
    await first.close()
    second = SqliteStore(tmp_path / "ophl7.db")
    assert (await second.open()).delivery == 70
    await second.close()


async def test_everything_is_there_after_it_was_opened_again(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "ophl7.db")
    fresh = await first.open()
    assert fresh.journal == 0
    rows = registered(patient(3))
    rows.journal, rows.holds, rows.deliveries = [journal(7)], [hold(5, 7)], [delivery(9, 7)]
    await first.commit(rows)
    await first.close()
    second = SqliteStore(tmp_path / "ophl7.db")
    again = await second.open()
    assert (again.journal, again.patient, again.hold, again.delivery) == (7, 3, 5, 9)
    assert again.prefix == fresh.prefix
    assert len(again.prefix) == 4
    assert (await second.load(ids_of("P3"), small=True)).patients == {3: patient(3)}
    assert len(await second.open_deliveries()) == 1
    assert (await second.load(Keys(held={7}), small=True)).holds == {5: hold(5, 7)}
    await second.close()


async def test_two_databases_make_different_control_ids(tmp_path: Path) -> None:
    prefixes = set()
    for name in "abc":
        store = SqliteStore(tmp_path / name)
        prefixes.add((await store.open()).prefix)
        await store.close()
    assert len(prefixes) == 3


async def test_open_holds_are_counted_on_through_commits_and_restarts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()
    await store.commit(Rows(journal=[journal(1)], holds=[hold(1, 1)]))
    await store.close()
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()
    assert set((await store.load(ids_of("P1"), small=True)).holds) == {1}
    await store.commit(Rows(closed_holds=[ClosedHold(1, 1.0, "released")]))
    await store.commit(Rows(journal=[journal(2)], holds=[hold(2, 2)]))
    assert set((await store.load(ids_of("P1"), small=True)).holds) == {2}
    await store.close()


async def test_an_update_of_the_journal_leaves_what_it_does_not_name(store: SqliteStore) -> None:
    def row() -> tuple[object, ...]:
        with closing(sqlite3.connect(store.path)) as connection:
            found: tuple[object, ...] = connection.execute(
                "SELECT state, subject, decision_row, reason, detail FROM journal WHERE id = 1"
            ).fetchone()
        return found

    await store.commit(Rows(journal=[journal(1, state="held", subject=7, row="#7", detail='{"changes":[]}')]))
    await store.commit(Rows(updates=[JournalUpdate(1, "ignored", None, None, "discarded", None)]))
    assert row() == ("ignored", 7, "#7", "discarded", '{"changes":[]}')
    await store.commit(Rows(updates=[JournalUpdate(1, "accepted", 8, "#40", "released", "{}")]))
    assert row() == ("accepted", 8, "#40", "released", "{}")


async def test_the_end_of_a_hold_tells_who_ended_it_and_why(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1)], holds=[hold(1, 1), hold(2, 1)]))
    ends = [ClosedHold(1, 5.0, "accepted", "somebody", "so"), ClosedHold(2, 6.0, "released", message=1)]
    await store.commit(Rows(closed_holds=ends))
    with closing(sqlite3.connect(store.path)) as connection:
        found = connection.execute(
            "SELECT id, closed_at, closed_how, closed_by, closed_reason, closed_by_message FROM hold ORDER BY id"
        ).fetchall()
    assert found == [tuple(end)[:6] for end in ends]


# -- the lease --------------------------------------------------------------------------------------------------------


async def test_a_second_store_is_refused_and_told_who_holds_the_database(tmp_path: Path, store: SqliteStore) -> None:
    import os

    second = SqliteStore(tmp_path / "ophl7.db")
    with pytest.raises(DatabaseLocked, match=f"process {os.getpid()}"):
        await second.open()
    await second.close()
    await store.commit(Rows(journal=[journal(1)]))
    assert await saved(store, 1)


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "nowhere" / "ophl7.db")
    with pytest.raises(StoreAway, match="nowhere"):
        await store.open()
    await store.close()


async def test_a_file_that_is_no_database_is_left_alone_and_the_lease_given_back(tmp_path: Path) -> None:
    place = tmp_path / "ophl7.db"
    place.write_bytes(b"these are somebody's notes" * 100)
    store = SqliteStore(place)
    with pytest.raises(StoreAway):
        await store.open()
    assert store._connection is None
    await store.close()
    assert place.read_bytes().startswith(b"these are")
    place.unlink()
    again = SqliteStore(place)
    await again.open()
    await again.close()


async def test_a_closed_store_is_away(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()
    await store.close()
    with pytest.raises(StoreAway):
        await store.load(ids_of("1"), small=True)


async def test_a_database_without_memory_is_away_and_no_message_is_to_blame(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()

    def starved(_connection: object) -> None:
        raise MemoryError  # what sqlite3 makes of SQLITE_NOMEM

    with pytest.raises(StoreAway, match="memory"):
        await store.read(starved)
    await store.close()


# -- the disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [-1, 32])
async def test_a_full_disk_is_away_keeps_nothing_half_and_ends_without_a_restart(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(sqlite_module, "FEW_MESSAGES", few)
    connection = connection_of(store)
    await store.commit(Rows(journal=[journal(1)]))
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    rows = registered(patient(1))
    rows.journal = big(2).journal
    with pytest.raises(StoreAway, match="full"):
        await store.commit(rows)
    assert not connection.in_transaction
    assert not await saved(store, 2)
    assert (await store.load(ids_of("P1"), small=True)).aliases == {("PM", "P1"): None}
    connection.execute("PRAGMA max_page_count = 1000000")
    await store.probe()
    await store.commit(rows)
    assert await saved(store, 2)


@pytest.mark.parametrize("few", [-1, 32])
async def test_a_file_that_is_taken_away_takes_no_more_writes_until_it_is_back(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(sqlite_module, "FEW_MESSAGES", few)
    await store.commit(Rows(journal=[journal(1)]))
    aside = store.path.with_name("aside")
    store.path.rename(aside)
    with pytest.raises(StoreAway, match="gone"):
        await store.commit(Rows(journal=[journal(2)]))
    with pytest.raises(StoreAway, match="gone"):
        await store.probe()
    with pytest.raises(StoreAway, match="gone"):
        await store.open_deliveries()
    aside.rename(store.path)
    await store.probe()
    await store.commit(Rows(journal=[journal(2)]))
    assert await saved(store, 2)


async def test_a_file_that_goes_between_the_rows_and_their_commit_leaves_no_transaction_open(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = store.path.with_name("aside")
    write = store._write

    def and_then_gone(rows: Rows) -> None:
        write(rows)
        store.path.rename(aside)

    monkeypatch.setattr(store, "_write", and_then_gone)
    with pytest.raises(StoreAway):
        await store.commit(Rows(journal=[journal(1)]))
    aside.rename(store.path)
    assert not connection_of(store).in_transaction
    assert not await saved(store, 1)


async def test_a_file_that_is_replaced_takes_no_writes_for_the_old_one(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1)]))
    store.path.rename(store.path.with_name("aside"))
    store.path.write_bytes(b"")
    with pytest.raises(StoreAway, match="replaced"):
        await store.commit(Rows(journal=[journal(2)]))
    with pytest.raises(StoreAway, match="replaced"):
        await store.probe()


async def test_somebody_elses_write_lock_is_waited_for_off_the_loop(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(store.commit(Rows(journal=[journal(1)])))
        for _ in range(5):  # the loop turns while the commit waits
            await asyncio.sleep(0)
        assert not commit.done()
        shell.execute("ROLLBACK")
        await commit
    assert await saved(store, 1)


async def test_a_lock_that_is_never_given_back_is_a_database_that_is_away(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "LOCK_SECONDS", 0.0)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreAway):
            await store.commit(Rows(journal=[journal(1)]))
        shell.execute("ROLLBACK")
    await store.probe()
    await store.commit(Rows(journal=[journal(1)]))


async def test_a_probe_waits_for_somebody_elses_lock_as_a_commit_does(store: SqliteStore) -> None:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        probe = asyncio.create_task(store.probe())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not probe.done()
        shell.execute("ROLLBACK")
        await probe


async def test_nobody_but_its_owner_reads_the_database(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1)]))
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.path.parent.glob(f"{store.path.name}*")}
    assert {f"{store.path.name}{end}" for end in ("", "-wal", "-shm", ".lock")} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_a_probe_mends_what_was_left_open_and_counts_the_holds_anew(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1)], holds=[hold(1, 1)]))
    connection_of(store).execute("BEGIN")
    store._open_holds = 0
    await store.probe()
    assert not connection_of(store).in_transaction
    assert set((await store.load(ids_of("P1"), small=True)).holds) == {1}


# -- rows that it cannot hold -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        Rows(journal=[journal(1, reason="broken \udcff")]),
        Rows(journal=[journal(1, state="no such state")]),
        Rows(journal=[journal(1, subject=2**64)]),
        Rows(journal=[journal(1, event=None)]),
        Rows(journal=[journal(1, event=object())]),
        Rows(patients={1: patient(1, fields={"PID-5": "\ud800"})}),
        Rows(journal=[journal(1)], marks=[mark(1, "no such state")], deliveries=[delivery(1)]),
    ],
)
async def test_what_cannot_be_written_is_refused_and_nothing_stays(store: SqliteStore, rows: Rows) -> None:
    with pytest.raises(StoreRefused):
        await store.commit(rows)
    assert not connection_of(store).in_transaction
    await store.commit(Rows(journal=[journal(1)]))


async def test_a_key_that_cannot_be_asked_for_is_refused_not_a_crash(store: SqliteStore) -> None:
    for small in (True, False):
        with pytest.raises(StoreRefused):
            await store.load(ids_of("\udcff"), small=small)


# -- statements -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 1023, 1024, 1025, 2500])
async def test_sets_of_keys_of_any_size_are_asked_for(store: SqliteStore, count: int) -> None:
    people = [patient(number) for number in range(1, count + 1)]
    rows = registered(*people)
    rows.charges = [(charge(one.id, one.subject, f"T{one.id}"), None) for one in people]
    await store.commit(rows)
    keys = Keys(charges={("PM", f"P{number}", f"T{number}") for number in range(1, count + 2)})
    state = await store.load(keys, small=False)
    assert len(state.patients) == count
    assert sum(found is not None for found in state.charges.values()) == count
    assert state.aliases["PM", f"P{count + 1}"] is None


def test_keys_are_padded_to_powers_of_two_by_repeating_the_last() -> None:
    assert padded([1]) == [1]
    assert padded([1, 2, 3]) == [1, 2, 3, 3]
    assert len({len(padded(list(range(count)))) for count in range(1, 1025)}) == 11


def test_a_statement_has_a_place_for_each_key() -> None:
    assert with_keys("sqlite", "held", 3, 1).endswith("IN (?, ?, ?)")
    assert "(VALUES (?, ?), (?, ?))" in with_keys("sqlite", "charges", 2, 2)


def test_every_named_statement_is_one_that_sqlite_understands(tmp_path: Path) -> None:
    async def schema() -> None:
        store = SqliteStore(tmp_path / "ophl7.db")
        await store.open()
        await store.close()

    asyncio.run(schema())
    with closing(sqlite3.connect(tmp_path / "ophl7.db")) as connection:
        for name, text in statements("sqlite").items():
            width = {
                "seen": 3,
                "appointments": 2,
                "charges": 2,
                "charge_sets": 2,
                "last_of_lane": 2,
                "coming_appointments": 2,
                "code_entries": 3,
            }.get(name, 1)
            ready = with_keys("sqlite", name, 2, width) if "{keys}" in text else text
            with suppress(sqlite3.ProgrammingError):  # how many values it wants is known to its caller
                connection.execute(f"EXPLAIN {ready}", [None] * ready.count("?"))


async def test_ids_with_quotes_and_wild_cards_are_only_text(store: SqliteStore) -> None:
    names = ["'; DROP TABLE journal; --", "%", "_", '"', "\\", "é", ""]
    people = [patient(number, ident(name)) for number, name in enumerate(names, 1)]
    await store.commit(registered(*people))
    for number, name in enumerate(names, 1):
        assert (await store.load(ids_of(name), small=True)).aliases == {("PM", name): number}
