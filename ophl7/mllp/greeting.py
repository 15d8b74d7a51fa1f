"""An outbound connection before it carries messages: TLS, and the certificate of the server, within a time limit."""

from __future__ import annotations

import asyncio
import ssl

from ophl7.errors import LinkDown
from ophl7.mllp.tls import Tls
from ophl7.mllp.tls_faults import refused_server, silent_server
from ophl7.mllp.tls_wire import TlsWire


class Greeting:
    """Implements `tls_wire.Party` for one connection. `wire` is the socket's protocol; `protocol` has the connection then."""

    def __init__(self, tls: Tls, host: str, protocol: asyncio.Protocol) -> None:
        """host: as in the address that was connected to; the server's certificate must be for it."""
        self._tls = tls
        self._host = host
        self._protocol = protocol
        self._outcome: asyncio.Future[LinkDown | None] = asyncio.get_running_loop().create_future()
        self.wire = TlsWire(tls.context, self, host)

    async def agree(self, seconds: float) -> None:
        """Returns when there is TLS. Raises LinkDown (`tls`) when there is none after `seconds`, or never will be."""
        try:
            async with asyncio.timeout(seconds):
                down = await self._outcome
        except TimeoutError:
            self.wire.give_up()
            raise LinkDown("tls", silent_server(seconds).words) from None
        except BaseException:
            self.wire.give_up()
            raise
        if down is not None:
            raise down

    def explain(self, error: ssl.SSLError) -> LinkDown:
        """Why the server ended TLS after all: with TLS 1.3 it looks at our certificate when for us all is agreed."""
        return LinkDown("tls", refused_server(error, self._tls, self._host).words)

    # -- tls_wire.Party ------------------------------------------------------------------------------------------------

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:  # noqa: ARG002 - it is ours
        self._raw = raw
        return True

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:  # noqa: ARG002 - the protocol is told by connection_made
        self._settle(None)
        return self._protocol

    def failed(self, error: Exception | None) -> None:
        self._settle(LinkDown("tls", refused_server(error, self._tls, self._host).words))
        self._raw.close()

    def gone(self) -> None:
        """Nothing more to tell: `failed` came before, or nobody waits."""

    def _settle(self, outcome: LinkDown | None) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)
