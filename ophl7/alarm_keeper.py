"""Alarms and feeds on disk, by way of the batch loop; and what a person says of an alarm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from ophl7.domain.alarm_kinds import KINDS
from ophl7.domain.patient import Side
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.intake import Engine
from ophl7.engine.ports import Clock
from ophl7.engine.storage import AuditRow
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import StoreAway, StoreRefused
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import Log

_AGAIN_SECONDS: Final = 5.0
_ACT_SECONDS: Final = 10.0


class AlarmKeeper:
    """Writes what changed of the alarms, and when each peer was last heard of."""

    def __init__(
        self,
        engine: Engine,
        alarms: Alarms,
        clock: Clock,
        log: Log,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine = engine
        self._alarms = alarms
        self._clock = clock
        self._log = log
        self._sleep = sleep
        self._wake = asyncio.Event()
        self._wake.set()
        self._heard: dict[Side, float] = {}
        alarms.on_change = self._wake.set

    def heard(self, heard: dict[Side, float]) -> None:
        """When these peers last sent anything; kept with the next write."""
        self._heard |= heard
        self._wake.set()

    async def run(self) -> None:
        """Runs until cancelled. While the database is away what is to be written waits here."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._keep()

    async def _keep(self) -> None:
        rows, heard = self._alarms.take_unkept(), self._heard
        self._heard = {}
        if not rows and not heard:
            return

        async def write(uow: UnitOfWork) -> None:
            uow.rows.alarms.update(rows)
            uow.rows.heard.update(heard)

        try:
            await self._engine.perform(write)
        except StoreAway:
            self._alarms.give_back(rows)
            self._heard = heard | self._heard
            await self._sleep(_AGAIN_SECONDS)
            self._wake.set()
        except StoreRefused as refused:  # they ring all the same; after a restart they would ring again
            self._log.error("alarms_unkept", count=len(rows), code=refused.code)

    async def acknowledge(self, number: int, actor: str, reason: str) -> AlarmRow | None:
        """A person has seen an open alarm; again is no fault. None when no such alarm is open. Durable when it returns.

        Raises StoreAway and StoreRefused, nothing was changed then; TimeoutError, it may or may not happen.
        """
        now = self._clock.now().timestamp()

        async def write(uow: UnitOfWork) -> AlarmRow | None:
            row = self._alarms.find(number)
            if row is None or row.acknowledged_at is not None:
                return row
            row = row._replace(acknowledged_at=now, acknowledged_by=actor, acknowledged_reason=reason)
            if row.kind not in KINDS or KINDS[row.kind].by_person:
                row = row._replace(resolved_at=now, how="acknowledged")
            uow.rows.alarms[number] = row
            uow.rows.audit.append(AuditRow(now, actor, "acknowledge-alarm", f"alarm {number} ({row.kind})", reason))
            return row

        async with asyncio.timeout(_ACT_SECONDS):
            done = await self._engine.perform(write)
        if done is not None and done.acknowledged_at == now:
            self._alarms.acknowledged(done)
            self._log.info("alarm_acknowledged", alarm=done.kind, alarm_id=number)
        return done
