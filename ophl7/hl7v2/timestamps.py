"""HL7 times (v2.5.1, 2.A.22 DTM): any precision, with or without a zone, and what of them is certain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

Precision = Literal["year", "month", "day", "hour", "minute", "second", "fraction"]

_DTM = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})"
    r"(?:([0-9]{2})(?:\.([0-9]{1,6})[0-9]*)?)?)?)?)?)?([+-][0-9]{4})?"
)
_PARTS: tuple[Precision, ...] = ("year", "month", "day", "hour", "minute", "second", "fraction")


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time that somebody wrote.

    instant: aware, in UTC; of a coarse time its first moment. precision: the last part that was written. zoned: whether an
    offset was written. uncertain: the local time exists twice or not at all (a DST change). text: as written.
    """

    instant: datetime
    precision: Precision
    zoned: bool
    uncertain: bool
    text: str


@lru_cache(maxsize=2048)  # the times of one day's messages repeat: a second's events, a day's slots
def parse(text: str, zone: ZoneInfo) -> Timestamp | None:
    """`text` (YYYY[MM[DD[HH[MM[SS[.S*]]]]]][+/-ZZZZ]) as an instant; a time without an offset is in `zone`.

    None when it is no valid time. Never raises.
    """
    found = _DTM.fullmatch(text.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, written = found.groups()
    # The parts are nested, so as many were written as are there.
    precision = _PARTS[7 - (month, day, hour, minute, second, fraction).count(None) - 1]
    try:
        where = _offset(written) if written else zone
        micro = int(fraction.ljust(6, "0")) if fraction else 0
        clock = int(hour or 0), int(minute or 0), int(second or 0), micro
        local = datetime(int(year), int(month or 1), int(day or 1), *clock, tzinfo=where)
        # In a gap and in an overlap the two readings of a local time have different offsets (PEP 495).
        uncertain = not written and local.utcoffset() != local.replace(fold=1).utcoffset()
        instant = local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Timestamp(instant, precision, written is not None, uncertain, text)


def _offset(written: str) -> tzinfo:
    """`+0200`. Raises ValueError beyond 14 hours, which no zone has."""
    hours, minutes = int(written[1:3]), int(written[3:5])
    if hours > 14 or minutes > 59:
        raise ValueError(written)
    distance = timedelta(hours=hours, minutes=minutes)
    return timezone(-distance if written[0] == "-" else distance)


@lru_cache(maxsize=1024)  # a day's charges all carry the same few dates
def is_valid_date(text: str) -> bool:
    """Whether `text` is a day of the calendar, alone or with a time behind it."""
    found = parse(text, _ANYWHERE)
    return found is not None and found.precision not in {"year", "month"}


_ANYWHERE = ZoneInfo("UTC")


def format(instant: datetime, zone: tzinfo) -> str:  # noqa: A001  # timestamps.format reads as what it is
    """`instant` (aware) as YYYYMMDDHHMMSS+ZZZZ in `zone`."""
    return _format(int(instant.timestamp()), zone)


# strftime costs as much as the rest of an answer (research: 1.7 µs), and thousands of answers share a second.
@lru_cache(maxsize=16)
def _format(second: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(second, zone).strftime("%Y%m%d%H%M%S%z")[:19]
