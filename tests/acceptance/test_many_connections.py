"""Connections that do nothing, too many of them, and none left to open: the others go on (resource bounds)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, suppress

import pytest

from ophl7 import descriptors
from tests.acceptance.messages import RUTH, adt
from tests.acceptance.practice import Opening, Practice

IDLE = 2000  # over both listeners


async def connected(practice: Practice, stack: AsyncExitStack, count: int) -> list[socket.socket]:
    """`count` connections to both listeners in turn, which never send anything."""
    loop = asyncio.get_running_loop()
    found = []
    for number in range(count):
        line = stack.enter_context(socket.socket())
        line.setblocking(False)
        await loop.sock_connect(line, practice.address("pm" if number % 2 else "emr"))
        found.append(line)
    return found


async def ended(line: socket.socket) -> bool:
    """Whether the broker closes it."""
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            return await asyncio.get_running_loop().sock_recv(line, 1) == b""
    return True


@pytest.mark.slow
async def test_beside_two_thousand_idle_connections_messages_go_on_and_one_too_many_is_closed(opened: Opening) -> None:
    practice = await opened(PM_MAX_CONNECTIONS="1010", EMR_MAX_CONNECTIONS="1010")
    async with AsyncExitStack() as stack:
        idle = await connected(practice, stack, IDLE)
        await practice.until(lambda: sum(one.connections for one in practice.broker.listeners.values()) >= IDLE)
        sent = adt("C1", "A28", RUTH)
        await practice.accepted("pm", sent)
        await practice.assert_relayed(sent, "emr")
        more = await connected(practice, stack, 60)
        closed = await asyncio.gather(*(ended(line) for line in more[-20:]))
        assert all(closed), "a connection too many is accepted and closed, and does not hang in the queue of the system"
        assert practice.broker.metrics.counters.connections_refused.value("pm", "too_many") > 0
        await practice.accepted("pm", adt("C2", "A08", RUTH))
        for line in idle:
            line.close()
    await practice.until(lambda: sum(one.connections for one in practice.broker.listeners.values()) <= 2)
    await practice.accepted("pm", adt("C3", "A08", RUTH))


async def test_where_descriptors_are_few_the_listeners_take_fewer_connections_and_say_so(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophl7.descriptors.granted", lambda _wanted: descriptors.RESERVED + 2 + 8)
    practice = await opened()
    assert [practice.broker.listeners[side].limits.max_connections for side in ("pm", "emr")] == [4, 4]
    async with AsyncExitStack() as stack:
        lines = await connected(practice, stack, 12)
        assert all(await asyncio.gather(*(ended(line) for line in lines[-2:])))
