"""Alarms ring until their condition is gone, in the log and in the metrics."""

from __future__ import annotations

import asyncio
import io
import json

from ophl7.observe.alarms import Alarms
from ophl7.observe.lag import LoopLag
from ophl7.observe.logs import make_log


def test_an_alarm_rings_until_it_is_cleared() -> None:
    out = io.StringIO()
    alarms = Alarms(make_log(stream=out, strict=True))
    alarms.ring("handler", handler="patient", message_id=7)
    alarms.ring("handler", handler="patient", message_id=8)
    assert alarms.ringing() == {"handler": 2}
    assert alarms.reading() == {("handler",): 1.0}
    alarms.clear("handler")
    alarms.clear("handler")
    assert alarms.reading() == {}
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(event["event"], event["alarm"], event.get("count")) for event in events] == [
        ("alarm", "handler", 1),
        ("alarm", "handler", 2),
        ("alarm_cleared", "handler", None),
    ]


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
