"""One inbound connection: bytes to envelopes, answers to bytes, and when to stop reading or to close.

A session owns its transport and nothing else. It never awaits: the engine settles envelopes through `answer` whenever it likes,
and order is kept because an answer always belongs to the oldest envelope that has none.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, cast

from ophl7.engine.ports import Clock, Damage, Envelope, Intake
from ophl7.mllp.framing import QUIET_SECONDS, Frame, Framer

UNANSWERED_FRAMES: Final = 64  # reading pauses at so many frames that the engine has not settled,
UNANSWERED_BYTES: Final = 4 * 1024 * 1024  # or so many bytes of them, and goes on below half
WRITE_HIGH: Final = 256 * 1024  # answers that the peer has not read; above it nothing more is read of it
SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024  # a long frame over a slow line is no stall; a byte now and then is one
LINGER_SECONDS: Final = 1.0  # how long the peer's bytes are read and dropped, so that no RST overtakes our last answer
_ONE_MORE_TURN: Final = 0.002
_CLIENT_HELLO: Final = b"\x16\x03"  # how a TLS client begins (RFC 8446, 5.1), and no HL7 does


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may use of us. Sizes in bytes, times in seconds, 0 for no `idle_timeout` (a quiet Sunday is normal)."""

    max_bytes: int = 1024 * 1024
    max_connections: int = 64
    frame_timeout: float = 30.0
    idle_timeout: float = 0.0


class ListenerObserver(Protocol):
    """Is told what becomes of connections, for logs and metrics. No payload ever passes here."""

    def opened(self, peer: str, number: int, remote: str) -> None:
        """A connection was accepted; `remote` is `address:port`."""

    def closed(self, peer: str, number: int, reason: str) -> None:
        """An accepted connection is gone.

        reason: `peer` (it closed), `lost`, `idle`, `stalled`, `junk`, `too_big`, `not_accepting` (nothing is taken just now),
        `drained`, `own_trouble`, `tls` (it speaks TLS, and this listener does not).
        """

    def refused(self, peer: str, reason: str, remote: str) -> None:
        """A connection was not accepted. reason: `not_allowed` (address), `too_many`, `not_accepting`."""

    def tls_failed(self, peer: str, remote: str, kind: str, words: str) -> None:
        """There is no TLS with the client at `remote`. kind, words: see `tls_faults.TlsFault`."""

    def junk(self, peer: str, number: int, count: int) -> None:
        """`count` more bytes outside of frames were skipped."""

    def stalled(self, peer: str, number: int, what: str) -> None:
        """The time limit ran out. what: `frame` (begun, not ended), `answers` (the peer does not read them)."""


class House(Protocol):
    """What a session needs of the listener it belongs to."""

    peer: str
    limits: Limits
    intake: Intake
    clock: Clock
    observer: ListenerObserver

    def admit(self, session: Session, transport: asyncio.Transport) -> int:
        """The new session's number; 0 when the connection is refused, which the house then has closed."""

    def forget(self, session: Session) -> None:
        """The session's connection is gone."""

    def spoke_tls(self, transport: asyncio.Transport) -> None:
        """The client began with TLS on a plain port: to be told. The session closes."""


class Session(asyncio.Protocol):
    """An accepted connection; implements `engine.ports.Replier`. All methods belong to the loop's thread."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._limits = house.limits
        self._clock = house.clock
        self._framer = Framer(house.limits.max_bytes)
        self._number = 0
        self._loop: asyncio.AbstractEventLoop
        self._transport: asyncio.Transport
        self._unanswered: deque[int] = deque()  # payload sizes of the envelopes without an answer, oldest first
        self._unanswered_bytes = 0
        self._out: list[bytes] = []  # answers of this turn of the loop, not yet written
        self._flushing = False
        self._full = False  # too much is unanswered
        self._unread_since: float | None = None  # since when the peer does not read our answers
        self._began: float | None = None  # when the unfinished frame began
        self._received_at = 0.0
        self._last_traffic = 0.0
        self._last_answer = float("-inf")
        self._junk_seen = 0
        self._fresh = True  # nothing has come yet
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._ended = False  # the peer closed its half
        self._finishing = False  # nothing more is read; closes once everything is answered
        self._linger_until: float | None = None
        self._closing_since: float | None = None
        self._gone = False  # no answer can be given any more
        self._reason: str | None = None  # why we close; None while it is up to the peer

    # -- engine.ports.Replier ------------------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """`pm` or `emr`."""
        return self._house.peer

    @property
    def number(self) -> int:
        """Counted from 1 for each listener."""
        return self._number

    def answer(self, payload: bytes | None) -> None:
        """Settles the oldest unanswered envelope; see `engine.ports.Replier`."""
        if self._gone:
            return
        if not self._unanswered:
            # One answer too many would be taken for the next message's: what was answered before is no longer certain.
            self.abandon()
            return
        self._unanswered_bytes -= self._unanswered.popleft()
        if payload is not None:
            self._out.append(b"\x0b%b\x1c\r" % payload)
        if not self._unanswered:
            self._flush()  # nobody else waits here: a sender that sends one at a time gets its answer without a detour
        elif self._out and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        if self._full and self._below_half():
            self._full = False
            self._govern()
        if self._finishing and not self._unanswered:
            self._leave()

    def abandon(self) -> None:
        """Our own trouble: closes without an answer to what has none (decisions #94)."""
        self._abandon("own_trouble")

    # -- for the listener ----------------------------------------------------------------------------------------------

    @property
    def unanswered(self) -> int:
        """Envelopes that the engine has not settled."""
        return len(self._unanswered)

    def finish(self, reason: str) -> None:
        """Reads nothing more, waits until what was read is answered, then closes. A frame that has only begun is dropped."""
        if self._gone or self._finishing:
            return
        self._finishing = True
        self._reason = reason
        self._began = None
        self._govern()
        if not self._unanswered:
            self._leave()

    def abort(self, reason: str) -> None:
        """Closes at once; answers that the peer has not read are lost with the connection."""
        self._gone = True
        self._reason = self._reason or reason
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Applies the time limits. now: the clock's monotonic seconds."""
        limits = self._limits
        unread_since = self._unread_since if self._unread_since is not None else self._closing_since
        if unread_since is not None and now - unread_since > limits.frame_timeout:
            self._house.observer.stalled(self.peer, self._number, "answers")
            self.abort("stalled")
        elif self._gone:
            return  # on its way out
        elif self._linger_until is not None:
            if now >= self._linger_until and self._unread_since is None:
                self._close()
        elif self._began is not None and not self._paused:
            if now - self._began > limits.frame_timeout + self._framer.partial / SLOWEST_BYTES_PER_SECOND:
                self._house.observer.stalled(self.peer, self._number, "frame")
                self._framer.eof()  # what there is of the frame is quarantined: a fault that nobody sees is the worst one
                self._deliver()
                self.finish("stalled")
        elif limits.idle_timeout and not self._unanswered and now - self._last_traffic > limits.idle_timeout:
            self.finish("idle")

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._number = self._house.admit(self, self._transport)
        if not self._number:
            self._gone = True
            return
        self._last_traffic = self._clock.monotonic()
        self._transport.set_write_buffer_limits(high=WRITE_HIGH)
        self._house.intake.connected(self.peer)

    def data_received(self, data: bytes) -> None:
        if self._gone or self._finishing:
            return  # lingering: see _leave
        if self._fresh:
            self._fresh = False
            if data.startswith(_CLIENT_HELLO):
                self._house.spoke_tls(self._transport)
                self._abandon("tls")
                return
        self._received_at = self._clock.now().timestamp()
        self._last_traffic = now = self._clock.monotonic()
        self._framer.receive(data)
        if self._deliver():
            self._began = None
        if self._framer.partial == 0:
            self._began = None
        elif self._began is None:
            self._began = now

    def eof_received(self) -> bool:
        """A sender may close its half after the last message: it still gets its answers (domain 4)."""
        self._ended = True
        self._stop_timer()
        if self._gone or self._linger_until is not None:
            return False
        if not self._finishing:
            self._framer.eof()
            self._deliver()
            self._began = None
            self._finishing = True
        return bool(self._unanswered) and not self._gone

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if not self._number:
            return
        if self._reason is None:
            self._reason = "lost" if exc is not None else "peer"
            self._gone = True
            if not self._ended:
                self._framer.eof()
                self._deliver()
        self._gone = True
        self._out.clear()
        self._house.forget(self)
        self._house.observer.closed(self.peer, self._number, self._reason)

    def pause_writing(self) -> None:
        self._unread_since = self._clock.monotonic()
        self._govern()

    def resume_writing(self) -> None:
        self._unread_since = None
        self._govern()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _deliver(self) -> bool:
        """Offers every frame that is there, in one go; True when there was one."""
        self._stop_timer()
        framer, offer, peer, received_at = self._framer, self._house.intake.offer, self._house.peer, self._received_at
        blocks = 0
        while (block := framer.next()) is not None:
            blocks += 1
            size = len(block.payload)
            self._unanswered.append(size)
            self._unanswered_bytes += size
            damage = None if isinstance(block, Frame) else Damage(block.reason, block.answer, block.close)
            if not offer(Envelope(peer, self, block.payload, received_at, damage)):
                self._abandon("not_accepting")
                break
            if damage is not None and damage.reason == "too_big":
                self.finish("too_big")
        if framer.junk != self._junk_seen:
            self._house.observer.junk(peer, self._number, framer.junk - self._junk_seen)
            self._junk_seen = framer.junk
        if framer.flooded:
            self.finish("junk")
        if len(self._unanswered) >= UNANSWERED_FRAMES or self._unanswered_bytes >= UNANSWERED_BYTES:
            self._full = True
            self._govern()
        self._start_timer()
        return blocks > 0

    def _below_half(self) -> bool:
        return len(self._unanswered) < UNANSWERED_FRAMES // 2 and self._unanswered_bytes < UNANSWERED_BYTES // 2

    def _govern(self) -> None:
        """Reads, or does not, as the state asks. The clocks of frame and line stand still while we do not read."""
        if self._gone or self._ended:
            return
        lingering = self._linger_until is not None
        pause = not lingering and (self._full or self._unread_since is not None or self._finishing)
        if pause == self._paused:
            return
        self._paused = pause
        if pause:
            self._stop_timer()
            self._transport.pause_reading()
        else:
            self._last_traffic = now = self._clock.monotonic()
            self._began = now if self._began is not None else None
            self._transport.resume_reading()
            self._start_timer()

    def _start_timer(self) -> None:
        """The 50 ms of #90b; only while we read, because nothing can follow an FS while we do not look."""
        if self._framer.waiting and self._timer is None and not (self._paused or self._finishing or self._gone):
            self._timer = self._loop.call_later(QUIET_SECONDS, self._almost_quiet)

    def _almost_quiet(self) -> None:
        # uvloop runs timers before it looks at sockets: after a busy spell bytes may lie unread. One more turn shows them.
        self._timer = self._loop.call_later(_ONE_MORE_TURN, self._on_quiet)

    def _on_quiet(self) -> None:
        self._timer = None
        self._framer.quiet()
        self._deliver()
        self._began = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _flush(self) -> None:
        self._flushing = False
        if self._gone or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        self._last_traffic = self._last_answer = self._clock.monotonic()
        self._guarded(lambda: self._transport.write(data))

    def _leave(self) -> None:
        """Everything is answered: says so, and closes.

        Closing a socket with unread bytes sends an RST, and on some systems (Windows) an RST destroys what the peer has
        received and not read: our last answers. So after a recent answer only our half is closed at first, and what the peer
        still sends is dropped for a while.
        """
        self._flush()
        now = self._clock.monotonic()
        recent = now - self._last_answer < LINGER_SECONDS or self._unread_since is not None
        if self._gone or self._ended or not recent or not self._transport.can_write_eof():
            self._close()
            return
        self._linger_until = now + LINGER_SECONDS
        self._govern()
        self._guarded(self._transport.write_eof)

    def _abandon(self, reason: str) -> None:
        if self._gone:
            return
        self._flush()  # these are committed, only what follows them is not
        self._reason = self._reason or reason
        self._close()

    def _close(self) -> None:
        self._gone = True
        self._closing_since = self._clock.monotonic()  # it takes until the peer has read what was written; sweep() limits that
        self._transport.close()

    def _guarded(self, act: Callable[[], None]) -> None:
        """Runs `act` on the transport. The peer may have vanished between the commit and its answer."""
        if self._transport.is_closing():
            self._gone = True
            return
        try:
            act()
        except (OSError, RuntimeError):
            # uvloop raises RuntimeError for a closed handle. Nothing is lost: the answer is stored, the sender
            # sends again and gets it then. The connection's end itself is reported by connection_lost.
            self._reason = self._reason or "lost"
            self._gone = True
            self._transport.abort()
