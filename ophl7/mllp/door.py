"""An inbound connection before it is a session: let in by address and number first, then TLS within a time limit."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final, Protocol

from ophl7.mllp.session import LINGER_SECONDS, House, Session
from ophl7.mllp.tls import Tls
from ophl7.mllp.tls_faults import TlsFault, refused_client, silent_client
from ophl7.mllp.tls_wire import TlsWire

HANDSHAKE_SECONDS: Final = 10.0  # a handshake takes milliseconds, over a slow line a second or two


class Hall(House, Protocol):
    """What a door needs of the listener it belongs to."""

    def let_in(self, door: Door, raw: asyncio.Transport) -> bool:
        """Whether the connection may be; if not, the hall has closed it and told so."""

    def pass_on(self, door: Door) -> None:
        """The connection is gone, or is a session now."""

    def turned_away(self, remote: str, fault: TlsFault) -> None:
        """There is no TLS with the client at `remote` (`address:port`): to be told."""


class Door:
    """Implements `tls_wire.Party` for one connection."""

    def __init__(self, hall: Hall, tls: Tls) -> None:
        self._hall = hall
        self._tls = tls
        self._wire: TlsWire
        self._raw: asyncio.Transport
        self._remote = ""
        self._until = 0.0
        self._told = False

    @classmethod
    def opened(cls, hall: Hall, tls: Tls) -> TlsWire:
        """The protocol for a connection that was just accepted."""
        return TlsWire(tls.context, cls(hall, tls))

    def sweep(self, now: float) -> None:
        """Applies the time limit. now: the clock's monotonic seconds."""
        if now < self._until:
            return
        self._tell(silent_client(HANDSHAKE_SECONDS))
        self._wire.give_up()

    def shut(self) -> None:
        """Cuts the connection."""
        self._wire.give_up()

    # -- tls_wire.Party ------------------------------------------------------------------------------------------------

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:
        self._wire, self._raw, self._remote = wire, raw, remote_of(raw)
        self._until = self._hall.clock.monotonic() + HANDSHAKE_SECONDS
        return self._hall.let_in(self, raw)

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:  # noqa: ARG002 - the session is told by connection_made
        self._hall.pass_on(self)
        return Session(self._hall)

    def failed(self, error: Exception | None) -> None:
        self._tell(refused_client(error, self._tls))
        if isinstance(error, ssl.SSLError) and not self._raw.is_closing():
            # With TLS 1.3 a client may have sent its first message already. To close on that sends an RST, which can overtake
            # the alert by which the client learns why; so what it sends is dropped for a moment (as in Session._leave).
            self._until = self._hall.clock.monotonic() + LINGER_SECONDS
            with suppress(OSError, RuntimeError):  # it has gone meanwhile, which connection_lost tells
                self._raw.write_eof()
        else:
            self._raw.abort()

    def gone(self) -> None:
        self._hall.pass_on(self)

    def _tell(self, fault: TlsFault) -> None:
        """Once: one connection, one line."""
        if not self._told:
            self._told = True
            self._hall.turned_away(self._remote, fault)


def remote_of(transport: asyncio.BaseTransport) -> str:
    """Who is at the other end, as `address:port`; an IPv6 address in brackets."""
    peername = transport.get_extra_info("peername")
    host, port = (str(peername[0]), int(peername[1])) if peername else ("", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
