"""How long an HTTP client may take to say what it wants; uvicorn itself waits for ever for the rest of a request."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS: Final = 20.0  # from its connection, or from the answer before, until a request has come whole; not per byte


class PatientProtocol(H11Protocol):
    """Closes a connection on which a request does not come to its end. An answer may take as long as it likes (`/events`)."""

    seconds = REQUEST_SECONDS
    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The time of the first request begins."""
        super().connection_made(transport)
        self._begin()

    def on_response_complete(self) -> None:
        """The time of the next one begins."""
        super().on_response_complete()
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._stop()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._stop()
        self._overdue = self.loop.call_later(self.seconds, self._judge)

    def _stop(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _judge(self) -> None:
        state: Any = self.conn.their_state
        if state in {h11.IDLE, h11.SEND_BODY} and not self.transport.is_closing():
            self.transport.abort()  # it has shown that it does not read politely; nothing of ours is under way
