"""What holds for every input (Hypothesis)."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from ophl7.errors import Unreadable
from ophl7.hl7v2 import ack, answer, batch, timestamps
from ophl7.hl7v2.charset import choose, encode
from ophl7.hl7v2.delimiters import STANDARD, Delimiters
from ophl7.hl7v2.escapes import escape, transcode, unescape
from ophl7.hl7v2.message import Message, read_header
from ophl7.hl7v2.redact import outline, safe_control_id, safe_event
from ophl7.hl7v2.rewrite import DropSegment, SetField, rewrite, with_control_id

HL7_TEXT = st.text(st.sampled_from("|^~\\&AFSTREXHN09.br \r\n\x0b\x1cü山")) | st.text()
MARKS = st.permutations(list("|^~\\&#*%$!@;:")).map(lambda marks: Delimiters(*marks[:5]))
# Bytes that look like messages find more than bytes at random.
PIECES = st.sampled_from(
    [
        b"MSH",
        b"|",
        b"^~\\&",
        b"|a|b|c|d|2024||ADT^A08|1|P|2.5",
        b"\r",
        b"\n",
        b"PID|1||7~8^9&",
        b'""',
        b"\\F\\",
        b"\xff",
        b"\xc3\xbc",
        b"MSA|AA|1",
        b"ERR|",
        b"BHS|^~\\&",
        b"BTS|9",
        b"FHS|",
        b"FTS",
        b"\x1c",
        b"\x0b",
        b"||||||UNICODE UTF-8",
        b"||||||8859/1",
    ]
)
FRAMES = st.lists(PIECES, max_size=30).map(b"".join) | st.binary() | st.binary().map(lambda tail: b"MSH|^~\\&|" + tail)
CHARSETS = st.sampled_from(
    [None, "utf-8", "8859/1", "8859/3", "8859/7", "8859/15", "GB 18030-2000", "ISO IR87", "ISO IR14", "BIG-5"]
)
ZONE = ZoneInfo("America/New_York")
WHEN = datetime(2024, 7, 4, tzinfo=UTC)


@given(HL7_TEXT, MARKS)
def test_what_is_escaped_comes_back(text: str, marks: Delimiters) -> None:
    for used in (STANDARD, marks):
        written = escape(text, used)
        assert unescape(written, used) == text
        assert not set(written) & {used.field, used.component, used.repetition, used.subcomponent, "\r", "\n", "\x0b", "\x1c"}


@given(st.lists(st.lists(st.text(), max_size=4), max_size=4), MARKS)
def test_transcoding_there_and_back_keeps_structure_and_values(values: list[list[str]], marks: Delimiters) -> None:
    def write(used: Delimiters) -> str:
        return used.repetition.join(used.component.join(escape(value, used) for value in row) for row in values)

    assert transcode(write(STANDARD), STANDARD, marks) == write(marks)
    assert transcode(write(marks), marks, STANDARD) == write(STANDARD)


@given(st.binary() | FRAMES, CHARSETS, st.sampled_from([b"", b"UNICODE UTF-8", b"8859/1", b"8859/6", b"KS X 1001", b"\xff"]))
def test_bytes_come_back_from_text(raw: bytes, forced: str | None, msh18: bytes) -> None:
    found = choose(raw, forced, msh18)
    assert encode(found.text, found.encoding) == raw


@given(FRAMES, CHARSETS)
@example(b"MSH|^~\\&|||||||ACK\n\r", None)
def test_reading_refuses_or_succeeds_and_values_are_storable(raw: bytes, forced: str | None) -> None:
    try:
        message = Message.parse(raw, forced)
    except Unreadable:
        return
    shown = [message.control_id, message.event, message.version, *message.sending]
    for segment in message.segments:
        for number in range(1, len(segment) + 1):
            shown += [segment.text(f"{number}.{part}") for part in (1, 2)]
        segment.canonical_line  # noqa: B018  # must not raise
    "".join(shown).encode()  # no lone surrogate
    assert message.lines
    assert len(message.digest()) == 16


@given(FRAMES, CHARSETS)
def test_everything_else_that_reads_bytes_never_fails(raw: bytes, forced: str | None) -> None:
    with contextlib.suppress(Unreadable):
        answer.read(raw, forced)
    found = batch.split(raw)
    for start, end in found.members:
        assert 0 <= start <= end <= len(raw)
    ack.batch(raw[slice(*found.head)], [], "X", WHEN, ZONE)


@given(FRAMES)
def test_every_header_can_be_answered_within_a_frame(raw: bytes) -> None:
    with contextlib.suppress(Unreadable):
        check_answer(
            ack.build(Message.parse(raw), "AE", "X", WHEN, ZONE, "t|é\r", (ack.AckError(207, "E", ack.Location("PID"), "P01"),))
        )
    check_answer(ack.build(read_header(raw), "AR", "X", WHEN, ZONE, errors=(ack.AckError(100, "E", None),)))


def check_answer(found: bytes) -> None:
    assert found.startswith(b"MSH")
    assert found.endswith(b"\r")
    assert not set(found) & {0x0A, 0x0B, 0x1C}
    assert 2 <= found.count(b"\r") <= 3
    assert answer.read(found).code in {"AE", "AR"}


FIELDS = st.text(st.sampled_from("abcü^~&\\ 12"), max_size=6)
ROWS = st.lists(st.lists(FIELDS, min_size=1, max_size=5), max_size=6)


@given(ROWS, st.sampled_from(["utf-8", "cp1252"]), st.data())
def test_rewriting_leaves_every_segment_that_is_not_named_byte_for_byte(
    rows: list[list[str]], charset: str, data: st.DataObject
) -> None:
    lines = ["MSH|^~\\&|a|b|c|d|e||ADT^A08|old|P|2.3", *["|".join(["PID", *row]) for row in rows]]
    raw = "".join(f"{line}\r" for line in lines).encode(charset)
    message = Message.parse(raw)
    before = raw.split(b"\r")[:-1]
    expected = [before[0].replace(b"|old|", b"|new|"), *before[1:]]
    assert rewrite(message, "new") == with_control_id(raw, "new") == b"".join(piece + b"\r" for piece in expected)
    if rows:
        index = data.draw(st.integers(1, len(rows)))
        left = rewrite(message, "new", [SetField(index, 2, "x^y")]).split(b"\r")[:-1]
        assert left[:index] + left[index + 1 :] == expected[:index] + expected[index + 1 :]
        changed = left[index].split(b"|")
        original = [*before[index].split(b"|"), b""]
        assert changed[2] == b"x^y"
        assert (changed[:2], changed[3:]) == (original[:2], [*original[3:-1]])
        assert rewrite(message, "new", [DropSegment(index)]).split(b"\r")[:-1] == expected[:index] + expected[index + 1 :]


@given(st.text() | st.from_regex(r"[0-9]{4,14}(\.[0-9]{1,4})?([+-][0-9]{4})?", fullmatch=True))
def test_a_time_is_read_or_is_none(text: str) -> None:
    found = timestamps.parse(text, ZONE)
    if found is not None:
        assert found.instant.utcoffset() == WHEN.utcoffset()
        assert found.text == text


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)))  # noqa: DTZ001
def test_a_written_instant_is_read_back(instant: datetime) -> None:
    found = timestamps.parse(timestamps.format(instant, ZONE), ZoneInfo("UTC"))
    assert found is not None
    assert (found.instant, found.zoned) == (instant, True)


@given(st.text())
def test_nothing_with_a_space_or_a_separator_reaches_a_log(text: str) -> None:
    for shown in (safe_event(text), safe_control_id(text)):
        assert shown in {text, "unreadable"}
        assert not set(shown) & set(" \r\n|~&")


@given(FRAMES)
def test_an_outline_holds_names_only(raw: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert all(name == "???" or (len(name) == 3 and name.isalnum()) for name, _ in outline(Message.parse(raw)))
