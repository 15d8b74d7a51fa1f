"""A scripted receiver on loopback that misbehaves on purpose, and the one door to what belongs to it.

For tests of links and of whole brokers; nothing here sleeps, every wait has a limit.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from functools import partial
from types import TracebackType
from typing import Final, Self

from ophl7.testing.acknowledgments import acknowledgment
from ophl7.testing.behaviours import (
    Behaviour,
    Incoming,
    accept,
    answering,
    close,
    garbage,
    half_answer,
    refuse,
    silence,
    slow,
    unframed,
    wrong_id,
)
from ophl7.testing.client import LIMIT_SECONDS, Client
from ophl7.testing.wire import Wire, narrow

__all__ = [
    "LIMIT_SECONDS",
    "Behaviour",
    "Client",
    "Incoming",
    "ScriptedPeer",
    "Wire",
    "accept",
    "acknowledgment",
    "answering",
    "close",
    "garbage",
    "half_answer",
    "refuse",
    "silence",
    "slow",
    "unframed",
    "wrong_id",
]

_USUAL_BUFFER: Final = 64 * 1024  # asyncio's own


class ScriptedPeer:
    """An MLLP receiver on loopback that treats each message as its script says, and every later one as `then` says.

    An async context manager. What a behaviour raises is raised when the peer is left, never swallowed.
    """

    def __init__(
        self, *script: Behaviour, then: Behaviour = accept, tls: ssl.SSLContext | None = None, window: int = 0
    ) -> None:
        """tls: a server's context; None for plain MLLP. window: bytes of a small receive buffer, 0 for the system's."""
        self.script: deque[Behaviour] = deque(script)
        self.then = then
        self.tls = tls
        self.messages: list[Incoming] = []
        self.connections = 0
        self.host = "127.0.0.1"
        self.port = 0
        self.reading = asyncio.Event()  # cleared: it reads nothing more, and takes connections all the same
        self.reading.set()
        self.strict = True  # a damaged block is an error, raised when the peer is left; False: it is counted and passed over
        self.damaged = 0
        self._window = window
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._treated = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it listens, for a setting."""
        return f"{'mllp' if self.tls is None else 'mllps'}://{self.host}:{self.port}"

    @property
    def payloads(self) -> list[bytes]:
        """What was received, oldest first."""
        return [message.payload for message in self.messages]

    async def received(self, count: int, limit: float = LIMIT_SECONDS) -> list[bytes]:
        """Waits until `count` messages have come, and returns all. Raises TimeoutError after `limit` seconds."""
        try:
            async with asyncio.timeout(limit), self._changed:
                await self._changed.wait_for(lambda: len(self.messages) >= count)
        except TimeoutError as error:
            raise TimeoutError(f"{len(self.messages)} of {count} messages came within {limit:g} s") from error
        return self.payloads

    async def settled(self, limit: float = LIMIT_SECONDS) -> None:
        """Waits until every message that came has been treated to the end. Raises TimeoutError after `limit` seconds."""
        async with asyncio.timeout(limit), self._changed:
            await self._changed.wait_for(lambda: self._treated == len(self.messages))

    async def start(self) -> None:
        """Listens; after `stop`, on the same port again."""
        sock = socket.socket(socket.AF_INET)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._window:
                narrow(sock, self._window)
            sock.bind((self.host, self.port))
            self._server = await asyncio.start_server(
                self._connected, sock=sock, ssl=self.tls, limit=self._window or _USUAL_BUFFER
            )
        except BaseException:
            sock.close()
            raise
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """An outage: closes the listening socket and every connection. What was received is kept."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._failures and error is None:
            raise self._failures[0]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        wire = Wire(reader, writer)
        task = asyncio.get_running_loop().create_task(self._serve(wire, self.connections))
        self._tasks.add(task)
        task.add_done_callback(partial(self._served, wire))

    def _served(self, wire: Wire, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            wire.abort()  # a task that was cancelled before its first step has closed nothing
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _serve(self, wire: Wire, connection: int) -> None:
        try:
            while (payload := await self._read(wire)) is not None:
                message = Incoming(payload, connection, wire)
                behaviour = self.script.popleft() if self.script else self.then
                async with self._changed:
                    self.messages.append(message)
                    self._changed.notify_all()
                try:
                    await behaviour(message)
                except ConnectionError:
                    break  # the sender has gone meanwhile, which its own test looks at
                finally:
                    async with self._changed:
                        self._treated += 1
                        self._changed.notify_all()
        finally:
            await wire.close()

    async def _read(self, wire: Wire) -> bytes | None:
        while True:
            await self.reading.wait()
            try:
                return await wire.read()
            except ValueError:
                if self.strict:
                    raise
                self.damaged += 1
