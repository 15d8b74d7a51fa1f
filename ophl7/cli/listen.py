"""`ophl7 listen`: a receiver for trying things out. It keeps nothing and answers everything the same.

hl7.mllp carries it, not our own listener: what we deliver is tried against an implementation that is not ours
(docs/decisions/0001). So it is stricter than the broker: what is no whole VT ... FS CR is told, and its connection closed.
"""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC
from itertools import count
from pathlib import Path
from typing import cast, get_args

import click
from hl7.mllp import HL7StreamProtocol, HL7StreamReader, HL7StreamWriter, InvalidBlockError

from ophl7.cli import loop, tls
from ophl7.cli.exits import Exit
from ophl7.cli.text import visible
from ophl7.cli.welcome import Welcome
from ophl7.cli.wire import FILLER, LIMIT, close
from ophl7.clock import SystemClock
from ophl7.engine.ports import Clock
from ophl7.errors import LinkDown
from ophl7.hl7v2 import ack, batch
from ophl7.hl7v2.header import Header, read_header
from ophl7.mllp.door import remote_of
from ophl7.mllp.sender import Address
from ophl7.mllp.tls import Files, Tls

ANSWERS: tuple[ack.AckCode, ...] = get_args(ack.AckCode)


class Receiver:
    """Prints a line for each message and says what to answer. No socket."""

    def __init__(self, answer: ack.AckCode, clock: Clock, *, as_json: bool) -> None:
        self._answer = answer
        self._unreadable: ack.AckCode = "CR" if answer.startswith("C") else "AR"
        self._clock = clock
        self._as_json = as_json
        self._numbers = count(1)

    def take(self, block: bytes) -> bytes | None:
        """Prints every message of a block, and returns the answer to it; None when none is due."""
        found = batch.split(block)
        answers = [self._one(block[start:end]) for start, end in found.members]
        acks = [answer for answer in answers if answer is not None]
        if found.envelope != "none":
            return ack.batch(block[slice(*found.head)], acks, self._next_id(), self._clock.now(), UTC)
        return b"".join(acks) or None

    def damaged(self, block: bytes | None) -> bytes | None:
        """Prints that a block cannot be read, and returns the answer to it; None when none is due.

        block: what there is of it, None where hl7.mllp has thrown it away. An FS inside is answered AR; a VT inside or a
        missing end is not: that answer would be taken for the next message's (decisions #90b).
        """
        self._print("(damaged)", "", None if block is None else len(block))
        return self._ack(None) if block is not None and b"\x1c" in block and b"\x0b" not in block else None

    def _one(self, message: bytes) -> bytes | None:
        header = read_header(message)
        self._print(header.event if header else "(no MSH)", header.control_id if header else "", len(message))
        if header is not None and header.type == "ACK":  # an ACK is never answered (decisions #93)
            return None
        return self._ack(header)

    def _ack(self, header: Header | None) -> bytes:
        code = self._unreadable if header is None else self._answer
        return ack.build(header, code, self._next_id(), self._clock.now(), UTC)

    def _next_id(self) -> str:
        return f"LISTEN{next(self._numbers)}"

    def _print(self, event: str, control_id: str, size: int | None) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": visible(event), "control_id": visible(control_id), "bytes": size}))
        else:
            click.echo(f"{visible(event)} {visible(control_id) or '-'} {'?' if size is None else size} bytes")


class Reception:
    """The listening socket and the connections to it. `start`, wait for `ended`, `close`.

    hl7.mllp keeps no hold of the task that it makes for a connection: when that task fails, the socket stays open and silent.
    So the tasks are ours, each closes its connection whatever happens, and the first one that fails ends the reception.
    """

    def __init__(self, receiver: Receiver, tls: Tls | None = None) -> None:
        """tls: None for plain MLLP."""
        self._receiver = receiver
        self._tls = tls
        self._welcomes: set[Welcome] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = count(1)
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._server: asyncio.Server | None = None
        self._closing = False

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listens; host and port, which 0 leaves to the system. Raises OSError."""
        server = await asyncio.get_running_loop().create_server(self._protocol, host or None, port)
        self._server = server
        return host, server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Ends the reception from outside."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> None:
        """Waits for `stop`. Raises what made a connection's task fail."""
        await self._ended

    async def close(self) -> None:
        """Closes the socket and every connection; what was answered goes out first. Idempotent."""
        self._closing = True
        self._ended.cancel()  # nobody waits any more: what fails while closing is told by the loop
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for welcome in tuple(self._welcomes):
            welcome.shut()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _protocol(self) -> asyncio.Protocol:
        """What `start_hl7_server` makes for each connection; over TLS where that is wanted."""
        running = asyncio.get_running_loop()
        protocol: asyncio.Protocol = HL7StreamProtocol(
            HL7StreamReader(limit=LIMIT, loop=running), self._connected, loop=running
        )
        if self._tls is None:
            return protocol
        welcome = Welcome(self._tls, protocol, self._welcomes.discard)
        self._welcomes.add(welcome)
        return welcome.wire

    def _connected(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        if self._closing:  # accepted just before
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer, next(self._numbers)))
        self._tasks.add(task)
        task.add_done_callback(self._conversed)

    def _conversed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if self._ended.done():
            task.get_loop().call_exception_handler({"message": "a connection failed", "exception": error, "task": task})
        else:
            self._ended.set_exception(error)

    async def _converse(self, reader: HL7StreamReader, writer: HL7StreamWriter, number: int) -> None:
        reason = "stopped"
        try:
            click.echo(f"test connection {number} from {remote_of(writer.transport)}", err=True)
            reason = await self._read_all(reader, writer)
        finally:
            await close(writer)
            click.echo(f"test connection {number} closed ({reason})", err=True)

    async def _read_all(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> str:
        """Answers block after block; why it ended."""
        while True:
            try:
                block: bytes = await reader.readblock()
            except asyncio.IncompleteReadError as error:
                return self._broken_off(error.partial)
            except InvalidBlockError:
                self._receiver.damaged(None)
                return "bytes before the VT of a block; the broker skips them, this test receiver does not"
            except ValueError:
                self._receiver.damaged(None)
                return f"a block of more than {LIMIT // 2**20} MiB"
            except OSError:
                return "lost"
            # hl7.mllp looks for FS CR only; two blocks of which the first lost its CR come out as one.
            bad = b"\x0b" in block or b"\x1c" in block
            answer = self._receiver.damaged(block) if bad else self._receiver.take(block)
            if answer is not None and not await _write(writer, answer):
                return "lost"
            if bad:
                return "a VT or FS byte inside a block; is the CR after an FS missing?"

    def _broken_off(self, partial: bytes) -> str:
        rest = partial.lstrip(FILLER)
        if not rest:
            return "peer"
        if not rest.startswith(b"\x0b"):
            return f"peer; {len(rest)} bytes outside of MLLP blocks"
        # No answer, even where only the CR is missing: the sender has gone.
        self._receiver.damaged(rest[1:])
        return "peer, in a block that has no FS CR at its end"


async def _write(writer: HL7StreamWriter, answer: bytes) -> bool:
    """False when the sender has gone meanwhile."""
    if writer.is_closing():  # asked first: uvloop raises RuntimeError where asyncio only warns
        return False
    try:
        writer.writeblock(answer)
        await writer.drain()
    except OSError:
        return False
    return True


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=2575, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@tls.options(
    ca="Let nobody in without a certificate that one of these has signed.",
    cert="Speak TLS, with this certificate.",
)
@click.option("--answer", default="AA", show_default=True, type=click.Choice(ANSWERS), help="What to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    host: str, port: int, tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None, answer: str, as_json: bool
) -> int:
    """Receive messages until Ctrl-C and print event, control id and size of each. A test tool: nothing is kept or delivered."""
    files = Files(tls_cert, tls_key, tls_ca)
    if tls_cert is None and files != Files():
        raise click.UsageError("TLS needs a certificate of this receiver: --tls-cert and --tls-key")
    receiver = Receiver(cast("ack.AckCode", answer), SystemClock(), as_json=as_json)
    return loop.run(_listen(receiver, host, port, tls.listening(files) if tls_cert is not None else None))


async def _listen(receiver: Receiver, host: str, port: int, secured: Tls | None) -> int:
    reception = Reception(receiver, secured)
    try:
        bound_host, bound_port = await reception.start(host, port)
    except OSError as error:
        raise LinkDown("refused", f"cannot listen on {host}:{port}; is another program using it?") from error
    running = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(name, reception.stop)
    url = Address(bound_host, bound_port, secured is not None)
    click.echo(f"Listening on {bound_host}:{bound_port}. Try: ophl7 send FILE --to {url}{_options(secured)}", err=True)
    try:
        await reception.ended()
    finally:
        await reception.close()
    return Exit.OK


def _options(secured: Tls | None) -> str:
    """What else a sender needs."""
    if secured is None:
        return ""
    return " --tls-ca AUTHORITY" + (" --tls-cert CERTIFICATE --tls-key KEY" if secured.ca else "")
