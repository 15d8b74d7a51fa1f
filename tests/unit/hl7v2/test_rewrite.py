"""What leaves is what came, but for what has to change (contract 4)."""

from __future__ import annotations

import pytest

from ophl7.errors import AuthorError, Unreadable, Unwritable
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, InsertAfter, SetField, rewrite, with_control_id

RAW = b"MSH|^~\\&|a|b|c|d|e|pw|ADT^A08|old|P|2.3\rPID|1||7\\F\\0^^^X||D\xd6E^J||1980\rZZZ|\x01 odd\nstuff|\rPV1|1\r"


def changed(*edits: Edit, raw: bytes = RAW) -> bytes:
    return rewrite(Message.parse(raw), "N-1", edits)


def test_only_the_control_id_changes() -> None:
    assert with_control_id(RAW, "N-1") == RAW.replace(b"|old|", b"|N-1|")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"MSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3\nPID|1\n", b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new|P|2.3\rPID|1\r"),
        (b"MSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3\r\nPID|1", b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new|P|2.3\rPID|1\r"),
        (
            b"\xef\xbb\xbfMSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3\rPID|\xc3\xbc\r",
            b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new|P|2.3\rPID|\xc3\xbc\r",
        ),
        (
            b"MSH|^~\\&|a|b|c|d|e||ADT^A08\rPID|1|2|3|4|5|6|7|8|9\r",
            b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new\rPID|1|2|3|4|5|6|7|8|9\r",
        ),
        # What is left of a frame leaves in no way, whichever way the message takes.
        (b"MSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3\rPID|1\x00\r", b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new|P|2.3\rPID|1\r"),
        (b"MSH|^~\\&|a|b|c|d|e||ADT^A08|old", b"MSH|^~\\&|a|b|c|d|e||ADT^A08|new\r"),
        (b"MSH#*%$!#a#b#c#d#e##ADT*A08#old#P#2.3\r", b"MSH#*%$!#a#b#c#d#e##ADT*A08#new#P#2.3\r"),
        (
            b"MSH|^~\\&|\xe9|b|c|d|e||ADT^A08|old|P|2.3\r\rPID|\xe9\r\r",
            b"MSH|^~\\&|\xe9|b|c|d|e||ADT^A08|new|P|2.3\rPID|\xe9\r",
        ),
    ],
)
def test_terminators_become_cr_and_the_last_one_is_there(raw: bytes, expected: bytes) -> None:
    assert with_control_id(raw, "new") == expected


def test_a_control_id_that_holds_one_of_the_messages_delimiters_is_escaped() -> None:
    raw = b"MSH-.~\\&-a-b-c-d-e--ADT.A08-old-P-2\r"
    assert with_control_id(raw, "N-1.2") == b"MSH-.~\\&-a-b-c-d-e--ADT.A08-N\\F\\1\\S\\2-P-2\r"


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [("iso2022_jp", "ISO IR87", "万亨"), ("gb18030", "GB 18030-2000", "億"), ("big5", "BIG-5", "四")],
)
def test_a_header_is_not_cut_inside_a_character(charset: str, name: str, text: str) -> None:
    raw = f"MSH|^~\\&|{text}|b|c|d|2024||ADT^A08|old|P|2.3||||||{name}\rPID|{text}\r".encode(charset)
    assert b"|" in text.encode(charset)  # the second byte of the character
    message = Message.parse(with_control_id(raw, "new"))
    assert (message.control_id, message.sending[0], message.value("PID-1")) == ("new", text, text)
    later = Message.parse(raw.replace(b"|2024|", b"|2025|"))
    assert later.digest() == Message.parse(raw).digest()


def test_a_field_that_looks_like_msh_18_only_among_the_bytes_names_no_charset() -> None:
    # The bytes 83 7C are one character of Shift-JIS and hold a separator: read so, the charset's name stands in MSH-17.
    raw = b"MSH|^~\\&|a|b|c|d|2024||ADT^A08|\x83|P|2.3|||||ISO IR14\rPID|1\r"
    raw = raw.replace(b"|\x83|P|", b"|\x83|\x84|P|")
    before, after = Message.parse(raw), Message.parse(with_control_id(raw, "new"))
    assert (before.encoding, after.encoding) == ("cp1252", "cp1252")
    assert (before.processing_id, after.processing_id) == ("\u201e", "\u201e")


@pytest.mark.parametrize("control_id", ["", "a b", "a|b", "é", "a\r", "x" * 200])
def test_a_control_id_of_ours_is_plain(control_id: str) -> None:
    with pytest.raises(AuthorError):
        with_control_id(RAW, control_id)


def test_what_is_no_message_is_not_rewritten() -> None:
    with pytest.raises(Unreadable):
        with_control_id(b"PID|1\r", "new")


def test_a_field_is_set_and_its_neighbours_stay() -> None:
    assert changed(SetField(1, 7, "1981"), SetField(3, 19, "V^1")) == RAW.replace(b"|old|", b"|N-1|").replace(
        b"1980", b"1981"
    ).replace(b"PV1|1", b"PV1|1" + b"|" * 18 + b"V^1")


def test_segments_are_dropped_and_put_in_behind_others() -> None:
    found = changed(DropSegment(1), InsertAfter(1, "PID|2"), InsertAfter(3, "NTE|1||a\\F\\b"), InsertAfter(3, "NTE|2"))
    assert found.split(b"\r") == [
        b"MSH|^~\\&|a|b|c|d|e|pw|ADT^A08|N-1|P|2.3",
        b"PID|2",
        b"ZZZ|\x01 odd\nstuff|",
        b"PV1|1",
        b"NTE|1||a\\F\\b",
        b"NTE|2",
        b"",
    ]


def test_texts_are_written_in_the_messages_own_delimiters_and_charset() -> None:
    raw = b"MSH#*%$!#a#b#c#d#e##ADT*A08#old#P#2.3######8859/1\rPID#1\r"
    found = changed(SetField(1, 5, "MÜLLER^A&B~a\\F\\b#"), InsertAfter(1, "NTE|1||x^y"), raw=raw)
    assert found.endswith(b"PID#1####M\xdcLLER*A!B%a|b$F$\rNTE#1##x*y\r")


def test_fields_of_the_header_can_be_set() -> None:
    assert changed(SetField(0, 5, "OTHER")).startswith(b"MSH|^~\\&|a|b|OTHER|d|e|pw|ADT^A08|N-1|")


def test_a_character_that_the_charset_lacks_raises() -> None:
    with pytest.raises(Unwritable, match=r"U\+5C71"):
        changed(SetField(1, 5, "山"))


def test_a_damaged_message_keeps_its_bytes_in_an_edited_segment() -> None:
    raw = b"MSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3||||||UNICODE UTF-8\rPID|1||\xff\xc3\xbc||x\r"
    assert changed(SetField(1, 5, "ü"), raw=raw).endswith(b"\rPID|1||\xff\xc3\xbc||\xc3\xbc\r")


@pytest.mark.parametrize("text", ["a\rb", "a\x0bb", "a\x1cb", "a|b"])
def test_a_text_that_would_break_the_message_raises(text: str) -> None:
    with pytest.raises(Unwritable):
        changed(SetField(1, 5, text))


@pytest.mark.parametrize(
    "edit",
    [
        DropSegment(0),
        DropSegment(4),
        DropSegment(-1),
        SetField(0, 1, "x"),
        SetField(0, 2, "x"),
        SetField(1, 0, "x"),
        InsertAfter(1, "MSH|x"),
        InsertAfter(1, "x"),
    ],
)
def test_an_edit_that_makes_no_sense_is_its_authors_fault(edit: Edit) -> None:
    with pytest.raises(AuthorError):
        changed(edit)
