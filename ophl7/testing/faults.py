"""What can be wrong with one direction of a connection: small coroutines that a `FaultProxy` asks with each piece of it.

A fault decides what becomes of the bytes that came. It keeps nothing between calls but what its flow keeps, so that one fault
can serve many connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol


class Flow(Protocol):
    """One direction of one connection, as a fault sees it."""

    @property
    def passed(self) -> int:
        """Bytes of this connection and direction that were written on so far."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come: what a fault has kept back, it lets go now."""

    @property
    def kept(self) -> bytearray:
        """What a fault keeps back for later; the next fault gets it before new bytes."""

    async def write(self, data: bytes) -> None:
        """Writes on, and waits while the other end does not read."""

    async def switched(self) -> None:
        """Waits until another fault is set for this direction, or the connection ends."""

    def mute(self) -> None:
        """What is still written is dropped; the end of the stream is passed on."""

    def end(self) -> None:
        """Closes this direction only; what still comes is dropped."""

    def cut(self) -> None:
        """Closes the connection at both sides."""

    def reset(self) -> None:
        """Ends the connection with an RST at both sides."""


Fault = Callable[[Flow, bytes], Awaitable[None]]


async def passing(flow: Flow, data: bytes) -> None:
    """No fault."""
    await flow.write(data)


async def swallow(flow: Flow, data: bytes) -> None:  # noqa: ARG001 - a fault's signature
    """Passes nothing more of this connection and direction on, also when another fault is set: TCP leaves no holes."""
    flow.mute()


async def stall(flow: Flow, data: bytes) -> None:
    """Passes nothing on, and reads nothing more, until another fault is set; nothing is lost."""
    flow.kept.extend(data)
    await flow.switched()


async def reset(flow: Flow, data: bytes) -> None:  # noqa: ARG001 - a fault's signature
    """Ends the connection with an RST as soon as something comes."""
    flow.reset()


async def half_close(flow: Flow, data: bytes) -> None:  # noqa: ARG001 - a fault's signature
    """Closes this direction as soon as something comes, and drops that; the other direction stays."""
    flow.end()


def cut_after(count: int, *, rst: bool = False) -> Fault:
    """Lets `count` bytes of each connection pass, then closes it at both sides. rst: with an RST."""

    async def fault(flow: Flow, data: bytes) -> None:
        left = count - flow.passed
        if left > 0:
            await flow.write(data[:left])
        if len(data) >= left:
            (flow.reset if rst else flow.cut)()

    return fault


def in_pieces(size: int = 1) -> Fault:
    """Writes at most `size` bytes at a time, with a turn of the loop in between."""

    async def fault(flow: Flow, data: bytes) -> None:
        for at in range(0, len(data), size):
            await flow.write(data[at : at + size])
            await asyncio.sleep(0)

    return fault


def merged(count: int) -> Fault:
    """Keeps back until there are `count` bytes or the stream has ended, then writes them at once."""

    async def fault(flow: Flow, data: bytes) -> None:
        flow.kept.extend(data)
        if len(flow.kept) >= count or flow.ended:
            together = bytes(flow.kept)
            flow.kept.clear()
            await flow.write(together)

    return fault


def slow(bytes_per_second: float, pace: Callable[[float], Awaitable[object]] = asyncio.sleep) -> Fault:
    """A line of that speed. pace: waits so many seconds; tests give one of their own."""
    piece = max(1, int(bytes_per_second / 20))

    async def fault(flow: Flow, data: bytes) -> None:
        for at in range(0, len(data), piece):
            await pace(len(data[at : at + piece]) / bytes_per_second)
            await flow.write(data[at : at + piece])

    return fault


def insert(junk: bytes, at: int = 0) -> Fault:
    """Puts bytes of its own into each connection, after `at` others."""

    async def fault(flow: Flow, data: bytes) -> None:
        place = at - flow.passed
        whole = data[:place] + junk + data[place:] if 0 <= place < len(data) else data
        await flow.write(whole)

    return fault


def corrupt(at: int, mask: int = 0xFF) -> Fault:
    """Changes byte `at` of each connection, counted from 0, by an exclusive or with `mask`."""

    async def fault(flow: Flow, data: bytes) -> None:
        place = at - flow.passed
        if 0 <= place < len(data):
            data = data[:place] + bytes((data[place] ^ mask,)) + data[place + 1 :]
        await flow.write(data)

    return fault
