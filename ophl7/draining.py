"""Peers whose listener a person has closed for a while: before an upgrade or a move (decision record 0059).

What was read is answered, then the connections close, and that system queues on its own side. It stands in the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from ophl7.domain.patient import Side
from ophl7.errors import SettingsError
from ophl7.mllp.listener import Listener
from ophl7.observe.logs import Log

# A port that somebody else has taken meanwhile is tried again so often; readiness says that nothing listens there.
_AGAIN: Final = 5.0


class Drains:
    """Brings the listeners to where people want them. One task a peer (`run`)."""

    def __init__(
        self, listeners: Mapping[Side, Listener], grace: float, log: Log, closed_for_good: Callable[[Side], bool]
    ) -> None:
        """listeners: may still be filled. grace: seconds for what was read. closed_for_good: this one is never opened again."""
        self._listeners = listeners
        self._grace = grace
        self._log = log
        self._closed_for_good = closed_for_good
        self._changed: dict[Side, asyncio.Event] = {"pm": asyncio.Event(), "emr": asyncio.Event()}
        self.reasons: dict[Side, str] = {}

    def why(self, side: Side) -> str | None:
        """Why nothing is taken from this peer; None when it is."""
        return self.reasons.get(side)

    def heard(self, side: Side, reason: str) -> None:
        """It is on disk. reason: a person's own text, so it is not logged; "": the listener opens again."""
        if reason:
            self.reasons[side] = reason
            self._log.warning("link_draining", peer=side)
        else:
            self.reasons.pop(side, None)
            self._log.info("link_taken_up", peer=side)
        self._changed[side].set()

    def trouble(self) -> str | None:
        """For readiness."""
        if not self.reasons:
            return None
        peers = " and the ".join(side.upper() for side in sorted(self.reasons))
        return f"a person has drained the {peers}: nothing is taken from there until ophl7 queue resume"

    async def run(self, side: Side) -> None:
        """Runs until cancelled."""
        changed = self._changed[side]
        while True:
            await changed.wait()
            changed.clear()
            listener = self._listeners.get(side)
            if listener is None:
                continue  # not yet bound: whoever binds it asks `why` first
            if side in self.reasons:
                clean = await listener.drain(self._grace)
                self._log.info("link_drained", peer=side, outcome="clean" if clean else "cut")
            elif not (listener.accepting or self._closed_for_good(side)):
                await self._open(side, listener)

    async def _open(self, side: Side, listener: Listener) -> None:
        try:
            await listener.start()
        except SettingsError:
            self._log.error("listener_not_opened", peer=side)
            asyncio.get_running_loop().call_later(_AGAIN, self._changed[side].set)
