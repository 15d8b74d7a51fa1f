"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.admin.instants import bounds, day_of_hl7, iso, iso_of_hl7

NEW_YORK = ZoneInfo("America/New_York")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (None, None),
        (seconds("2026-11-23T17:00:00Z"), "2026-11-23T12:00:00-05:00"),
        (seconds("2026-07-01T17:00:00Z"), "2026-07-01T13:00:00-04:00"),
        (seconds("2026-11-23T17:00:00.250Z"), "2026-11-23T12:00:00.250-05:00"),
        (0.0, "1969-12-31T19:00:00-05:00"),
        (seconds("0001-01-01T01:00:00Z"), "0001-01-01T01:00:00+00:00"),  # year 0 in New York
    ],
)
def test_an_instant_is_shown_in_the_practices_zone(at: float | None, shown: str | None) -> None:
    assert iso(at, NEW_YORK) == shown


@given(st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)))
def test_an_instant_is_the_same_after_reading_it_back(moment: datetime) -> None:
    shown = iso(moment.timestamp(), NEW_YORK)
    assert shown is not None
    assert datetime.fromisoformat(shown) == moment


@pytest.mark.parametrize(
    ("text", "shown", "day"),
    [
        ("20261123", "2026-11-23", "2026-11-23"),
        (" 20261123 ", "2026-11-23", "2026-11-23"),
        ("202611231200", "2026-11-23T12:00:00-05:00", "2026-11-23"),
        ("20261123233000+0900", "2026-11-23T09:30:00-05:00", "2026-11-23"),
        ("2026", None, None),
        ("20261340", None, None),
        ("", None, None),
        ("2026-11-23", None, None),
    ],
)
def test_a_time_of_hl7_is_shown_as_iso_or_not_at_all(text: str, shown: str | None, day: str | None) -> None:
    assert (iso_of_hl7(text, NEW_YORK), day_of_hl7(text)) == (shown, day)


@pytest.mark.parametrize(("day", "hours"), [("2026-11-23", 24), ("2026-03-08", 23), ("2026-11-01", 25)])
def test_a_day_of_a_clock_change_is_as_long_as_it_is(day: str, hours: int) -> None:
    begin, end = bounds(date.fromisoformat(day), NEW_YORK)
    assert end - begin == hours * 3600
    assert datetime.fromtimestamp(begin, NEW_YORK).hour == 0
