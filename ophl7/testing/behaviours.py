"""How a scripted receiver treats a message: well, badly, and combinations of both.

A behaviour is a coroutine over one `Incoming`. Those that take a `then` change how another one is carried out, so they combine:
`in_pieces(1, twice(accept))`. None sleeps: what waits, waits for an event or for the sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ophl7.mllp.framing import frame
from ophl7.testing.acknowledgments import acknowledgment, control_id_of
from ophl7.testing.wire import Wire

PATIENCE_SECONDS: Final = 30.0  # the limit of whatever waits for the sender


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that a scripted peer received, and the wire to answer on. connection: counted from 1."""

    payload: bytes
    connection: int
    wire: Wire

    @property
    def control_id(self) -> bytes:
        """MSH-10 as sent."""
        return control_id_of(self.payload)

    async def reply(self, payload: bytes) -> None:
        """Answers with `payload` in a block."""
        await self.wire.write(frame(payload))


Behaviour = Callable[[Incoming], Awaitable[None]]

# -- whole answers -----------------------------------------------------------------------------------------------------


async def accept(message: Incoming) -> None:
    """Answers AA."""
    await message.reply(acknowledgment(message.payload))


async def garbage(message: Incoming) -> None:
    """Answers with a block that holds no HL7."""
    await message.reply(b"<html>502 Bad Gateway</html>")


async def wrong_id(message: Incoming) -> None:
    """Answers AA to another message."""
    await message.reply(acknowledgment(message.payload, control_id=b"X" + message.control_id))


async def unframed(message: Incoming) -> None:
    """Answers AA without VT, FS and CR around it."""
    await message.wire.write(acknowledgment(message.payload))


async def without_cr(message: Incoming) -> None:
    """Answers AA in a block that ends with FS and no CR: damaged, but understood."""
    await message.wire.write(frame(acknowledgment(message.payload))[:-1])


def refuse(code: str = "AE", error: int = 207, severity: str = "E") -> Behaviour:
    """Answers AE, AR, CE or CR with an ERR of table 0357; `error=0` leaves the ERR away."""

    async def behaviour(message: Incoming) -> None:
        await message.reply(acknowledgment(message.payload, code, error=error, severity=severity))

    return behaviour


def answering(make: Callable[[bytes], bytes]) -> Behaviour:
    """Answers with what `make` returns for the received payload."""

    async def behaviour(message: Incoming) -> None:
        await message.reply(make(message.payload))

    return behaviour


# -- no answer, or half of one -----------------------------------------------------------------------------------------


async def silence(message: Incoming) -> None:
    """Takes the message and says nothing (`drop`)."""


drop: Behaviour = silence


async def close(message: Incoming) -> None:
    """Takes the message and closes the connection."""
    await message.wire.close()


async def reset(message: Incoming) -> None:
    """Takes the message and ends the connection with an RST."""
    message.wire.reset()


async def half_close(message: Incoming) -> None:
    """Takes the message, closes its own half without an answer, and goes on reading. Not over TLS."""
    message.wire.end()


async def half_answer(message: Incoming) -> None:
    """Begins an AA and closes in the middle of it."""
    answer = frame(acknowledgment(message.payload))
    await message.wire.write(answer[: len(answer) // 2])
    await message.wire.close()


async def outwaited(message: Incoming) -> None:
    """Waits until the sender has given up, and only then answers, into nothing."""
    await message.wire.gone(PATIENCE_SECONDS)
    await accept(message)


# -- in what way an answer is given ------------------------------------------------------------------------------------


def slow(until: asyncio.Event, then: Behaviour = accept) -> Behaviour:
    """Waits until the test sets the event, then behaves as `then` (`delay`)."""

    async def behaviour(message: Incoming) -> None:
        await until.wait()
        await then(message)

    return behaviour


def in_pieces(size: int = 1, then: Behaviour = accept) -> Behaviour:
    """Behaves as `then`, and writes at most `size` bytes at a time."""

    async def behaviour(message: Incoming) -> None:
        async with message.wire.in_pieces(size):
            await then(message)

    return behaviour


def in_one_write(*behaviours: Behaviour) -> Behaviour:
    """Behaves as all of them, one after another, and writes everything at once: several blocks in one packet."""

    async def behaviour(message: Incoming) -> None:
        async with message.wire.in_one_write():
            for then in behaviours:
                await then(message)

    return behaviour


def twice(then: Behaviour = accept) -> Behaviour:
    """Behaves as `then`, and the same again (`duplicate`)."""

    async def behaviour(message: Incoming) -> None:
        await then(message)
        await then(message)

    return behaviour


def after(junk: bytes, then: Behaviour = accept) -> Behaviour:
    """Writes bytes that are no block, then behaves as `then`."""

    async def behaviour(message: Incoming) -> None:
        await message.wire.write(junk)
        await then(message)

    return behaviour


def followed_by(last: Behaviour, then: Behaviour = accept) -> Behaviour:
    """Behaves as `then`, then as `last`: `followed_by(reset)` answers and ends the connection with an RST."""

    async def behaviour(message: Incoming) -> None:
        await then(message)
        await last(message)

    return behaviour


def late(then: Behaviour = accept) -> Behaviour:
    """Says nothing to a message, and answers it when the next one comes, before that one is treated as `then`.

    The next one may be on another connection: receivers that keep one queue of answers do that.
    """
    owed: list[Incoming] = []

    async def behaviour(message: Incoming) -> None:
        if not owed:
            owed.append(message)
            return
        await message.reply(acknowledgment(owed.pop().payload))
        await then(message)

    return behaviour
