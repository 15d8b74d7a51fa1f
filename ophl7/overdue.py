"""What has waited too long for somebody: merges that one side has done only, and messages in custody (decisions 6 and 11).

Nothing is ever dropped by its age: time only rings. What somebody in the practice must do is judged by office time, so nothing
rings anew while nobody is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from ophl7.domain.office_hours import OfficeHours
from ophl7.domain.patient import Side
from ophl7.engine.ports import Clock
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms

Held = Literal["SIU", "DFT"]

WORKING_DAY: Final = 8 * 3600.0
PUT_OFF_SECONDS: Final = 3600.0
"""How long a peer may put one message off (206) before somebody is told (decisions 8)."""

_SIDES: Final[tuple[Side, Side]] = ("pm", "emr")


class Reads(Protocol):
    """What it takes of the database."""

    async def open_merges(self, noted_before: float) -> int:
        """How many pairs have been one-sided, or in conflict, since before then."""

    async def held_messages(self, kind: Held, since_before: float) -> int:
        """How many messages of this type have been in custody since before then."""

    async def held_long(self, since_before: float) -> int:
        """How many messages of any type have been in custody since before then."""

    async def held_for(self, key: str) -> int:
        """How many holds wait for this key."""


class Watch(NamedTuple):
    """An alarm of this kind rings when something has waited so many seconds, of office time or of the clock's.

    what: merges, messages in custody of a type, or any.
    """

    kind: str
    seconds: float
    what: Held | Literal["merges", "any"]
    office: bool = True


WATCHES: Final = (
    Watch("merges", 24 * 3600.0, "merges", office=False),
    Watch("held_bookings", 15 * 60.0, "SIU"),
    Watch("held_charges", 3600.0, "DFT"),
    Watch("held_long", WORKING_DAY, "any"),
)

Locked = Callable[[float], Awaitable[Sequence[Mapping[str, Any]]]]
"""By `destination` how many `deliveries` a peer cannot take just now, each since before then."""

# Alarms about a part that failed, and the hold that each failure leaves (#95).
_LEFT_BY_FAILURES: Final = ("handler", "message_kept")


class Overdue:
    """Rings when one of a kind is overdue; silent again when none is."""

    def __init__(self, reads: Reads, clock: Clock, alarms: Alarms, hours: OfficeHours, locked: Locked) -> None:
        self._reads = reads
        self._clock = clock
        self._alarms = alarms
        self._hours = hours
        self._locked = locked

    async def look(self) -> None:
        """Once. A database that cannot be read just now has an alarm of its own, and is asked again."""
        now = self._clock.now().timestamp()
        try:
            for watch in WATCHES:
                before = self._hours.back(now, watch.seconds) if watch.office else now - watch.seconds
                if count := await self._count(watch, before):
                    self._alarms.ring(watch.kind, waiting=count)
                else:
                    self._alarms.clear(watch.kind)
            for kind in _LEFT_BY_FAILURES:
                for about in self._alarms.about(kind):
                    if not await self._reads.held_for(f"handler:{about if kind == 'handler' else 'store'}"):
                        self._alarms.clear(kind, about)
            put_off = {row["destination"]: row["deliveries"] for row in await self._locked(now - PUT_OFF_SECONDS)}
            for side in _SIDES:
                if side in put_off:
                    self._alarms.ring("record_open", side, waiting=put_off[side])
                else:
                    self._alarms.clear("record_open", side)
        except (StoreAway, TimeoutError):
            return

    async def _count(self, watch: Watch, before: float) -> int:
        if watch.what == "merges":
            return await self._reads.open_merges(before)
        if watch.what == "any":
            return await self._reads.held_long(before)
        return await self._reads.held_messages(watch.what, before)
