"""The other end of TLS with nothing of ours or of asyncio in it: Python's blocking sockets, which say and hear every alert."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from threading import Thread
from typing import Self

from ophl7.mllp.framing import frame
from tests.authority import HOST
from tests.integration.mllp.desk import LIMIT_SECONDS, Observed

SECONDS = 10.0


class Caller:
    """Connects, says something in one go, and tells what came back. Each call has a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def plain(self, data: bytes) -> bytes:
        """What a plain socket gets for `data`, until the other end closes."""
        return await asyncio.to_thread(self._plain, data)

    async def secured(self, context: ssl.SSLContext, data: bytes, *, half_close: bool = False) -> bytes:
        """What comes for `data` over TLS, until the other end closes. Raises ssl.SSLError when there is no TLS."""
        return await asyncio.to_thread(self._secured, context, data, half_close)

    async def refused(self, context: ssl.SSLContext) -> str:
        """Why there is no TLS, as OpenSSL calls it at the client's end; with TLS 1.3 that may come in place of an answer."""
        try:
            answer = await self.secured(context, frame(b"hello"))
        except ssl.SSLError as error:
            return error.reason
        raise AssertionError(f"there is TLS: {answer!r}")

    def _plain(self, data: bytes) -> bytes:
        with socket.create_connection((HOST, self.port), SECONDS) as connection:
            connection.sendall(data)
            return _all_of(connection)

    def _secured(self, context: ssl.SSLContext, data: bytes, half_close: bool) -> bytes:
        with (
            socket.create_connection((HOST, self.port), SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=HOST) as wrapped,
        ):
            wrapped.sendall(data)
            if half_close:
                with closing(socket.fromfd(wrapped.fileno(), socket.AF_INET, socket.SOCK_STREAM)) as below:
                    below.shutdown(socket.SHUT_WR)
            return _all_of(wrapped)


def _all_of(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except ConnectionResetError:
        return found  # closed with bytes of ours unread
    return found


class Host:
    """Listens, and does with each connection what `serve` does. An async context manager; `errors`: what went wrong there."""

    def __init__(self, serve: Callable[[socket.socket], object]) -> None:
        self._serve = serve
        self._server = socket.create_server((HOST, 0))
        self.port: int = self._server.getsockname()[1]
        self.errors: list[Exception] = []
        self._thread = Thread(target=self._run)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(self._thread.join, SECONDS)
        self._server.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return  # shut down
            connection.settimeout(SECONDS)
            with connection:
                try:
                    self._serve(connection)
                except OSError as error:
                    self.errors.append(error)


def at_most_1_2(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


async def told_once(observed: Observed, kind: str, *words: str) -> None:
    """One line, with these words in it; no session was opened."""
    await observed.seen("tls_failed", "pm", kind)
    (told,) = observed.of("tls_failed")
    assert all(part in str(told[2]) for part in words), told
    assert str(told[3]).startswith(f"{HOST}:")
    assert observed.of("opened") == observed.of("refused") == []


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other end closes without a word."""
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            return await reader.read(1) == b""
        except ConnectionResetError:
            return True


async def wait_for(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - nothing tells us of it
            await asyncio.sleep(0.001)
