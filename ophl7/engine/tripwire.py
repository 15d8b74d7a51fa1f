"""When a handler or rule fails on one patient after another, it is not the patients (#95): its peer is cut off, and queues."""

from __future__ import annotations

from dataclasses import dataclass, field

from ophl7.domain.patient import Side

LANES = 5


@dataclass(slots=True)
class _Row:
    events: set[str] = field(default_factory=set)
    lanes: set[int] = field(default_factory=set)


class Tripwire:
    """Counts lanes on which the same part failed, without a message of such an event going well in between."""

    def __init__(self, lanes: int = LANES) -> None:
        """lanes: so many in a row trip it."""
        self._lanes = lanes
        self._rows: dict[tuple[Side, str], _Row] = {}

    def decided(self, peer: Side, event: str, subject: int | None, failed: str) -> bool:
        """Takes note of one judged message; True when it is the one too many.

        failed: the part that failed, "" when all went well. subject: whose message it is; without one it is a lane of its own.
        """
        if not failed:
            if self._rows:
                for key in [key for key, row in self._rows.items() if key[0] == peer and event in row.events]:
                    del self._rows[key]
            return False
        row = self._rows.setdefault((peer, failed), _Row())
        row.events.add(event)
        row.lanes.add(subject if subject is not None else -len(row.lanes) - 1)
        return len(row.lanes) >= self._lanes
