"""Peers that are not ours: hl7.mllp used as its own documentation shows it, python-hl7 reading and answering."""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from types import TracebackType
from typing import Final, Self

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, open_hl7_connection, start_hl7_server

LIMIT_SECONDS: Final = 10.0
_LIMIT: Final = 4 * 1024 * 1024


def acknowledgment(message: hl7.Message, code: str = "AA") -> hl7.Message:
    """python-hl7's own ACK. Its clock is `utcnow`, which Python deprecates from 3.12 on; that is not our message to give."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*utcnow", DeprecationWarning)
        return message.create_ack(code)


class Sender:
    """A peer that sends: `writemessage`, `readmessage`. An async context manager."""

    def __init__(self, address: tuple[str, int], encoding: str = "utf-8") -> None:
        self._address = address
        self._encoding = encoding
        self.reader: HL7StreamReader
        self.writer: HL7StreamWriter

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await open_hl7_connection(*self._address, limit=_LIMIT, encoding=self._encoding)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    def write(self, message: bytes) -> None:
        """Parses with python-hl7 and writes what that makes of it, which must be the same message."""
        self.writer.writemessage(hl7.parse(message.decode(self._encoding)))

    async def read(self) -> hl7.Message:
        """The next answer, as python-hl7 understands it."""
        async with asyncio.timeout(LIMIT_SECONDS):
            return await self.reader.readmessage()

    async def ask(self, message: bytes) -> hl7.Message:
        """Sends one message and waits for its answer."""
        self.write(message)
        return await self.read()


class Receiver:
    """A peer that receives: `readmessage`, `create_ack`. An async context manager.

    codes: MSA-1 of the next answers, then AA; `close` takes the message and closes the connection. Unlike in the library's
    example the tasks have an owner, and what one raises is raised when the receiver is left.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self.codes: deque[str] = deque()
        self.messages: list[hl7.Message] = []
        self.connections = 0
        self.url = ""
        self._encoding = encoding
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    @property
    def control_ids(self) -> list[str]:
        """MSH-10 of everything that came, in order."""
        return [str(message.segment("MSH")[10]) for message in self.messages]

    async def __aenter__(self) -> Self:
        self._server = await start_hl7_server(self._connected, "127.0.0.1", 0, limit=_LIMIT, encoding=self._encoding)
        self.url = f"mllp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._failures and error is None:
            raise self._failures[0]

    def _connected(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def _serve(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        try:
            while True:
                message = await reader.readmessage()
                self.messages.append(message)
                code = self.codes.popleft() if self.codes else "AA"
                if code == "close":
                    return
                writer.writemessage(acknowledgment(message, code))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the documented way to learn that the sender has gone
        finally:
            writer.close()


def outcome(answer: hl7.Message) -> tuple[str, str]:
    """MSA-1 and MSA-2."""
    msa = answer.segment("MSA")
    return str(msa[1]), str(msa[2])
