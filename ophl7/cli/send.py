"""`ophl7 send`: messages from files to an MLLP listener, one answer a line.

hl7.mllp carries it, not our own sender: what we listen with is tried against an implementation that is not ours, by everybody
who types this command (docs/decisions/0001).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import click
from hl7.mllp import HL7StreamProtocol, HL7StreamReader, HL7StreamWriter, InvalidBlockError

from ophl7.cli import loop, tls
from ophl7.cli.exits import Exit
from ophl7.cli.files import read_messages
from ophl7.cli.text import visible
from ophl7.cli.wire import FILLER, LIMIT, close
from ophl7.errors import LinkDown, Unreadable
from ophl7.hl7v2 import batch
from ophl7.hl7v2.ack import POSITIVE
from ophl7.hl7v2.message import Message
from ophl7.mllp.connecting import connect, no_tls
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import Address, parse_url
from ophl7.mllp.tls import Files, Tls

_CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """One acknowledgment: MSA-1, MSA-2, and the first text that says why (MSA-3, else ERR-8, else the name of the fault)."""

    code: str
    control_id: str
    text: str


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@click.option("--to", "url", required=True, metavar="mllp://HOST:PORT", help="Where to send; mllps:// for TLS.")
@tls.options(
    ca="Who may sign the listener's certificate; without it, whom this machine trusts.",
    cert="Our certificate, shown to a listener that asks for one.",
)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for each answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    files: tuple[BinaryIO, ...],
    url: str,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    timeout: float,
    as_json: bool,
) -> int:
    """Send every message of the files (- is standard input) in order, and print code, control id and text of each answer.

    A file may hold one message, several, a batch, or MLLP blocks. Exit status 0 when all were accepted, 4 when one was not,
    3 when the connection failed.
    """
    try:
        address = parse_url(url)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from error
    line = Line(address, timeout, _tls(address, Files(tls_cert, tls_key, tls_ca)))
    return loop.run(_send(_messages(files), line, as_json=as_json))


def _tls(address: Address, files: Files) -> Tls | None:
    if address.tls:
        return tls.sending(files)
    if files != Files():
        raise click.UsageError(f"--to: {address} is plain MLLP, but an option asks for TLS; write mllps://")
    return None


def _messages(files: tuple[BinaryIO, ...]) -> list[bytes]:
    found: list[bytes] = []
    for file in files:
        try:
            messages = read_messages(file.read())
            for message in messages:
                frame(message)  # says now what could not be sent later; hl7.mllp would send it
        except ValueError as error:
            raise click.UsageError(f"{file.name} {error}") from error
        found += messages
    return found


async def _send(messages: list[bytes], line: Line, *, as_json: bool) -> int:
    refused = False
    try:
        for done, message in enumerate(messages):
            try:
                raw = await line.exchange(message)
            except LinkDown as error:
                click.echo(f"{error.code} {error} ({done} of {len(messages)} messages were answered)", err=True)
                return Exit.CONNECTION
            for reply in read_replies(raw):
                refused |= reply.code not in POSITIVE
                click.echo(json.dumps(asdict(reply)) if as_json else f"{reply.code} {reply.control_id} {reply.text}".rstrip())
    finally:
        await line.close()
    return Exit.REFUSED if refused else Exit.OK


class _Wire(NamedTuple):
    """Both ends that hl7.mllp gives us of one connection."""

    reader: HL7StreamReader
    writer: HL7StreamWriter


class Line:
    """A connection to a listener, one message in flight. It connects when it is needed, and again when the peer has closed.

    Of hl7.mllp only the bytes are used (`writeblock`, `readblock`): `readmessage` decodes as ASCII and parses before anybody
    has seen what came.
    """

    def __init__(self, address: Address, patience: float, tls: Tls | None = None) -> None:
        """patience: seconds to wait for each answer. tls: None for plain MLLP."""
        self._address = address
        self._patience = patience
        self._tls = tls
        self._wire: _Wire | None = None

    async def exchange(self, message: bytes) -> bytes:
        """Sends and returns the next block that comes back, whatever it says.

        Raises LinkDown for everything else. The line is then closed: a late answer is never taken for the next message's.
        """
        try:
            wire = await self._ready()
            # Not drained: a peer may answer and close before it has read all, and that answer is what people need to see.
            wire.writer.writeblock(message)
            return await self._answer(wire.reader)
        except LinkDown as error:
            await self.close()
            raise LinkDown(error.kind, f"{self._address} {error}") from error.__cause__

    async def close(self) -> None:
        """Closes; what the peer does not read within a second is given up. Idempotent."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await close(wire.writer)

    async def _ready(self) -> _Wire:
        if self._wire is not None and not await self._still_open(self._wire):
            await self.close()
        if self._wire is None:
            self._wire = await self._connect()
        return self._wire

    async def _still_open(self, wire: _Wire) -> bool:
        """Whether another message can go out. What came unasked is seen now, and not taken for the answer to it."""
        # Two turns of the loop: one to look at the socket, one to be told.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        try:
            unasked = await _lying_there(wire.reader)
        except OSError:
            return False
        if unasked.strip(FILLER):
            raise LinkDown("garbage", "sent something although nothing was asked; it is not taken for an answer")
        return not (wire.reader.at_eof() or wire.writer.is_closing())

    async def _connect(self) -> _Wire:
        """What `open_hl7_connection` does, but the connection is ours: with TLS asyncio's own tells too little."""
        running = asyncio.get_running_loop()
        reader = HL7StreamReader(limit=LIMIT, loop=running)
        protocol = HL7StreamProtocol(reader, loop=running)
        transport = await connect(protocol, self._address.host, self._address.port, _CONNECT_SECONDS, self._tls)
        return _Wire(reader, HL7StreamWriter(transport, protocol, reader, running))

    async def _answer(self, reader: HL7StreamReader) -> bytes:
        try:
            async with asyncio.timeout(self._patience):
                block: bytes = await reader.readblock()
        except TimeoutError as error:
            came = (await _lying_there(reader)).lstrip(FILLER)
            if came:
                raise LinkDown("garbage", _unended(came, f"within {self._patience:g} s")) from error
            raise LinkDown("timeout", f"did not answer within {self._patience:g} s") from error
        except asyncio.IncompleteReadError as error:
            came = error.partial.lstrip(FILLER)
            if came.startswith(b"\x0b") and b"\x1c" not in came:
                raise LinkDown("closed", "closed the connection in the middle of its answer") from error
            if came:
                raise LinkDown("garbage", _unended(came, "before it closed the connection")) from error
            raise LinkDown("closed", "closed the connection without an answer") from error
        except InvalidBlockError as error:
            raise LinkDown("garbage", "answered with bytes that are in no MLLP block") from error
        except ValueError as error:
            raise LinkDown("garbage", "answered with more than can be an answer") from error
        except OSError as error:
            if self._tls is not None and isinstance(error, ssl.SSLError):  # TLS 1.3 says only now that we are not let in
                raise no_tls(error, self._tls, self._address.host) from error
            raise LinkDown("closed", "lost the connection without an answer") from error
        # hl7.mllp looks for FS CR only; two blocks of which the first lost its CR come out as one.
        for byte, name in ((b"\x0b", "a VT"), (b"\x1c", "an FS")):
            if byte in block:
                raise LinkDown("garbage", f"answered with {name} byte inside its block")
        return block


async def _lying_there(reader: HL7StreamReader) -> bytes:
    """What has come and was not read; b"" when there is nothing. Raises OSError when the connection was lost."""
    found = b""
    try:
        async with asyncio.timeout(0):
            while more := await reader.read(LIMIT):
                found += more
    except TimeoutError:
        return found
    return found


def _unended(came: bytes, when: str) -> str:
    """Says what is wrong with an answer that has no FS CR."""
    if not came.startswith(b"\x0b"):
        return "answered with bytes that are in no MLLP block"
    if b"\x1c" in came:
        return f"did not end its answer {when}: after the FS there is no CR, and MLLP asks for both"
    return f"did not end its answer {when}"


def read_replies(raw: bytes) -> list[Reply]:
    """The acknowledgments in one block: one, or one for each member of a batch. What is none has the code `??`."""
    return [_reply(raw[start:end]) for start, end in batch.split(raw).members] or [Reply("??", "", "an empty batch")]


def _reply(raw: bytes) -> Reply:
    try:
        message = Message.parse_lenient(raw)
    except Unreadable as error:
        return Reply("??", "", f"the answer is no HL7 message: {visible(str(error))}")
    msa, err = message.first("MSA"), message.first("ERR")
    if msa is None:
        return Reply("??", "", "the answer has no MSA segment")
    texts = [msa.text("3")]
    if err is not None:
        texts += [err.text("8"), err.text("3.2"), err.text("1.4.2")]
    return Reply(visible(msa.text("1")), visible(msa.field(2)), visible(next((text for text in texts if text), "")))
