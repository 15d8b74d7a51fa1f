"""TLS between a socket and a protocol that need not know of it: what comes is decrypted, what is written leaves encrypted.

OpenSSL does all of the work (`ssl.SSLObject`); this is the plumbing. The transport on top behaves like the plain one below it:
the same back-pressure, and it can be closed by halves. Why not the TLS of asyncio: docs/decisions/0021.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Final, Literal, Protocol, cast

_READ_BYTES: Final = 64 * 1024


class Party(Protocol):
    """Whoever wants a connection secured: told `met`, then `agreed` or `failed` (neither after `give_up`), then `gone`."""

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:
        """There is a connection. False: it is not wanted; the party has closed `raw`, and hears no more of it but `gone`."""

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:
        """TLS is there. Returns the protocol that has the connection from now on; it is told `connection_made` next."""

    def failed(self, error: Exception | None) -> None:
        """There will be no TLS; the alert that says why is on its way. error: None when the other end hung up.

        Now the party closes `raw`; what still comes is dropped.
        """

    def gone(self) -> None:
        """The connection is gone, and there never was TLS on it."""


class TlsWire(asyncio.Protocol):
    """The protocol of the socket."""

    def __init__(self, context: ssl.SSLContext, party: Party, host: str | None = None) -> None:
        """host: the server whose certificate is to be seen; None when we are the server."""
        self._context = context
        self._party = party
        self._host = host
        self._state: Literal["shaking", "open", "over"] = "shaking"
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._raw: asyncio.Transport
        self._tls: ssl.SSLObject
        self._transport: TlsTransport
        self._protocol: asyncio.Protocol | None = None
        self._ended = False  # the other end has closed its half
        self._kept = False  # and the protocol still has something to say
        self.error: ssl.SSLError | None = None  # by which TLS has ended after it was there
        self.heard = asyncio.Event()  # something came after the handshake, or nothing will

    @property
    def version(self) -> str | None:
        """Of the protocol that was agreed on, such as `TLSv1.3`."""
        return self._tls.version()

    def give_up(self) -> None:
        """Cuts the connection while there is no TLS yet. The party is told no more than `gone`."""
        self._state = "over"
        self._raw.abort()

    # -- asyncio.Protocol, for the socket ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        if not self._party.met(self, self._raw):
            self._state = "over"
            return
        self._tls = self._context.wrap_bio(
            self._incoming, self._outgoing, server_side=self._host is None, server_hostname=self._host
        )
        self._transport = TlsTransport(self._raw, self._tls, self._outgoing)
        self._shake()

    def data_received(self, data: bytes) -> None:
        if self._state == "over":
            return
        self._incoming.write(data)
        if self._state == "shaking":
            self._shake()
        else:
            self._read()
            self.heard.set()

    def eof_received(self) -> bool:
        """The other end closed its half, with TLS's own goodbye before it or not: MLLP says itself where a message ends."""
        if self._state == "open":
            return self._end()
        self._fail(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc)
        self._state = "over"
        self.heard.set()
        if self._protocol is not None:
            self._protocol.connection_lost(exc or self.error)
        else:
            self._party.gone()

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._transport.flush()
            return
        except ssl.SSLError as error:
            self._transport.flush()
            self._fail(error)
            return
        self._transport.flush()
        self._state = "open"
        self._protocol = self._party.agreed(self._transport)
        self._protocol.connection_made(self._transport)
        self._read()  # what came together with the end of the handshake

    def _fail(self, error: Exception | None) -> None:
        if self._state == "shaking":
            self._state = "over"
            self._party.failed(error)

    def _read(self) -> None:
        if self._ended or self._transport.done or self._raw.is_closing():
            return
        found: list[bytes] = []
        try:
            while chunk := self._tls.read(_READ_BYTES):
                found.append(chunk)
            said_goodbye = True
        except ssl.SSLWantReadError:
            said_goodbye = False
        except ssl.SSLError as error:
            # An alert, or bytes that nobody can decrypt. TLS 1.3: also how a client learns that it is not let in.
            said_goodbye = False
            self.error = error
        self._transport.flush()
        if found and self._protocol is not None:
            self._protocol.data_received(b"".join(found))
        if self.error is not None:
            self._state = "over"
            self._raw.abort()
        elif said_goodbye:
            self._end()

    def _end(self) -> bool:
        """Tells the protocol once that nothing more comes; True while it keeps its own half open."""
        if not self._ended and self._protocol is not None:
            self._ended = True
            self._kept = bool(self._protocol.eof_received())
            if not self._kept:
                self._transport.close()
        return self._kept and not self._raw.is_closing()


class TlsTransport(asyncio.Transport):
    """What the protocol on top writes to. There is no buffer but that of the socket's own transport, so its limits hold."""

    def __init__(self, raw: asyncio.Transport, tls: ssl.SSLObject, outgoing: ssl.MemoryBIO) -> None:
        super().__init__()
        self._raw = raw
        self._tls = tls
        self._outgoing = outgoing
        self.done = False  # we have said goodbye: nothing more is written, and what comes is dropped

    def flush(self) -> None:
        """Hands over what OpenSSL has to send."""
        if self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's signature
        """As the socket's transport; `ssl_object` besides."""
        return self._tls if name == "ssl_object" else self._raw.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypts and sends. What is written after the end is dropped, as every transport of asyncio does."""
        if self.done or self._raw.is_closing():
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self.flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Says that nothing more comes from us; what the other end still sends is dropped from now on."""
        self._say_goodbye()
        self._raw.write_eof()

    def close(self) -> None:
        """Closes once everything written is out."""
        self._say_goodbye()
        self._raw.close()

    def abort(self) -> None:
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._raw.is_closing()

    def is_reading(self) -> bool:
        return self._raw.is_reading()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def _say_goodbye(self) -> None:
        if self.done or self._raw.is_closing():
            return
        self.done = True
        # Our goodbye is written then. OpenSSL wants to see the other end's too, and finds none, or data; we wait for neither.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self.flush()
