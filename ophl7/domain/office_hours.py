"""When the practice is open: how much office time has passed between two instants, and since when it is open. Pure.

Openings are wall-clock times of the practice's zone, so they move with daylight saving as people do. A time that a night skips
counts as the instant at which the clocks have gone on, one that comes twice as its first. Instants are seconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALWAYS: Final = "always"
_DAY: Final = timedelta(days=1)

# How far back one looks: a practice that was not open for so long has office time in neither direction.
MOST_DAYS: Final = 400

Span = tuple[time, time]
"""From, until; until 00:00 is the end of the day."""

Week = tuple[tuple[Span, ...], ...]
"""The openings of each weekday, Monday first, in order, none touching another."""

_WHOLE_DAY: Final[Span] = (time(0), time(0))
ALWAYS_OPEN: Final[Week] = ((_WHOLE_DAY,),) * 7


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Days on which nobody is there: single ones, and (month, day) of each year."""

    once: frozenset[date] = frozenset()
    yearly: frozenset[tuple[int, int]] = frozenset()

    def __contains__(self, day: date) -> bool:
        return day in self.once or (day.month, day.day) in self.yearly


@dataclass(frozen=True, slots=True)
class OfficeHours:
    """The practice's week in its zone, and the days on which it is closed."""

    zone: ZoneInfo
    week: Week = ALWAYS_OPEN
    closed: ClosedDays = field(default_factory=ClosedDays)

    def open_seconds(self, begin: float, end: float) -> float:
        """How long the practice was open between two instants; 0 when they are the wrong way round."""
        return sum(
            max(0.0, min(until, end) - max(since, begin))
            for day in self._days_back(end, begin)
            for since, until in self._spans(day)
        )

    def back(self, end: float, seconds: float) -> float:
        """The latest instant after which the practice was open for so long (above 0) until `end`: what is older waits longer.

        Minus infinity when there was not so much office time in the last 400 days.
        """
        left = seconds
        for day in self._days_back(end, None):
            for since, until in reversed(self._spans(day)):
                last = min(until, end)
                if last - since >= left:
                    return last - left
                left -= max(0.0, last - since)
        return float("-inf")

    def open_since(self, instant: float) -> float | None:
        """When the opening began that goes on at this instant; None while the practice is closed.

        One that goes on over midnight began on an earlier day. Minus infinity when it has not ended for 400 days.
        """
        began: float | None = None
        for day in self._days_back(instant, None):
            for since, until in reversed(self._spans(day)):
                if since > instant:
                    continue
                if until < (instant if began is None else began) or (began is None and until <= instant):
                    return began
                began = since
            if began is None or began > self._instant(day, time(0)):
                return began
        return float("-inf") if began is not None else None

    def _days_back(self, end: float, begin: float | None) -> Iterator[date]:
        """The local days from that of `end` down to that of `begin`; None: 400 of them."""
        day = datetime.fromtimestamp(end, self.zone).date()
        # A day more than that of `begin`: where a zone's date was set back a span may reach further than its date says.
        last = day - MOST_DAYS * _DAY if begin is None else datetime.fromtimestamp(begin, self.zone).date() - _DAY
        while day >= last:
            yield day
            day -= _DAY

    def _spans(self, day: date) -> list[tuple[float, float]]:
        """The openings of a day as instants, in order, none within another."""
        if day in self.closed:
            return []
        found: list[tuple[float, float]] = []
        for begin, end in self.week[day.weekday()]:
            since = self._instant(day, begin)
            until = self._instant(day if end != time(0) else day + _DAY, end)
            if found:  # a night on which clocks go back may let a later opening begin before the one before has ended
                since = max(since, found[-1][1])
            if until > since:  # an opening may lie in an hour that is skipped
                found.append((since, until))
        return found

    def _instant(self, day: date, at: time) -> float:
        return datetime.combine(day, at, self.zone).timestamp()


def read_week(text: str) -> Week:
    """`Mon-Fri 08:00-18:00, Sat 09:00-12:00`, several openings of one day between commas too; or `always`.

    Raises ValueError with what to write instead.
    """
    if text.strip().lower() == _ALWAYS:
        return ALWAYS_OPEN
    week: list[list[Span]] = [[] for _ in _DAYS]
    for part in text.split(","):
        match = re.fullmatch(r"\s*([a-z]{3})(?:-([a-z]{3}))?\s+(\d\d:\d\d)-(\d\d:\d\d)\s*", part.lower(), re.ASCII)
        if match is None or match[1] not in _DAYS or (match[2] or match[1]) not in _DAYS:
            raise ValueError(f"holds {part.strip()!r}; write for example Mon-Fri 08:00-18:00, Sat 09:00-12:00, or always")
        begin, end = _time(match[3]), _time(match[4])
        if end != time(0) and begin >= end:
            raise ValueError(
                f"holds {part.strip()!r}, which ends before it begins; a night is two openings, until 24:00 and from 00:00"
            )
        first, last = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
        for step in range((last - first) % 7 + 1):
            week[(first + step) % 7].append((begin, end))
    return tuple(_in_order(spans) for spans in week)


def read_closed_days(text: str) -> ClosedDays:
    """`2026-11-27, 12-25`: single days, and days of each year. Raises ValueError with what to write instead."""
    once: set[date] = set()
    yearly: set[tuple[int, int]] = set()
    for part in (part.strip() for part in text.split(",")):
        try:
            if re.fullmatch(r"\d\d-\d\d", part, re.ASCII):
                day = date.fromisoformat(f"2024-{part}")  # a leap year: 02-29 is a day
                yearly.add((day.month, day.day))
            elif part:
                once.add(datetime.strptime(part, "%Y-%m-%d").date())  # noqa: DTZ007 - a day of the practice's zone, no instant
        except ValueError:
            raise ValueError(
                f"holds {part!r}, which is no day; write 2026-11-27 for one day, 12-25 for that day of each year"
            ) from None
    return ClosedDays(frozenset(once), frozenset(yearly))


def _time(text: str) -> time:
    """24:00 is 00:00, which as an end is the end of the day."""
    try:
        return time.fromisoformat("00:00" if text == "24:00" else text)
    except ValueError:
        raise ValueError(f"holds {text!r}, which is no time of the day; write for example 08:00") from None


def _in_order(spans: list[Span]) -> tuple[Span, ...]:
    ordered = sorted(spans)
    for (_, end), (begin, _) in pairwise(ordered):
        if end == time(0) or end > begin:
            raise ValueError("has two openings of one day that overlap; write each time once")
    return tuple(ordered)
