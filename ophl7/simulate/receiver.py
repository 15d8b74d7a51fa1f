"""Where a simulated system takes the broker's deliveries: it answers AA to each, and can be away for a while.

Frames and answers are those of `ophl7.testing.peers`: a second opinion on what the broker sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ophl7.errors import LinkDown
from ophl7.testing.peers import Wire, acknowledgment
from ophl7.units import Address

_MOST_CONNECTIONS: Final = 64


class Receiver:
    """A listening socket and its connections. `start`, `stop`, and `start` again on the same port."""

    def __init__(self, listen: Address, takes: Callable[[bytes], bool], tells: Callable[[str], None]) -> None:
        """takes: gets each message, says whether it could be read (AA, else AR). tells: gets remarks for people."""
        self._host = listen.host
        self._port = listen.port
        self._takes = takes
        self._tells = tells
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def address(self) -> Address:
        """Where it listens: after `start` with the port that is bound."""
        return Address(self._host, self._port)

    @property
    def listening(self) -> bool:
        """Whether it takes connections."""
        return self._server is not None

    async def start(self) -> None:
        """Listens. Raises LinkDown when it cannot."""
        try:
            self._server = await asyncio.start_server(self._connected, self._host or None, self._port)
        except OSError as error:
            where = f"{self._host}:{self._port}"
            raise LinkDown("refused", f"cannot listen on {where}; is another program using it? Try --listen") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away: closes the socket and every connection. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def close(self) -> None:
        """Stops for good."""
        await self.stop()
        self._failed.cancel()

    async def failed(self) -> None:
        """Waits for ever, and raises what made a connection's task fail."""
        await asyncio.shield(self._failed)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None or len(self._tasks) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._converse(Wire(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _converse(self, wire: Wire) -> None:
        try:
            while (payload := await wire.read()) is not None:
                code = "AA" if self._takes(payload) else "AR"
                await wire.write(_framed(acknowledgment(payload, code)))
        except ConnectionError:
            return  # the sender has gone, and will send again what it got no answer to
        except ValueError as error:
            self._tells(f"{error}; the connection is closed")
        finally:
            with suppress(OSError):
                await wire.close()


def _framed(payload: bytes) -> bytes:
    return b"\x0b" + payload + b"\x1c\r"
