"""A raw MLLP client."""

from __future__ import annotations

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Final, Self

from ophl7.mllp.framing import frame
from ophl7.testing.wire import Wire, narrow

LIMIT_SECONDS: Final = 5.0


class Client:
    """A raw MLLP client; an async context manager that connects and closes."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None, window: int = 0) -> None:
        """tls: a client's context; None for plain MLLP. window: bytes of a small receive buffer, 0 for the system's."""
        self._host = host
        self._port = port
        self._tls = tls
        self._window = window
        self._wire: Wire | None = None

    @property
    def wire(self) -> Wire:
        """The connection. Raises RuntimeError outside of `async with`."""
        if self._wire is None:
            raise RuntimeError("use the client inside `async with`")
        return self._wire

    async def __aenter__(self) -> Self:
        if self._window:
            self._wire = await self._narrowed()
        else:
            self._wire = Wire(*await asyncio.open_connection(self._host, self._port, ssl=self._tls))
        return self

    async def _narrowed(self) -> Wire:
        sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        try:
            narrow(sock, self._window)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (self._host, self._port))
            name = self._host if self._tls is not None else None
            return Wire(*await asyncio.open_connection(sock=sock, ssl=self._tls, server_hostname=name, limit=self._window))
        except BaseException:
            sock.close()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def send(self, payload: bytes, limit: float = LIMIT_SECONDS) -> bytes:
        """Sends one message and returns the next answer's payload. Raises as `read_answer`."""
        await self.send_raw(frame(payload))
        return await self.read_answer(limit)

    async def pipeline(self, *payloads: bytes, limit: float = LIMIT_SECONDS) -> list[bytes]:
        """Sends all in one go, without waiting in between, and returns as many answers."""
        await self.send_raw(b"".join(frame(payload) for payload in payloads))
        return [await self.read_answer(limit) for _ in payloads]

    async def send_raw(self, data: bytes) -> None:
        """Sends bytes as they are."""
        await self.wire.write(data)

    async def read_answer(self, limit: float = LIMIT_SECONDS) -> bytes:
        """The next answer's payload. Raises EOFError when the connection closes instead, TimeoutError after `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                payload = await self.wire.read()
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {limit:g} s") from error
        if payload is None:
            raise EOFError("the connection was closed without an answer")
        return payload

    async def closed(self, limit: float = LIMIT_SECONDS) -> None:
        """Waits until the other end closes. Raises AssertionError when it answers, TimeoutError after `limit` seconds."""
        try:
            await self.read_answer(limit)
        except EOFError:
            return
        raise AssertionError("the other end answered instead of closing")

    def half_close(self) -> None:
        """Says that nothing more will be sent; answers are still read."""
        self.wire.end()

    def abort(self) -> None:
        """Vanishes."""
        self.wire.abort()
