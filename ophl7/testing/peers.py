"""Scripted peers on loopback: a receiver that misbehaves on purpose, and a raw MLLP client.

For tests of links and of whole brokers; nothing here sleeps, every wait has a limit. Acknowledgments are built here in the
plainest way, not by `ophl7.hl7v2`, so that a test has a second opinion.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ophl7.mllp.framing import QUIET_SECONDS, Damaged, Frame, Framer, frame

LIMIT_SECONDS: Final = 5.0
_MAX_BYTES: Final = 64 * 1024 * 1024
_CLOSE_SECONDS: Final = 1.0
_READ_BYTES: Final = 64 * 1024


class Wire:
    """One end of a connection: whole blocks out of a stream, and bytes into it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._framer = Framer(_MAX_BYTES)
        self._ended = False

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
        """Writes bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """Closes our half only."""
        self._writer.write_eof()

    def abort(self) -> None:
        """Vanishes without a word."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Closes, whatever the other end did before; what it does not read within a second is given up."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except (ConnectionError, ssl.SSLError):
            return  # it was closed from the other end: closed is what was wanted


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that a scripted peer received, and the wire to answer on. connection: counted from 1."""

    payload: bytes
    connection: int
    wire: Wire

    @property
    def control_id(self) -> bytes:
        """MSH-10 as sent."""
        return _msh(self.payload)[9]

    async def reply(self, payload: bytes) -> None:
        """Answers with `payload` in a block."""
        await self.wire.write(frame(payload))


Behaviour = Callable[[Incoming], Awaitable[None]]


def acknowledgment(
    payload: bytes, code: str = "AA", *, control_id: bytes | None = None, error: int = 0, severity: str = "E"
) -> bytes:
    """An ACK for `payload`. code: MSA-1. control_id: MSA-2, by default the message's. error: table 0357, 0 for no ERR."""
    msh = _msh(payload)
    bar, version = msh[0][3:4] or b"|", msh[11] or b"2.3"
    answered = msh[9] if control_id is None else control_id
    header = (b"MSH", msh[1], msh[4], msh[5], msh[2], msh[3], b"20260101120000", b"", b"ACK", b"A" + answered, b"P", version)
    lines = [bar.join(header), bar.join((b"MSA", code.encode(), answered))]
    if error:
        # The code moved from ERR-1 to ERR-3 in version 2.5 (HL7 v2.5 chapter 2.15.5).
        old = version.split(b"^")[0] < b"2.5"
        fields = (b"ERR", b"^^^%d" % error) if old else (b"ERR", b"", b"", b"%d" % error, severity.encode())
        lines.append(bar.join(fields))
    return b"".join(line + b"\r" for line in lines)


async def accept(message: Incoming) -> None:
    """Answers AA."""
    await message.reply(acknowledgment(message.payload))


async def silence(message: Incoming) -> None:
    """Takes the message and says nothing."""


async def close(message: Incoming) -> None:
    """Takes the message and closes the connection."""
    await message.wire.close()


async def garbage(message: Incoming) -> None:
    """Answers with a block that holds no HL7."""
    await message.reply(b"<html>502 Bad Gateway</html>")


async def wrong_id(message: Incoming) -> None:
    """Answers AA to another message."""
    await message.reply(acknowledgment(message.payload, control_id=b"X" + message.control_id))


async def unframed(message: Incoming) -> None:
    """Answers AA without VT, FS and CR around it."""
    await message.wire.write(acknowledgment(message.payload))


async def half_answer(message: Incoming) -> None:
    """Begins an AA and closes in the middle of it."""
    answer = frame(acknowledgment(message.payload))
    await message.wire.write(answer[: len(answer) // 2])
    await message.wire.close()


def refuse(code: str = "AE", error: int = 207, severity: str = "E") -> Behaviour:
    """Answers AE, AR, CE or CR with an ERR of table 0357; `error=0` leaves the ERR away."""

    async def behaviour(message: Incoming) -> None:
        await message.reply(acknowledgment(message.payload, code, error=error, severity=severity))

    return behaviour


def slow(until: asyncio.Event, then: Behaviour = accept) -> Behaviour:
    """Waits until the test sets the event, then behaves as `then`."""

    async def behaviour(message: Incoming) -> None:
        await until.wait()
        await then(message)

    return behaviour


def answering(make: Callable[[bytes], bytes]) -> Behaviour:
    """Answers with what `make` returns for the received payload."""

    async def behaviour(message: Incoming) -> None:
        await message.reply(make(message.payload))

    return behaviour


class ScriptedPeer:
    """An MLLP receiver on loopback that treats each message as its script says, and every later one as `then` says.

    An async context manager. What a behaviour raises is raised when the peer is left, never swallowed.
    """

    def __init__(self, *script: Behaviour, then: Behaviour = accept, tls: ssl.SSLContext | None = None) -> None:
        """tls: a server's context; None for plain MLLP."""
        self.script: deque[Behaviour] = deque(script)
        self.then = then
        self.tls = tls
        self.messages: list[Incoming] = []
        self.connections = 0
        self.host = "127.0.0.1"
        self.port = 0
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
        self._server = await asyncio.start_server(self._connected, self.host, self.port, ssl=self.tls)
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
        task = asyncio.get_running_loop().create_task(self._serve(Wire(reader, writer), self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _serve(self, wire: Wire, connection: int) -> None:
        try:
            while (payload := await wire.read()) is not None:
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


class Client:
    """A raw MLLP client; an async context manager that connects and closes."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """tls: a client's context; None for plain MLLP."""
        self._host = host
        self._port = port
        self._tls = tls
        self._wire: Wire | None = None

    @property
    def wire(self) -> Wire:
        """The connection. Raises RuntimeError outside of `async with`."""
        if self._wire is None:
            raise RuntimeError("use the client inside `async with`")
        return self._wire

    async def __aenter__(self) -> Self:
        self._wire = Wire(*await asyncio.open_connection(self._host, self._port, ssl=self._tls))
        return self

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


def _msh(payload: bytes) -> list[bytes]:
    """MSH split at its separator, at least 12 long: index n is MSH-(n+1), index 0 `MSH` and the separator's place."""
    line = payload.replace(b"\n", b"\r").split(b"\r", 1)[0]
    bar = line[3:4] or b"|"
    fields = line.split(bar)
    return [fields[0] + bar, *fields[1:], *[b""] * (12 - len(fields))]
