"""Whatever the state, after ten years: nothing that is open has gone, all else has; on SQLite and in memory alike."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.domain.merge import Merge, MergeState
from ophl7.domain.patient import Side
from ophl7.engine.retention import Ages, Keep, Removed, at_once, retire_all
from ophl7.engine.rows import DeliveryState, MessageState
from ophl7.engine.storage import ClosedHold, DriftRow, Rows, Store
from ophl7.store.care import faults, looking
from ophl7.store.memory import MemoryStore
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import charge, delivery, hold, journal, patient, registered

TEN_YEARS = 10 * 365.25 * 86400.0
KEEP = Keep(90 * 86400.0, 6 * 365.25 * 86400.0)
AGES = Ages(TEN_YEARS - KEEP.bodies, TEN_YEARS - KEEP.rows, TEN_YEARS - KEEP.rows, TEN_YEARS)
SETTLED = {"accepted", "rejected", "skipped"}
SIDES: tuple[Side, ...] = ("pm", "emr")


@st.composite
def practices(draw: st.DrawFn) -> list[Rows]:
    """All that a database may hold, in two commits: what came, and which holds were closed."""
    count = draw(st.integers(1, 9))
    people = [
        patient(
            number,
            message=draw(st.integers(1, count)),
            fields={"PID-11": draw(st.sampled_from(["Elm St", "Oak St"]))},
            origins=draw(st.sampled_from(["", "1\t#1\t5.0\tPID-11", f"{count}\t#1\t5.0\tPID-11"])),
        )
        for number in (1, 2)
    ]
    rows, later = registered(*people), Rows()
    subjects = st.sampled_from([None, *(one.subject for one in people)])
    for number in range(1, count + 1):
        replays = number > 1 and draw(st.booleans()) and draw(st.booleans())
        state = draw(st.sampled_from(get_args(MessageState)))
        rows.journal.append(
            journal(
                number,
                peer=draw(st.sampled_from(SIDES)),
                state=state,
                subject=draw(subjects),
                replay_of=draw(st.integers(1, number - 1)) if replays else None,
                received_at=draw(st.sampled_from([0.0, TEN_YEARS - 86400.0])),  # now and then the clock was wrong
            )
        )
        if state == "held" or draw(st.booleans()):
            rows.holds.append(hold(number, number))
            if state != "held" and draw(st.booleans()):
                later.closed_holds.append(ClosedHold(number, 5.0, "released"))
    for number in range(1, draw(st.integers(0, 6)) + 1):
        state = draw(st.sampled_from(get_args(DeliveryState)))
        stream = draw(st.sampled_from(["record", "charges"]))
        of = draw(st.integers(1, count))
        rows.deliveries.append(delivery(number, of, state=state, stream=stream, body=draw(st.sampled_from([None, b"own"]))))
    copies = {one.id: one for one in rows.deliveries}
    for number in range(1, draw(st.integers(0, 3)) + 1):
        of = draw(st.integers(1, count))
        theirs = [one.id for one in copies.values() if one.message == of]
        charged = charge(
            number, people[0].subject, message=of, line=number, state=draw(st.sampled_from(["held", "sent", "rejected"]))
        )
        rows.charges.append((charged, draw(st.sampled_from([None, *theirs]))))
    for number in range(1, draw(st.integers(0, 4)) + 1):
        offered, restored = draw(st.sampled_from(["Elm St", "Oak St"])), draw(st.sampled_from(["sent", "task", None]))
        of, whose, peer = draw(st.integers(1, count)), draw(st.sampled_from([1, 2])), draw(st.sampled_from(SIDES))
        rows.drift.append(DriftRow(number, of, whose, peer, "PID-11", offered, None, "#5", 5.0, restored))  # type: ignore[arg-type]
    if draw(st.booleans()):
        states: tuple[MergeState, ...] = get_args(MergeState)
        first, second = draw(st.integers(1, count)), draw(st.none() | st.integers(1, count))
        rows.merges[1] = Merge(1, 1, 2, 5.0, None, draw(st.sampled_from(states)), first, first, second, 5.0)
    of_charges = sorted(one.id for one in rows.deliveries if one.stream == "charges")  # nothing else is taken back (#50)
    if len(of_charges) > 1 and draw(st.booleans()):
        rows.taken_back.append((draw(st.sampled_from(of_charges)), draw(st.sampled_from(of_charges))))
    return [rows, later]


async def no_pause(_seconds: float) -> None:
    return


async def aged(store: Store, commits: list[Rows], runs: int) -> Removed:
    """After the last of so many runs."""
    for rows in commits:
        await store.commit(rows)
    removed = Removed()
    for _ in range(runs):
        removed = await retire_all(store, AGES, at_once, no_pause)
    return removed


def must_stay(memory: MemoryStore) -> set[int]:
    """Said independently of both stores: messages about which something is open, out of what was committed."""
    waiting = {one.id for one in memory.deliveries.values() if one.state not in SETTLED}
    stays = {one.message for one in memory.deliveries.values() if one.id in waiting}
    stays |= {one.message for one in memory.holds.values()} | {one.id for one in memory.journal.values() if one.state == "held"}
    stays |= {memory.journal[one].replay_of or one for one in stays}
    stays |= {memory.deliveries[lost].message for lost, back in memory.taken_back if back in waiting}
    for one, copy in memory.charges.values():
        if one.state == "held" or (one.state == "sent" and (copy is None or copy in waiting)):
            stays.add(one.message)
    for merge in memory.merges.values():
        if merge.state in {"one_sided", "conflict"}:
            stays |= {number for number in (merge.message, merge.pm_message, merge.emr_message) if number is not None}
    last = {(one.patient, one.peer, one.field): one for one in memory.drift}
    for drift in last.values():
        if drift.restored != "sent" and memory.patients[drift.patient].fields["PID-11"] != drift.offered:
            stays.add(drift.message)
    return stays


@given(commits=practices())
@settings(deadline=None)
def test_after_ten_years_nothing_open_has_gone_and_all_else_has(commits: list[Rows]) -> None:
    before = MemoryStore()
    asyncio.run(aged(before, commits, 0))
    stays = must_stay(before)
    young = {one.id for one in before.journal.values() if one.received_at > AGES.bodies}
    memory = MemoryStore()
    asyncio.run(aged(memory, commits, 3))
    assert set(memory.journal) - set(memory.bodies_removed) == stays | young
    assert before.charges == memory.charges
    assert before.patients == memory.patients
    assert {one.id: one.state for one in before.deliveries.values() if one.message in stays}.items() <= {
        one.id: one.state for one in memory.deliveries.values()
    }.items()
    assert before.holds == memory.holds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ophl7.db"
        asyncio.run(on_disk(path, commits))
        with closing(sqlite3.connect(path)) as connection:
            found = {
                table: [row[0] for row in connection.execute(f"SELECT id FROM {table} ORDER BY id")]
                for table in ("journal", "delivery", "hold", "drift", "charge")
            }
            bodies = {row[0] for row in connection.execute("SELECT id FROM journal WHERE raw IS NOT NULL")}
        assert bodies == stays | young
        assert found == {
            "journal": sorted(memory.journal),
            "delivery": sorted(memory.deliveries),
            "hold": sorted({*memory.holds, *memory.closed_holds}),
            "drift": sorted(one.id for one in memory.drift),
            "charge": sorted(one.id for one, _ in memory.charges.values()),
        }
        with looking(path) as connection:
            assert [fault for fault in faults(connection) if fault.startswith(("integrity", "references"))] == []


async def on_disk(path: Path, commits: list[Rows]) -> None:
    store = SqliteStore(path)
    await store.open()
    try:
        await aged(store, commits, 3)
    finally:
        await store.close()
