"""Alarms as they are kept, and when each feed was last heard of."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ophl7.domain.patient import Side

MOST_KEPT = 10_000
"""Resolved alarms that are kept; older ones go."""


class AlarmRow(NamedTuple):
    """One alarm from its opening to its end. about: a peer, or a part that failed; "" for the broker itself.

    times: how often it was raised. acknowledged: by a person, who and why for the audit, never for a log. how: `cause_gone`, or
    `acknowledged` for one that only a person ends. Times are seconds since the epoch.
    """

    id: int
    kind: str
    about: str
    reason: str
    opened_at: float
    times: int = 1
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    resolved_at: float | None = None
    how: Literal["cause_gone", "acknowledged"] | None = None


class AlarmsKept(NamedTuple):
    """What a start finds: alarms that are open, the last id in use, when each peer last sent anything."""

    open: tuple[AlarmRow, ...] = ()
    last: int = 0
    heard: tuple[tuple[Side, float], ...] = ()
