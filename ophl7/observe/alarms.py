"""Alarms: what a person must look at. Each is a log event and the metric `ophl7_alarm{kind}`, until its condition is gone."""

from __future__ import annotations

from ophl7.observe.logs import Log
from ophl7.observe.metrics import Labels


class Alarms:
    """The alarms that ring now. `kind` is a stable name such as `handler`, `disk` or `peer_silent`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._ringing: dict[str, int] = {}

    def ring(self, kind: str, **fields: object) -> None:
        """Raises the alarm, or counts it once more if it rings already; each call writes a log line with `fields`."""
        self._ringing[kind] = self._ringing.get(kind, 0) + 1
        self._log.error("alarm", alarm=kind, count=self._ringing[kind], **fields)

    def clear(self, kind: str) -> None:
        """The condition is gone. Clearing an alarm that does not ring does nothing."""
        if self._ringing.pop(kind, 0):
            self._log.info("alarm_cleared", alarm=kind)

    def ringing(self) -> dict[str, int]:
        """Kind -> how often it was raised since it began to ring."""
        return dict(self._ringing)

    def reading(self) -> dict[Labels, float]:
        """For the gauge `ophl7_alarm{kind}`: 1 for each alarm that rings."""
        return {(kind,): 1.0 for kind in self._ringing}
