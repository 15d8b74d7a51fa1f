"""An outbound connection, plain or over TLS, and why there is none."""

from __future__ import annotations

import asyncio
import errno
from contextlib import suppress
from typing import Final

from ophl7.errors import LinkDown
from ophl7.mllp.tls import Tls
from ophl7.mllp.tls_faults import refused_server, silent_server
from ophl7.mllp.tls_wire import TlsWire

VERDICT_SECONDS: Final = 0.5


async def connect(
    protocol: asyncio.Protocol, host: str, port: int, seconds: float, tls: Tls | None = None
) -> asyncio.Transport:
    """The transport of a connection that can be used; `protocol` was told `connection_made` with it.

    seconds: the limit for the connection, and once more for TLS. tls: None for plain. Raises LinkDown (`refused`,
    `unreachable`, `tls`), whose text goes on after the address; nothing stays open then.
    """
    greeting = _Greeting(protocol, host, tls) if tls is not None else None
    bottom = protocol if greeting is None else greeting.wire
    try:
        async with asyncio.timeout(seconds):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: bottom, host, port)
    except TimeoutError as error:
        raise LinkDown("unreachable", f"did not accept a connection within {seconds:g} s") from error
    except OSError as error:
        if f"[Errno {errno.ECONNREFUSED}]" in str(error):  # a name with several addresses: asyncio joins their texts
            raise LinkDown("refused", "refuses connections: nothing listens there") from error
        raise LinkDown("unreachable", f"cannot be reached: {error.strerror or str(error) or 'it hung up'}") from error
    return transport if greeting is None else await greeting.agree(seconds)


def no_tls(error: Exception | None, tls: Tls, host: str) -> LinkDown:
    """Why the server `host` did not agree on TLS, or ended it before it had said anything."""
    return LinkDown("tls", refused_server(error, tls, host).words)


class _Greeting:
    """Implements `tls_wire.Party`."""

    def __init__(self, protocol: asyncio.Protocol, host: str, tls: Tls) -> None:
        self._protocol = protocol
        self._host = host
        self._tls = tls
        self._outcome: asyncio.Future[asyncio.Transport | LinkDown] = asyncio.get_running_loop().create_future()
        self._raw: asyncio.Transport
        self.wire = TlsWire(tls.context, self, host)

    async def agree(self, seconds: float) -> asyncio.Transport:
        try:
            async with asyncio.timeout(seconds):
                outcome = await self._outcome
        except TimeoutError:
            self.wire.give_up()
            raise LinkDown("tls", silent_server(seconds).words) from None
        except BaseException:
            self.wire.give_up()
            raise
        if isinstance(outcome, LinkDown):
            raise outcome
        if self.wire.version == "TLSv1.3":
            await self._verdict()
            if outcome.is_closing():
                raise no_tls(self.wire.error, self._tls, self._host)
        return outcome

    async def _verdict(self) -> None:
        """Waits until the server has looked at our certificate.

        With TLS 1.3 a client is done before the server is. What it sends now may meet a closed door, and the RST for it can
        overtake the alert that says why: then a message would count as tried that nobody has taken. Servers say something as
        soon as they are done too (a session ticket: RFC 8446, 4.6.1). One that does not is given half a second.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(VERDICT_SECONDS):
                await self.wire.heard.wait()

    # -- tls_wire.Party ------------------------------------------------------------------------------------------------

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:  # noqa: ARG002 - it is ours
        self._raw = raw
        return True

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:
        self._settle(transport)
        return self._protocol

    def failed(self, error: Exception | None) -> None:
        self._settle(no_tls(error, self._tls, self._host))
        self._raw.close()

    def gone(self) -> None:
        """Nothing more to tell: `failed` came before, or nobody waits."""

    def _settle(self, outcome: asyncio.Transport | LinkDown) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
