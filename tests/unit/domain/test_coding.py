"""Where codes stand in a message, and the fields with other codes in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.coding import CodePlace, code_of_key, codes_in, mapping_key, recoded
from ophl7.domain.profile import CodeTable
from ophl7.hl7v2.message import Message


def read(*lines: str, msh: str = "MSH|^~\\&|A|B|C|D|20260105||DFT^P03|1|P|2.5") -> Message:
    return Message.parse("\r".join((msh, *lines)).encode())


def found(message: Message, *fields: str) -> list[str]:
    return [code for _, code in codes_in(message, {"t": CodeTable(fields)})]


def test_a_code_is_the_first_component_of_each_repetition_or_the_one_that_is_named() -> None:
    message = read("FT1|1|||||||||||||||||||A^x~B&y^x~^x~A", 'FT1|2|||||||||||||||||||""~C', "PL1|a^b~c^d&e~f")
    assert found(message, "FT1-20") == ["A", "B", "C"]
    assert found(message, "PL1-1.2") == ["b", "d"]
    assert found(message, "ZZZ-1", "FT1-30") == []
    places = codes_in(message, {"t": CodeTable(("FT1-20",))})
    assert places["t", "A"] == [CodePlace(1, 20, 1, 1), CodePlace(1, 20, 4, 1)]


def test_what_is_written_around_a_code_counts_not_but_escapes_do() -> None:
    assert found(read("FT1| A \\T\\ B ^x"), "FT1-1") == ["A & B"]


@pytest.mark.parametrize(
    ("text", "path", "to", "written"),
    [
        ("A^x^CS", "FT1-1", "1", "1^x^CS"),
        ("A&s^x~A", "FT1-1", "1", "1&s^x~1"),
        ("x^A^y~A", "FT1-1.2", "1", "x^1^y~A"),
        ("A\\T\\B^x", "FT1-1", "1^2", "1\\S\\2^x"),
        ("a\\X41\\^A", "FT1-1.2", "1", "a\\X41\\^1"),
    ],
)
def test_everything_else_of_the_field_stays(text: str, path: str, to: str, written: str) -> None:
    message = read(f"FT1|{text}")
    codes = [(place, to) for places in codes_in(message, {"t": CodeTable((path,))}).values() for place in places]
    assert recoded(message, codes) == {(1, 1): written}


def test_fields_of_other_delimiters_are_read_and_written_in_the_standard_ones() -> None:
    message = read("FT1#A!x", msh="MSH#!~\\&#A#B#C#D#20260105##DFT!P03#1#P#2.5")
    ((_, places),) = codes_in(message, {"t": CodeTable(("FT1-1",))}).items()
    assert recoded(message, [(places[0], "1")]) == {(1, 1): "1^x"}


@given(st.from_regex(r"[a-z][a-z0-9_]*", fullmatch=True), st.text(min_size=1))
def test_a_key_says_its_table_and_its_code(table: str, code: str) -> None:
    assert code_of_key(mapping_key(table, code)) == (table, code)


@pytest.mark.parametrize("key", ["patient:PM:7050", "mapping:provider", "mapping", ""])
def test_another_key_is_that_of_no_code(key: str) -> None:
    assert code_of_key(key) is None
