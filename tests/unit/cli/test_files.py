"""Files as people keep them, read into messages."""

from __future__ import annotations

import pytest

from ophl7.cli.files import read_messages

ONE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|1|P|2.5\rPID|1||7050\r"
TWO = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|2|P|2.5\rPID|1||7051\r"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_any_line_end_becomes_the_one_that_hl7_knows(end: bytes) -> None:
    assert read_messages((ONE + TWO).replace(b"\r", end)) == [ONE, TWO]


def test_blank_lines_and_a_bom_are_no_part_of_a_message() -> None:
    assert read_messages(b"\xef\xbb\xbf\n\n" + ONE.replace(b"\r", b"\n") + b"\n\n" + TWO.replace(b"\r", b"\n") + b"\n") == [
        ONE,
        TWO,
    ]


def test_a_line_feed_inside_a_message_that_has_its_own_line_ends_stays() -> None:
    message = ONE + b"NTE|1||two\nlines\r"
    assert read_messages(message) == [message]


def test_an_msh_inside_a_field_begins_no_message() -> None:
    message = ONE + b"NTE|1||MSH|is a segment\r"
    assert read_messages(message) == [message]
    assert read_messages(ONE + b"MSHX|1\r") == [ONE + b"MSHX|1\r"]


def test_mllp_blocks_are_taken_as_they_are() -> None:
    with_line_feed = ONE.replace(b"\r", b"\n")
    assert read_messages(b"\x0b" + ONE + b"\x1c\r\x0b" + with_line_feed + b"\x1c\r") == [ONE, with_line_feed]


def test_a_batch_is_one_frame() -> None:
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + ONE + TWO + b"BTS|2\rFTS|1\r"
    assert read_messages(batch) == [batch]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no HL7 message"),
        (b"hello\n", "no HL7 message"),
        (b"PID|1\r" + ONE, "text stands before"),
        (b"\x0b" + ONE, "damaged"),
        (b"\x0b" + ONE + b"\x1c\r\x0b" + TWO[:20], "number 2"),
    ],
)
def test_a_file_without_a_whole_message_is_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_messages(data)
