"""What is quiet or stuck between us and the peers, judged by office time: feeds, queues and links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ophl7.domain.office_hours import OfficeHours
from ophl7.domain.patient import Side
from ophl7.engine.link import LinkStatus
from ophl7.engine.ports import Clock
from ophl7.observe.alarms import Alarms

# Within so long after the practice has opened no silence rings: the first patient comes when he comes.
OPENING_SECONDS: Final = 30 * 60.0

# A person who pauses or drains a link knows that; after this he may have forgotten.
FORGOTTEN_SECONDS: Final = 3600.0


class Limits(NamedTuple):
    """silence: by peer, seconds of office time, 0 = never. age: seconds of office time. depth: deliveries."""

    silence: Mapping[Side, float]
    age: float
    depth: int


class Feeds:
    """Looks at both peers. Everything that it asks is in memory."""

    def __init__(
        self,
        alarms: Alarms,
        clock: Clock,
        hours: OfficeHours,
        limits: Limits,
        status: Callable[[Side], LinkStatus],
        drained: Callable[[Side], str | None] = lambda _side: None,
    ) -> None:
        """status: of the link to a peer. drained: why nothing is taken from a peer."""
        self._alarms = alarms
        self._clock = clock
        self._hours = hours
        self._limits = limits
        self._status = status
        self._drained = drained
        self.heard: dict[Side, float] = {}  # when each peer last sent anything; none of one that never did
        self._since: dict[tuple[Side, str], float] = {}  # link and state -> when a look found it so first

    def look(self) -> None:
        """Once."""
        now = self._clock.now().timestamp()
        for side in self._limits.silence:
            self._judge("silent", side, rings=self._silent(side, now))
            status = self._status(side)
            down, paused = (self._lasting(side, state, status.state == state, now) for state in ("down", "paused"))
            late = self._hours.back(now, self._limits.age)
            self._judge("link_down", side, rings=down is not None and down < late, stays=down is not None)
            long_paused = paused is not None and (status.by_itself or paused < self._hours.back(now, FORGOTTEN_SECONDS))
            self._judge("link_paused", side, rings=long_paused, stays=paused is not None)
            drained = self._lasting(side, "drained", self._drained(side) is not None, now)
            forgotten = drained is not None and drained < self._hours.back(now, FORGOTTEN_SECONDS)
            self._judge("link_drained", side, rings=forgotten, stays=drained is not None)
            # What is parked, and what waits behind it, has an alarm of its own; without a URL everything waits on purpose.
            old = status.unblocked_seconds is not None and now - status.unblocked_seconds < late
            self._judge("queue_age", side, rings=status.state == "up" and old)
            deep = status.queued >= self._limits.depth
            self._judge("queue_depth", side, rings=deep, stays=status.queued > self._limits.depth / 2)
            self._judge("delivery_stopped", side, rings=False, stays=status.parked > 0)

    def _silent(self, side: Side, now: float) -> bool:
        last, limit = self.heard.get(side), self._limits.silence[side]
        opened = self._hours.open_since(now)
        if last is None or not limit or last >= self._hours.back(now, limit):
            return False
        if ("silent", side) in self._ringing():
            return True  # only a message ends it, not the night
        return opened is not None and (last >= opened or now - opened >= OPENING_SECONDS)

    def _ringing(self) -> set[tuple[str, str]]:
        return {(row.kind, row.about) for row in self._alarms.open()}

    def _lasting(self, side: Side, state: str, so: bool, now: float) -> float | None:
        if not so:
            self._since.pop((side, state), None)
            return None
        return self._since.setdefault((side, state), now)

    def _judge(self, kind: str, side: Side, *, rings: bool, stays: bool = False) -> None:
        """stays: one that rings goes on, though it would not begin now."""
        if rings:
            self._alarms.ring(kind, side)
        elif stays and (kind, side) in self._ringing():
            self._alarms.goes_on(kind, side)
        else:
            self._alarms.clear(kind, side)
