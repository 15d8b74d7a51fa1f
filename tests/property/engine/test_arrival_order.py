"""In whatever order one sender's messages come, nothing older is ever applied over something newer of it (#87)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.desk import Desk, adt, message, msh, pid, siu

# Minute of the hour, and how finely it is written. Two patients: three would be a clock that goes back.
TIMES = st.tuples(st.integers(0, 9), st.sampled_from(["minute", "second"]))
PATIENTS = st.integers(0, 1)
BATCHES = st.integers(1, 5)


def at(minute: int, precision: str) -> str:
    return f"2024030110{minute:02}" + ("00" if precision == "second" else "")


def update(number: int, patient: int, minute: int, precision: str) -> bytes:
    when = at(minute, precision)
    who = pid(f"P{patient}^^^PM^MR", rest=f"|||{minute} OAK AVE")
    return message(msh("ADT^A08", f"U{number}", at=when), f"EVN||{when}", who)


def booking(number: int, patient: int, minute: int, precision: str) -> bytes:
    start = f"20240305{10 + minute}0000"
    raw = siu(f"S{number}", f"F{patient}", "S13", ids=f"P{patient}^^^PM^MR", start=start)
    return raw.replace(b"|20240301100000|", f"|{at(minute, precision)}|".encode(), 1)


async def deliver(desk: Desk, messages: Sequence[bytes], size: int) -> None:
    for begin in range(0, len(messages), size):
        assert set(await desk.send("pm", *messages[begin : begin + size])) == {"AA"}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PATIENTS, TIMES), min_size=1, max_size=12), BATCHES, st.booleans())
def test_the_newest_word_stays_whatever_the_order_and_the_batches(
    said: list[tuple[int, tuple[int, str]]], size: int, bookings: bool
) -> None:
    async def run() -> None:
        async with Desk() as desk:
            early = "20240301090000"
            registered = [message(msh("ADT^A28", f"R{n}", at=early), f"EVN||{early}", pid(f"P{n}^^^PM^MR")) for n in (0, 1)]
            await deliver(desk, registered, 2)
            make = booking if bookings else update
            await deliver(desk, [make(number, who, *when) for number, (who, when) in enumerate(said)], size)
            newest = [max((when[0] for who, when in said if who == patient), default=None) for patient in (0, 1)]
            for patient, minute in enumerate(newest):
                if minute is None:
                    continue
                if bookings:
                    (row,) = [one for one in desk.memory.appointments.values() if one.filler == f"F{patient}"]
                    assert row.start == f"20240305{10 + minute}0000"
                else:
                    kept = desk.memory.patients[desk.memory.aliases["PM", f"P{patient}"]].fields["PID-11"]
                    assert kept == f"{minute} OAK AVE"
            # What was not applied was older, and nothing of it was sent on.
            stale = {row.id for row in desk.memory.journal.values() if row.state == "stale"}
            assert all(row.message not in stale for row in desk.memory.deliveries.values())

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(TIMES, min_size=1, max_size=8))
def test_what_is_stale_is_what_is_older_than_the_newest_before_it(said: list[tuple[int, str]]) -> None:
    async def run() -> None:
        async with Desk() as desk:
            await deliver(desk, [adt("R", "A28", at="20240301000000")], 1)
            first = message(msh("ADT^A28", "R0", at="20240301000000"), "EVN||20240301000000", pid("P0^^^PM^MR"))
            await deliver(desk, [first], 1)
            newest = -1
            for number, when in enumerate(said):
                await deliver(desk, [update(number, 0, *when)], 1)
                assert desk.journal(f"U{number}").state == ("stale" if when[0] < newest else "accepted")
                newest = max(newest, when[0])

    asyncio.run(run())
