"""What is done with the store between two batches: nobody who waits waits for it, but for what must not starve."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.engine.chores import MOST_BATCHES, MOST_SECONDS, Chores
from ophl7.engine.ports import Envelope
from ophl7.errors import StoreAway, StoreRefused
from tests.unit.engine.desk import Desk, Line, ManualClock, adt


async def chore(done: list[str], name: str) -> str:
    done.append(name)
    return name


async def test_what_is_urgent_comes_first_and_the_rest_in_order() -> None:
    chores, done = Chores(ManualClock().monotonic), list[str]()
    waits = [chores.put(lambda: chore(done, "a")), chores.put(lambda: chore(done, "b"))]
    known = [chores.due]
    waits.append(chores.put(lambda: chore(done, "c"), soon=True))
    known.append(chores.due)
    assert known == [False, True]
    while chores:
        assert await chores.do_one() is None
    assert done == ["c", "a", "b"]
    assert [await one for one in waits] == ["a", "b", "c"]


async def test_nothing_is_done_for_somebody_who_has_gone() -> None:
    chores, done = Chores(ManualClock().monotonic), list[str]()
    chores.put(lambda: chore(done, "a")).cancel()
    assert await chores.do_one() is None
    assert done == []


@pytest.mark.parametrize(("error", "away"), [(StoreAway("no disk"), "no disk"), (StoreRefused("a row"), None)])
async def test_what_fails_is_told_to_who_asked_and_a_store_that_is_away_to_the_loop(error: Exception, away: str | None) -> None:
    async def fails() -> None:
        raise error

    chores = Chores(ManualClock().monotonic)
    waits: asyncio.Future[None] = chores.put(fails)
    assert await chores.do_one() == away
    with pytest.raises(type(error)):
        await waits


async def test_a_store_that_is_away_keeps_nothing_for_later() -> None:
    chores, done = Chores(ManualClock().monotonic), list[str]()
    waits = [chores.put(lambda: chore(done, "a")), chores.put(lambda: chore(done, "b"), soon=True)]
    chores.give_up("gone")
    assert not chores
    for one in waits:
        with pytest.raises(StoreAway):
            await one
    assert done == []


async def test_one_lets_so_many_batches_go_before_it_and_so_does_the_next() -> None:
    chores, done = Chores(ManualClock().monotonic), list[str]()
    chores.put(lambda: chore(done, "a"))
    chores.put(lambda: chore(done, "b"))
    for expected in (["a"], ["a", "b"]):
        for _ in range(MOST_BATCHES):
            assert not chores.due
            chores.passed()
        assert chores.due
        await chores.do_one()
        assert done == expected
    assert not chores.due


async def test_or_so_much_time() -> None:
    clock = ManualClock()
    chores, done = Chores(clock.monotonic), list[str]()
    clock.moment += 3600.0  # nothing waited meanwhile
    chores.put(lambda: chore(done, "a"))
    clock.moment += MOST_SECONDS / 2
    assert not chores.due
    clock.moment += MOST_SECONDS
    assert chores.due


class Restless(Line):
    """Sends its next message as soon as the one before is answered, so something waits behind each batch."""

    desk: Desk
    left = 200

    def answer(self, payload: bytes | None) -> None:
        super().answer(payload)
        self.left -= 1
        if self.left > 0:
            self.desk.engine.offer(Envelope("pm", self, adt(f"R{self.left}"), 0.0))


async def test_a_loop_that_is_never_idle_does_one_step_at_a_time_between_its_batches() -> None:
    async with Desk() as desk:
        line = Restless("pm")
        line.desk = desk
        at: list[int] = []

        async def step() -> None:
            at.append(len(desk.seen.batches))

        waiting = [asyncio.create_task(desk.engine.tidy(step)) for _ in range(3)]
        await asyncio.sleep(0)  # a turn of the loop, no time
        for number in range(3):
            desk.engine.offer(Envelope("pm", line, adt(f"F{number}"), 0.0))
        await asyncio.gather(*waiting)
        assert at == [MOST_BATCHES, 2 * MOST_BATCHES, 3 * MOST_BATCHES]
        assert len(desk.seen.batches) > at[-1], "there were batches to be done all the time"
