"""Reading messages."""

from __future__ import annotations

from datetime import UTC, datetime

import hl7
import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2.ack import build
from ophl7.hl7v2.message import NULL, Message, Value, read_header

MSH = "MSH|^~\\&|PM|CLINIC|EMR|HOUSE|20240102030405||ADT^A08^ADT_A01|ID-1|P|2.5.1"


def read(*lines: str, end: str = "\r") -> Message:
    return Message.parse(end.join([*lines, ""]).encode())


def test_the_header_is_read() -> None:
    message = Message.parse(MSH.replace("|P|2.5.1", "|P^T|2.5.1^DEU").encode())
    assert (message.type, message.trigger, message.structure, message.event) == ("ADT", "A08", "ADT_A01", "ADT^A08")
    assert message.sending == ("PM", "CLINIC", "EMR", "HOUSE")
    assert (message.control_id, message.processing_id, message.version) == ("ID-1", "P", "2.5.1")
    assert message.sent_at_text == "20240102030405"


def test_a_header_that_ends_early_is_blank_behind_its_type() -> None:
    message = Message.parse(b"MSH|^~\\&|||||||ACK")
    assert (message.event, message.control_id, message.version, message.processing_id) == ("ACK", "", "", "")


def test_a_control_id_is_kept_exactly_as_sent() -> None:
    assert read(MSH.replace("ID-1", " a\\F\\b ")).control_id == " a\\F\\b "


@pytest.mark.parametrize("front", [b"\xef\xbb\xbf", b"\r\n", b" \t", b"\n\xef\xbb\xbf\n"])
def test_a_bom_and_white_space_before_the_header_do_no_harm(front: bytes) -> None:
    message = Message.parse(front + MSH.encode() + b"\rPID|1\r")
    assert message.decoded.startswith("MSH|")
    assert message.raw.startswith(front)
    assert [segment.name for segment in message.segments] == ["MSH", "PID"]


@pytest.mark.parametrize(
    ("raw", "error", "field"),
    [
        (b"", 100, 0),
        (b"PID|1\rMSH|^~\\&|", 100, 0),
        (b'{"json": 1}', 100, 0),
        (b"MSH", 102, 1),
        (b"MSH|", 102, 2),
        (b"MSH|^~\\&|a|b|c|d|e||", 102, 9),
        (b"MSH|^~\\&|a|b|c|d|e||^A08|1", 102, 9),
        ("MSH|^~\\&|é".encode("utf-16"), 102, 0),
        ("MSH|^~\\&|é".encode("utf-16-le"), 102, 0),
    ],
)
def test_what_is_no_message_is_unreadable_with_its_code(raw: bytes, error: int, field: int) -> None:
    with pytest.raises(Unreadable) as refused:
        Message.parse(raw)
    assert (refused.value.error, refused.value.segment, refused.value.field) == (error, "MSH", field)


@pytest.mark.parametrize(("end", "terminator"), [("\r", "\r"), ("\n", "\n"), ("\r\n", "\r\n"), ("\r\r\n", "\r")])
def test_segments_end_with_what_the_sender_uses(end: str, terminator: str) -> None:
    message = read(MSH, "PID|1", "PV1|1", end=end)
    assert message.terminator == terminator
    assert message.lines == [MSH, "PID|1", "PV1|1"]


def test_a_line_feed_inside_a_message_that_uses_cr_is_data() -> None:
    message = read(MSH, "NTE|1||first\nsecond", "PV1|1")
    assert [segment.name for segment in message.segments] == ["MSH", "NTE", "PV1"]
    assert message.value("NTE-3") == "first\nsecond"


@pytest.mark.parametrize("tail", ["\r", "\r\n", "\r\n\r\n", "\r\t\x00"])
def test_one_cr_at_the_very_end_does_not_make_a_line_feed_message_one_segment(tail: str) -> None:
    message = Message.parse(f"{MSH}\nPID|1\nPV1|1{tail}".encode())
    assert message.lines[1:] == ["PID|1", "PV1|1"]
    assert Message.parse(f"{MSH}\nPV1{tail}".encode()).lines[1:] == ["PV1"]


def test_mixed_cr_and_crlf_leave_no_line_feed_in_front_of_a_name() -> None:
    message = Message.parse(f"{MSH}\rPID|1\r\nPV1|1\r".encode())
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "PV1"]


def test_blank_lines_are_no_segments() -> None:
    assert len(read(MSH, "", "  ", "PID|1").segments) == 2


PID = 'PID|1||7050^^^PM&1.2&ISO^MR~99||DOE^JANE^""|""|19800102|F|||||a\\T\\b~c||x^y\\F\\z|""^k|""~b'


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("PID-1", "1"),
        ("PID-2", None),
        ("PID-3", "7050^^^PM&1.2&ISO^MR"),
        ("PID-3.1", "7050"),
        ("PID-3.2", None),
        ("PID-3.4", "PM&1.2&ISO"),
        ("PID-3.4.1", "PM"),
        ("PID-3.4.3", "ISO"),
        ("PID-3.4.4", None),
        ("PID-3.5.1", "MR"),
        ("PID-3.5.2", None),
        ("PID-3.9", None),
        ("PID-3[2]", "99"),
        ("PID-3[2].1", "99"),
        ("PID-3[2].4.1", None),
        ("PID-3[3]", None),
        ("PID-5.1", "DOE"),
        ("PID-5.3", NULL),
        ("PID-5.3.2", NULL),
        ("PID-6", NULL),
        ("PID-6.2", NULL),
        ("PID-6[2]", NULL),
        ("PID-8.1", "F"),
        ("PID-8.2", None),
        ("PID-13", "a&b"),
        ("PID-13[2]", "c"),
        ("PID-15", "x^y\\F\\z"),
        ("PID-15.2", "y|z"),
        ("PID-16", '""^k'),
        ("PID-16.1", NULL),
        ("PID-16.2", "k"),
        ("PID-17", NULL),
        ("PID-17.2", NULL),
        ("PID-17[2].1", "b"),
        ("PID-40", None),
        ("PV1-2", None),
        ("PID[2]-3", None),
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-2.2", None),
        ("MSH-9.3", "ADT_A01"),
        ("MSH-12", "2.5.1"),
    ],
)
def test_a_path_gives_a_value_the_delete_indicator_or_nothing(path: str, expected: Value) -> None:
    message = read(MSH, PID)
    assert message.value(path) == expected
    assert message.text(path) == (expected if isinstance(expected, str) else "")


def test_the_second_segment_of_a_name_is_asked_for_by_number() -> None:
    message = read(MSH, "OBX|1|ST|A", "NTE|1", "OBX|2|NM|B")
    assert message.value("OBX[2]-2") == "NM"
    assert [segment.index for segment in message.all("OBX")] == [1, 3]
    assert message.first("OBX") is message.segments[1]
    assert message.all("PID") == ()
    assert message.first("PID") is None


def test_a_segment_without_fields_is_there() -> None:
    segment = read(MSH, "PV1").first("PV1")
    assert segment
    assert len(segment) == 0
    assert segment.value("1") is None


def test_names_are_whole_words() -> None:
    message = read(MSH, "ZPID2|x", "PID|1")
    assert message.value("PID-1") == "1"
    assert [segment.name for segment in message.segments] == ["MSH", "ZPID2", "PID"]


def test_a_separator_within_the_first_three_characters_ends_the_name() -> None:
    message = read(MSH, "P|D|x")
    assert [segment.name for segment in message.all("P")] == ["P"]
    assert message.first("P|D") is None


def test_what_may_be_a_password_is_shown_nowhere_but_in_the_bytes() -> None:
    message = Message.parse(b"MSH|^~\\&|a|b|c|d|e|s3cret|ADT^A08|1|P|2.3\rPID|1\r")
    msh = message.segments[0]
    assert message.value("MSH-8") is None
    assert message.value("MSH-9.2") == "A08"
    assert msh.field(8) == ""
    assert "s3cret" not in msh.raw + msh.canonical_line + str(message.hl7) + repr(message)
    assert b"s3cret" in message.raw


def test_raw_texts_and_pieces_of_a_field() -> None:
    pid = read(MSH, PID).segments[1]
    assert pid.field(3) == "7050^^^PM&1.2&ISO^MR~99"
    assert pid.repetitions(3) == ["7050^^^PM&1.2&ISO^MR", "99"]
    assert pid.repetitions(2) == []
    assert pid.components("a^b") == ["a", "b"]
    assert pid.subcomponents("a&b") == ["a", "b"]
    assert pid.canonical(3) is pid.field(3)
    assert pid.canonical_line == PID
    assert (pid.field(0), pid.field(99)) == ("", "")


def test_unusual_delimiters_have_a_canonical_form() -> None:
    message = Message.parse(b"MSH#*%$!#PM#F#E#F#2024##ADT*A08#1#P#2.5\rPID#1##70*$F$*a|b!c%9\r")
    pid = message.segments[1]
    assert message.event == "ADT^A08"
    assert message.value("PID-3.2") == "#"
    assert message.value("PID-3[2]") == "9"
    assert pid.canonical(3) == "70^#^a\\F\\b&c~9"
    assert pid.canonical_line == "PID|1||70^#^a\\F\\b&c~9"
    assert message.segments[0].canonical_line == "MSH|^~\\&|PM|F|E|F|2024||ADT^A08|1|P|2.5"
    assert message.segments[0].canonical(2) == "^~\\&"


def test_missing_delimiters_make_their_characters_data() -> None:
    message = Message.parse(b"MSH|^|a|b|c|d|e||ADT^A08|1|P|2.3\rPID|1||a&b~c\\F\\d\r")
    assert message.value("PID-3") == "a&b~c\\F\\d"
    assert message.segments[1].repetitions(3) == ["a&b~c\\F\\d"]


def test_a_damaged_message_shows_values_that_any_database_takes_and_keeps_its_bytes() -> None:
    raw = MSH.encode().replace(b"ID-1", b"I\xffD") + b"||||||UNICODE UTF-8\rPID|1||1||M\xfcl\xc3\xbcer\r"
    message = Message.parse(raw)
    assert message.damaged
    assert message.value("PID-5") == "M\ufffdl\u00fcer"
    assert message.segments[1].field(5) == "M\udcfcl\u00fcer"
    assert message.control_id == "I\ufffdD"
    assert message.reply_fields[4] == "I\udcffD"
    assert message.decoded.encode("utf-8", "surrogateescape") == raw


def test_the_second_headers_delimiters_are_storable_too() -> None:
    message = Message.parse(MSH.encode() + b"||||||UNICODE UTF-8\rMSH|^\xff|\xc3\xbc\r", "utf-8")
    assert message.value("MSH[2]-2") == "^\ufffd"
    assert message.value("MSH[2]-2.2") is None


def test_a_forced_charset_wins_over_the_header() -> None:
    raw = MSH.encode() + b"||||||UNICODE UTF-8\rPID|1||1||" + "Müller".encode("iso8859_15") + b"\r"
    assert Message.parse(raw, "ISO-8859-15").value("PID-5") == "Müller"


def test_the_digest_ignores_the_password_and_on_request_not_the_time() -> None:
    body = b"\rPID|1||7\r"
    one = Message.parse(b"MSH|^~\\&|a|b|c|d|2024|pw|ADT^A08|1|P|2.3" + body)
    two = Message.parse(b"MSH|^~\\&|a|b|c|d|2025|xx|ADT^A08|1|P|2.3" + body)
    other = Message.parse(b"MSH|^~\\&|a|b|c|d|2024|pw|ADT^A08|1|P|2.3\rPID|1||8\r")
    assert one.digest() == two.digest()
    assert one.digest(with_time=True) != two.digest(with_time=True)
    assert one.digest() != other.digest()
    assert len(one.digest()) == 16
    assert one.digest() == one.digest()


def test_the_digest_of_a_line_feed_message_finds_its_header_too() -> None:
    one = Message.parse(b"MSH|^~\\&|a|b|c|d|2024||ADT^A08|1|P|2.3\nPID|1||7\n")
    two = Message.parse(b"MSH|^~\\&|a|b|c|d|2025||ADT^A08|1|P|2.3\nPID|1||7\n")
    assert one.digest() == two.digest()


def test_authors_get_python_hl7s_tree() -> None:
    message = read(MSH, "PID|1||70", end="\n")
    assert isinstance(message.hl7, hl7.Message)
    assert str(message.hl7.segment("PID")(3)) == "70"
    assert message.hl7 is message.hl7


def test_representations_show_no_content() -> None:
    message = read(MSH, PID)
    assert repr(message) == f"<Message {len(message.raw)} bytes>"
    assert repr(message.segments[1]) == "<Segment PID 1>"


def test_a_header_is_read_from_what_is_no_message() -> None:
    header = read_header(b"junk\rMSH|^~\\&|PM|F|E|G|2024||ADT ^A08^X|77|P^T|2.4^DEU\x1ctail")
    assert header is not None
    assert (header.event, header.control_id, header.version, header.processing_id) == ("ADT^A08", "77", "2.4", "P")
    assert header.sending == ("PM", "F", "E", "G")


@pytest.mark.parametrize("raw", [b"", b"PID|1", b"MSH", b"MSHA", b"xMSH|^~\\&|", b'MSH"^~\\&"'])
def test_no_header_is_none(raw: bytes) -> None:
    assert read_header(raw) is None


def test_a_header_with_unusable_delimiters_is_still_read() -> None:
    header = read_header(b"MSH|ab|PM|F|E|G|2024||ADT^A08|77|P|2.4\r")
    assert header is not None
    assert (header.event, header.control_id) == ("ADT^A08", "77")
    assert header.delimiters.standard


def test_a_separator_that_is_an_encoding_character_elsewhere_separates_the_answer_too() -> None:
    header = read_header(b"MSH\\^~\\&\\A\\B\\C\\D\\E\\F\\8|8\\9|9\\10\r")
    assert header is not None
    assert header.control_id == "8|8"
    assert header.delimiters.field == "\\"
    assert build(header, "AR", "X", datetime(2024, 7, 4, tzinfo=UTC), UTC).split(b"\r")[1] == b"MSA\\AR\\8|8"


@pytest.mark.parametrize("tail", ["", "\r", "\n", "\r\n\n", "\x1c", "\x1c\r", "\x00"])
def test_what_is_left_of_a_terminator_or_a_frame_is_no_part_of_the_last_field(tail: str) -> None:
    assert Message.parse(f"{MSH}\rPID|1||70{tail}".encode()).value("PID-3") == "70"
