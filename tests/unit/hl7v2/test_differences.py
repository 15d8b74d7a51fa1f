"""What was changed in a copy of a message."""

from __future__ import annotations

from ophl7.hl7v2.differences import differences

RAW = b"MSH|^~\\&|A|B|C|D|20240301||ADT^A08|1|P|2.5\rPID|1||7050||Rivers^Ada\rIN1|1|X\rIN1|2|Y\rZZZ|1\r"


def paths(after: bytes) -> list[tuple[str, str, str]]:
    return [(one.path, one.before, one.after) for one in differences(RAW, after)]


def test_the_same_bytes_and_another_control_id_are_no_difference() -> None:
    assert paths(RAW) == []
    assert paths(RAW.replace(b"|1|P|", b"|OURS1|P|")) == []


def test_a_field_is_named_with_its_segment_s_place() -> None:
    assert paths(RAW.replace(b"7050", b"7051")) == [("PID-3", "7050", "7051")]
    assert paths(RAW.replace(b"IN1|2|Y", b"IN1|2|Y|Z")) == [("IN1[2]-3", "", "Z")]


def test_a_segment_that_came_or_went_is_told_whole() -> None:
    assert paths(RAW.replace(b"IN1|2|Y\r", b"")) == [("IN1[2]", "IN1|2|Y", "")]
    assert paths(RAW.replace(b"ZZZ|1\r", b"AL1|1\rZZZ|1\r")) == [("AL1", "", "AL1|1")]


def test_another_segment_in_a_place_is_two_differences() -> None:
    assert paths(RAW.replace(b"ZZZ|1", b"AL1|1")) == [("ZZZ", "ZZZ|1", ""), ("AL1", "", "AL1|1")]
