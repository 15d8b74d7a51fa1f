"""Receiving: an AA to each delivery, outages, and visitors who do not speak MLLP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ophl7.errors import LinkDown
from ophl7.simulate.line import Reply
from ophl7.simulate.receiver import Receiver
from ophl7.testing.peers import Client
from ophl7.units import Address

MESSAGE = b"MSH|^~\\&|DEMOPM|DEMO|X|Y|20260105080000||ADT^A28|P1|P|2.5.1\rPID|1\r"
FREE = Address("127.0.0.1", 0)


class Taking:
    def __init__(self, *, good: bool = True) -> None:
        self.good = good
        self.payloads: list[bytes] = []
        self.remarks: list[str] = []

    def takes(self, payload: bytes) -> bool:
        self.payloads.append(payload)
        return self.good


@asynccontextmanager
async def receiving(taking: Taking) -> AsyncIterator[Receiver]:
    receiver = Receiver(FREE, taking.takes, taking.remarks.append)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.close()


@pytest.mark.parametrize(("good", "code"), [(True, "AA"), (False, "AR")])
async def test_each_delivery_is_taken_and_answered(good: bool, code: str) -> None:
    taking = Taking(good=good)
    async with receiving(taking) as receiver, Client(receiver.address.host, receiver.address.port) as client:
        replies = [Reply.read(await client.send(MESSAGE)) for _ in range(2)]
    assert [(reply.code, reply.control_id) for reply in replies] == [(code, "P1")] * 2
    assert taking.payloads == [MESSAGE] * 2


async def test_away_nobody_gets_through_and_back_it_is_where_it_was() -> None:
    taking = Taking()
    async with receiving(taking) as receiver:
        where = receiver.address
        async with Client(where.host, where.port) as client:
            await client.send(MESSAGE)
            await receiver.stop()
            assert not receiver.listening
            await client.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(where.host, where.port)
        await receiver.start()
        assert receiver.address == where
        async with Client(where.host, where.port) as client:
            await client.send(MESSAGE)


async def test_a_visitor_who_sends_a_damaged_block_is_let_go_and_nobody_else_notices() -> None:
    taking = Taking()
    async with receiving(taking) as receiver:
        where = receiver.address
        async with Client(where.host, where.port) as other, Client(where.host, where.port) as visitor:
            await visitor.send_raw(b"\x0bMSH|^~\\&|half\x0b" + MESSAGE + b"\x1c\r")
            await visitor.closed()
            assert Reply.read(await other.send(MESSAGE)).code == "AA"
    assert len(taking.remarks) == 1
    assert "damaged" in taking.remarks[0]


async def test_a_port_that_is_taken_is_told_with_what_to_do() -> None:
    async with receiving(Taking()) as receiver:
        with pytest.raises(LinkDown, match="--listen"):
            await Receiver(receiver.address, bool, print).start()


async def test_a_fault_of_our_own_is_not_swallowed() -> None:
    def fails(_payload: bytes) -> bool:
        raise RuntimeError("broken")

    receiver = Receiver(FREE, fails, print)
    await receiver.start()
    async with Client(receiver.address.host, receiver.address.port) as client:
        await client.send_raw(b"\x0b" + MESSAGE + b"\x1c\r")
        with pytest.raises(RuntimeError, match="broken"):
            await receiver.failed()
    await receiver.close()
