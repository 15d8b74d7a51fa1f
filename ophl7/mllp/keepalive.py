"""TCP keepalive, so that a connection that a firewall or a VPN dropped without a word is noticed (domain 4)."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

IDLE_SECONDS: Final = 60
_INTERVAL_SECONDS: Final = 15
_PROBES: Final = 4


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Lets the system probe after IDLE_SECONDS of silence; a dead connection is noticed about a minute after that."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return  # not a socket of the system's: nothing to probe
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", IDLE_SECONDS), ("TCP_KEEPINTVL", _INTERVAL_SECONDS), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, option):  # names differ by system; the bare switch above works everywhere
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
