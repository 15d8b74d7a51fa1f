"""Tasks that must not end by themselves, with somebody who is told when one does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class OwnedTasks:
    """The broker's. `begin` inside the event loop, before the first one."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._short: set[asyncio.Task[None]] = set()
        self._broken: asyncio.Future[None] | None = None
        self._stopping = False

    def begin(self) -> None:
        """From now on a task's end is noticed."""
        self._broken = asyncio.get_running_loop().create_future()

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs until the end of all: if it ends before, the broker is broken rather than limping on."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def own_short(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Does one thing, and is cancelled with the others if it is not done by then."""
        task = asyncio.create_task(work, name=name)
        self._short.add(task)
        task.add_done_callback(self._short.discard)

    def stop_soon(self) -> None:
        """What ends from now on, ends because it is to: the status page does when its server stops."""
        self._stopping = True

    async def cancel(self) -> None:
        """Ends all of them."""
        tasks = (*self._tasks, *self._short)
        for task in tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._broken is not None and not self._broken.done():
            self._broken.cancel()

    async def broken(self) -> None:
        """Waits for ever, and raises what ended one that should never have ended."""
        if self._broken is not None:
            await asyncio.shield(self._broken)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._broken is None or self._broken.done() or self._stopping:
            return
        # Whoever cancels on purpose takes this callback away first (`cancel`): anything else is a fault.
        error = None if task.cancelled() else task.exception()
        self._broken.set_exception(error if error is not None else RuntimeError(f"the {task.get_name()} ended by itself"))
