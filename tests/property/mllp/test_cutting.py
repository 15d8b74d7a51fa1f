"""However a stream of bytes is cut into reads, the same frames come out; and a second opinion on clean streams."""

from __future__ import annotations

import asyncio

from hl7.mllp import HL7StreamReader, InvalidBlockError
from hypothesis import given
from hypothesis import strategies as st

from ophl7.mllp.framing import Damaged, Frame, Framer, frame

PIECES = st.sampled_from([b"\x0b", b"\x1c", b"\x1c\r", b"\r", b"\n", b"\x00", b" ", b"MSH|", b"PID|", b"x", b"\xff"])
STREAMS = st.lists(PIECES | st.binary(max_size=4), max_size=40).map(b"".join)
CLEAN = st.binary(max_size=60).map(lambda data: data.replace(b"\x0b", b"").replace(b"\x1c", b""))


def read(pieces: list[bytes], max_bytes: int, max_junk: int, *, ended: bool) -> tuple[list[Frame | Damaged], int, int, bool]:
    framer = Framer(max_bytes, max_junk)
    found: list[Frame | Damaged] = []

    def take() -> None:
        while (block := framer.next()) is not None:
            found.append(block)

    for piece in pieces:
        framer.receive(piece)
        take()
    if ended:
        framer.eof()
        take()
    return found, framer.junk, framer.filler, framer.flooded


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    stream = draw(STREAMS)
    cuts = sorted(draw(st.sets(st.integers(0, len(stream)), max_size=len(stream))))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@given(pieces=cut_streams(), max_bytes=st.integers(0, 40), max_junk=st.integers(0, 10), ended=st.booleans())
def test_any_cutting_gives_the_same_frames_as_the_whole(
    pieces: list[bytes], max_bytes: int, max_junk: int, ended: bool
) -> None:
    whole, junk, filler, flooded = read([b"".join(pieces)], max_bytes, max_junk, ended=ended)
    cut = read(pieces, max_bytes, max_junk, ended=ended)
    assert cut[0] == whole
    assert cut[3] == flooded
    if not flooded and not any(isinstance(block, Damaged) and block.close for block in whole):
        assert cut[1:3] == (junk, filler)


@given(stream=STREAMS, max_bytes=st.integers(0, 40))
def test_no_byte_is_in_two_frames_and_none_comes_from_nowhere(stream: bytes, max_bytes: int) -> None:
    found, _, _, _ = read([stream], max_bytes, 1 << 20, ended=True)
    position = 0
    for block in found:
        at = stream.find(b"\x0b" + block.payload, position)
        assert at >= 0
        position = at + 1 + len(block.payload)


@given(stream=STREAMS)
def test_a_frame_holds_neither_vt_nor_fs(stream: bytes) -> None:
    found, _, _, _ = read([stream], 1 << 20, 1 << 20, ended=True)
    for block in found:
        assert b"\x0b" not in block.payload
        assert isinstance(block, Damaged) or b"\x1c" not in block.payload


@given(payloads=st.lists(CLEAN, max_size=8))
def test_what_was_framed_is_read_back(payloads: list[bytes]) -> None:
    found, junk, _, _ = read([b"".join(frame(payload) for payload in payloads)], 1024, 0, ended=True)
    assert found == [Frame(payload) for payload in payloads]
    assert junk == 0


async def blocks_of_python_hl7(stream: bytes) -> list[bytes]:
    reader = HL7StreamReader(limit=1 << 20)
    reader.feed_data(stream)
    reader.feed_eof()
    found: list[bytes] = []
    while True:
        try:
            found.append(await reader.readblock())
        except asyncio.IncompleteReadError:
            return found
        except InvalidBlockError as error:
            raise AssertionError("the stream was not clean") from error


@given(payloads=st.lists(CLEAN, max_size=8))
def test_python_hl7_reads_the_same_from_a_clean_stream(payloads: list[bytes]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    ours, _, _, _ = read([stream], 1024, 0, ended=True)
    assert [block.payload for block in ours] == asyncio.run(blocks_of_python_hl7(stream))
