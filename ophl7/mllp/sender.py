"""Delivers to a peer: one connection, one message in flight, and an answer that is believed only if it is the right one.

A late answer that is taken for the next message's is the worst fault a sender can have: a charge counts as delivered that
never was (domain 4). So whatever is not the one awaited answer ends the connection, and with it all that might still come.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, cast
from urllib.parse import urlsplit

from ophl7.engine.ports import Answer, AnswerError
from ophl7.errors import LinkDown, Unreadable
from ophl7.hl7v2.answer import read as read_answer
from ophl7.mllp.connecting import connect, no_tls
from ophl7.mllp.framing import QUIET_SECONDS, Damaged, Framer, frame
from ophl7.mllp.keepalive import keep_alive
from ophl7.mllp.tls import Tls

_CLOSE_SECONDS: Final = 1.0
_MOST_COMMITTED: Final = 1000
_APPLICATION: Final = frozenset({"AA", "AE", "AR"})
_EXAMPLE: Final = "write for example mllp://pm.example.org:2575"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a peer listens. host: a name or an IP address (IPv6 without brackets). tls: whether it is `mllps`."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        """As a URL again."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mllps' if self.tls else 'mllp'}://{host}:{self.port}"


def parse_url(text: str) -> Address:
    """`mllp://host:port` or `mllps://host:port`, IPv6 in brackets. Raises ValueError that says what to write instead."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}; {_EXAMPLE}, with an IPv6 address as mllp://[::1]:2575") from error
    if parts.scheme not in {"mllp", "mllps"} or not parts.netloc:
        raise ValueError(f"{text!r} does not begin with mllp:// or mllps://; {_EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError(f"the address has a user or password in it, which MLLP does not know; {_EXAMPLE}")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(f"{text!r} goes on after the port, which MLLP does not know; {_EXAMPLE}")
    if not parts.hostname:
        raise ValueError(f"{text!r} names no host; {_EXAMPLE}")
    if not port:
        raise ValueError(f"{text!r} names no port that can be reached (1 to 65535); {_EXAMPLE}")
    try:
        parts.hostname.encode("idna")  # as the system's resolver and TLS will
    except UnicodeError as error:
        raise ValueError(
            f"{text!r} names a host that cannot be: a part of its name is empty or too long; {_EXAMPLE}"
        ) from error
    return Address(parts.hostname, port, parts.scheme == "mllps")


class MllpSender:
    """One outbound connection to one peer; implements `engine.ports.Sender`. It connects when it is needed and stays."""

    def __init__(
        self,
        host: str,
        port: int,
        ack_timeout: float,
        connect_timeout: float = 10.0,
        max_answer: int = 1024 * 1024,
        tls: Tls | None = None,
        late: Callable[[str, str], None] = lambda _control_id, _code: None,
        words: Mapping[str, int] | None = None,
    ) -> None:
        """ack_timeout, connect_timeout: seconds. max_answer: bytes of the longest answer that is read. tls: None for plain.

        late: told MSA-2 and MSA-1 of an answer that comes after a commit (CA). words: see `hl7v2.answer.read`.
        """
        self._host = host
        self._port = port
        self._ack_timeout = ack_timeout
        self._connect_timeout = connect_timeout
        self._max_answer = max_answer
        self._tls = tls
        self._link: _Link | None = None
        self._late = late
        self._words = words or {}
        self._busy = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as we know."""
        return self._link is not None and not self._link.lost

    async def connect(self) -> None:
        """Connects, if there is no connection: until then nothing can be on its way. Raises LinkDown."""
        if self._busy:
            raise RuntimeError("this sender is still waiting for an answer")
        self._busy = True
        try:
            await self._ready_link()
        except LinkDown as error:
            self._drop()
            raise LinkDown(error.kind, f"{self._name} {error}") from error.__cause__
        finally:
            self._busy = False

    async def exchange(self, payload: bytes, control_id: str) -> Answer:
        """Sends and waits for the answer whose MSA-2 is `control_id`; see `engine.ports.Sender`. Raises LinkDown."""
        raw = await self.exchange_raw(payload)
        try:
            read = read_answer(raw, words=self._words)
        except Unreadable as error:
            self._drop()
            raise LinkDown("garbage", f"{self._name} answered with something that is no HL7 acknowledgment: {error}") from error
        if read.control_id != control_id:
            self._drop()
            raise LinkDown("foreign", f"{self._name} answered to another message (MSA-2 is not the MSH-10 that was sent)")
        errors = tuple(AnswerError(error.code, error.severity, error.application_code) for error in read.errors)
        return Answer(read.code, read.control_id, errors, raw)

    async def exchange_raw(self, payload: bytes) -> bytes:
        """Sends and returns the next block that comes back, whatever it says.

        Raises LinkDown (the connection is then gone), ValueError for a payload that no MLLP block can hold, RuntimeError when
        another exchange is under way.
        """
        block = frame(payload)
        if self._busy:
            raise RuntimeError("one message in flight at a time: this sender is still waiting for an answer")
        self._busy = True
        try:
            link = await self._ready_link()
            return await link.ask(block, self._ack_timeout)
        except LinkDown as error:
            self._drop()
            raise LinkDown(error.kind, f"{self._name} {error}") from error.__cause__
        except BaseException:
            self._drop()  # cancelled in between: the answer would come later
            raise
        finally:
            self._busy = False

    async def close(self) -> None:
        """Closes the connection, if there is one. Idempotent; the next exchange connects again."""
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    @property
    def _name(self) -> str:
        return str(Address(self._host, self._port, self._tls is not None))

    async def _ready_link(self) -> _Link:
        link = self._link
        if link is not None:
            # Two turns of the loop: one to look at the socket, one to be told. What came unasked is seen before we ask.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if link.unasked:
                raise LinkDown("garbage", "sent something although nothing was asked; it is not taken for an answer")
            if not link.lost:
                return link
        self._link = None
        link = _Link(
            self._max_answer, self._late, partial(no_tls, tls=self._tls, host=self._host) if self._tls is not None else None
        )
        await connect(link, self._host, self._port, self._connect_timeout, self._tls)
        self._link = link
        return link

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.drop()


class _Link(asyncio.Protocol):
    """One connection. At most one question is open; what comes without a question makes the link unusable."""

    def __init__(
        self, max_answer: int, late: Callable[[str, str], None], no_tls: Callable[[ssl.SSLError], LinkDown] | None
    ) -> None:
        """late: told of an answer after a commit. no_tls: what it means that TLS ended before an answer."""
        self._late = late
        self._committed: OrderedDict[str, None] = OrderedDict()  # our ids that were answered with CA here, oldest first
        self._no_tls = no_tls
        self._framer = Framer(max_answer, max_junk=0)
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._question: asyncio.Future[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False  # the other end has said something
        self._end: LinkDown | None = None
        self.unasked = False

    @property
    def lost(self) -> bool:
        return self._closed.done() or self._transport.is_closing()

    async def ask(self, block: bytes, seconds: float) -> bytes:
        if self._end is not None:  # between the connection and this question
            raise self._end
        self._question = question = self._loop.create_future()
        self._transport.write(block)
        try:
            async with asyncio.timeout(seconds):
                answer: bytes = await question
        except TimeoutError as error:
            raise LinkDown("timeout", f"did not answer within {seconds:g} s") from error
        finally:
            self._question = None
        return answer

    async def close(self) -> None:
        """Closes once what was written is out, or at once if the peer holds us up with it."""
        self._transport.close()
        await asyncio.wait((self._closed,), timeout=_CLOSE_SECONDS)
        self._transport.abort()
        await self._closed

    def drop(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        keep_alive(transport)

    def data_received(self, data: bytes) -> None:
        self._stop_timer()
        self._heard = True
        self._framer.receive(data)
        self._read()

    def eof_received(self) -> bool:
        self._framer.eof()
        self._read()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if isinstance(exc, ssl.SSLError) and self._no_tls is not None and not self._heard:
            self._end = self._no_tls(exc)  # with TLS 1.3 our certificate is refused as late as that
        else:
            where = "in the middle of its answer" if self._framer.partial else "without an answer"
            self._end = LinkDown("closed", f"{'lost' if exc else 'closed'} the connection {where}")
        if self._question is not None:
            self._settle(self._end)
        self._closed.set_result(None)

    def _read(self) -> None:
        while (block := self._framer.next()) is not None:
            if isinstance(block, Damaged):
                self._settle(_damage(block))
            elif not self._after_commit(block.payload):
                if b"CA" in block.payload:  # what follows may be in the same segment
                    self._note_commit(block.payload)
                self._settle(block.payload)
        if self._framer.flooded:
            self._settle(LinkDown("garbage", "answered with bytes that are in no MLLP block"))
        elif self._framer.waiting:
            self._timer = self._loop.call_later(QUIET_SECONDS, self._on_quiet)
        if self._question is None and self._framer.partial and not self._committed:
            self.unasked = True

    def _note_commit(self, payload: bytes) -> None:
        """The peer has it in its custody (CA), and may say on this connection what became of it (domain 3.1).

        An id that is not the one asked for ends the connection, and is forgotten with it.
        """
        try:
            read = read_answer(payload)
        except Unreadable:
            return
        if read.code != "CA" or self._question is None:
            return
        self._committed[read.control_id] = None
        if len(self._committed) > _MOST_COMMITTED:
            self._committed.popitem(last=False)

    def _after_commit(self, payload: bytes) -> bool:
        """Whether this is what became of a message that the peer had committed: nobody's answer any more (record 0056)."""
        if not self._committed:
            return False
        try:
            read = read_answer(payload)
        except Unreadable:
            return False
        if read.code not in _APPLICATION or read.control_id not in self._committed:
            return False
        del self._committed[read.control_id]  # it is said once
        self._late(read.control_id, read.code)
        return True

    def _on_quiet(self) -> None:
        self._timer = None
        self._framer.quiet()
        self._read()

    def _settle(self, outcome: bytes | LinkDown) -> None:
        question, self._question = self._question, None
        if question is None or question.done():
            # A second block after the answer, or anything before the question. A connection that ends is no such thing.
            self.unasked |= isinstance(outcome, bytes) or outcome.kind != "closed"
        elif isinstance(outcome, bytes):
            question.set_result(outcome)
        else:
            question.set_exception(outcome)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _damage(block: Damaged) -> LinkDown:
    if block.reason == "cut_off" and block.close:
        return LinkDown("closed", "closed the connection in the middle of its answer")
    reason = {"too_big": "with more than can be an answer", "fs_inside": "with an FS byte inside its block"}
    return LinkDown("garbage", f"answered {reason.get(block.reason, 'with a block that it did not end')}")
