"""Alarms: what a person must look at. One event when an alarm opens, one when it ends, never one for each look.

An alarm is known by its kind and what it is about. It ends when its cause has been gone for a while (domain.alarm_kinds), or,
where nothing shows that, when a person acknowledges it. What is open is kept on disk by `alarm_keeper`: a restart rings nothing
anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Literal

from ophl7.domain.alarm_kinds import KINDS, says, todo
from ophl7.engine.alarm_rows import AlarmRow, AlarmsKept
from ophl7.observe.logs import Log
from ophl7.observe.metrics import Labels

Event = Literal["alarm_opened", "alarm_resolved"]


@dataclass(slots=True)
class _Open:
    row: AlarmRow
    gone_since: float | None = None


class Alarms:
    """The alarms that are open now."""

    def __init__(
        self,
        log: Log,
        now: Callable[[], float] = time,
        tell: Callable[[Event, AlarmRow], None] = lambda _event, _row: None,
    ) -> None:
        """now: seconds since the epoch. tell: told of each alarm that opens or ends, beside the log."""
        self._log = log
        self._now = now
        self._tell = tell
        self._open: dict[tuple[str, str], _Open] = {}
        self._last = 0
        self._unkept: dict[int, AlarmRow] = {}
        self.on_change: Callable[[], None] = lambda: None

    def restore(self, kept: AlarmsKept) -> None:
        """What was open when the process before ended, before anything rings. It was told then, so nothing is told now."""
        self._last = kept.last
        for row in kept.open:
            self._open[row.kind, row.about] = _Open(row)

    def ring(self, kind: str, about: str = "", *, reason: str = "", **fields: object) -> None:
        """The cause is there. Opens the alarm, or notes that it goes on. reason: more than the kind says by itself.

        fields: of the log line. Neither may carry patient data or a person's own text.
        """
        known = self._open.get((kind, about))
        if known is None:
            self._last += 1
            row = AlarmRow(self._last, kind, about, reason or says(kind, about), self._now())
            self._open[kind, about] = _Open(row)
            more = {"peer": about} if about in {"pm", "emr"} else {"handler": about} if about else {}
            self._log.error(
                "alarm_opened", alarm=kind, alarm_id=row.id, reason=row.reason, todo=todo(kind, about), **(more | fields)
            )
            self._tell("alarm_opened", row)
            self._changed(row)
            return
        self.goes_on(kind, about)
        if kind in KINDS and KINDS[kind].counted:
            known.row = known.row._replace(times=known.row.times + 1)
            self._changed(known.row)

    def goes_on(self, kind: str, about: str = "") -> None:
        """The cause is still there; nothing is opened."""
        if (known := self._open.get((kind, about))) is not None:
            known.gone_since = None

    def clear(self, kind: str, about: str = "") -> None:
        """The cause is gone. The alarm ends now, or at a `tick` when the cause has stayed away for as long as its kind says."""
        known = self._open.get((kind, about))
        if known is None or KINDS[kind].by_person:
            return
        if known.gone_since is None:
            known.gone_since = self._now()
        self._end_if_settled(known)

    def tick(self) -> None:
        """Ends what has settled meanwhile."""
        for known in list(self._open.values()):
            if known.gone_since is not None:
                self._end_if_settled(known)

    def acknowledged(self, row: AlarmRow) -> None:
        """A person has seen it; `row` says who and when, and is on disk. Ends those that only a person ends."""
        known = self._open.get((row.kind, row.about))
        if known is None or known.row.id != row.id:
            return
        self._unkept.pop(row.id, None)
        if row.resolved_at is not None:
            del self._open[row.kind, row.about]
            self._ended(row)
        else:
            known.row = row

    def find(self, number: int) -> AlarmRow | None:
        """An open one."""
        return next((one.row for one in self._open.values() if one.row.id == number), None)

    def open(self) -> list[AlarmRow]:
        """All that are open, newest first."""
        return sorted((one.row for one in self._open.values()), key=lambda row: -row.id)

    def about(self, kind: str) -> list[str]:
        """What the open ones of this kind are about."""
        return [about for name, about in self._open if name == kind]

    def ringing(self) -> dict[str, int]:
        """Kind -> how often those that are open were raised."""
        found: dict[str, int] = {}
        for one in self._open.values():
            found[one.row.kind] = found.get(one.row.kind, 0) + one.row.times
        return found

    def reading(self) -> dict[Labels, float]:
        """For the gauge `ophl7_alarm{kind}`: 1 for each kind of which one is open, also while it settles."""
        return {(kind,): 1.0 for kind, _ in self._open}

    # -- what is not on disk yet --------------------------------------------------------------------------------------

    def take_unkept(self) -> dict[int, AlarmRow]:
        """Rows that changed since they were taken last."""
        taken, self._unkept = self._unkept, {}
        return taken

    def give_back(self, rows: dict[int, AlarmRow]) -> None:
        """They could not be written; what changed meanwhile counts."""
        self._unkept = rows | self._unkept

    def _changed(self, row: AlarmRow) -> None:
        self._unkept[row.id] = row
        self.on_change()

    def _end_if_settled(self, known: _Open) -> None:
        row, now = known.row, self._now()
        # A clock that was set back must not keep an alarm open for hours.
        if known.gone_since is None or 0 <= now - known.gone_since < KINDS[row.kind].settle:
            return
        del self._open[row.kind, row.about]
        row = row._replace(resolved_at=now, how="cause_gone")
        self._ended(row)
        self._changed(row)

    def _ended(self, row: AlarmRow) -> None:
        lasted = max(0.0, (row.resolved_at or row.opened_at) - row.opened_at)
        self._log.info(
            "alarm_resolved", alarm=row.kind, alarm_id=row.id, kind=row.how, count=row.times, duration_ms=round(lasted * 1000)
        )
        self._tell("alarm_resolved", row)
