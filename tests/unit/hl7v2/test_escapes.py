"""Escape sequences (HL7 v2.5.1, 2.7)."""

from __future__ import annotations

import pytest

from ophl7.errors import Unwritable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters
from ophl7.hl7v2.escapes import escape, transcode, unescape

ODD = Delimiters("#", "*", "%", "$", "!")
BARE = Delimiters("|", "^", "~", "", "")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("plain", "plain"),
        ("A\\F\\B\\S\\C\\T\\D\\R\\E\\E\\F", "A|B^C&D~E\\F"),
        ("over\\P\\", "over#"),
        ("one\\.br\\two", "one\ntwo"),
        ("one\\X0D0A\\two", "one\r\ntwo"),
    ],
)
def test_a_sequence_becomes_what_it_stands_for(written: str, meant: str) -> None:
    assert unescape(written, STANDARD) == meant


@pytest.mark.parametrize(
    "written",
    ["\\H\\loud\\N\\", "\\XE9\\", "\\X0\\", "\\.sp3\\", "\\Zlocal\\", "\\C2842\\", "\\f\\", "C:\\temp", "tail\\", "\\"],
)
def test_what_we_do_not_know_stays_as_it_is(written: str) -> None:
    assert unescape(written, STANDARD) == written


def test_the_end_of_one_sequence_is_not_the_start_of_the_next() -> None:
    for written in ("\\H\\F\\N\\", "\\Zone\\F\\Ztwo\\", "\\C2842\\S\\M284200\\", "\\.sp+3\\E\\.ce\\"):
        assert unescape(written, STANDARD) == written


def test_the_messages_own_delimiters_are_meant() -> None:
    assert unescape("A$F$B", ODD) == "A#B"
    assert escape("A#B|C", ODD) == "A$F$B|C"


def test_what_would_end_a_segment_or_a_frame_is_escaped() -> None:
    assert escape("a\rb\nc\x0bd\x1ce", STANDARD) == "a\\X0D\\b\\X0A\\c\\X0B\\d\\X1C\\e"


def test_without_an_escape_character_a_delimiter_cannot_be_written() -> None:
    assert escape("a&b", BARE) == "a&b"
    with pytest.raises(Unwritable):
        escape("a^b", BARE)


def test_transcoding_keeps_structure_and_data() -> None:
    odd = "A*B!C%D|E$F$G"
    standard = transcode(odd, ODD, STANDARD)
    assert standard == "A^B&C~D\\F\\E#G"
    assert transcode(standard, STANDARD, ODD) == odd


def test_transcoding_keeps_sequences_that_have_no_meaning_for_us() -> None:
    assert transcode("$H$x$N$ $.br$ $XE9$", ODD, STANDARD) == "\\H\\x\\N\\ \\.br\\ \\XE9\\"


def test_a_sign_belongs_to_a_sequence_only_before_a_number() -> None:
    plus = Delimiters("|", "^", "~", "+", "&")
    assert unescape("one+.br++F+two", plus) == "one\n|two"
    assert transcode("one\\.br\\two\\.br\\", STANDARD, plus) == "one+.br+two+.br+"


def test_transcoding_between_equal_delimiters_is_the_same_object() -> None:
    text = "A^B" * 2
    assert transcode(text, STANDARD, STANDARD) is text


def test_transcoding_into_delimiters_that_lack_one_raises() -> None:
    with pytest.raises(Unwritable):
        transcode("A&B", STANDARD, BARE)
    with pytest.raises(Unwritable):
        transcode("\\H\\", STANDARD, BARE)
