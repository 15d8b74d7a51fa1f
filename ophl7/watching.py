"""What the broker keeps an eye on while it runs: the database, and whether anybody must be told of something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ophl7.alarm_keeper import AlarmKeeper
from ophl7.domain.patient import Side
from ophl7.engine.intake import Engine
from ophl7.feeds import Feeds
from ophl7.observe.alarms import Alarms
from ophl7.overdue import Overdue

# A night without messages must not hide a database that cannot be written: so often a row of no meaning is written.
_STORE_CHECK_SECONDS: Final = 10.0

# Asking costs a look into an index of what is open; what rings a minute later is no worse.
_LOOK_SECONDS: Final = 60.0


async def watch_people(
    feeds: Feeds,
    overdue: Overdue,
    keeper: AlarmKeeper,
    alarms: Alarms,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Whether anybody must be told of something, once a minute. Runs until cancelled.

    The first look is a minute after the start: nothing reads the database before somebody asks. sleep: until the next look.
    """
    known: dict[Side, float] = dict(feeds.heard)
    while True:
        await sleep(_LOOK_SECONDS)
        await overdue.look()
        feeds.look()
        alarms.tick()
        if feeds.heard != known:
            known = dict(feeds.heard)
            keeper.heard(known)


async def watch_store(engine: Engine) -> None:
    """Readiness says whether the database can be written now, not whether it could when the last message came (#94)."""
    while True:
        await asyncio.sleep(_STORE_CHECK_SECONDS)
        engine.doubt_store()
