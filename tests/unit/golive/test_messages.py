"""Files of messages, cut: bare, in blocks, in batches, with any line ends."""

from __future__ import annotations

import pytest

from ophl7.golive.messages import holds_messages, messages, segment_end
from ophl7.golive.records import Record, lines
from ophl7.hl7v2.message import Message

LONGEST = 1000


def message(number: int, *more: str) -> bytes:
    return "".join(f"{one}\r" for one in (f"MSH|^~\\&|A|B|C|D|||ADT^A28|{number}|P|2.5", f"PID|1||{number}", *more)).encode()


def read(data: bytes) -> list[Record]:
    end = segment_end(data)
    return list(messages(lines([data], end, 0, LONGEST), end, 0, LONGEST))


ONE, TWO = message(1), message(2)
ENVELOPED = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + ONE + TWO + b"BTS|2\rFTS|1\r"


@pytest.mark.parametrize(
    "data",
    [
        ONE + TWO,
        ONE[:-1] + b"\r\n" + TWO,
        b"\xef\xbb\xbf" + ONE + b"\r\r" + TWO[:-1],
        b"\x0b" + ONE + b"\x1c\r\x0b" + TWO + b"\x1c\r",
        b"\r\n\x0b" + ONE[:-1] + b"\x1c\r\n\x0b" + TWO + b"\x1c",
        ONE + b"\n" + TWO + b"\n",
        ENVELOPED,
        b"\x0b" + ENVELOPED + b"\x1c\r",
    ],
    ids=["bare", "crlf between", "bom", "blocks", "blocks without last cr", "lf between", "batch", "batch in a block"],
)
def test_however_they_are_kept_they_are_the_same_messages(data: bytes) -> None:
    assert holds_messages(data)
    found = [(record.place, (record.body or b"").removeprefix(b"\xef\xbb\xbf")) for record in read(data)]
    assert found == [(1, ONE), (2, TWO)]


@pytest.mark.parametrize("mark", [b"\n", b"\r\n"])
def test_other_line_ends_stay_as_they_came(mark: bytes) -> None:
    found = read((ONE + TWO).replace(b"\r", mark))
    assert [record.body for record in found] == [one[:-1].replace(b"\r", mark) + mark[:1] for one in (ONE, TWO)]
    assert [len(Message.parse(record.body or b"").segments) for record in found] == [2, 2]


def test_the_offset_is_where_the_next_one_begins() -> None:
    first, second = read(ONE + TWO)
    assert (first.end, second.end) == (len(ONE), len(ONE + TWO))
    behind = read((ONE + TWO)[first.end :])
    assert [record.body for record in behind] == [TWO]


def test_a_segment_name_inside_a_field_or_behind_a_line_feed_begins_no_message() -> None:
    quoted = message(1, "NTE|1||MSH|^~\\&|", "NTE|2||two\nMSH|^~\\&|lines", "MSHX|1")
    assert [record.body for record in read(quoted + TWO)] == [quoted, TWO]


def test_a_message_that_is_too_long_is_told_and_the_next_one_is_read() -> None:
    for long in (message(1, "OBX|" + "x" * LONGEST), message(1, *["NTE|" + "y" * 90] * 12)):
        first, second = read(long + TWO)
        assert first.fault is not None
        assert first.fault.row == "#91"
        assert (first.body, first.end) == (None, len(long))
        assert (second.place, second.body) == (2, TWO)


def test_two_messages_in_a_damaged_block_are_never_taken_for_one() -> None:
    glued = ONE[:-1] + b"\x1c\x0b" + TWO
    (found,) = read(glued)
    assert found.fault is not None
    assert found.fault.row == "#90b"


def test_text_that_belongs_to_no_message_is_a_record_of_its_own() -> None:
    found = read(b"exported by x\r" + ONE + b"BTS|1\rrubbish\r" + TWO)
    assert [record.body for record in found] == [b"exported by x\r", ONE, b"rubbish\r", TWO]


@pytest.mark.parametrize("head", [b"", b"id,last_name\n", b"MSHX|", b"MSH", b"\xff\xfeM\x00S\x00H\x00", b"message,MSH|"])
def test_what_is_no_message_is_not_taken_for_one(head: bytes) -> None:
    assert not holds_messages(head)
