"""Office time: what counts, what does not, and what people may write."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ophl7.domain.office_hours import ALWAYS_OPEN, OfficeHours, read_closed_days, read_week

NEW_YORK = ZoneInfo("America/New_York")
WEEK = read_week("Mon-Fri 08:00-12:00, Mon-Fri 13:00-18:00, Sat 09:00-12:00")
HOURS = OfficeHours(NEW_YORK, WEEK, read_closed_days("2026-11-27, 12-25"))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        ("2026-11-23T09:00", "2026-11-23T11:30", 2.5),  # a Monday
        ("2026-11-23T11:00", "2026-11-23T14:00", 2.0),  # lunch is no office time
        ("2026-11-20T17:00", "2026-11-23T08:01", 4 + 1 / 60),  # the rest of Friday, Saturday, a minute of Monday
        ("2026-11-26T17:30", "2026-11-28T09:30", 1.0),  # the Friday is closed
        ("2026-12-24T18:00", "2026-12-26T09:00", 0.0),  # Christmas
        ("2026-11-22T00:00", "2026-11-23T00:00", 0.0),  # a Sunday
        ("2026-11-23T11:00", "2026-11-23T10:00", 0.0),
    ],
)
def test_only_the_time_within_the_openings_counts(begin: str, end: str, hours: float) -> None:
    assert HOURS.open_seconds(at(begin), at(end)) == pytest.approx(hours * 3600)


@pytest.mark.parametrize(
    ("end", "seconds", "found"),
    [
        ("2026-11-23T08:01", 60, "2026-11-23T08:00"),
        ("2026-11-23T08:01", 120, "2026-11-21T11:59"),
        ("2026-11-23T03:00", 60, "2026-11-21T11:59"),
        ("2026-11-23T13:30", 3600, "2026-11-23T11:30"),
    ],
)
def test_going_back_skips_what_was_closed(end: str, seconds: float, found: str) -> None:
    assert HOURS.back(at(end), seconds) == at(found)


@pytest.mark.parametrize(
    ("instant", "since"),
    [
        ("2026-11-23T08:00", "2026-11-23T08:00"),
        ("2026-11-23T11:59", "2026-11-23T08:00"),
        ("2026-11-23T12:30", None),
        ("2026-11-23T13:01", "2026-11-23T13:00"),
        ("2026-11-27T10:00", None),
        ("2026-11-22T10:00", None),
    ],
)
def test_it_is_known_since_when_the_practice_is_open(instant: str, since: str | None) -> None:
    assert HOURS.open_since(at(instant)) == (at(since) if since is not None else None)


def test_an_opening_over_midnight_is_one() -> None:
    night = OfficeHours(NEW_YORK, read_week("Mon 20:00-24:00, Tue 00:00-06:00"))
    assert night.open_since(at("2026-11-24T03:00")) == at("2026-11-23T20:00")


def test_who_is_always_open_never_opens() -> None:
    always = OfficeHours(NEW_YORK)
    assert read_week("Always") == ALWAYS_OPEN
    assert always.open_since(at("2026-11-23T03:00")) == float("-inf")
    assert always.open_seconds(at("2026-10-31T00:00"), at("2026-11-02T00:00")) == 49 * 3600  # clocks go back on November 1


def test_a_practice_without_any_opening_in_a_year_has_no_office_time_to_go_back_through() -> None:
    assert OfficeHours(NEW_YORK, ((),) * 7).back(at("2026-11-23T08:00"), 1.0) == float("-inf")


def test_days_may_go_around_the_end_of_the_week() -> None:
    assert [bool(spans) for spans in read_week("Sat-Mon 08:00-12:00")] == [True, False, False, False, False, True, True]


def test_an_opening_in_the_hour_that_is_skipped_is_none() -> None:
    sunday = OfficeHours(NEW_YORK, read_week("Sun 02:15-02:45"))
    assert sunday.open_seconds(at("2026-03-08T00:00"), at("2026-03-09T00:00")) in {0.0, 1800.0}
    assert sunday.open_seconds(at("2026-03-15T00:00"), at("2026-03-16T00:00")) == 1800.0


def test_a_later_opening_never_counts_the_hour_that_comes_twice_again() -> None:
    sunday = OfficeHours(NEW_YORK, read_week("Sun 00:00-01:30, Sun 01:45-04:00"))
    begin, end = at("2026-11-01T00:00"), at("2026-11-01T05:00")
    assert sunday.open_seconds(begin, end) == (1.5 + 3.25) * 3600


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mon-Fri", "write for example Mon-Fri 08:00-18:00"),
        ("Mo-Fr 08:00-18:00", "write for example"),
        ("Mon 18:00-08:00", "ends before it begins"),
        ("Mon 08:00-25:00", "no time of the day"),
        ("Mon 08:00-12:00, Mon-Fri 11:00-13:00", "overlap"),
        ("Mon 08:00-24:00, Mon 09:00-10:00", "overlap"),
    ],
)
def test_what_is_no_week_is_told_with_an_example(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_week(text)


@pytest.mark.parametrize("text", ["Christmas", "2026-02-30", "13-01"])
def test_what_is_no_day_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no day; write 2026-11-27"):
        read_closed_days(text)


def test_a_leap_day_may_be_closed_each_year() -> None:
    assert datetime(2028, 2, 29, tzinfo=NEW_YORK).date() in read_closed_days("02-29")
