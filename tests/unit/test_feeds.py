"""A week of a practice with a clock of its own: exactly the alarms that somebody should hear, one opening and one end each."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime

import pytest

from ophl7.domain.office_hours import OfficeHours, read_closed_days, read_week
from ophl7.domain.patient import Side
from ophl7.engine.link import LinkStatus
from ophl7.feeds import Feeds, Limits
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from tests.unit.engine.desk import ZONE, ManualClock

WELL = LinkStatus("up", 0, 0, None, None)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


class Week:
    """Looks each minute of the clock that a test moves."""

    def __init__(self, start: str) -> None:
        self.clock = ManualClock(at(start))
        self.out = io.StringIO()
        self.alarms = Alarms(make_log(stream=self.out, strict=True), lambda: self.clock.moment)
        self.status: dict[Side, LinkStatus] = {"pm": WELL, "emr": WELL}
        hours = OfficeHours(ZONE, read_week("Mon-Fri 08:00-18:00"), read_closed_days("2026-11-27"))
        limits = Limits({"pm": 7200.0, "emr": 0.0}, 900.0, 100)
        self.feeds = Feeds(self.alarms, self.clock, hours, limits, self.status.__getitem__)

    def until(self, text: str) -> list[str]:
        """What was told meanwhile: `HH:MM kind` or `HH:MM -kind`."""
        said: list[str] = []
        while self.clock.moment < at(text):
            self.clock.moment += 60
            seen = self.out.tell()
            self.feeds.look()
            self.alarms.tick()
            when = self.clock.now().astimezone(ZONE).strftime("%a %H:%M")
            lines = map(json.loads, self.out.getvalue()[seen:].splitlines())
            said += [f"{when} {'' if line['event'] == 'alarm_opened' else '-'}{line['alarm']}" for line in lines]
        return said

    def hear(self) -> None:
        self.feeds.heard["pm"] = self.clock.moment


def test_a_feed_that_falls_silent_rings_in_office_hours_only_once_and_ends_with_its_next_message() -> None:
    week = Week("2026-11-20T16:05")  # a Friday
    week.hear()
    assert week.until("2026-11-23T09:00") == ["Mon 08:30 silent"], "not at 8:06, when the first patient is on the way"
    assert week.until("2026-11-24T12:00") == []
    week.hear()
    assert week.until("2026-11-24T12:10") == ["Tue 12:01 -silent"]
    assert week.until("2026-11-24T15:00") == ["Tue 14:01 silent"]


def test_a_day_on_which_the_practice_is_closed_is_no_silence() -> None:
    week = Week("2026-11-26T17:30")  # Thanksgiving is worked here, the day after is closed
    week.hear()
    assert week.until("2026-11-30T09:29") == []
    assert week.until("2026-11-30T09:40") == ["Mon 09:31 silent"]


def test_who_has_never_sent_anything_is_not_missed() -> None:
    assert Week("2026-11-23T08:00").until("2026-11-25T12:00") == []


def test_a_link_that_is_down_rings_after_a_while_of_office_time_and_a_short_interruption_does_not_end_it() -> None:
    week = Week("2026-11-23T09:00")
    week.status["emr"] = replace(WELL, state="down")
    assert week.until("2026-11-23T09:30") == ["Mon 09:17 link_down"]
    week.status["emr"] = WELL
    assert week.until("2026-11-23T09:31") == []
    week.status["emr"] = replace(WELL, state="down")
    assert week.until("2026-11-23T09:50") == []
    week.status["emr"] = WELL
    assert week.until("2026-11-23T10:00") == ["Mon 09:53 -link_down"]


@pytest.mark.parametrize(("by_itself", "when"), [(True, "Mon 09:01"), (False, "Mon 10:02")])
def test_a_pause_rings_at_once_if_nobody_asked_for_it(by_itself: bool, when: str) -> None:
    week = Week("2026-11-23T09:00")
    week.status["pm"] = replace(WELL, state="paused", paused_because="refused by the PM", by_itself=by_itself)
    assert week.until("2026-11-23T12:00") == [f"{when} link_paused"]


def test_what_waits_too_long_rings_unless_it_is_parked_or_has_nowhere_to_go() -> None:
    week = Week("2026-11-23T09:00")
    week.status["emr"] = replace(WELL, queued=1, parked=1, oldest_seconds=9000.0, unblocked_seconds=1000.0)
    assert week.until("2026-11-23T09:02") == ["Mon 09:01 queue_age"]
    other = Week("2026-11-23T09:00")
    other.status["emr"] = replace(WELL, queued=1, parked=1, oldest_seconds=1000.0)
    other.status["pm"] = replace(WELL, state="unset", queued=1, oldest_seconds=1000.0, unblocked_seconds=1000.0)
    assert other.until("2026-11-23T09:02") == []


def test_a_deep_queue_rings_until_it_is_half_as_deep() -> None:
    week = Week("2026-11-22T03:00")  # a Sunday night
    week.status["emr"] = replace(WELL, queued=100)
    assert week.until("2026-11-22T03:02") == ["Sun 03:01 queue_depth"]
    week.status["emr"] = replace(WELL, queued=51)
    assert week.until("2026-11-22T04:00") == []
    week.status["emr"] = replace(WELL, queued=50)
    assert week.until("2026-11-22T04:10") == ["Sun 04:03 -queue_depth"]
