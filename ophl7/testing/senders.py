"""A scripted sender: one that brings its messages in bad ways, and does not give up before each was answered.

A manner is a coroutine that brings one message over a connected `Client`. It ends with a whole block on the wire or with a
connection that is closed, so nobody waits for an answer that nobody owes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ophl7.mllp.framing import frame
from ophl7.testing.acknowledgments import answered_by, control_id_of
from ophl7.testing.client import LIMIT_SECONDS, Client

Manner = Callable[[Client, bytes], Awaitable[None]]

_MOST_TRIES: Final = 50


async def plainly(client: Client, payload: bytes) -> None:
    """In one block."""
    await client.send_raw(frame(payload))


async def twice(client: Client, payload: bytes) -> None:
    """Two equal blocks in one write, as after an answer that got lost: a duplicate."""
    await client.send_raw(frame(payload) * 2)


async def without_cr(client: Client, payload: bytes) -> None:
    """A block that ends with FS and no CR."""
    await client.send_raw(frame(payload)[:-1])


async def begun_twice(client: Client, payload: bytes) -> None:
    """Half of the block, and then the whole of it."""
    await client.send_raw(frame(payload)[: len(payload) // 2] + frame(payload))


async def between_fillers(client: Client, payload: bytes) -> None:
    """Line ends, NUL and spaces before and after the block."""
    await client.send_raw(b"\r\n \x00" + frame(payload) + b"\n\r\n")


async def after_junk(client: Client, payload: bytes) -> None:
    """Bytes before the block that have no business there."""
    await client.send_raw(b"GET / HTTP/1.1" + frame(payload))


async def half_and_gone(client: Client, payload: bytes) -> None:
    """Half of the block; then the connection closes."""
    await client.send_raw(frame(payload)[: len(payload) // 2])
    client.half_close()


async def half_and_reset(client: Client, payload: bytes) -> None:
    """Half of the block; then an RST."""
    await client.send_raw(frame(payload)[: len(payload) // 2])
    client.wire.reset()


async def whole_and_reset(client: Client, payload: bytes) -> None:
    """The whole block, and an RST before the answer can be read."""
    await client.send_raw(frame(payload))
    client.wire.reset()


async def half_closing(client: Client, payload: bytes) -> None:
    """The whole block; then its own half is closed, and the answer is read."""
    await client.send_raw(frame(payload))
    client.half_close()


def in_pieces(size: int = 1, then: Manner = plainly) -> Manner:
    """As `then`, at most `size` bytes at a time."""

    async def manner(client: Client, payload: bytes) -> None:
        async with client.wire.in_pieces(size):
            await then(client, payload)

    return manner


class ScriptedSender:
    """Brings messages one after another, each as its script says, later ones as `then` says, until each has its answer."""

    def __init__(self, host: str, port: int, *script: Manner, then: Manner = plainly, limit: float = LIMIT_SECONDS) -> None:
        """limit: seconds that an answer may take."""
        self._where = host, port
        self.script: deque[Manner] = deque(script)
        self.then = then
        self.limit = limit
        self.tries = 0
        self.answers: list[bytes] = []

    async def deliver(self, *payloads: bytes) -> list[bytes]:
        """Brings each until it is answered by its MSH-10; the answers, in order.

        What is not answered is brought again on a new connection, as it came. Raises TimeoutError when an answer does not come
        in time on a connection that is open, and ConnectionError after 50 tries of one message.
        """
        given: list[bytes] = []
        waiting = deque(payloads)
        tries = 0
        while waiting:
            tries += 1
            try:
                async with Client(*self._where) as client:
                    while waiting and not client.wire.finished:
                        given.append(await self._bring(client, waiting[0]))
                        waiting.popleft()
                        tries = 0
            except (ConnectionError, EOFError, ValueError):  # a ValueError: half of an answer
                if tries >= _MOST_TRIES:
                    raise ConnectionError(f"no answer after {tries} tries") from None
        return given

    async def _bring(self, client: Client, payload: bytes) -> bytes:
        self.tries += 1
        await (self.script.popleft() if self.script else self.then)(client, payload)
        while True:
            answer = await client.read_answer(self.limit)
            self.answers.append(answer)
            if answered_by(answer)[1] == control_id_of(payload):
                return answer
            # The second answer to an earlier message: a sender that does not look at MSA-2 would take it for this one's.
