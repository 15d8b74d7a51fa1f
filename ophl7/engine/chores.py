"""What must be done with the store and can wait for a pause, but not for ever: one short thing at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ophl7.errors import StoreAway

T = TypeVar("T")

# A chore lets so many batches go before it, or so much time: whichever is over first.
MOST_BATCHES = 16
MOST_SECONDS = 0.1

Chore = Callable[[], Awaitable[T]]


class Chores:
    """Those that wait, in their order."""

    def __init__(self, now: Callable[[], float]) -> None:
        """now: seconds that never go back."""
        self._now = now
        self._since = 0.0  # the one that is next of those that are not urgent has been so since then
        self._passed = 0  # batches since then
        self._waiting: deque[tuple[Chore[Any], asyncio.Future[Any]]] = deque()
        self._urgent: deque[tuple[Chore[Any], asyncio.Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._urgent)

    @property
    def due(self) -> bool:
        """Whether one must not wait for a pause any longer: it may not come."""
        late = self._passed >= MOST_BATCHES or self._now() - self._since >= MOST_SECONDS
        return bool(self._urgent or (self._waiting and late))

    def passed(self) -> None:
        """A batch went before them."""
        self._passed += 1

    def put(self, chore: Chore[T], *, soon: bool = False) -> asyncio.Future[T]:
        """Queues it."""
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not soon and not self._waiting:
            self._begin_to_wait()
        (self._urgent if soon else self._waiting).append((chore, waits))
        return waits

    def _begin_to_wait(self) -> None:
        self._since, self._passed = self._now(), 0

    async def do_one(self) -> str | None:
        """Does the oldest, but not for somebody who has gone. What fails is told to whoever asked; why the store is away."""
        if not self._urgent:
            self._begin_to_wait()  # the one behind it, if there is one
        chore, waits = (self._urgent or self._waiting).popleft()
        if waits.done():
            return None
        try:
            came = await chore()
        except Exception as error:  # noqa: BLE001 - it is told to whoever asked
            if not waits.done():
                waits.set_exception(error)
            return str(error) if isinstance(error, StoreAway) else None
        if not waits.done():
            waits.set_result(came)
        return None

    def give_up(self, reason: str) -> None:
        """The store is away: nothing is kept for later."""
        while self:
            _, waits = (self._urgent or self._waiting).popleft()
            if not waits.done():
                waits.set_exception(StoreAway(reason))
