"""The engine, the clock and the observer of a listener under test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ophl7.engine.ports import Envelope
from ophl7.mllp.listener import Listener
from ophl7.mllp.tls import ClientAuth, Tls

LIMIT_SECONDS = 5.0
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class ManualClock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class Desk:
    """The engine's place: keeps what is offered; answers by itself when `answering` is set, in a later turn of the loop."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.connections: list[str] = []
        self.open = True
        self.answering: Callable[[Envelope], bytes | None] | None = None
        self._settled = 0
        self._changed = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()

    def offer(self, envelope: Envelope) -> bool:
        if not self.open:
            return False
        self.envelopes.append(envelope)
        asyncio.get_running_loop().call_soon(self._later)
        return True

    def connected(self, peer: str) -> None:
        self.connections.append(peer)

    @property
    def payloads(self) -> list[bytes]:
        return [envelope.payload for envelope in self.envelopes]

    async def arrived(self, count: int) -> list[Envelope]:
        async with asyncio.timeout(LIMIT_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.envelopes) >= count)
        return self.envelopes

    def answer_all(self) -> None:
        """Answers everything that waits, as one commit does: `ok:` and the payload."""
        while self._settled < len(self.envelopes):
            envelope = self.envelopes[self._settled]
            self._settled += 1
            envelope.session.answer(echo(envelope))

    def _later(self) -> None:
        if self.answering is not None:
            while self._settled < len(self.envelopes):
                envelope = self.envelopes[self._settled]
                self._settled += 1
                envelope.session.answer(self.answering(envelope))
        notice = asyncio.get_running_loop().create_task(self._notify())
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def echo(envelope: Envelope) -> bytes | None:
    """`ok:` and what came; a damage says its reason, or nothing where no answer is due."""
    if envelope.damage is None:
        return b"ok:" + envelope.payload
    return b"ar:" + envelope.damage.reason.encode() if envelope.damage.answer else None


class Observed:
    """What a listener told, in order, as tuples that begin with the event's name."""

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []
        self._changed = asyncio.Event()

    def opened(self, peer: str, number: int, remote: str) -> None:
        self._note("opened", peer, number, remote)

    def closed(self, peer: str, number: int, reason: str) -> None:
        self._note("closed", peer, number, reason)

    def refused(self, peer: str, reason: str, remote: str) -> None:
        self._note("refused", peer, reason, remote)

    def tls_failed(self, peer: str, remote: str, kind: str, words: str) -> None:
        self._note("tls_failed", peer, kind, words, remote)

    def junk(self, peer: str, number: int, count: int) -> None:
        self._note("junk", peer, number, count)

    def stalled(self, peer: str, number: int, what: str) -> None:
        self._note("stalled", peer, number, what)

    def of(self, name: str) -> list[tuple[object, ...]]:
        return [event[1:] for event in self.events if event[0] == name]

    async def seen(self, *event: object) -> None:
        """Waits until this event was told; trailing parts may be left away."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not any(known[: len(event)] == event for known in self.events):
                self._changed.clear()
                await self._changed.wait()

    def _note(self, *event: object) -> None:
        self.events.append(event)
        self._changed.set()


Open = Callable[..., Awaitable[Listener]]
Speaking = Callable[[ClientAuth], Tls]
