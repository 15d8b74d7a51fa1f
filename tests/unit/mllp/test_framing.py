"""The framing rules of decisions #90b and #91, one sentence each."""

from __future__ import annotations

import pytest

from ophl7.mllp.framing import HEAD_BYTES, Damaged, Frame, Framer, frame

MSH = b"MSH|^~\\&|PM|P|EMR|E|20260101||ADT^A08|1|P|2.5\r"


def blocks(framer: Framer) -> list[Frame | Damaged]:
    found = []
    while (block := framer.next()) is not None:
        found.append(block)
    return found


def read(stream: bytes, max_bytes: int = 1024) -> list[Frame | Damaged]:
    framer = Framer(max_bytes)
    framer.receive(stream)
    return blocks(framer)


def cut_off(payload: bytes) -> Damaged:
    return Damaged("cut_off", payload, answer=False, close=False)


def fs_inside(payload: bytes) -> Damaged:
    return Damaged("fs_inside", payload, answer=True, close=False)


def test_a_block_is_the_bytes_between_vt_and_fs_cr() -> None:
    assert read(b"\x0bone\x1c\r\x0btwo\x1c\r") == [Frame(b"one"), Frame(b"two")]


def test_what_frame_writes_is_what_the_framer_reads() -> None:
    assert read(frame(MSH)) == [Frame(MSH)]


@pytest.mark.parametrize("byte", [b"\x0b", b"\x1c"])
def test_a_message_with_a_framing_byte_inside_is_not_written(byte: bytes) -> None:
    with pytest.raises(ValueError, match="cannot travel"):
        frame(b"MSH" + byte + b"PID")


def test_an_empty_block_is_a_block_and_will_be_answered() -> None:
    assert read(b"\x0b\x1c\r") == [Frame(b"")]


@pytest.mark.parametrize("after", [b"\r", b"\n", b"\x00", b" "], ids=["CR", "LF", "NUL", "space"])
def test_an_fs_before_a_filler_ends_the_frame(after: bytes) -> None:
    assert read(b"\x0bone\x1c" + after + b"\x0btwo\x1c\r") == [Frame(b"one"), Frame(b"two")]


def test_an_fs_before_a_vt_ends_the_frame_and_the_vt_begins_the_next() -> None:
    assert read(b"\x0bone\x1c\x0btwo\x1c\r") == [Frame(b"one"), Frame(b"two")]


def test_an_fs_at_the_end_waits_for_what_follows() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bone\x1c")
    assert blocks(framer) == []
    waits = [framer.waiting]
    framer.receive(b"\r")
    waits.append(framer.waiting)
    assert blocks(framer) == [Frame(b"one")]
    assert waits == [True, False]


def test_an_fs_that_nothing_follows_for_50_ms_ends_the_frame() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bone\x1c")
    assert blocks(framer) == []
    framer.quiet()
    assert blocks(framer) == [Frame(b"one")]
    assert not framer.waiting


def test_a_cr_that_comes_after_the_50_ms_belongs_to_nobody() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bone\x1c")
    assert blocks(framer) == []
    framer.quiet()
    assert blocks(framer) == [Frame(b"one")]
    framer.receive(b"\r\x0btwo\x1c\r")
    assert blocks(framer) == [Frame(b"two")]
    assert framer.junk == 0


def test_quiet_means_nothing_while_a_frame_is_in_the_middle() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bon")
    assert blocks(framer) == []
    framer.quiet()
    assert blocks(framer) == []
    framer.receive(b"e\x1c")
    assert blocks(framer) == []
    assert framer.waiting


def test_quiet_is_forgotten_when_bytes_come_after_all() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bone\x1c")
    assert blocks(framer) == []
    framer.quiet()
    framer.receive(b"x\x1c")
    assert blocks(framer) == []
    framer.receive(b"\r")
    assert blocks(framer) == [fs_inside(b"one\x1cx")]


def test_an_fs_before_another_byte_damages_the_frame_up_to_the_next_fs_cr() -> None:
    assert read(b"\x0bone\x1cPID\x1c\r\x0btwo\x1c\r") == [fs_inside(b"one\x1cPID"), Frame(b"two")]


def test_an_fs_before_another_byte_damages_the_frame_up_to_the_next_vt() -> None:
    assert read(b"\x0bone\x1cPID\x0btwo\x1c\r") == [fs_inside(b"one\x1cPID"), Frame(b"two")]


def test_several_fs_inside_a_frame_are_one_damage() -> None:
    assert read(b"\x0bA\x1cB\x1c\nC\x1c\x1cD\x1c\r\x0btwo\x1c\r") == [fs_inside(b"A\x1cB\x1c\nC\x1c\x1cD"), Frame(b"two")]


def test_a_damaged_frame_whose_last_fs_is_followed_by_nothing_ends_too() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bA\x1cB\x1c")
    assert blocks(framer) == []
    assert framer.waiting
    framer.quiet()
    assert blocks(framer) == [fs_inside(b"A\x1cB")]


def test_a_frame_that_a_vt_cuts_off_is_damaged_without_an_answer() -> None:
    assert read(b"\x0bhalf a mess\x0bwhole\x1c\r") == [cut_off(b"half a mess"), Frame(b"whole")]


def test_a_doubled_vt_loses_nothing_but_a_byte() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0b\x0bone\x1c\r")
    assert blocks(framer) == [Frame(b"one")]
    assert framer.junk == 1


def test_fillers_between_frames_are_skipped_and_counted_apart() -> None:
    framer = Framer(1024)
    framer.receive(b"\r\n\x0bone\x1c\r\n\x00  \x0btwo\x1c\r\r\n")
    assert blocks(framer) == [Frame(b"one"), Frame(b"two")]
    assert (framer.junk, framer.filler) == (0, 8)


def test_other_bytes_between_frames_are_skipped_and_counted() -> None:
    framer = Framer(1024)
    framer.receive(b"GET /\r\n\x0bone\x1c\rxyz\x0btwo\x1c\r")
    assert blocks(framer) == [Frame(b"one"), Frame(b"two")]
    assert framer.junk == len(b"GET/xyz")


def test_an_fs_outside_of_a_frame_is_junk() -> None:
    assert read(b"\x1c\r\x0bone\x1c\r") == [Frame(b"one")]


def test_too_much_junk_in_a_row_ends_the_stream() -> None:
    framer = Framer(1024, max_junk=10)
    framer.receive(b"x" * 11 + frame(b"one"))
    assert blocks(framer) == []
    assert framer.flooded
    framer.receive(frame(b"two"))
    assert blocks(framer) == []


@pytest.mark.parametrize("junk", [b"x" * 11, b"\x0b" * 12])
def test_nothing_of_a_block_behind_too_much_junk_is_kept(junk: bytes) -> None:
    framer = Framer(1024, max_junk=10)
    framer.receive(junk + b"\x0bone")
    assert blocks(framer) == []
    assert (framer.flooded, framer.partial) == (True, 0)


def test_junk_is_counted_in_a_row_so_a_chatty_sender_may_stay_for_days() -> None:
    framer = Framer(1024, max_junk=10)
    for _ in range(20):
        framer.receive(b"xxxxxxxx" + frame(b"one"))
        assert blocks(framer) == [Frame(b"one")]
    assert not framer.flooded
    assert framer.junk == 160


def test_fillers_are_never_too_much() -> None:
    framer = Framer(1024, max_junk=10)
    framer.receive(b"\r\n\x00 " * 1000 + frame(b"one"))
    assert blocks(framer) == [Frame(b"one")]


def test_a_frame_of_exactly_the_limit_is_taken() -> None:
    assert read(b"\x0b" + b"x" * 10 + b"\x1c\r", max_bytes=10) == [Frame(b"x" * 10)]


@pytest.mark.parametrize("end", [b"\x1c\r", b"\x0b", b"x"], ids=["FS CR", "VT", "no end yet"])
def test_a_frame_one_byte_above_the_limit_is_too_big_and_nothing_is_read_after_it(end: bytes) -> None:
    assert read(b"\x0b" + b"x" * 11 + end + frame(b"two"), max_bytes=10) == [
        Damaged("too_big", b"x" * 10, answer=False, close=True)
    ]


def test_a_frame_that_is_too_big_is_told_before_it_ends() -> None:
    framer = Framer(10)
    framer.receive(b"\x0b" + b"x" * 10)
    assert blocks(framer) == []
    framer.receive(b"x")
    assert [type(block) for block in blocks(framer)] == [Damaged]
    assert framer.closed


def test_a_damaged_frame_has_the_same_limit() -> None:
    assert read(b"\x0bx\x1c" + b"y" * 20, max_bytes=10) == [Damaged("too_big", b"x\x1c" + b"y" * 8, answer=False, close=True)]


def test_a_frame_that_is_too_big_is_answered_when_its_msh_was_read() -> None:
    (block,) = read(b"\x0b" + MSH + b"x" * 2000)
    assert isinstance(block, Damaged)
    assert (block.reason, block.answer, block.close) == ("too_big", True, True)


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n", b"FHS|^~\\&|PM\rBHS|^~\\&|PM\r"], ids=["BOM", "lines", "batch"])
def test_an_msh_behind_a_mark_or_a_batch_header_counts_as_read(before: bytes) -> None:
    (block,) = read(b"\x0b" + before + MSH + b"x" * 2000)
    assert isinstance(block, Damaged)
    assert block.answer


def test_of_a_frame_that_is_too_big_the_first_64_kib_are_kept() -> None:
    (block,) = read(b"\x0b" + MSH + b"x" * (1 << 20), max_bytes=1 << 20)
    assert isinstance(block, Damaged)
    assert block.payload == (MSH + b"x" * HEAD_BYTES)[:HEAD_BYTES]


def test_partial_counts_the_bytes_of_the_frame_that_has_not_ended() -> None:
    framer = Framer(1024)
    framer.receive(frame(b"one") + b"\x0btw")
    assert blocks(framer) == [Frame(b"one")]
    assert framer.partial == len(b"\x0btw")
    framer.receive(b"o\x1c\r")
    assert blocks(framer) == [Frame(b"two")]
    assert framer.partial == 0


def test_a_vt_alone_is_a_frame_that_has_begun() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0b")
    assert blocks(framer) == []
    assert framer.partial == 1


def test_at_the_end_of_the_stream_an_fs_ends_its_frame() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bone\x1c")
    framer.eof()
    assert blocks(framer) == [Frame(b"one")]
    assert framer.closed


def test_at_the_end_of_the_stream_a_frame_without_an_end_is_cut_off() -> None:
    framer = Framer(1024)
    framer.receive(frame(b"one") + b"\x0bhalf")
    framer.eof()
    assert blocks(framer) == [Frame(b"one"), Damaged("cut_off", b"half", answer=False, close=True)]


def test_at_the_end_of_the_stream_a_damaged_frame_without_an_end_gets_no_answer() -> None:
    framer = Framer(1024)
    framer.receive(b"\x0bA\x1cB")
    framer.eof()
    assert blocks(framer) == [Damaged("fs_inside", b"A\x1cB", answer=False, close=True)]


@pytest.mark.parametrize("rest", [b"", b"\x0b", b"xyz"], ids=["nothing", "a VT", "junk"])
def test_at_the_end_of_the_stream_nothing_is_made_up(rest: bytes) -> None:
    framer = Framer(1024)
    framer.receive(frame(b"one") + rest)
    framer.eof()
    assert blocks(framer) == [Frame(b"one")]
    assert framer.closed


def test_a_long_stream_does_not_grow_the_buffer() -> None:
    framer = Framer(1 << 20)
    half = frame(b"x" * 40_000)
    framer.receive(half[:100])
    for _ in range(50):
        framer.receive(half[100:] + half[:100])
        assert blocks(framer) == [Frame(b"x" * 40_000)]
    assert len(framer._buffer) < 4 * len(half)


class Counting(bytearray):
    """A buffer that counts the bytes that its searches were asked to look at."""

    looked = 0

    def find(self, sub, start=0, end=None, /):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        found = super().find(sub, start, len(self) if end is None else end)
        stop = found if found >= 0 else min(len(self), len(self) if end is None else end)
        type(self).looked += max(0, stop - start) + 1
        return found


@pytest.mark.parametrize(
    "stream",
    [
        b"\x0b" + b"x" * 50_000 + b"\x1c\r",
        b"\x0bx" * 25_000,
        b"\x0b" * 50_000,
        b"\x0b" + b"\x1cx" * 25_000,
        b"\x0bx\x1c" * 16_000,
        b"x" * 50_000,
    ],
    ids=["one frame", "cut off again and again", "VT only", "FS again and again", "frames without CR", "junk"],
)
@pytest.mark.parametrize("piece", [1, 7, 50_000])
def test_every_byte_is_looked_at_a_fixed_number_of_times(stream: bytes, piece: int) -> None:
    framer = Framer(1 << 20, max_junk=1 << 20)
    framer._buffer = Counting()
    Counting.looked = 0
    for start in range(0, len(stream), piece):
        framer.receive(stream[start : start + piece])
        blocks(framer)
    assert Counting.looked <= 6 * len(stream)
