"""How long an appointment is: an amount and a unit as minutes (SCH-9/-10, SCH-11.3, TQ1-6, AI* durations)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from ophl7.hl7v2 import timestamps

_SECOND, _MINUTE, _HOUR, _DAY = Decimal(1), Decimal(60), Decimal(3600), Decimal(86400)

# Units as they are met: ISO+ (v2.5.1, 7.4.2.4), UCUM, and plain words. Nothing said means minutes.
_SECONDS: Mapping[str, Decimal] = MappingProxyType(
    {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), _SECOND),
        **dict.fromkeys(("", "m", "mn", "min", "mins", "minute", "minutes"), _MINUTE),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), _HOUR),
        **dict.fromkeys(("d", "day", "days"), _DAY),
    }
)
# The letter before the number in TQ-3 (v2.5.1, 4.3.3): `M15` is a quarter of an hour.
_LETTERS = MappingProxyType({"S": "s", "M": "min", "H": "h", "D": "d"})

_ANYWHERE = ZoneInfo("UTC")  # two times of one place are as far apart in any zone, but for a night on which clocks change


@lru_cache(maxsize=512)  # a day's appointments have a handful of lengths
def minutes(amount: str, *units: str) -> str:
    """`90`, `s` -> `1.5`. units: code and text, the first that is known counts. What is no such length stays as it was said."""
    said = [unit.strip() for unit in units if unit.strip()]
    known = next((unit.casefold().rstrip(".") for unit in said or [""] if unit.casefold().rstrip(".") in _SECONDS), None)
    try:
        number = Decimal(amount.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if known is None or not number.is_finite() or abs(number.adjusted()) > 9:
        return " ".join([amount.strip(), *said[:1]])
    text = format(number * _SECONDS[known] / _MINUTE, "f")
    whole, point, part = text.partition(".")
    return f"{whole}.{part[:3].rstrip('0')}".rstrip(".") if point else whole


def quantity_minutes(text: str) -> str:
    """SCH-11.3, an interval with its unit in front of it (`M15`), or a bare number of minutes."""
    letter = _LETTERS.get(text[:1].upper())
    return minutes(text[1:], letter) if letter is not None else minutes(text)


def between(start: str, end: str) -> str:
    """Minutes from one HL7 time to another, "" when they are not two such times, in that order, of the same kind."""
    first, last = timestamps.parse(start, _ANYWHERE), timestamps.parse(end, _ANYWHERE)
    if first is None or last is None or first.zoned is not last.zoned:
        return ""
    seconds = (last.instant - first.instant).total_seconds()
    return minutes(str(int(seconds)), "s") if seconds > 0 else ""
