"""What `ophl7.testing.peers` promises to authors of tests."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, Incoming, ScriptedPeer, acknowledgment, refuse, silence, wrong_id

MESSAGE = b"MSH|^~\\&|EMR|E|PM|P|20260302080000||DFT^P03|A1|P|2.5\r"


async def test_a_script_is_followed_message_by_message_and_then_everything_is_accepted() -> None:
    async with ScriptedPeer(refuse("AR", 200), wrong_id) as peer, Client(peer.host, peer.port) as client:
        answers = await client.pipeline(MESSAGE, MESSAGE, MESSAGE)
    assert [answer.split(b"\r")[1] for answer in answers] == [b"MSA|AR|A1", b"MSA|AA|XA1", b"MSA|AA|A1"]
    assert answers[0].split(b"\r")[2] == b"ERR|||200|E"
    assert peer.payloads == [MESSAGE] * 3


def test_an_acknowledgment_goes_back_the_way_the_message_came() -> None:
    assert acknowledgment(MESSAGE).startswith(b"MSH|^~\\&|PM|P|EMR|E|20260101120000||ACK|AA1|P|2.5\r")


def test_before_2_5_the_error_stands_in_err_1() -> None:
    assert acknowledgment(MESSAGE.replace(b"|2.5", b"|2.3.1"), "AE", error=204).endswith(b"\rERR|^^^204\r")


async def test_waiting_for_more_than_comes_says_how_many_came() -> None:
    async with ScriptedPeer() as peer, Client(peer.host, peer.port) as client:
        await client.send(MESSAGE)
        with pytest.raises(TimeoutError, match=r"1 of 2 messages came within 0\.01 s"):
            await peer.received(2, limit=0.01)


async def test_a_behaviour_that_fails_fails_the_test() -> None:
    async def wrong(_: Incoming) -> None:
        raise ZeroDivisionError("a fault in the behaviour")

    async def meet_it() -> None:
        async with ScriptedPeer(wrong) as peer, Client(peer.host, peer.port) as client:
            await client.send_raw(frame(MESSAGE))
            await client.closed()

    with pytest.raises(ZeroDivisionError, match="a fault in the behaviour"):
        await meet_it()


async def test_an_outage_ends_with_the_same_port() -> None:
    async with ScriptedPeer() as peer:
        async with Client(peer.host, peer.port) as client:
            await client.send(MESSAGE)
            await peer.stop()
            await client.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(peer.host, peer.port)
        await peer.start()
        async with Client(peer.host, peer.port) as client:
            await client.send(MESSAGE)
    assert len(peer.payloads) == 2


async def test_a_client_reads_an_answer_that_never_gets_its_cr() -> None:
    async def without_cr(message: Incoming) -> None:
        await message.wire.write(frame(acknowledgment(message.payload))[:-1])

    async with ScriptedPeer(then=without_cr) as peer, Client(peer.host, peer.port) as client:
        assert await client.send(MESSAGE) == acknowledgment(MESSAGE)
        assert await client.send(MESSAGE) == acknowledgment(MESSAGE)


async def test_a_client_says_what_is_wrong_with_a_damaged_answer() -> None:
    async def damaged(message: Incoming) -> None:
        await message.wire.write(b"\x0bMSH\x1cMSA\x1c\r")

    async with ScriptedPeer(damaged) as peer, Client(peer.host, peer.port) as client:
        with pytest.raises(ValueError, match="fs_inside"):
            await client.send(MESSAGE)


async def test_silence_is_a_time_out_for_the_client() -> None:
    async with ScriptedPeer(silence) as peer, Client(peer.host, peer.port) as client:
        with pytest.raises(TimeoutError, match="no answer within"):
            await client.send(MESSAGE, limit=0.02)


async def test_an_answer_where_a_close_was_awaited_is_an_error() -> None:
    async with ScriptedPeer() as peer, Client(peer.host, peer.port) as client:
        await client.send_raw(frame(MESSAGE))
        with pytest.raises(AssertionError, match="answered instead of closing"):
            await client.closed()


def test_a_client_outside_of_its_context_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        Client("127.0.0.1", 1).half_close()
