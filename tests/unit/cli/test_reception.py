"""The test receiver on a socket: every connection is answered or closed, and told; none stays open and silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from ophl7.cli.listen import Receiver, Reception
from ophl7.clock import SystemClock
from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client

LIMIT_SECONDS = 5.0
MESSAGE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|ID1|P|2.5\rPID|1||7050\r"
OTHER = MESSAGE.replace(b"ID1", b"ID2")


class Desk:
    """A reception, and what it has said so far."""

    def __init__(self, reception: Reception, address: tuple[str, int], capsys: pytest.CaptureFixture[str]) -> None:
        self.reception = reception
        self.client = Client(*address)
        self.address = address
        self._capsys = capsys
        self._out = self._err = ""

    async def told(self, words: str) -> str:
        """Standard error once these words are in it; a test that never hears them fails by its time limit."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while words not in self._look()[1]:  # noqa: ASYNC110 - written by another task to a stream
                await asyncio.sleep(0.005)
        return self._err

    def printed(self) -> list[str]:
        """The lines of standard output."""
        return self._look()[0].splitlines()

    def _look(self) -> tuple[str, str]:
        out, err = self._capsys.readouterr()
        self._out += out
        self._err += err
        return self._out, self._err


@pytest.fixture
async def desk(capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Desk]:
    reception = Reception(Receiver("AA", SystemClock(), as_json=False))
    address = await reception.start("127.0.0.1", 0)
    yield Desk(reception, address, capsys)
    await reception.close()


async def test_messages_in_one_write_are_answered_in_order_on_one_connection(desk: Desk) -> None:
    async with desk.client as client:
        first, second = await client.pipeline(MESSAGE, OTHER)
    assert b"MSA|AA|ID1" in first
    assert b"MSA|AA|ID2" in second
    told = await desk.told("closed (peer)")
    assert told.count("test connection") == 2
    assert desk.printed() == [f"ADT^A08 {name} {len(MESSAGE)} bytes" for name in ("ID1", "ID2")]


async def test_a_message_far_above_the_library_s_own_limit_is_received(desk: Desk) -> None:
    message = MESSAGE + b"NTE|1||" + b"x" * 3_000_000 + b"\r"
    async with desk.client as client:
        assert b"MSA|AA|ID1" in await client.send(message)
    assert desk.printed() == [f"ADT^A08 ID1 {len(message)} bytes"]


@pytest.mark.parametrize("before", [b"\r\n", b"junk", b"\x1c\r"])
async def test_bytes_before_a_block_close_the_connection_and_are_told(desk: Desk, before: bytes) -> None:
    async with desk.client as client:
        await client.send_raw(before + frame(MESSAGE))
        await client.closed()
    assert "the broker skips them" in await desk.told("closed (bytes before the VT")
    assert desk.printed() == ["(damaged) - ? bytes"]


async def test_two_messages_of_which_the_first_lost_its_cr_are_not_taken_for_one(desk: Desk) -> None:
    async with desk.client as client:
        await client.send_raw(b"\x0b" + MESSAGE + b"\x1c" + frame(OTHER))
        await client.closed()
    await desk.told("is the CR after an FS missing?")
    assert desk.printed() == [f"(damaged) - {2 * len(MESSAGE) + 2} bytes"]


async def test_an_fs_inside_a_block_is_refused_before_the_connection_is_closed(desk: Desk) -> None:
    async with desk.client as client:
        await client.send_raw(b"\x0bMSH|\x1cx\x1c\r")
        assert b"MSA|AR|" in await client.read_answer()
        await client.closed()
    assert desk.printed() == ["(damaged) - 6 bytes"]


@pytest.mark.parametrize(
    ("sent", "told", "printed"),
    [
        (b"\x0b" + MESSAGE + b"\x1c", "in a block that has no FS CR", [f"(damaged) - {len(MESSAGE) + 1} bytes"]),
        (b"\x0bMSH|", "in a block that has no FS CR", ["(damaged) - 4 bytes"]),
        (b"junk", "4 bytes outside of MLLP blocks", []),
        (frame(MESSAGE) + b"\r\n", "closed (peer)", [f"ADT^A08 ID1 {len(MESSAGE)} bytes"]),
    ],
)
async def test_what_a_sender_leaves_unfinished_is_told_when_it_goes(
    desk: Desk, sent: bytes, told: str, printed: list[str]
) -> None:
    async with desk.client as client:
        await client.send_raw(sent)
    await desk.told(told)
    assert desk.printed() == printed


async def test_a_sender_that_vanishes_disturbs_nobody(desk: Desk) -> None:
    async with desk.client as gone, Client(*desk.address) as other:
        await gone.send_raw(frame(MESSAGE) * 20)
        gone.abort()
        await desk.told("connection 1 closed")
        assert b"MSA|AA|ID2" in await other.send(OTHER)


async def test_the_end_closes_connections_that_are_open(desk: Desk) -> None:
    async with desk.client as client:
        await client.send(MESSAGE)
        await client.send_raw(b"\x0bMSH|")
        desk.reception.stop()
        await desk.reception.ended()
        await desk.reception.close()
        await client.closed()
    await desk.told("closed (stopped)")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*desk.address)


async def test_a_fault_of_ours_ends_the_reception_and_is_not_swallowed(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Receiver):
        def take(self, block: bytes) -> bytes | None:
            raise BrokenPipeError("nobody reads standard output any more")

    reception = Reception(Broken("AA", SystemClock(), as_json=False))
    try:
        async with Client(*await reception.start("127.0.0.1", 0)) as client:
            await client.send_raw(frame(MESSAGE))
            with pytest.raises(BrokenPipeError):
                async with asyncio.timeout(LIMIT_SECONDS):
                    await reception.ended()
            with suppress(ConnectionError):
                await client.closed()
    finally:
        await reception.close()
