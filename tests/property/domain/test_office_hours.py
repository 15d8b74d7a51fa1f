"""Office time by its laws, in zones whose clocks change in every way there is."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.office_hours import ClosedDays, OfficeHours, Span, Week

# Half an hour of daylight saving, a whole one, a day that was left out (2011), a zone that stopped changing.
ZONES = ("America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "UTC")
_BEGIN, _END = datetime(2010, 1, 1, tzinfo=UTC).timestamp(), datetime(2027, 1, 1, tzinfo=UTC).timestamp()
_WEEK_SECONDS = 7 * 86400.0


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    marks = sorted(draw(st.sets(st.integers(0, 95), max_size=6)))
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    return tuple((time(a // 4, a % 4 * 15), time(b // 4, b % 4 * 15)) for a, b in pairs)


weeks = st.tuples(*(spans() for _ in range(7)))
instants = st.floats(_BEGIN, _END).map(lambda value: float(round(value)))
lengths = st.floats(0, 3 * _WEEK_SECONDS).map(lambda value: float(round(value)))


def hours_of(zone: str, week: Week) -> OfficeHours:
    return OfficeHours(ZoneInfo(zone), week, ClosedDays(yearly=frozenset({(12, 25), (3, 10)})))


@given(st.sampled_from(ZONES), weeks, instants, lengths, lengths)
def test_time_adds_up_and_never_exceeds_the_clock(zone: str, week: Week, begin: float, first: float, second: float) -> None:
    hours = hours_of(zone, week)
    middle, end = begin + first, begin + first + second
    whole = hours.open_seconds(begin, end)
    assert 0 <= whole <= end - begin
    assert abs(hours.open_seconds(begin, middle) + hours.open_seconds(middle, end) - whole) < 0.001


@given(st.sampled_from(ZONES), instants, lengths)
def test_who_is_always_open_counts_every_second_whatever_the_clocks_do(zone: str, begin: float, length: float) -> None:
    assert abs(OfficeHours(ZoneInfo(zone)).open_seconds(begin, begin + length) - length) < 0.001


@given(st.sampled_from(ZONES), weeks, instants, st.integers(1, 100_000))
def test_going_back_and_counting_are_the_inverse_of_each_other(zone: str, week: Week, end: float, seconds: int) -> None:
    hours = hours_of(zone, week)
    begin = hours.back(end, float(seconds))
    if begin == float("-inf"):
        assert hours.open_seconds(end - 300 * 86400, end) < seconds
    else:
        assert begin <= end
        assert abs(hours.open_seconds(begin, end) - seconds) < 0.001
        assert hours.open_seconds(begin + 1, end) < seconds, "it is the latest such instant"


@given(st.sampled_from(ZONES), weeks, instants)
def test_an_opening_that_goes_on_was_open_all_the_time_and_began_there(zone: str, week: Week, instant: float) -> None:
    hours = hours_of(zone, week)
    since = hours.open_since(instant)
    if since is None:
        assert hours.open_seconds(instant, instant + 1) < 1
    elif since != float("-inf"):
        assert abs(hours.open_seconds(since, instant) - (instant - since)) < 0.001
        assert hours.open_seconds(since - 60, since) < 60
