"""What people ask of the batch loop: work inside a batch, and who waits to hear what came of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import StoreAway

T = TypeVar("T")

Work = Callable[[UnitOfWork], Awaitable[T]]


class Request(NamedTuple):
    """One of them. waits: resolved when the work's rows are on disk, or when they never will be."""

    work: Work[Any]
    waits: asyncio.Future[Any]


class Outcome(NamedTuple):
    """What came of a request inside the open batch, to be told after its commit."""

    request: Request
    came: object

    def tell(self) -> None:
        """Tells whoever asked, if he is still there."""
        answer(self.request, self.came)


class Asked:
    """The requests that no batch has taken yet, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[Request] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, work: Work[T]) -> asyncio.Future[T]:
        """Queues it."""
        waits: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(Request(work, waits))
        return waits

    def take(self) -> list[Request]:
        """All of them, but for those whose asker has gone: he was not told that it would happen, so it does not."""
        found = [request for request in self._waiting if not request.waits.done()]
        self._waiting.clear()
        return found

    def give_up(self, requests: Sequence[Request], reason: str) -> None:
        """The store is away: these and all that wait have failed. Nothing is kept for later."""
        for request in (*requests, *self.take()):
            answer(request, StoreAway(reason))


async def perform(uow: UnitOfWork, request: Request) -> Outcome:
    """Does it. What fails in it fails alone and leaves nothing behind. Raises StoreAway."""
    mark = uow.mark()
    try:
        return Outcome(request, await request.work(uow))
    except StoreAway:
        raise
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked
        uow.undo(mark)
        return Outcome(request, error)


def answer(request: Request, came: object) -> None:
    """The result, or the exception that stands in its place."""
    if request.waits.done():
        return
    if isinstance(came, Exception):
        request.waits.set_exception(came)
    else:
        request.waits.set_result(came)
