"""Answers in the form of the sender's version (decisions 10, domain 3.1 to 3.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ophl7.hl7v2 import ack
from ophl7.hl7v2.ack import AckError, Location
from ophl7.hl7v2.codes import CODES
from ophl7.hl7v2.message import Message, read_header

WHEN = datetime(2024, 7, 4, 14, 30, 15, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")
MODES: tuple[ack.AckMode, ...] = ("auto", "original", "accept", "none")
REFUSED = (AckError(207, "E", Location("PID", 1, 3), "P01"),)
WARNED = (AckError(0, "W", Location("PID", 1, 11), "W01"),)


def answer(
    version: str, code: ack.AckCode = "AA", text: str = "", errors: tuple[AckError, ...] = (), marks: str = "|^~\\&"
) -> str:
    f, c = marks[0], marks[1]
    raw = f.join(
        ["MSH", marks[1:], "PM", f"CLINIC{c}1", "EMR", "HOUSE", "20240101", "pw", f"ADT{c}A08", "ID-1", f"P{c}T", version]
    )
    return ack.build(Message.parse(raw.encode()), code, "OUR-9", WHEN, ZONE, text, errors).decode()


HEAD = "MSH|^~\\&|EMR|HOUSE|PM|CLINIC^1|20240704103015-0400||"


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("2.1", "ACK"),
        ("2.2", "ACK"),
        ("2.3", "ACK^A08"),
        ("2.3.1", "ACK^A08"),
        ("2.4", "ACK^A08^ACK"),
        ("2.5.1", "ACK^A08^ACK"),
        ("2.6", "ACK^A08^ACK"),
        ("2.8", "ACK^A08^ACK"),
        ("2.9", "ACK^A08^ACK"),
        ("2.5^DEU", "ACK^A08^ACK"),
    ],
)
def test_an_acceptance(version: str, kind: str) -> None:
    assert answer(version) == f"{HEAD}{kind}|OUR-9|P^T|{version}\rMSA|AA|ID-1\r"


P01 = "P01 patient may not be created from this side"
OLD = "204^Unknown key identifier^HL70357"
NEW = "ERR||PID^1^3|207^Application error^HL70357|E|P01^patient may not be created from this side^OPHL7\r"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.1", f"MSA|AE|ID-1|{P01}|||{OLD}\r"),
        ("2.2", f"MSA|AE|ID-1|{P01}|||{OLD}\r"),
        ("2.3.1", f"MSA|AE|ID-1|{P01}\rERR|PID^1^3^{OLD.replace('^', '&')}\r"),
        ("2.4", f"MSA|AE|ID-1|{P01}\rERR|PID^1^3^{OLD.replace('^', '&')}\r"),
        ("2.5.1", f"MSA|AE|ID-1|{P01}\r{NEW}"),
        ("2.6", f"MSA|AE|ID-1|{P01}\r{NEW}"),
        ("2.7", f"MSA|AE|ID-1\r{NEW}"),
        ("2.8", f"MSA|AE|ID-1\r{NEW}"),
    ],
)
def test_a_refusal(version: str, expected: str) -> None:
    assert answer(version, "AE", errors=REFUSED).split("\r", 1)[1] == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.2", "MSA|AA|ID-1\r"),
        ("2.4", "MSA|AA|ID-1\r"),
        ("2.5", "MSA|AA|ID-1|W01 fields not taken\rERR||PID^1^11|0^Message accepted^HL70357|W|W01^fields not taken^OPHL7\r"),
        ("2.8", "MSA|AA|ID-1\rERR||PID^1^11|0^Message accepted^HL70357|W|W01^fields not taken^OPHL7\r"),
    ],
)
def test_a_warning_is_written_from_2_5_on_only(version: str, expected: str) -> None:
    assert answer(version, "AA", errors=WARNED).split("\r", 1)[1] == expected


def test_a_warning_without_a_code_of_its_own_has_an_empty_err_5() -> None:
    assert answer("2.5", errors=(AckError(0, "W", None, "", "sent from the future"),)).endswith(
        "ERR|||0^Message accepted^HL70357|W||||sent from the future\r"
    )


def test_several_errors_repeat_the_segment_or_before_2_5_the_field() -> None:
    both = (AckError(101, "E", Location("FT1", 2, 4), "C01"), AckError(102, "E", Location("FT1", 3, 7, 1, 2), "C01"))
    new = answer("2.5", "AE", errors=both)
    assert "\rERR||FT1^2^4|101^" in new
    assert "\rERR||FT1^3^7^1^2|102^" in new
    old = answer("2.3", "AE", errors=both)
    assert old.endswith("\rERR|FT1^2^4^101&Required field missing&HL70357~FT1^3^7^102&Data type error&HL70357\r")


def test_our_code_stands_in_the_text_whatever_the_text_is() -> None:
    assert "|ID-1|P01 ask the front desk\r" in answer("2.4", "AE", "ask the front desk", REFUSED)
    assert "|ID-1|see P01\r" in answer("2.4", "AE", "see P01", REFUSED)


def test_a_version_that_is_none_is_answered_in_the_form_of_2_5_and_blank_in_that_of_2_3() -> None:
    assert "|ACK^A08^ACK|OUR-9|P^T|2.5\r" in answer("2.999", "AR", errors=(AckError(203, "E", Location("MSH", 1, 12)),))
    assert "\rERR||MSH^1^12|203^Unsupported version id^HL70357|E\r" in answer(
        "2.999", "AR", errors=(AckError(203, "E", Location("MSH", 1, 12)),)
    )
    assert "|ACK^A08|OUR-9|P^T|2.3\r" in answer("")


def test_the_senders_delimiters_are_used_and_texts_are_escaped_in_them() -> None:
    found = answer("2.5", "AE", "no # and no *", REFUSED, marks="#*%$!")
    assert found.startswith("MSH#*%$!#EMR#HOUSE#PM#CLINIC*1#")
    assert "\rMSA#AE#ID-1#P01 no $F$ and no $S$\r" in found
    assert "\rERR##PID*1*3#207*Application error*HL70357#E#P01*patient" in found


def test_fewer_delimiters_still_give_an_answer() -> None:
    found = answer("2.3", "AE", "a|b^c", (*REFUSED, *REFUSED), marks="|^")
    assert found.endswith("MSA|AE|ID-1|P01 a b c\rERR|PID^1^3^204\r")


def test_the_control_id_goes_back_byte_for_byte() -> None:
    for charset, sent in (("cp1252", "é\\F\\ 1"), ("utf-8", "é\\F\\ 1")):
        raw = f"MSH|^~\\&|PM|Ü|E|H|2024||ADT^A08|{sent}|P|2.5\r".encode(charset)
        found = ack.build(Message.parse(raw), "AA", "X", WHEN, ZONE)
        assert found.split(b"|")[-1] == f"{sent}\r".encode(charset)
        assert "|Ü|".encode(charset) in found


def test_a_damaged_control_id_goes_back_as_it_came() -> None:
    raw = b"MSH|^~\\&|PM|F|E|H|2024||ADT^A\xff8|\xc3\xbc\xff\x81|P|2.5||||||UNICODE UTF-8\r"
    found = ack.build(Message.parse(raw), "AA", "X", WHEN, ZONE)
    assert found.endswith(b"MSA|AA|\xc3\xbc\xff\x81\r")


def test_what_would_break_the_frame_is_left_out_of_the_answer() -> None:
    raw = b"MSH|^~\\&|P\x1cM|F|E|H|2024||ADT^A08|I\x0bD\x1c1|P|2.5\rPID|1"
    found = ack.build(Message.parse(raw), "AA", "X", WHEN, ZONE)
    assert found.endswith(b"MSA|AA|ID1\r")
    assert b"\x1c" not in found
    assert b"\x0b" not in found


def test_a_message_that_cannot_be_read_is_answered_from_its_header() -> None:
    header = read_header(b"MSH|^~\\&|PM|F|E|H|2024||^A08|ID-\xe9|P|2.3")
    found = ack.build(header, "AR", "X", WHEN, ZONE, errors=(AckError(102, "E", Location("MSH", 1, 9)),))
    assert found.startswith(b"MSH|^~\\&|E|H|PM|F|")
    assert b"\rMSA|AR|ID-\xe9|Data type error\rERR|MSH^1^9^102&Data type error&HL70357\r" in found


def test_what_has_no_header_is_answered_all_the_same() -> None:
    found = ack.build(None, "AR", "X", WHEN, ZONE, errors=(AckError(100, "E", Location("MSH")),))
    assert found == (
        b"MSH|^~\\&|||||20240704103015-0400||ACK|X||2.5\rMSA|AR||Segment sequence error\r"
        b"ERR||MSH^1|100^Segment sequence error^HL70357|E\r"
    )


def test_an_authors_own_text_is_one_ascii_line_of_bounded_length() -> None:
    found = answer("2.5", "AE", "é\r\nMSA|AA|" + "x" * 300, (AckError(207, "E", None, "X77", "über"),))
    lines = found.split("\r")
    assert len(lines) == 4
    assert lines[1].startswith("MSA|AE|ID-1|X77 ?  MSA\\F\\AA\\F\\xxx")
    assert len(lines[1]) < 110
    assert lines[2] == "ERR|||207^Application error^HL70357|E|X77^Application error^OPHL7|||?ber"


def test_every_code_of_ours_has_an_answer() -> None:
    for code in CODES.values():
        found = answer("2.5", code.msa, errors=(AckError(code.hl7, code.severity, None, code.code),))
        assert f"|{code.severity}|{code.code}^{code.meaning}^OPHL7\r" in found


def test_a_batch_is_answered_in_an_envelope_of_its_own() -> None:
    envelope = b"FHS|^~\\&|PM|F|E|H|2024||file|note|F-1|\rBHS|^~\\&|PM|F|E|H|2024||batch||B-1\r"
    one = answer("2.3").encode()
    found = ack.batch(envelope, [one, one], "OUR-1", WHEN, ZONE)
    assert found == (
        b"FHS|^~\\&|E|H|PM|F|20240704103015-0400||||OUR-1|F-1\r"
        b"BHS|^~\\&|E|H|PM|F|20240704103015-0400||||OUR-1|B-1\r" + one + one + b"BTS|2\rFTS|1\r"
    )


def test_a_batch_of_answers_only_is_answered_by_an_empty_envelope() -> None:
    assert ack.batch(b"BHS|^~\\&|PM\n", [], "O", WHEN, ZONE) == b"BHS|^~\\&|||PM||20240704103015-0400||||O|\rBTS|0\r"


@pytest.mark.parametrize(
    ("version", "known"),
    [
        ("", True),
        ("2.1", True),
        ("2.3.1", True),
        ("2.9", True),
        ("2.999", False),
        ("1.0", False),
        ("2.3HDR", False),
        ("3.0", False),
    ],
)
def test_the_versions_that_we_speak(version: str, known: bool) -> None:
    assert ack.known_version(version) is known


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
@pytest.mark.parametrize(
    ("mode", "wish", "family"),
    [
        ("auto", "AL", "C"),
        ("auto", "su", "C"),
        ("auto", " ER ", "C"),
        ("auto", "NE", "A"),
        ("auto", "", "A"),
        ("auto", "ALWAYS", "A"),
        ("original", "AL", "A"),
        ("accept", "NE", "C"),
        ("accept", "", "C"),
    ],
)
def test_the_mode_chooses_the_family_and_the_case_the_code(
    mode: ack.AckMode, wish: str, family: str, code: ack.AckCode
) -> None:
    raw = f"MSH|^~\\&|PM|F|E|H|2024||ADT^A08|1|P|2.5|||{wish}|NE\r".encode()
    assert ack.in_mode(code, mode, Message.parse(raw)) == family + code[1]
    assert ack.in_mode(code, mode, read_header(raw)) == family + code[1]


def test_without_a_header_the_automatic_choice_is_original_mode() -> None:
    assert [ack.in_mode("AR", mode, None) for mode in MODES] == ["AR", "AR", "CR", None]


def test_no_answers_means_none_whatever_the_message_asks_for() -> None:
    asking = Message.parse(b"MSH|^~\\&|PM|F|E|H|2024||ADT^A08|1|P|2.5|||AL|AL\r")
    assert ack.in_mode("AA", "none", asking) is None


@pytest.mark.parametrize(
    ("wishes", "code", "own"),
    [
        ("|||AL|NE", "CA", "|||NE|NE"),
        ("|||AL|AL", "CR", "|||NE|NE"),
        ("|||AL", "CA", "|||NE|NE"),
        ("", "CA", "|||NE|NE"),  # ACK_MODE=accept
        ("||||AL", "AA", "|||NE|NE"),  # an application acknowledgment, and nobody is to acknowledge it either
        ("|||NE|NE", "AA", ""),  # answered in original mode
        ("|||NE", "AA", ""),
        ("", "AA", ""),
    ],
)
def test_an_answer_in_enhanced_mode_asks_for_no_answer_itself(wishes: str, code: ack.AckCode, own: str) -> None:
    for version in ("2.2", "2.3.1", "2.5", "2.8"):
        sent = Message.parse(f"MSH|^~\\&|PM|F|E|H|2024||ADT^A08|1|P|{version}{wishes}\r".encode())
        header = ack.build(sent, code, "X", WHEN, ZONE).decode().split("\r")[0]
        assert header.partition(f"|X|P|{version}")[2] == own


def test_2_1_has_no_fields_for_the_mode() -> None:
    sent = Message.parse(b"MSH|^~\\&|PM|F|E|H|2024||ADT^A08|1|P|2.1|||AL|NE\r")
    assert ack.build(sent, "CA", "X", WHEN, ZONE).endswith(b"|X|P|2.1\rMSA|CA|1\r")
