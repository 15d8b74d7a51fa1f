"""A TCP proxy on loopback between a real client and a real server, with faults that are switched at run time.

It knows bytes only, so it stands in front of TLS as well.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from ophl7.testing.faults import Fault, passing
from ophl7.testing.wire import close, reset

_READ_BYTES: Final = 64 * 1024
_CONNECT_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 256


class Direction:
    """What becomes of the bytes of one direction, on all connections."""

    def __init__(self) -> None:
        self._fault: Fault = passing
        self._switched = asyncio.Event()
        self.bytes_seen = 0

    @property
    def fault(self) -> Fault:
        """The one that is asked now; set another at any time."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        before, self._switched = self._switched, asyncio.Event()
        before.set()

    async def switched(self) -> None:
        """Waits until `fault` is set again."""
        await self._switched.wait()


class FaultProxy:
    """Passes what comes on to `host:port` and back; an async context manager.

    A connection is made to the server for each one that is accepted. Closing, half-closing and resets are passed on too.
    """

    def __init__(self, host: str, port: int) -> None:
        """host, port: the real server; it need not be there yet."""
        self.to_server = Direction()
        self.to_client = Direction()
        self.silent = False  # new connections are accepted, and that is all that happens
        self.connections = 0
        self.host = "127.0.0.1"
        self.port = 0
        self._server_at = host, port
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], _Pair] = {}
        self._failures: list[BaseException] = []

    @property
    def url(self) -> str:
        """Where it listens, for a setting. Write `mllps` in front of TLS."""
        return f"mllp://{self.host}:{self.port}"

    async def accept(self) -> None:
        """Listens (as at the start); after `refuse`, on the same port again. Idempotent."""
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self.host, self.port, limit=_READ_BYTES)
            self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """New connections are refused, as where nothing listens; those that are there stay. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def heal(self) -> None:
        """No direction has a fault, and new connections are passed on. See `accept` and `cut` too."""
        self.silent = False
        self.to_server.fault = self.to_client.fault = passing

    async def cut(self, *, rst: bool = False) -> None:
        """Ends every connection that is there at both sides, and waits until they are gone. rst: with an RST."""
        pairs = dict(self._pairs)
        for task, pair in pairs.items():
            if rst:
                pair.reset()
            task.cancel()
        if pairs:
            await asyncio.wait(pairs)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        await self.cut()
        if self._failures and error is None:
            raise self._failures[0]

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None or len(self._pairs) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        self.connections += 1
        pair = _Pair(reader, writer)
        task = asyncio.get_running_loop().create_task(self._serve(pair))
        self._pairs[task] = pair
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._pairs.pop(task).drop()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _serve(self, pair: _Pair) -> None:
        try:
            if self.silent:
                await pair.over.wait()
                return
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await pair.reach(*self._server_at)
            except OSError:  # a TimeoutError is one too
                return  # the client sees a connection that ends
            await pair.run(self.to_server, self.to_client)
        finally:
            await pair.close()


class _Pair:
    """The two connections that belong together."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = reader, writer
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.over = asyncio.Event()

    async def reach(self, host: str, port: int) -> None:
        self._server = await asyncio.open_connection(host, port, limit=_READ_BYTES)

    async def run(self, to_server: Direction, to_client: Direction) -> None:
        """Until both directions have ended, or the connection was cut."""
        assert self._server is not None  # noqa: S101 - `reach` came before
        flows = (
            _Flow(to_server, self, self._client[0], self._server[1]),
            _Flow(to_client, self, self._server[0], self._client[1]),
        )
        pumps = {asyncio.create_task(flow.run()) for flow in flows}
        over: asyncio.Task[object] = asyncio.create_task(self.over.wait())
        try:
            await _ended(pumps, over)
        finally:
            for task in (*pumps, over):
                task.cancel()
            await asyncio.wait((*pumps, over))
            failed = [error for task in pumps if not task.cancelled() and (error := task.exception()) is not None]
        if failed:
            raise failed[0]

    def reset(self) -> None:
        for _, writer in filter(None, (self._client, self._server)):
            reset(writer)
        self.over.set()

    async def close(self) -> None:
        writers = [writer for _, writer in filter(None, (self._client, self._server))]
        for writer in writers:
            writer.close()
        for writer in writers:
            await close(writer)

    def drop(self) -> None:
        """Nothing stays open, also where the task was cancelled before its first step."""
        for _, writer in filter(None, (self._client, self._server)):
            writer.transport.abort()


async def _ended(pumps: set[asyncio.Task[None]], over: asyncio.Task[object]) -> None:
    """Waits until all pumps have ended, one has failed, or the connection is over."""
    running = pumps
    while running and not over.done():
        done, _ = await asyncio.wait((*running, over), return_when=asyncio.FIRST_COMPLETED)
        if any(task.cancelled() or task.exception() is not None for task in done):
            return
        running = {task for task in running if not task.done()}


class _Flow:
    """Implements `faults.Flow`."""

    def __init__(self, direction: Direction, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._direction = direction
        self._pair = pair
        self._reader = reader
        self._writer = writer
        self._closed = False
        self._muted = False
        self.passed = 0
        self.ended = False
        self.kept = bytearray()

    async def run(self) -> None:
        """Reads, asks the fault, and at the end of the stream says so to the other side."""
        try:
            while data := await self._read():
                self._direction.bytes_seen += len(data)
                await self._direction.fault(self, data)
                await self._let_go()
            self.ended = True
            await self._let_go()
            self.end()
        except OSError:
            self._pair.reset()  # one side is gone with an RST: so is the other

    async def _read(self) -> bytes:
        return await self._reader.read(_READ_BYTES)

    async def _let_go(self) -> None:
        """What a fault kept back belongs to the one that follows it, and to the other side when the stream has ended."""
        while self.kept and not self._closed:
            fault = self._direction.fault
            data = bytes(self.kept)
            self.kept.clear()
            await fault(self, data)
            if self._direction.fault is fault:
                return  # it keeps it for longer

    async def switched(self) -> None:
        await self._direction.switched()

    async def write(self, data: bytes) -> None:
        if self._closed or self._muted or not data:
            return
        self._writer.write(data)
        await self._writer.drain()
        self.passed += len(data)

    def mute(self) -> None:
        self._muted = True

    def end(self) -> None:
        if not self._closed:
            self._closed = True
            if self._writer.can_write_eof() and not self._writer.is_closing():
                self._writer.write_eof()

    def cut(self) -> None:
        self._closed = True
        self._pair.over.set()

    def reset(self) -> None:
        self._closed = True
        self._pair.reset()
