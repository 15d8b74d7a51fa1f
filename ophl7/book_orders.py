"""What billers note over HTTP, carried into the batch loop within a time limit."""

from __future__ import annotations

import asyncio
from functools import partial

from ophl7.admin.books_ports import BookReads, Books
from ophl7.domain.policy import Policy
from ophl7.engine.bookkeeping import Bookkeeping
from ophl7.engine.intake import Engine
from ophl7.engine.ports import Clock
from ophl7.engine.roll_ups import NoteRollUp, NotNoted, RollUp, TakeBack

_SECONDS = 10.0


def books_of(engine: Engine, reads: BookReads, policy: Policy, clock: Clock) -> Books:
    """What the face needs for the books."""
    orders = BookOrders(engine, clock)
    return Books(
        reads=reads,
        note=orders.note,
        take_back=orders.take_back,
        now=clock.now,
        encodings={side: peer.encoding for side, peer in policy.peers.items()},
        user_fields={side: peer.profile.superbill.user_field for side, peer in policy.peers.items()},
    )


class BookOrders:
    """A note is on disk, with its audit row, before anybody is told so. Raises StoreAway, StoreRefused, TimeoutError."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._books = Bookkeeping(clock.now)

    async def note(self, wanted: NoteRollUp) -> RollUp | NotNoted:
        """Notes a roll-up."""
        async with asyncio.timeout(_SECONDS):
            return await self._engine.perform(partial(self._books.note, wanted=wanted))

    async def take_back(self, wanted: TakeBack) -> RollUp | NotNoted:
        """Takes one back."""
        async with asyncio.timeout(_SECONDS):
            return await self._engine.perform(partial(self._books.take_back, wanted=wanted))
