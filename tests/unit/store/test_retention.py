"""Retention on SQLite: what goes, what never does, and what people are told of what is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ophl7.domain.changes import Stream
from ophl7.domain.merge import Merge, MergeState
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.chain_walk import Verified, verify_chain
from ophl7.engine.resend_rows import Deed, Resend, ResendState
from ophl7.engine.retention import STEP_BYTES, STEP_ROWS, Ages, Removed, RetiringStore, at_once, retire_all
from ophl7.engine.storage import AuditRow, ClosedHold, Keys, Rows
from ophl7.errors import StoreAway, StoreRefused
from ophl7.store.care import DirectChain, back_up, faults, looking, preview
from ophl7.store.memory import MemoryStore
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import charge, delivery, drift, hold, journal, patient, registered

EVERYTHING = Ages(1e9, 1e9, 1e9, 1e9)
BODIES = Ages(1e9, 0.0, 0.0, 1e9)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    found = SqliteStore(tmp_path / "ophl7.db")
    await found.open()
    yield found
    await found.close()


async def no_pause(_seconds: float) -> None:
    return


async def run(store: RetiringStore, ages: Ages = EVERYTHING) -> Removed:
    return await retire_all(store, ages, at_once, no_pause)


def rows(store: SqliteStore, sql: str) -> list[Any]:
    with closing(sqlite3.connect(store.path)) as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql)]


def with_bodies(store: SqliteStore) -> list[int]:
    return rows(store, "SELECT id FROM journal WHERE raw IS NOT NULL ORDER BY id")


async def test_bodies_go_first_and_rows_later(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(n) for n in (1, 2, 3)], deliveries=[delivery(1, 1, state="accepted", body=b"x")]))
    assert (await run(store, BODIES)).bodies == 3
    assert with_bodies(store) == []
    assert rows(store, "SELECT body_removed_at FROM journal") == [1e9] * 3
    assert rows(store, "SELECT body FROM delivery") == [None]
    assert (await run(store)).rows == 1  # 1 has the newest delivery, 3 is the newest message
    assert rows(store, "SELECT id FROM journal") == [1, 3]


async def test_what_is_younger_stays(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(n, received_at=n * 100.0) for n in range(1, 6)]))
    await run(store, Ages(300.0, 200.0, 0.0, 1e9))
    assert with_bodies(store) == [3, 4, 5]
    assert rows(store, "SELECT id FROM journal") == [2, 3, 4, 5]


@pytest.mark.parametrize("state", ["queued", "sending", "held", "unknown", "parked"])
async def test_a_copy_that_is_not_settled_keeps_everything(store: SqliteStore, state: str) -> None:
    await store.commit(
        Rows(journal=[journal(1), journal(2)], deliveries=[delivery(1, 1, state=state), delivery(2, 2, state="accepted")])
    )
    removed = await run(store)
    assert removed.kept["undelivered"] >= 1
    assert await store.body_of(1)
    with pytest.raises(StoreRefused, match="removed when their retention was over"):
        await store.body_of(2)


async def test_once_it_is_settled_the_next_run_takes_what_an_earlier_one_left(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1, state="held"), journal(2)], holds=[hold(1, 1), hold(2, 2)]))
    await store.commit(Rows(closed_holds=[ClosedHold(2, 5.0, "released")]))
    assert (await run(store)).bodies == 1
    assert with_bodies(store) == [1]
    connection = store._connection
    assert connection is not None
    connection.execute("UPDATE journal SET state = 'accepted' WHERE id = 1")
    await store.commit(Rows(closed_holds=[ClosedHold(1, 6.0, "released")]))
    removed = await run(store)
    assert (removed.bodies, removed.rows) == (1, 1)
    assert rows(store, "SELECT id FROM hold") == [2]


async def test_50_the_message_stays_whose_charges_a_waiting_copy_takes_back(store: SqliteStore) -> None:
    copies = [delivery(1, 1, stream="charges", state="accepted"), delivery(2, 2, stream="charges", state="queued")]
    await store.commit(Rows(journal=[journal(1), journal(2), journal(3)], deliveries=copies, taken_back=[(1, 2)]))
    assert (await run(store)).kept["taken_back"] >= 1
    assert with_bodies(store) == [1, 2]


async def test_48_a_known_charge_is_known_for_ever(store: SqliteStore) -> None:
    await store.commit(registered(patient(1)))
    subject = patient(1).subject
    one = charge(1, subject, message=1)
    await store.commit(Rows(journal=[journal(1, event="DFT^P03"), journal(2)], charges=[(one, 1)]))
    await store.commit(Rows(deliveries=[delivery(1, 1, stream="charges", state="accepted")]))
    removed = await run(store)
    assert removed.kept["ledger"] == 1
    assert with_bodies(store) == []
    state = await store.load(Keys(charges={("PM", "P1", "T1")}), small=True)
    assert state.charges[subject, "T1"] is not None
    assert rows(store, "SELECT id FROM journal") == [1, 2]


@pytest.mark.parametrize(("state", "copy"), [("held", None), ("sent", None), ("sent", "parked")])
async def test_a_charge_that_is_not_settled_keeps_its_message(store: SqliteStore, state: str, copy: str | None) -> None:
    await store.commit(
        Rows(journal=[journal(1), journal(2)], charges=[(charge(1, 7, message=1, state=state), 1 if copy else None)])
    )
    if copy:
        await store.commit(Rows(deliveries=[delivery(1, 2, stream="charges", state=copy)]))
    await run(store)
    assert 1 in with_bodies(store)


@pytest.mark.parametrize(("state", "stays"), [("one_sided", [1]), ("conflict", [1]), ("two_sided", []), ("unmerged", [])])
async def test_a_merge_that_one_side_has_not_done_keeps_its_message(
    store: SqliteStore, state: MergeState, stays: list[int]
) -> None:
    people = registered(patient(1), patient(2))
    people.merges = {1: Merge(1, 1, 2, 5.0, None, state, 1, 1, None, 5.0)}
    people.journal = [journal(1), journal(2)]
    await store.commit(people)
    await run(store)
    assert with_bodies(store) == stays


async def test_a_value_that_was_not_taken_keeps_its_message_until_the_chart_has_it(store: SqliteStore) -> None:
    people = registered(patient(1, fields={"PID-11": "Oak St"}))
    people.journal, people.drift = [journal(1), journal(2)], [drift(1, 1)]
    await store.commit(people)
    assert (await run(store)).kept["drift"] >= 1
    assert with_bodies(store) == [1]
    await store.commit(Rows(patients={1: patient(1, fields={"PID-11": "Elm St"})}))
    await run(store)
    assert with_bodies(store) == []


async def test_a_message_stays_while_its_replay_is_not_settled(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1), journal(2, replay_of=1, state="held"), journal(3)], holds=[hold(1, 2)]))
    assert (await run(store)).kept["replay"] >= 1
    assert with_bodies(store) == [1, 2]


async def test_86_the_last_message_of_a_lane_keeps_its_answer(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(n, subject=7) for n in (1, 2)] + [journal(3)]))
    await run(store)
    seen = (await store.load(Keys(last={("pm", 7, "", "")}), small=True)).last["pm", 7]
    assert seen is not None
    assert (seen.message, seen.answer) == (2, b"MSA|AA")
    assert rows(store, "SELECT id FROM journal") == [2, 3]


async def test_a_message_that_a_chart_names_keeps_its_row(store: SqliteStore) -> None:
    one = patient(1, message=3, origins="1\t#1\t5.0\tPID-5")
    people = registered(one)
    people.journal = [journal(n, subject=one.subject) for n in (1, 2, 3)] + [journal(4)]
    await store.commit(people)
    await run(store)
    assert rows(store, "SELECT id FROM journal") == [1, 3, 4]


async def test_numbers_are_never_given_twice(store: SqliteStore) -> None:
    everything = Rows(journal=[journal(1), journal(2), journal(3)], deliveries=[delivery(9, 1, state="accepted")])
    everything.holds, everything.drift = [hold(8, 2)], [drift(7, 2)]
    await store.commit(everything)
    await store.commit(Rows(closed_holds=[ClosedHold(8, 5.0, "released")]))
    await run(store)
    await store.close()
    counters = await SqliteStore(store.path).open()
    assert (counters.journal, counters.delivery, counters.hold, counters.drift) == (3, 9, 8, 7)


async def test_a_clock_that_ran_ahead_for_a_while_stops_nothing(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1, received_at=9e9), journal(2), journal(3)]))
    assert (await run(store)).bodies == 2
    assert with_bodies(store) == [1]
    assert (await run(store, Ages(1e10, 1e10, 0.0, 1e10))).bodies == 1


async def test_a_step_is_bounded_in_rows_and_in_bytes(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(n) for n in range(1, 251)]))
    step = await store.retire("bodies", 0, BODIES)
    assert (step.bodies, step.after) == (STEP_ROWS, STEP_ROWS)
    big = b"x" * (STEP_BYTES // 2 + 1)
    await store.commit(Rows(journal=[journal(n, raw=big, end=len(big)) for n in (251, 252, 253)]))
    for _ in range(250 // STEP_ROWS - 1):
        await store.retire("bodies", 0, BODIES)
    assert [(await store.retire("bodies", 0, BODIES)).bodies for _ in range(4)] == [1, 1, 1, 0]


async def test_a_run_that_was_broken_off_goes_on_where_it_was(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(n) for n in range(1, 301)]))
    await store.retire("bodies", 0, BODIES)
    await store.close()
    again = SqliteStore(store.path)
    await again.open()
    assert (await run(again, BODIES)).bodies == 300 - STEP_ROWS
    await again.close()


async def test_a_step_that_fails_leaves_nothing_behind(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1), journal(2)]))
    connection = store._connection
    assert connection is not None
    connection.execute("CREATE TRIGGER full BEFORE UPDATE ON journal BEGIN SELECT raise(ABORT, 'full'); END")
    with pytest.raises((StoreAway, StoreRefused)):
        await run(store, BODIES)
    connection.execute("DROP TRIGGER full")
    assert with_bodies(store) == [1, 2]
    assert (await run(store, BODIES)).bodies == 2


# -- the audit ------------------------------------------------------------------------------------------------------------


async def verified(path: Path) -> Verified:
    with looking(path) as connection:
        return await verify_chain(DirectChain(connection))


async def audited(store: SqliteStore, count: int, at: float = 10.0) -> None:
    for number in range(count):
        await store.commit(Rows(audit=[AuditRow(at + number, "somebody", "view", f"message {number}", "")]))


async def test_the_audit_goes_on_from_an_anchor(store: SqliteStore) -> None:
    await audited(store, 5)
    assert (await run(store, Ages(0.0, 0.0, 13.0, 99.0))).audit == 3
    found = await verified(store.path)
    assert (found.fault, found.rows, found.removed) == (None, 3, 3)
    await audited(store, 2, 50.0)
    assert (await run(store, Ages(0.0, 0.0, 52.0, 99.0))).audit == 2  # 4 and 5; the row that speaks for 1 to 3 is of 99
    found = await verified(store.path)
    assert (found.fault, found.removed) == (None, 5)


async def test_the_last_audit_row_stays(store: SqliteStore) -> None:
    await audited(store, 3)
    await run(store)
    await run(store, Ages(0.0, 0.0, 2e9, 2e9))
    assert len(rows(store, "SELECT id FROM audit")) >= 1
    assert (await verified(store.path)).fault is None


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM meta WHERE name = 'audit anchor'",
        "UPDATE meta SET value = '4 ' || hex(zeroblob(32)) WHERE name = 'audit anchor'",
        "UPDATE meta SET value = (SELECT id || ' ' || lower(hex(digest)) FROM audit WHERE id = 4) WHERE name = 'audit anchor'",
        "DELETE FROM audit WHERE id = 4",
        "DELETE FROM audit WHERE action = 'remove-old-audit'",
        "UPDATE audit SET reason = '2 rows' WHERE action = 'remove-old-audit'",
    ],
)
async def test_who_moves_the_anchor_or_what_stands_for_it_is_seen(store: SqliteStore, sql: str) -> None:
    await audited(store, 6)
    await run(store, Ages(0.0, 0.0, 13.0, 99.0))
    assert (await verified(store.path)).fault is None
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(sql)
    assert (await verified(store.path)).fault is not None


async def test_rows_taken_away_with_an_anchor_put_behind_them_are_missed(store: SqliteStore) -> None:
    await audited(store, 6)
    with closing(sqlite3.connect(store.path)) as connection, connection:
        anchor = connection.execute("SELECT id || ' ' || lower(hex(digest)) FROM audit WHERE id = 3").fetchone()
        connection.execute("DELETE FROM audit WHERE id <= 3")
        connection.execute("INSERT INTO meta VALUES ('audit anchor', ?)", anchor)
    assert (await verified(store.path)).fault == "the audit is said to begin behind row 3, and no row of it says so"


# -- from outside ---------------------------------------------------------------------------------------------------------


async def test_the_preview_says_what_a_run_then_does_and_changes_nothing(store: SqliteStore) -> None:
    year = 365.25 * 86400
    await store.commit(Rows(journal=[journal(n, received_at=(n % 3) * year) for n in range(1, 8)], holds=[hold(1, 3)]))
    await audited(store, 3)
    ages = Ages(2 * year, year, 100.0, 3 * year)
    with looking(store.path) as connection:
        before = connection.total_changes
        told = preview(connection, ages)
        assert connection.total_changes == before
    removed = await run(store, ages)
    assert (sum(told.bodies.values()), sum(told.rows.values()), told.audit) == (removed.bodies, removed.rows, removed.audit)
    assert set(told.bodies) == {2, 3}


def copies_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("copy*"))


async def test_a_backup_is_one_moment_and_for_its_owner_alone(store: SqliteStore, tmp_path: Path) -> None:
    await store.commit(Rows(journal=[journal(n) for n in range(1, 50)]))
    copy = tmp_path / "copy.db"
    assert back_up(store.path, copy) == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    await store.commit(Rows(journal=[journal(50)]))
    with looking(copy) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (49,)
        assert faults(connection) == []
    assert copies_in(tmp_path) == ["copy.db"]
    with pytest.raises(StoreAway, match="is there already"):
        back_up(store.path, copy)


async def test_what_must_not_be_in_a_database_is_found(store: SqliteStore) -> None:
    await store.commit(Rows(journal=[journal(1)], deliveries=[delivery(1, 1), delivery(2, 77)], charges=[(charge(1, 7), 99)]))
    await store.commit(Rows(journal=[journal(2, state="held")], holds=[hold(1, 1)]))
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE journal SET raw = NULL")
    with looking(store.path) as connection:
        found = faults(connection)
    assert len(found) == 5, found
    assert found[0].startswith("references: 1 rows of delivery")


async def test_after_retention_the_database_is_consistent(store: SqliteStore) -> None:
    copies = [delivery(n, n, state="accepted" if n % 2 else "parked") for n in range(1, 40)]
    holds = [hold(n, n) for n in range(1, 40, 4)]
    messages = [journal(n, subject=n % 5, state="held" if n % 4 == 1 else "accepted") for n in range(1, 40)]
    await store.commit(Rows(journal=messages, deliveries=copies, holds=holds))
    await run(store)
    with looking(store.path) as connection:
        assert faults(connection) == []


# -- alarms ---------------------------------------------------------------------------------------------------------------


def alarm(number: int, opened_at: float, resolved_at: float | None) -> AlarmRow:
    row = AlarmRow(number, "silent", "pm", "nothing came", opened_at)
    return row if resolved_at is None else row._replace(resolved_at=resolved_at, how="cause_gone")


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
async def test_alarms_that_ended_go_like_the_audit_but_never_an_open_one_nor_the_newest(store: SqliteStore, kind: str) -> None:
    tested: SqliteStore | MemoryStore = store if kind == "sqlite" else MemoryStore()
    old = [alarm(number, float(number), None if number % 40 == 1 else number + 5.0) for number in range(1, 2 * STEP_ROWS)]
    late = [alarm(2 * STEP_ROWS, 50.0, 2000.0), alarm(2 * STEP_ROWS + 1, 60.0, 70.0)]
    await tested.commit(Rows(alarms={row.id: row for row in (*old, *late)}))
    removed = await run(tested, Ages(0.0, 0.0, 1000.0, 3000.0))
    assert removed.alarms == sum(row.resolved_at is not None for row in old)
    kept = await tested.alarms()
    assert [row.id for row in kept.open] == [row.id for row in old if row.resolved_at is None]
    assert kept.last == 2 * STEP_ROWS + 1
    assert (await run(tested, Ages(0.0, 0.0, 1000.0, 3000.0))).alarms == 0


# -- the log --------------------------------------------------------------------------------------------------------------


async def test_a_reader_that_stays_lets_the_log_grow_and_cutting_it_waits_for_him(store: SqliteStore) -> None:
    log = store.path.with_name("ophl7.db-wal")
    with looking(store.path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM journal").fetchone()
        for number in range(1, 41):
            await store.commit(Rows(journal=[journal(number, raw=b"x" * 200_000, end=200_000)]))
        assert log.stat().st_size > 4_000_000
        await store.fold_back()
        assert await store.cut_log() is False
        reader.execute("COMMIT")
    await store.fold_back()
    assert await store.cut_log() is True
    assert log.stat().st_size == 0


async def test_nobody_reads_while_the_reader_is_quiet(store: SqliteStore) -> None:
    reader = SqliteReader(store.path)
    async with reader.quiet():
        await store.commit(Rows(journal=[journal(1)]))
        assert await store.cut_log() is True
    assert len(await reader.messages()) == 1
    await reader.close()


# -- what is sent again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "place", "streams", "stays"),
    [
        ("running", 0, ("record",), [1, 2]),
        ("stopped", 1, ("record",), [2]),
        ("running", 2, ("record",), []),
        ("running", 0, ("charges",), []),
        ("done", 0, ("record",), []),
        ("dropped", 0, ("record",), []),
    ],
)
async def test_what_an_open_run_comes_to_yet_keeps_its_bytes(
    store: SqliteStore, state: ResendState, place: int, streams: tuple[Stream, ...], stays: list[int]
) -> None:
    run_of = Resend(1, "emr", 0.0, 1e9, streams, 5, "", 10.0, 2, state, place)
    copies = [delivery(n, n, destination="emr", state="accepted") for n in (1, 2, 3)]
    await store.commit(Rows(journal=[journal(n) for n in (1, 2, 3)], deliveries=copies, resends={1: run_of}))
    removed = await run(store)
    assert with_bodies(store) == stays
    assert removed.kept.get("resend", 0) >= len(stays)


async def test_the_root_of_a_copy_that_waits_keeps_its_own_bytes_and_its_messages(store: SqliteStore) -> None:
    run_of = Resend(1, "emr", 0.0, 1e9, ("record",), 5, "", 10.0, 1, "done", 1)
    root = delivery(1, 1, destination="emr", state="accepted", body=b"root")
    copy = delivery(2, 1, destination="emr", state="parked")._replace(resend_of=1, resend=1)
    await store.commit(Rows(journal=[journal(1), journal(2)], deliveries=[root, copy], resends={1: run_of}))
    await run(store)
    assert with_bodies(store) == [1]
    assert rows(store, "SELECT body FROM delivery WHERE id = 1") == [b"root"]


async def test_what_was_done_under_a_key_goes_with_the_audit_of_its_time(store: SqliteStore) -> None:
    deeds = [Deed(f"K{n}", "pause link emr", float(n), "pause", "") for n in range(2 * STEP_ROWS + 10)]
    await store.commit(Rows(deeds=deeds))
    await run(store, Ages(0.0, 0.0, 2 * STEP_ROWS + 5.0, 1e9))
    assert rows(store, "SELECT at FROM deed ORDER BY at") == [2 * STEP_ROWS + n for n in (5.0, 6.0, 7.0, 8.0, 9.0)]
