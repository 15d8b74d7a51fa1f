"""Service dates (FT1-4) against the practice's calendar: whose day it was, and how far off it is (#45, #54)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from ophl7.domain.charge import ChargeLine
from ophl7.hl7v2 import timestamps


@lru_cache(maxsize=1024)  # a day's charges are mostly of that day
def service_day(text: str, zone: ZoneInfo) -> date | None:
    """The practice's day of a service; None when it is no date.

    A day alone is that day; a time is on the day that the practice's wall clock showed, whichever offset it is written with.
    """
    text = text.strip()
    read = timestamps.parse(text, zone)
    if read is None or read.precision in {"year", "month"}:
        return None
    if read.precision == "day" or not read.zoned:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    return read.instant.astimezone(zone).date()


def is_to_come(line: ChargeLine, now: float, zone: ZoneInfo) -> bool:
    """Whether the service, or its last day, lies in the future. now: seconds since the epoch.

    A day alone does when it is after the practice's today, a time when it is after now.
    """
    text = line.until or line.date
    read = timestamps.parse(text, zone)
    day = service_day(text, zone)
    if read is None or day is None:
        return False
    if read.precision == "day":
        return day > datetime.fromtimestamp(now, zone).date()
    return read.instant.timestamp() > now


def is_too_old(line: ChargeLine, days: int, now: float, zone: ZoneInfo) -> bool:
    """Whether the service, or its first day, is more than `days` before the practice's today. 0: no limit."""
    if not days:
        return False
    day = service_day(line.date or line.until, zone)
    return day is not None and day < datetime.fromtimestamp(now, zone).date() - timedelta(days=days)
