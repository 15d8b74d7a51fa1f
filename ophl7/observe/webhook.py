"""Alarms posted elsewhere: one JSON object each, in their order, without patient data. Nothing ever waits for it.

A place that does not take them is asked again and again, ever more seldom; the log says so once, and once when it is back. What
is not posted when the broker stops is not posted later: log, API and metric have it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from ophl7.domain.alarm_kinds import todo
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.observe.alarms import Event
from ophl7.observe.logs import Log

MOST_WAITING: Final = 200  # events; the oldest goes first, for what is open still is worth more
PATIENCE: Final = 10.0  # seconds for one try, from the name to the status
_FIRST, _LONGEST = 1.0, 300.0  # seconds between tries
_MOST_HEAD = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r|$)")


class Webhook:
    """Posts to one address."""

    def __init__(
        self,
        url: str,
        key: str | None,
        log: Log,
        *,
        patience: float = PATIENCE,
        trust: ssl.SSLContext | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """key: signs what is posted. trust: whose certificates are taken, None: those that this machine trusts."""
        self._place = urlsplit(url)
        self._key = key
        self._log = log
        self._patience = patience
        secure = self._place.scheme == "https"
        self._trust = (trust or ssl.create_default_context()) if secure else None
        self._sleep = sleep
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._wake = asyncio.Event()
        self._down = False

    @property
    def waiting(self) -> int:
        """Events that were not taken yet."""
        return len(self._waiting)

    def tell(self, event: Event, row: AlarmRow) -> None:
        """Takes an event; returns at once."""
        if len(self._waiting) == MOST_WAITING:
            self._log.warning("webhook_dropped", count=1)
        self._waiting.append(document(event, row))
        self._wake.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        tries = 0
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            body = self._waiting[0]
            failed = await self._try(body)
            if failed is None:
                if self._waiting and self._waiting[0] is body:  # unless newer ones pushed it out meanwhile
                    self._waiting.popleft()
                tries = 0
                if self._down:
                    self._down = False
                    self._log.info("webhook_up")
                continue
            tries += 1
            if not self._down:
                self._down = True
                self._log.warning("webhook_down", reason=failed)
            await self._sleep(min(_LONGEST, _FIRST * 2.0 ** min(tries - 1, 20)))

    async def _try(self, body: bytes) -> str | None:
        """None when it was taken, else why not; never the address, which may hold a secret."""
        try:
            async with asyncio.timeout(self._patience):
                status = await self._post(body)
        except TimeoutError:
            return f"no answer within {self._patience:g} s"
        except ssl.SSLError as error:
            return f"no TLS: {getattr(error, 'verify_message', '') or error.reason or 'it failed'}"
        except (OSError, ValueError, EOFError) as error:
            return f"it cannot be reached ({getattr(error, 'strerror', None) or type(error).__name__})"
        if 200 <= status < 300:
            return None
        moved = "; redirects are not followed, write the address where it goes" if 300 <= status < 400 else ""
        return f"it answered {status}{moved}" if status else "what answers is no web server"

    async def _post(self, body: bytes) -> int:
        place = self._place
        port = place.port or (443 if self._trust is not None else 80)
        reader, writer = await asyncio.open_connection(place.hostname, port, ssl=self._trust, limit=_MOST_HEAD)
        try:
            writer.write(self._head(body) + body)
            await writer.drain()
            match = _STATUS.match(await reader.readline())
            return int(match[1]) if match is not None else 0
        finally:
            writer.transport.abort()  # nothing of the rest is wanted, and a peer that will not let go is not waited for

    def _head(self, body: bytes) -> bytes:
        target = (self._place.path or "/") + (f"?{self._place.query}" if self._place.query else "")
        lines = [
            f"POST {target} HTTP/1.1",
            f"Host: {self._place.netloc}",
            "User-Agent: ophl7",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if self._key is not None:
            lines.append(f"X-Ophl7-Signature: sha256={hmac.new(self._key.encode(), body, hashlib.sha256).hexdigest()}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def document(event: Event, row: AlarmRow) -> bytes:
    """What is posted: the alarm without who acknowledged it and why."""
    return json.dumps(
        {
            "event": event,
            "id": row.id,
            "kind": row.kind,
            "about": row.about or None,
            "reason": row.reason,
            "todo": todo(row.kind, row.about),
            "count": row.times,
            "opened_at": _iso(row.opened_at),
            "resolved_at": _iso(row.resolved_at),
            "how": row.how,
        }
    ).encode("ascii")


def _iso(instant: float | None) -> str | None:
    return None if instant is None else datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds")
