"""A connection to the test receiver before its first byte: TLS, or one line that says why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import click

from ophl7.mllp.door import remote_of
from ophl7.mllp.tls import Tls
from ophl7.mllp.tls_faults import TlsFault, refused_client, silent_client
from ophl7.mllp.tls_wire import TlsWire

_SECONDS: Final = 10.0


class Welcome:
    """Implements `mllp.tls_wire.Party`: `wire` is the socket's protocol, `protocol` has the connection once there is TLS."""

    def __init__(self, tls: Tls, protocol: asyncio.Protocol, over: Callable[[Welcome], None]) -> None:
        """over: told when there is nothing more to be welcomed."""
        self._tls = tls
        self._over = over
        self._protocol = protocol
        self._remote = ""
        self._raw: asyncio.Transport
        self._timer: asyncio.TimerHandle
        self.wire = TlsWire(tls.context, self)

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:  # noqa: ARG002 - it is ours
        self._raw, self._remote = raw, remote_of(raw)
        self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._out_of_time)
        return True

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:  # noqa: ARG002 - the protocol is told by connection_made
        self._leave()
        return self._protocol

    def failed(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._tell(refused_client(error, self._tls))
        self._raw.close()

    def gone(self) -> None:
        self._leave()

    def shut(self) -> None:
        """Cuts the connection."""
        self.wire.give_up()

    def _leave(self) -> None:
        self._timer.cancel()
        self._over(self)

    def _out_of_time(self) -> None:
        self._tell(silent_client(_SECONDS))
        self.wire.give_up()

    def _tell(self, fault: TlsFault) -> None:
        click.echo(f"no TLS with {self._remote}: it {fault.words}", err=True)
