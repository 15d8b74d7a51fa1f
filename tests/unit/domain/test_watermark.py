"""Times of messages against the watermark of their object (#87 to #89)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.watermark import Moment, Times, compare, has_order, in_words, read_mark, read_times, write_mark
from ophl7.hl7v2.message import Message

ZONE = ZoneInfo("America/New_York")
NOW = int(datetime(2024, 3, 1, 15, tzinfo=UTC).timestamp()) * 1_000_000
MINUTE = 60_000_000

moments = st.builds(
    Moment, st.integers(-(2**50), 2**51), st.sampled_from([0, 1, 1_000_000, MINUTE, 25 * 60 * MINUTE]), st.just(True)
)


def message(event: str = "ADT^A08", *, msh: str = "20240301100000", evn: str | None = None, updated: str = "") -> Message:
    lines = [f"MSH|^~\\&|A|B|C|D|{msh}||{event}|1|P|2.5"]
    if evn is not None:
        lines.append(f"EVN||{evn}")
    lines.append("PID|1||7050" + "|" * 30 + updated)
    return Message.parse("\r".join([*lines, ""]).encode())


def begin(message: Message) -> int | None:
    event = read_times(message, ZONE, NOW).event
    return None if event is None else event.begin


@pytest.mark.parametrize(
    ("event", "judged"),
    [("ADT^A08", True), ("ADT^A29", True), ("SIU^S12", True), ("DFT^P03", False), ("ADT^A40", False), ("ADT^A41", False)],
)
def test_charges_and_merges_have_no_order(event: str, judged: bool) -> None:
    assert has_order(message(event)) is judged


def test_evn_2_comes_before_msh_7_and_an_unreadable_one_counts_as_missing() -> None:
    assert begin(message(evn="20240301095900")) == NOW - MINUTE
    for none in (None, "", "yesterday", "20249999"):
        assert begin(message(evn=none)) == NOW
    assert begin(message(msh="", evn=None)) is None


def test_msh_7_may_carry_its_precision_behind_it() -> None:
    assert begin(message(msh="20240301100000^S")) == NOW


def test_pid_33_is_read_of_an_adt_and_of_nothing_else() -> None:
    assert read_times(message(updated="20240301100000"), ZONE, NOW).updated == Moment(NOW, 1_000_000)
    assert read_times(message("SIU^S12", updated="20240301100000"), ZONE, NOW).updated is None


@pytest.mark.parametrize(("minutes", "ahead"), [(0, ""), (10, ""), (11, "MSH-7"), (60 * 24 * 400, "MSH-7")])
def test_more_than_ten_minutes_ahead_counts_as_now(minutes: int, ahead: str) -> None:
    at = (datetime.fromtimestamp(NOW // 1_000_000, ZONE) + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S%z")
    times = read_times(message(msh=at), ZONE, NOW)
    assert times.ahead == ahead
    assert times.event is not None
    assert times.event.begin == (NOW if ahead else NOW + minutes * MINUTE)


@given(st.none() | moments, st.none() | moments)
def test_a_watermark_is_read_as_it_was_written(event: Moment | None, updated: Moment | None) -> None:
    times = Times(event, updated)
    assert (read_mark(write_mark(times)) or Times(None, None)) == times


@given(moments, moments)
def test_of_two_times_at_most_one_is_older(one: Moment, two: Moment) -> None:
    forth, back = (compare(Times(a, None), Times(b, None))[0] for a, b in ((one, two), (two, one)))
    assert {forth, back} in ({"same"}, {"older", "newer"})
    assert (forth == "older") == (one.begin + one.width <= two.begin and one.begin < two.begin)


@given(moments, moments)
def test_what_is_ahead_or_uncertain_is_never_older(one: Moment, two: Moment) -> None:
    assert compare(Times(one, None, "EVN-2"), Times(two, None))[0] != "older"
    assert compare(Times(one._replace(certain=False), None), Times(two, None))[0] == "unknown"


def test_an_uncertain_time_is_no_watermark() -> None:
    assert write_mark(Times(Moment(NOW, 0, certain=False), None)) == ""


def test_people_read_it_in_the_practice_s_zone() -> None:
    assert in_words(Moment(NOW, 0), ZONE) == "2024-03-01 10:00:00"
