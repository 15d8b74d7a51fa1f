"""What `ophl7 send` makes of every way in which a listener can answer, or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ophl7.cli.send import Line
from ophl7.errors import LinkDown
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import Address
from ophl7.testing.peers import (
    Behaviour,
    Incoming,
    ScriptedPeer,
    accept,
    acknowledgment,
    close,
    half_answer,
    silence,
    unframed,
)

MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|ID1|P|2.5\rPID|1||7050\r"
PATIENCE = 0.2
LONG = 10.0

Dial = Callable[..., Line]


@pytest.fixture
async def peer() -> AsyncIterator[ScriptedPeer]:
    async with ScriptedPeer() as listening:
        yield listening


@pytest.fixture
async def dial(peer: ScriptedPeer) -> AsyncIterator[Dial]:
    lines: list[Line] = []

    def make(patience: float = LONG) -> Line:
        lines.append(Line(Address(peer.host, peer.port), patience))
        return lines[-1]

    yield make
    for line in lines:
        await line.close()


def raw(data: bytes, *, then_close: bool = False) -> Behaviour:
    """Answers with bytes as they are."""

    async def behaviour(message: Incoming) -> None:
        await message.wire.write(data)
        if then_close:
            await message.wire.close()

    return behaviour


async def closes_after(message: Incoming) -> None:
    """Answers AA and closes: one message a connection, as hl7apy's server does."""
    await accept(message)
    await message.wire.close()


async def broken(exchange: Awaitable[bytes]) -> LinkDown:
    with pytest.raises(LinkDown) as caught:
        await exchange
    return caught.value


ACK = acknowledgment(MESSAGE)

# what the listener does -> seconds of patience, kind, words
FAILURES: dict[str, tuple[Behaviour, float, str, str]] = {
    "says nothing": (silence, PATIENCE, "timeout", "did not answer within 0.2 s"),
    "closes": (close, LONG, "closed", "closed the connection without an answer"),
    "closes in its answer": (half_answer, LONG, "closed", "closed the connection in the middle of its answer"),
    "stops in its answer": (raw(b"\x0bMSH|"), PATIENCE, "garbage", "did not end its answer within 0.2 s"),
    "forgets the CR": (raw(b"\x0b" + ACK + b"\x1c"), PATIENCE, "garbage", "after the FS there is no CR"),
    "forgets the CR and closes": (
        raw(b"\x0b" + ACK + b"\x1c", then_close=True), LONG, "garbage", "before it closed the connection: after the FS",
    ),
    "has no block": (unframed, PATIENCE, "garbage", "bytes that are in no MLLP block"),
    "has no block and closes": (raw(b"HTTP/1.0 400 Bad\r\n", then_close=True), LONG, "garbage", "in no MLLP block"),
    "has no VT": (raw(ACK + b"\x1c\r"), LONG, "garbage", "bytes that are in no MLLP block"),
    "has an FS inside": (raw(b"\x0bMSH|\x1cx\x1c\r"), LONG, "garbage", "an FS byte inside its block"),
    "joins two answers": (raw(b"\x0b" + ACK + frame(ACK)), LONG, "garbage", "a VT byte inside its block"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
async def test_what_is_no_answer_breaks_the_line_and_says_why(case: str, peer: ScriptedPeer, dial: Dial) -> None:
    behaviour, patience, kind, words = FAILURES[case]
    peer.script.append(behaviour)
    error = await broken(dial(patience).exchange(MESSAGE))
    assert error.kind == kind
    assert words in str(error)
    assert str(error).startswith(f"{peer.url} ")


async def test_an_answer_that_never_ends_is_given_up(peer: ScriptedPeer, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ophl7.cli.send.LIMIT", 1000)
    peer.script.append(raw(b"\x0b" + b"x" * 5000 + b"\x1c\r"))
    assert "more than can be an answer" in str(await broken(dial().exchange(MESSAGE)))


async def test_a_long_answer_is_an_answer(peer: ScriptedPeer, dial: Dial) -> None:
    long = ACK + b"NTE|1||" + b"x" * 1_000_000 + b"\r"
    peer.script.append(raw(frame(long)))
    assert await dial().exchange(MESSAGE) == long


async def test_one_connection_carries_all_messages(peer: ScriptedPeer, dial: Dial) -> None:
    line = dial()
    for _ in range(3):
        assert await line.exchange(MESSAGE) == ACK
    assert (peer.connections, peer.payloads) == (1, [MESSAGE] * 3)


async def test_a_listener_that_closes_after_each_answer_gets_the_next_message_all_the_same(
    peer: ScriptedPeer, dial: Dial
) -> None:
    peer.then = closes_after
    line = dial()
    for number in range(1, 4):
        assert await line.exchange(MESSAGE) == ACK
        # The close may still be on its way; what is tested is that the line looks, not that it guesses.
        assert line._wire is not None
        async with asyncio.timeout(LONG):
            while not line._wire.reader.at_eof():  # noqa: ASYNC110 - the library tells nobody
                await asyncio.sleep(0.001)
        assert peer.connections == number


async def test_line_ends_between_answers_are_harmless(peer: ScriptedPeer, dial: Dial) -> None:
    peer.then = raw(frame(ACK) + b"\r\n\x00 ")
    line = dial()
    for _ in range(3):
        assert await line.exchange(MESSAGE) == ACK
    assert peer.connections == 1


@pytest.mark.parametrize("more", [frame(ACK), b"\x0bMSH|", b"junk"])
async def test_what_came_unasked_is_never_taken_for_the_next_answer(peer: ScriptedPeer, dial: Dial, more: bytes) -> None:
    peer.script.append(raw(frame(ACK) + more))
    line = dial()
    assert await line.exchange(MESSAGE) == ACK
    error = await broken(line.exchange(MESSAGE))
    assert error.kind == "garbage"
    assert "nothing was asked" in str(error)
    assert len(peer.messages) == 1


async def test_a_late_answer_is_not_credited_to_the_message_after(peer: ScriptedPeer, dial: Dial) -> None:
    peer.script.append(silence)
    line = dial(PATIENCE)
    await broken(line.exchange(MESSAGE))
    assert await line.exchange(MESSAGE.replace(b"ID1", b"ID2")) == acknowledgment(MESSAGE, control_id=b"ID2").replace(
        b"AID1", b"AID2"
    )
    assert peer.connections == 2


async def test_nobody_there_is_told_as_such(peer: ScriptedPeer, dial: Dial) -> None:
    await peer.stop()
    error = await broken(dial().exchange(MESSAGE))
    assert error.kind == "refused"
    assert str(error) == f"{peer.url} refuses connections: nothing listens there"


async def test_a_host_without_an_address_is_told_as_such() -> None:
    error = await broken(Line(Address("nowhere.invalid", 1), LONG).exchange(MESSAGE))
    assert error.kind == "unreachable"
    assert "cannot be reached" in str(error)
