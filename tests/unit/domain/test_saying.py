"""Empty, absent and deleted are three things, in fields, components and sets of segments (domain 3.8)."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.ownership import contradictions, owners_in
from ophl7.domain.patient import deletes_identity, read_fields, same_field
from ophl7.domain.provenance import Origin, noted, origins_of
from ophl7.hl7v2.message import NULL, Message, Value

BLANK = ["", "^", "^^~&", " ", "^ ^"]


def said(*lines: str, deletes: frozenset[str] | None = frozenset()) -> dict[str, Value]:
    raw = "\r".join(["MSH|^~\\&|A|B|C|D|2024||ADT^A08|C1|P|2.5", *lines]) + "\r"
    return read_fields(Message.parse(raw.encode()), deletes)


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_field_says_nothing_and_what_is_not_there_says_nothing(blank: str) -> None:
    assert said(f"PID|1||7||R^A||||{blank}|x") == {"PID-5": "R^A", "PID-10": "x"}


@pytest.mark.parametrize("blank", BLANK)
def test_where_a_blank_deletes_it_does_so_as_far_as_the_segment_reaches(blank: str) -> None:
    line = f"PID|1||7||R^A|||{blank}|x"
    assert said(line, deletes=frozenset({"PID-8", "PID-11"})) == {"PID-5": "R^A", "PID-8": NULL, "PID-9": "x"}
    everything = said(line, deletes=None)
    assert everything["PID-8"] is NULL
    assert everything["PID-2"] is NULL
    assert "PID-11" not in everything
    assert "PID-3" not in everything


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', NULL),
        ('""^""', NULL),
        ('1 ELM^""^NY', "1 ELM^^NY"),
        ('""^X', "^X"),
        ('A~""', "A~"),
        ('A&""^B', "A&^B"),
        ('say ""hi""', 'say ""hi""'),
        ('"', '"'),
    ],
)
def test_a_deleted_component_is_deleted_within_its_field(text: str, value: Value) -> None:
    assert said(f"PID|1||7||||||||{text}") == {"PID-11": value}


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (["IN1|1"], None),
        (["IN1|1|^|"], None),
        (["IN1|1|", "IN1|2"], None),
        (['IN1|1|""'], NULL),
        (['IN1|""'], NULL),
        (['IN1|1|""^|'], NULL),
        (["IN1|1|PLAN"], "IN1|1|PLAN"),
        (["IN1|1|PLAN", "IN1|2"], "IN1|1|PLAN\rIN1|2"),
        (["IN2|55"], None),
    ],
)
def test_a_set_of_segments_is_said_blank_or_cleared(lines: list[str], value: Value) -> None:
    assert said(*lines).get("IN1") == value
    if lines[0].startswith("IN1"):
        assert said(*lines, deletes=frozenset({"IN1"}))["IN1"] == (NULL if value is None else value)
    else:
        assert "IN1" not in said(*lines, deletes=None)


@pytest.mark.parametrize(
    ("path", "line", "deleted"),
    [
        ("PID-5", '""^RUTH', True),
        ("PID-5", 'ADAMSKI^""', True),
        ("PID-5", '""&VAN^RUTH', True),
        ("PID-5", 'ADAMSKI^RUTH^""', False),
        ("PID-5", 'ADAMSKI^RUTH~""', False),
        ("PID-7", '""^D', True),
        ("PID-7", '20180412^""', False),
    ],
)
def test_a_part_of_what_identifies_a_patient_may_be_deleted(path: str, line: str, deleted: bool) -> None:
    raw = f"MSH|^~\\&|A|B|C|D|2024||ADT^A08|C1|P|2.5\rPID|1|{'|' * (int(path[4:]) - 2)}{line}\r"
    assert deletes_identity(Message.parse(raw.encode()).first("PID"), path) is deleted
    assert not deletes_identity(None, path)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("A^B", "A^B^^", True),
        ("A^B~C", "A^B^^~C^&", True),
        ("IN1|1|A\rIN1|2|B", "IN1|1|A||\rIN1|2|B^|", True),
        ("A ", "A", True),
        ("A^B", "A^^B", False),
        ("~A", "A", False),
        ("A^B", "a^b", False),
        ("IN1|1|A\rIN1|2|B", "IN1|2|B\rIN1|1|A", False),
    ],
)
def test_what_a_receiver_may_leave_out_is_no_difference(left: str, right: str, same: bool) -> None:
    assert same_field(left, right) is same
    assert same_field(right, left) is same


@given(st.text("AB^~&| \r", max_size=12), st.text("AB^~&| \r", max_size=12))
def test_saying_the_same_is_the_same_from_both_sides_and_never_loses_a_value(left: str, right: str) -> None:
    assert same_field(left, right) == same_field(right, left)
    if same_field(left, right):
        letters = [text.translate(dict.fromkeys(map(ord, "^~&| \r"))) for text in (left, right)]
        assert letters[0] == letters[1]


def test_a_field_that_is_a_megabyte_of_marks_is_compared_in_a_moment() -> None:
    begun = perf_counter()
    assert not same_field("^" * 500_000 + "A" + "&" * 500_000 + "B", "A")
    assert perf_counter() - begun < 5.0


def test_two_profiles_contradict_each_other_only_where_both_speak() -> None:
    assert contradictions({"PID-11": "emr", "PID-8": "pm"}, {"PID-11": "pm", "PID-8": "pm", "AL1": "pm"}) == ["PID-11"]
    assert owners_in("pm", {"PID-11": "emr"}).of("PID-11") == "emr"
    assert owners_in("emr", {"PID-11": "pm"}, {"AL1": "shared"}).of("AL1") == "shared"


def test_an_origin_stays_with_its_value_until_another_message_brings_one() -> None:
    first, second = Origin(1, "#1", 5.0), Origin(2, 'a "rule"', 6.5)
    known = noted(noted("", ["PID-5", "PID-7", "AL1"], first), ["PID-7"], second, gone=["AL1"])
    assert origins_of(known) == {"PID-5": first, "PID-7": second}
    assert noted(known, [], second, gone=["PID-5", "PID-7"]) == ""
    assert origins_of("") == {}
