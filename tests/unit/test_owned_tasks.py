"""A task that must never end is missed when it does; one that is ended on purpose is not."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.owned_tasks import OwnedTasks


async def for_ever() -> None:
    await asyncio.Event().wait()


async def at_once() -> None:
    return None


async def fails() -> None:
    raise OSError("the port is gone")


@pytest.mark.parametrize(
    ("work", "error", "words"),
    [(at_once, RuntimeError, "the status page ended by itself"), (fails, OSError, "the port is gone")],
)
async def test_one_that_ends_breaks_the_whole_and_says_why(work: object, error: type[Exception], words: str) -> None:
    tasks = OwnedTasks()
    tasks.begin()
    tasks.own(for_ever(), "batch loop")
    assert callable(work)
    tasks.own(work(), "status page")
    with pytest.raises(error, match=words):
        async with asyncio.timeout(5):
            await tasks.broken()
    await tasks.cancel()


async def test_one_that_somebody_else_cancels_breaks_the_whole_too() -> None:
    tasks = OwnedTasks()
    tasks.begin()
    tasks.own(for_ever(), "batch loop")
    (task,) = (one for one in asyncio.all_tasks() if one.get_name() == "batch loop")
    task.cancel()
    with pytest.raises(RuntimeError, match="the batch loop ended by itself"):
        async with asyncio.timeout(5):
            await tasks.broken()


async def test_what_ends_at_the_end_is_missed_by_nobody_and_nothing_is_left_running() -> None:
    tasks = OwnedTasks()
    tasks.begin()
    tasks.own(for_ever(), "batch loop")
    tasks.own_short(for_ever(), "closing a listener")
    tasks.stop_soon()
    tasks.own(at_once(), "status page")
    waits = asyncio.create_task(tasks.broken())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waits.done()
    await tasks.cancel()
    assert asyncio.all_tasks() <= {asyncio.current_task(), waits}
    with pytest.raises(asyncio.CancelledError):
        await waits
