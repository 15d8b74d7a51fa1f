"""Alarms ring until their condition is gone, in the log and in the metrics."""

from __future__ import annotations

import asyncio
import io
import json

from ophl7.domain.alarm_kinds import KINDS, says, todo
from ophl7.engine.alarm_rows import AlarmsKept
from ophl7.observe.alarms import Alarms
from ophl7.observe.lag import LoopLag
from ophl7.observe.logs import make_log


class Bell:
    """Alarms whose time a test moves; what the log said, and what was told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.out = io.StringIO()
        self.told: list[tuple[str, int]] = []
        self.alarms = Alarms(
            make_log(stream=self.out, strict=True), lambda: self.now, lambda event, row: self.told.append((event, row.id))
        )

    def events(self) -> list[tuple[str, str]]:
        return [(line["event"], line["alarm"]) for line in map(json.loads, self.out.getvalue().splitlines())]


def test_an_alarm_is_told_once_when_it_opens_and_once_when_it_ends() -> None:
    bell = Bell()
    for _ in range(3):
        bell.alarms.ring("silent", "pm")
    assert bell.alarms.reading() == {("silent",): 1.0}
    for _ in range(3):
        bell.alarms.clear("silent", "pm")
    assert bell.alarms.reading() == {}
    assert bell.events() == [("alarm_opened", "silent"), ("alarm_resolved", "silent")]
    assert bell.told == [("alarm_opened", 1), ("alarm_resolved", 1)]


def test_an_alarm_says_who_must_do_what() -> None:
    bell = Bell()
    bell.alarms.ring("record_open", "emr")
    line = json.loads(bell.out.getvalue())
    assert line["peer"] == "emr"
    assert "ask at the desk who has the patient open in the EMR" in line["todo"]


def test_the_same_kind_about_two_peers_is_two_alarms() -> None:
    bell = Bell()
    bell.alarms.ring("silent", "pm")
    bell.alarms.ring("silent", "emr")
    bell.alarms.clear("silent", "pm")
    assert [(row.kind, row.about) for row in bell.alarms.open()] == [("silent", "emr")]
    assert bell.alarms.reading() == {("silent",): 1.0}


def test_what_comes_and_goes_rings_once_until_it_has_stayed_away() -> None:
    bell = Bell()
    for _ in range(20):
        bell.alarms.ring("store")
        bell.now += 10
        bell.alarms.clear("store")
        bell.now += 10
        bell.alarms.tick()
    assert bell.events() == [("alarm_opened", "store")]
    bell.now += 60
    bell.alarms.tick()
    assert bell.events()[1:] == [("alarm_resolved", "store")]


def test_a_clock_that_was_set_back_keeps_no_alarm_open() -> None:
    bell = Bell()
    bell.alarms.ring("store")
    bell.alarms.clear("store")
    bell.now -= 7200
    bell.alarms.tick()
    assert bell.alarms.open() == []


def test_what_rang_before_a_restart_does_not_ring_again_and_ends_as_any_other() -> None:
    before, after = Bell(), Bell()
    before.alarms.ring("silent", "pm")
    before.alarms.ring("merges")
    kept = before.alarms.take_unkept()
    after.alarms.restore(AlarmsKept(tuple(kept.values()), 2))
    after.alarms.ring("silent", "pm")
    assert after.events() == []
    after.alarms.clear("silent", "pm")
    after.alarms.ring("silent", "emr")
    assert after.told == [("alarm_resolved", 1), ("alarm_opened", 3)]


def test_what_only_a_person_can_end_stays_until_he_has_acknowledged_it() -> None:
    bell = Bell()
    bell.alarms.ring("unknown_status", "pm")
    bell.alarms.ring("unknown_status", "pm")
    bell.alarms.clear("unknown_status", "pm")
    assert bell.alarms.ringing() == {"unknown_status": 2}
    (row,) = bell.alarms.open()
    bell.alarms.acknowledged(row._replace(acknowledged_at=1.0, resolved_at=1.0, how="acknowledged"))
    assert bell.alarms.open() == []
    assert bell.events()[-1] == ("alarm_resolved", "unknown_status")
    bell.alarms.ring("unknown_status", "pm")
    assert bell.told[-1] == ("alarm_opened", 2)


def test_what_could_not_be_written_is_taken_again_as_it_is_by_then() -> None:
    bell = Bell()
    bell.alarms.ring("silent", "pm")
    first = bell.alarms.take_unkept()
    bell.alarms.clear("silent", "pm")
    bell.alarms.give_back(first)
    assert [row.how for row in bell.alarms.take_unkept().values()] == ["cause_gone"]
    assert bell.alarms.take_unkept() == {}


def test_every_kind_says_what_to_do_without_a_gap() -> None:
    for kind in KINDS:
        assert "{" not in says(kind, "pm") + todo(kind, "pm")


async def test_the_lag_is_what_a_sleep_took_too_long() -> None:
    times = iter([0.0, 0.5, 0.5, 3.5, 3.5])
    rounds = iter(range(2))

    async def sleep(_seconds: float) -> None:
        if next(rounds, None) is None:
            raise asyncio.CancelledError

    lag = LoopLag(lambda: next(times), interval=0.5, sleep=sleep)
    await asyncio.gather(lag.run(), return_exceptions=True)
    assert lag.reading() == {(): 2.5}
    assert lag.reading() == {(): 0.0}
