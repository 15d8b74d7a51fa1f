"""Any text is a time or none, without an error; a time is what the calendar says, and the same when it is written anew.

Input: the zone; then a text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ophl7.hl7v2 import timestamps

HEAD = 1
BUDGET_SECONDS = 1.0
_ZONES = [
    ZoneInfo(name)
    for name in ("America/New_York", "UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
]
TOKENS = (
    *(b"2024", b"20240229", b"20230229", b"20240310023000"),
    *(b"20241103013000", b"20111230", b"00010101", b"99991231235959", b"0000"),
    *(b"+0000", b"-0000", b"+1400", b"-1401", b"+0560", b".1", b".123456789", b"24", b"60", b" ", b"\t", b"\n", b"\x1f"),
    *("٢٠٢٤".encode(), "\uff12\uff10\uff12\uff14".encode(), b"T", b"Z", b"-05:00", b'""'),
)  # fmt: skip
_SHAPE = re.compile(r"\d{14}", re.ASCII)


def seeds() -> list[bytes]:
    """Every precision, both directions of zones, and the days when clocks change."""
    texts = [b"20240704143015.1234+0200"[:length] for length in (4, 6, 8, 10, 12, 14, 16, 19, 24)] + list(TOKENS)
    return [bytes((zone,)) + text for zone in range(len(_ZONES)) for text in texts]


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    zone = _ZONES[data[0] % len(_ZONES)] if data else _ZONES[0]
    text = data[1:].decode("utf-8", "surrogateescape")
    found = timestamps.parse(text, zone)
    valid = timestamps.is_valid_date(text)
    plain = text.strip()
    if _SHAPE.fullmatch(plain):
        assert (found is not None) == (_by_calendar(plain, zone) is not None)
    if found is None:
        return
    assert valid == (found.precision not in {"year", "month"}) or found.instant.year in {1, 9999}
    assert found.text == text
    assert found.instant.utcoffset() == timedelta(0)
    assert not (found.zoned and found.uncertain)
    assert plain.isascii()
    if _SHAPE.fullmatch(plain):
        assert found.instant == _by_calendar(plain, zone)
    if 1000 < found.instant.year < 9999:  # strftime writes a year before that without its zeros; we write none
        again = timestamps.parse(timestamps.format(found.instant, zone), ZoneInfo("UTC"))
        whole = found.instant.astimezone(zone).utcoffset()
        if whole is not None and whole.total_seconds() % 60 == 0:  # local mean times of the 19th century have seconds
            assert again is not None
            assert again.instant == found.instant.replace(microsecond=0)


def _by_calendar(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
