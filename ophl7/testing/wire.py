"""One end of a connection, as rough or as careful as a test wants it: whole blocks come out, any bytes go in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ophl7.mllp.framing import QUIET_SECONDS, Damaged, Frame, Framer

_MAX_BYTES: Final = 64 * 1024 * 1024
_CLOSE_SECONDS: Final = 1.0
_READ_BYTES: Final = 64 * 1024
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class Wire:
    """One end of a connection: whole blocks out of a stream, and bytes into it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = Framer(_MAX_BYTES)
        self._ended = False
        self._piece = 0
        self._gathered: list[bytes] | None = None
        self.finished = False  # nothing can be written any more: our half is closed

    async def read(self) -> bytes | None:
        """The next block's payload; None when the other end has closed. Raises ValueError for a damaged block."""
        while (block := self._framer.next()) is None:
            if self._ended:
                return None
            if not self._framer.waiting:
                await self._more()
                continue
            try:
                async with asyncio.timeout(QUIET_SECONDS):
                    await self._more()
            except TimeoutError:
                self._framer.quiet()
        match block:
            case Frame(payload):
                return payload
            case Damaged(reason):
                raise ValueError(f"the other end sent a damaged block: {reason}")

    async def gone(self, limit: float) -> None:
        """Waits until the other end has closed, whatever it says before. Raises TimeoutError after `limit` seconds."""
        async with asyncio.timeout(limit):
            while not self._ended:
                await self._more()

    async def _more(self) -> None:
        try:
            data = await self._reader.read(_READ_BYTES)
        except (ConnectionError, ssl.SSLError):
            data = b""  # how the other end closed makes no difference here
        if data:
            self._framer.receive(data)
        else:
            self._ended = True
            self._framer.eof()

    async def write(self, data: bytes) -> None:
        """Writes bytes as they are; in pieces inside of `in_pieces`, later inside of `in_one_write`."""
        if self._gathered is not None:
            self._gathered.append(data)
            return
        for at in range(0, len(data), self._piece or max(len(data), 1)):
            self._writer.write(data[at : at + self._piece] if self._piece else data)
            await self._writer.drain()
            if self._piece:
                await asyncio.sleep(0)  # a turn of the loop: a reader in this process sees each piece alone

    @asynccontextmanager
    async def in_pieces(self, size: int) -> AsyncIterator[None]:
        """What is written inside leaves in pieces of `size` bytes."""
        before, self._piece = self._piece, size
        try:
            yield
        finally:
            self._piece = before

    @asynccontextmanager
    async def in_one_write(self) -> AsyncIterator[None]:
        """What is written inside leaves at the end, all at once; nothing of it when the block fails."""
        before, self._gathered = self._gathered, []
        try:
            yield
            gathered = b"".join(self._gathered)
        finally:
            self._gathered = before
        if gathered:
            await self.write(gathered)

    def end(self) -> None:
        """Closes our half only. Raises RuntimeError or NotImplementedError where the transport cannot (TLS)."""
        self.finished = True
        self._writer.write_eof()

    def abort(self) -> None:
        """Vanishes without a word."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Ends the connection with an RST: what the other end has not read yet is lost to it (RFC 9293, 3.10.7)."""
        reset(self._writer)

    async def close(self) -> None:
        """Closes, whatever the other end did before; what it does not read within a second is given up."""
        await close(self._writer)


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes with an RST in place of a FIN."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()


async def close(writer: asyncio.StreamWriter) -> None:
    """Closes, and after a second at most cuts."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await writer.wait_closed()
    except TimeoutError:
        writer.transport.abort()
    except (ConnectionError, ssl.SSLError):
        return  # it was closed from the other end: closed is what was wanted


def narrow(sock: socket.socket, window: int) -> None:
    """A receive buffer of about `window` bytes; the system has a lower limit of its own. Before connecting or listening."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
