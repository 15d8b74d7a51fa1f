"""MSH-1 and MSH-2."""

from __future__ import annotations

import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters, read_delimiters


def test_the_usual_ones_are_the_standard_object() -> None:
    assert read_delimiters("|", "^~\\&") is STANDARD
    assert STANDARD.standard
    assert STANDARD.encoding_characters == "^~\\&"


@pytest.mark.parametrize("marks", ["^~\\&#", "^~\\\\&"])
def test_a_truncation_character_and_a_doubled_backslash_change_nothing(marks: str) -> None:
    assert read_delimiters("|", marks) is STANDARD


def test_unusual_ones_are_read_in_their_order() -> None:
    found = read_delimiters("#", "*%$!")
    assert found == Delimiters("#", "*", "%", "$", "!")
    assert not found.standard


def test_missing_ones_are_empty() -> None:
    assert read_delimiters("|", "^~") == Delimiters("|", "^", "~", "", "")


def test_a_lost_backslash_does_not_make_the_ampersand_an_escape_character() -> None:
    assert read_delimiters("|", "^~&") == Delimiters("|", "^", "~", "", "&")


@pytest.mark.parametrize(
    ("separator", "marks", "field"),
    [
        ("", "", 1),
        ("A", "^~\\&", 1),
        (" ", "^~\\&", 1),
        ('"', "^~\\&", 1),
        ("é", "^~\\&", 1),
        ("|", "", 2),
        ("|", "^~|&", 2),
        ("|", "^^\\&", 2),
        ("|", "^~\\E", 2),
        ("|", "^~1&", 2),
        ("|", '^~\\"', 2),
        ("|", "^~\\&#!", 2),
        ("|", "ADT^A08", 2),
    ],
)
def test_what_cannot_serve_is_refused_at_its_field(separator: str, marks: str, field: int) -> None:
    with pytest.raises(Unreadable) as refused:
        read_delimiters(separator, marks)
    assert (refused.value.error, refused.value.field) == (102, field)
