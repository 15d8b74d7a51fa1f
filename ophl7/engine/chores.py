"""What must be done with the store and can wait for a pause: one short thing at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from ophl7.errors import StoreAway

T = TypeVar("T")

Chore = Callable[[], Awaitable[T]]


class Chores:
    """Those that wait, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Chore[Any], asyncio.Future[Any]]] = deque()
        self._urgent: deque[tuple[Chore[Any], asyncio.Future[Any]]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._urgent)

    @property
    def urgent(self) -> bool:
        """Whether one must not wait for a pause that may not come."""
        return bool(self._urgent)

    def put(self, chore: Chore[T], *, soon: bool = False) -> asyncio.Future[T]:
        """Queues it."""
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        (self._urgent if soon else self._waiting).append((chore, waits))
        return waits

    async def do_one(self) -> str | None:
        """Does the oldest, but not for somebody who has gone. What fails is told to whoever asked; why the store is away."""
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
