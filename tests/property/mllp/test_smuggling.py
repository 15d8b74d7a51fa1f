"""The one thing that must never happen: bytes of a second patient's message inside the first one.

Two messages are put on one connection and everything that is known to go wrong happens between and in them (decisions #90b).
Whatever comes out as a frame must then come from one message only.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.mllp.framing import Damaged, Frame, Framer

FIRST = b"MSH|^~\\&|PM|P|EMR|E|20260101||ADT^A08|1|P|2.5\rPID|1||7001^^^PM^MR||FIRST^ONE\r"
SECOND = b"MSH|^~\\&|PM|P|EMR|E|20260101||ADT^A08|2|P|2.5\rPID|1||7002^^^PM^MR||SECOND^TWO\r"

ENDS = st.sampled_from([b"\x1c\r", b"\x1c", b"\r", b"", b"\x1c\n", b"\x1c\r\n", b"\x1c\x00", b"\x1c ", b"\x1c\x1c\r", b"\x1cx"])
GAPS = st.sampled_from([b"", b"\r", b"\n", b"\r\n", b"\x00", b" ", b"xyz", b"\x1c", b"\x1c\r", b"\x0b"])


def everything(stream: bytes, cuts: list[int], quiet_at: set[int]) -> list[Frame | Damaged]:
    """Reads the stream in pieces; after the pieces whose number is in `quiet_at` nothing comes for 50 ms."""
    framer = Framer(4096)
    found: list[Frame | Damaged] = []

    def take() -> None:
        while (block := framer.next()) is not None:
            found.append(block)

    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    for number, (start, end) in enumerate(pairwise(edges)):
        framer.receive(stream[start:end])
        take()
        if number in quiet_at:
            framer.quiet()
            take()
    framer.eof()
    take()
    return found


def holds_both(block: Frame | Damaged) -> bool:
    return b"FIRST" in block.payload and b"SECOND" in block.payload


@given(
    between=st.tuples(ENDS, GAPS).map(b"".join),
    last=ENDS,
    cut_at=st.integers(0, len(FIRST)),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    quiet_at=st.sets(st.integers(0, 6)),
)
def test_no_frame_ever_holds_two_patients_when_each_message_begins_with_a_vt(
    between: bytes, last: bytes, cut_at: int, cuts: list[int], quiet_at: set[int]
) -> None:
    stream = b"\x0b" + FIRST[:cut_at] + between + b"\x0b" + SECOND + last
    assert not any(holds_both(block) for block in everything(stream, cuts, quiet_at))


@given(end=ENDS, gap=GAPS, cuts=st.lists(st.integers(0, 400), max_size=6), quiet_at=st.sets(st.integers(0, 6)))
def test_the_second_message_comes_out_whole_whatever_became_of_the_first(
    end: bytes, gap: bytes, cuts: list[int], quiet_at: set[int]
) -> None:
    stream = b"\x0b" + FIRST + end + gap + b"\x0b" + SECOND + b"\x1c\r"
    assert everything(stream, cuts, quiet_at)[-1] == Frame(SECOND)


@given(
    end=st.sampled_from([b"\x1c", b"\x1cx", b"\x1c\x1c"]),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    quiet_at=st.sets(st.integers(0, 6)),
)
def test_a_second_message_without_its_vt_is_never_part_of_a_message_that_is_judged(
    end: bytes, cuts: list[int], quiet_at: set[int]
) -> None:
    stream = b"\x0b" + FIRST + end + SECOND + b"\x1c\r"
    assert not any(isinstance(block, Frame) and holds_both(block) for block in everything(stream, cuts, quiet_at))


def test_an_fs_without_cr_does_not_join_two_messages() -> None:
    """What python-hl7's reader does: it looks for FS CR only, and the second patient's PID lands in the first message."""
    assert everything(b"\x0b" + FIRST + b"\x1c\x0b" + SECOND + b"\x1c\r", [], set()) == [Frame(FIRST), Frame(SECOND)]


def test_a_sender_that_starts_again_in_the_middle_leaves_nothing_behind() -> None:
    found = everything(b"\x0b" + FIRST[:60] + b"\x0b" + SECOND + b"\x1c\r", [], set())
    assert found == [Damaged("cut_off", FIRST[:60], answer=False, close=False), Frame(SECOND)]


def test_a_message_hidden_behind_an_fs_is_not_judged() -> None:
    found = everything(b"\x0b" + FIRST + b"\x1c" + SECOND + b"\x1c\r", [], set())
    assert found == [Damaged("fs_inside", FIRST + b"\x1c" + SECOND, answer=True, close=False)]


@pytest.mark.parametrize("pause", [True, False])
def test_bytes_that_come_after_the_50_ms_are_no_message_without_a_vt(pause: bool) -> None:
    first, rest = b"\x0b" + FIRST + b"\x1c", SECOND + b"\x1c\r"
    found = everything(first + rest, [len(first)], {0} if pause else set())
    assert (found == [Frame(FIRST)]) is pause
    assert Frame(SECOND) not in found
