"""What is done with the store between two batches: nobody who waits waits for it, but for what must not starve."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.engine.chores import Chores
from ophl7.errors import StoreAway, StoreRefused


async def chore(done: list[str], name: str) -> str:
    done.append(name)
    return name


async def test_what_is_urgent_comes_first_and_the_rest_in_order() -> None:
    chores, done = Chores(), list[str]()
    waits = [chores.put(lambda: chore(done, "a")), chores.put(lambda: chore(done, "b"))]
    known = [chores.urgent]
    waits.append(chores.put(lambda: chore(done, "c"), soon=True))
    known.append(chores.urgent)
    assert known == [False, True]
    while chores:
        assert await chores.do_one() is None
    assert done == ["c", "a", "b"]
    assert [await one for one in waits] == ["a", "b", "c"]


async def test_nothing_is_done_for_somebody_who_has_gone() -> None:
    chores, done = Chores(), list[str]()
    chores.put(lambda: chore(done, "a")).cancel()
    assert await chores.do_one() is None
    assert done == []


@pytest.mark.parametrize(("error", "away"), [(StoreAway("no disk"), "no disk"), (StoreRefused("a row"), None)])
async def test_what_fails_is_told_to_who_asked_and_a_store_that_is_away_to_the_loop(error: Exception, away: str | None) -> None:
    async def fails() -> None:
        raise error

    chores = Chores()
    waits: asyncio.Future[None] = chores.put(fails)
    assert await chores.do_one() == away
    with pytest.raises(type(error)):
        await waits


async def test_a_store_that_is_away_keeps_nothing_for_later() -> None:
    chores, done = Chores(), list[str]()
    waits = [chores.put(lambda: chore(done, "a")), chores.put(lambda: chore(done, "b"), soon=True)]
    chores.give_up("gone")
    assert not chores
    for one in waits:
        with pytest.raises(StoreAway):
            await one
    assert done == []
