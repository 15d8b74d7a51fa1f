"""`ophl7 listen`: a receiver for trying things out. It keeps nothing and answers everything the same."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC
from itertools import count
from typing import Literal, cast

import click

from ophl7.cli import loop
from ophl7.cli.exits import Exit
from ophl7.cli.text import visible
from ophl7.clock import SystemClock
from ophl7.engine.ports import Clock, Envelope
from ophl7.errors import LinkDown, SettingsError
from ophl7.hl7v2 import ack, batch
from ophl7.hl7v2.header import Header, read_header
from ophl7.mllp.listener import Listener
from ophl7.mllp.session import Limits

_MAX_BYTES = 64 * 1024 * 1024

Answer = Literal["AA", "AE", "AR"]


class Receiver:
    """Prints a line for each message and answers it at once; implements `engine.ports.Intake`."""

    def __init__(self, answer: Answer, clock: Clock, *, as_json: bool) -> None:
        self._answer: Answer = answer
        self._clock = clock
        self._as_json = as_json
        self._numbers = count(1)

    def offer(self, envelope: Envelope) -> bool:
        """Prints and answers; always takes it."""
        if envelope.damage is not None:
            self._print("(damaged)", "", len(envelope.payload))
            envelope.session.answer(self._ack(None) if envelope.damage.answer else None)
            return True
        found = batch.split(envelope.payload)
        answers = [self._one(envelope.payload[start:end]) for start, end in found.members]
        acks = [answer for answer in answers if answer is not None]
        if found.envelope != "none":
            head = envelope.payload[slice(*found.head)]
            envelope.session.answer(ack.batch(head, acks, self._next_id(), self._clock.now(), UTC))
        else:
            envelope.session.answer(b"".join(acks) or None)
        return True

    def connected(self, peer: str) -> None:
        """Nothing waits to be delivered here."""

    def _one(self, message: bytes) -> bytes | None:
        header = read_header(message)
        self._print(header.event if header else "(no MSH)", header.control_id if header else "", len(message))
        if header is not None and header.type == "ACK":  # an ACK is never answered (decisions #93)
            return None
        return self._ack(header)

    def _ack(self, header: Header | None) -> bytes:
        code: Answer = "AR" if header is None else self._answer
        return ack.build(header, code, self._next_id(), self._clock.now(), UTC)

    def _next_id(self) -> str:
        return f"LISTEN{next(self._numbers)}"

    def _print(self, event: str, control_id: str, size: int) -> None:
        if self._as_json:
            click.echo(json.dumps({"event": visible(event), "control_id": visible(control_id), "bytes": size}))
        else:
            click.echo(f"{visible(event)} {visible(control_id) or '-'} {size} bytes")


class Talk:
    """Tells on standard error who comes and goes; implements `mllp.session.ListenerObserver`."""

    def opened(self, peer: str, number: int, remote: str) -> None:
        """A connection was accepted."""
        click.echo(f"{peer} connection {number} from {remote}", err=True)

    def closed(self, peer: str, number: int, reason: str) -> None:
        """A connection is gone."""
        click.echo(f"{peer} connection {number} closed ({reason})", err=True)

    def refused(self, peer: str, reason: str, remote: str) -> None:
        """A connection was not accepted."""
        click.echo(f"{peer} connection from {remote} not accepted ({reason})", err=True)

    def junk(self, peer: str, number: int, count: int) -> None:
        """Bytes outside of frames were skipped."""
        click.echo(f"{peer} connection {number}: {count} bytes outside of MLLP blocks", err=True)

    def stalled(self, peer: str, number: int, what: str) -> None:
        """The time limit ran out."""
        click.echo(f"{peer} connection {number}: stalled ({what})", err=True)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=2575, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--answer", default="AA", show_default=True, type=click.Choice(["AA", "AE", "AR"]), help="What to answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(host: str, port: int, answer: str, as_json: bool) -> int:
    """Receive messages until Ctrl-C and print event, control id and size of each. A test tool: nothing is kept or delivered."""
    receiver = Receiver(cast("Answer", answer), SystemClock(), as_json=as_json)
    return loop.run(_listen(receiver, host, port))


async def _listen(receiver: Receiver, host: str, port: int) -> int:
    listener = Listener("test", host, port, Limits(max_bytes=_MAX_BYTES), (), receiver, SystemClock(), Talk())
    try:
        await listener.start()
    except SettingsError as error:
        raise LinkDown("refused", f"cannot listen on {host}:{port}; is another program using it?") from error
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(name, stop.set)
    bound_host, bound_port = listener.address
    click.echo(f"Listening on {bound_host}:{bound_port}. Try: ophl7 send FILE --to mllp://{bound_host}:{bound_port}", err=True)
    await stop.wait()
    await listener.drain(1.0)
    return Exit.OK
