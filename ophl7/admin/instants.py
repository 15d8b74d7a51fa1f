"""Times for people and programs: ISO 8601 in the practice's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ophl7.hl7v2 import timestamps


def iso(at: float | None, zone: ZoneInfo) -> str | None:
    """Seconds since the epoch as `2026-11-23T08:30:00.250-05:00`; None stays None."""
    if at is None:
        return None
    try:
        moment = datetime.fromtimestamp(at, zone)
    except (ValueError, OverflowError):  # the first or last hours of the calendar, which the zone moves out of it
        moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def iso_of_hl7(text: str, zone: ZoneInfo) -> str | None:
    """A time as HL7 writes it (DTM); a day stays a day. None when it is no time, or coarser than a day."""
    read = timestamps.parse(text, zone)
    if read is None or read.precision in {"year", "month"}:
        return None
    return day_of_hl7(text) if read.precision == "day" else iso(read.instant.timestamp(), zone)


def day_of_hl7(text: str) -> str | None:
    """The day alone, as written."""
    if not timestamps.is_valid_date(text):
        return None
    digits = text.strip()
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"


def bounds(day: date, zone: ZoneInfo) -> tuple[float, float]:
    """First and last instant of a day in the zone, the last exclusive; a day of a clock change has 23 or 25 hours."""
    midnight = time(tzinfo=zone)
    return datetime.combine(day, midnight).timestamp(), datetime.combine(day + timedelta(days=1), midnight).timestamp()
