"""Runs that send everything again: what people ask for, and the task that carries them on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from ophl7.engine.intake import Engine
from ophl7.engine.resend_watch import ResendWatch
from ophl7.engine.resending import DecideResend, NotResent, Resending, Resends, StartResend
from ophl7.errors import StoreAway, StoreRefused
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import Log

_SECONDS = 10.0

# A run looks whether there is room for more so often; a day's copies are made in minutes, and live traffic goes on.
_PACE: Final = 0.2


class ResendOrders:
    """Implements what `admin.resends` is handed, and is a task of the broker."""

    def __init__(self, engine: Engine, resends: Resends, watch: ResendWatch, log: Log, alarms: Alarms) -> None:
        self._engine = engine
        self._resends = resends
        self._watch = watch
        self._log = log
        self._alarms = alarms
        self._news = asyncio.Event()
        watch.news = self._news.set
        self._open = True  # until a look has seen that nothing is
        self._told: set[int] = set()  # runs whose stop was told

    async def start(self, order: StartResend) -> Resending | NotResent:
        """Begins a run; durable when it returns. Raises StoreAway, StoreRefused, TimeoutError."""
        async with asyncio.timeout(_SECONDS):
            done = await self._engine.perform(partial(self._resends.start, order=order))
        if isinstance(done, Resending) and done.made_now:
            self._log.info("resend_started", destination=order.destination, resend_id=done.run.id)
        self._open = True
        self._news.set()
        return done

    async def decide(self, order: DecideResend) -> Resending | NotResent:
        """Goes on with a run, or drops it; durable when it returns. Raises as `start`."""
        async with asyncio.timeout(_SECONDS):
            done = await self._engine.perform(partial(self._resends.decide, order=order))
        if isinstance(done, Resending):
            self._log.info("resend_decided", destination=done.run.destination, resend_id=done.run.id, kind=order.verb)
            if done.run.state == "running" and done.made_now:  # again is no leave for more refusals
                self._watch.go_on(done.run)
            else:
                self._watch.over(done.run)
            self._open = True
            self._told.discard(done.run.id)
            self._news.set()
        return done

    async def look(self) -> None:
        """Every open run goes on by a step."""
        try:
            runs = await self._engine.perform(self._resends.step)
        except (StoreAway, StoreRefused):
            return  # the database has an alarm of its own; it is asked again
        self._open = any(one.run.state == "running" for one in runs)
        for one in runs:
            if one.run.state == "stopped" and one.run.id not in self._told:
                self._told.add(one.run.id)
                self._alarms.ring("resend_stopped", one.run.destination, resend_id=one.run.id)
            elif one.run.state == "done":
                self._log.info("resend_done", destination=one.run.destination, resend_id=one.run.id, count=one.run.made)
        stopped = {one.run.destination for one in runs if one.run.state == "stopped"}
        for side in ("pm", "emr"):
            if side not in stopped:
                self._alarms.clear("resend_stopped", side)

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._wait(_PACE if self._open else None)
            await self.look()

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        finally:
            self._news.clear()
