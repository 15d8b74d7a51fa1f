"""`ophl7 send`: messages from files to an MLLP listener, one answer a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import BinaryIO

import click

from ophl7.cli import loop
from ophl7.cli.exits import Exit
from ophl7.cli.files import read_messages
from ophl7.cli.text import visible
from ophl7.errors import LinkDown, Unreadable
from ophl7.hl7v2 import batch
from ophl7.hl7v2.message import Message
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import Address, MllpSender, parse_url

_ACCEPTED = frozenset({"AA", "CA"})


@dataclass(frozen=True, slots=True)
class Reply:
    """One acknowledgment: MSA-1, MSA-2, and the first text that says why (MSA-3, else ERR-8, else the name of the fault)."""

    code: str
    control_id: str
    text: str


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@click.option("--to", "url", required=True, metavar="mllp://HOST:PORT", help="Where to send.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for each answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(files: tuple[BinaryIO, ...], url: str, timeout: float, as_json: bool) -> int:
    """Send every message of the files (- is standard input) in order, and print code, control id and text of each answer.

    A file may hold one message, several, a batch, or MLLP blocks. Exit status 0 when all were accepted, 4 when one was not,
    3 when the connection failed.
    """
    try:
        address = parse_url(url)
    except ValueError as error:
        raise click.UsageError(f"--to: {error}") from error
    if address.tls:
        raise click.UsageError("--to: mllps:// asks for TLS, which is not there yet; use mllp://")
    return loop.run(_send(_messages(files), address, timeout, as_json=as_json))


def _messages(files: tuple[BinaryIO, ...]) -> list[bytes]:
    found: list[bytes] = []
    for file in files:
        try:
            messages = read_messages(file.read())
            for message in messages:
                frame(message)  # says now what could not be sent later
        except ValueError as error:
            raise click.UsageError(f"{file.name} {error}") from error
        found += messages
    return found


async def _send(messages: list[bytes], address: Address, patience: float, *, as_json: bool) -> int:
    sender = MllpSender(address.host, address.port, patience)
    refused = False
    try:
        for done, message in enumerate(messages):
            try:
                raw = await sender.exchange_raw(message)
            except LinkDown as error:
                click.echo(f"{error.code} {error} ({done} of {len(messages)} messages were answered)", err=True)
                return Exit.CONNECTION
            for reply in read_replies(raw):
                refused |= reply.code not in _ACCEPTED
                click.echo(json.dumps(asdict(reply)) if as_json else f"{reply.code} {reply.control_id} {reply.text}".rstrip())
    finally:
        await sender.close()
    return Exit.REFUSED if refused else Exit.OK


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
