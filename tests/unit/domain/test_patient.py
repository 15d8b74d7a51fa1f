"""Patients: the fields of a message, who owns them, and when two values say the same."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.ownership import owners_in
from ophl7.domain.patient import NAME, complete, other_side, read_fields, same_field
from ophl7.hl7v2.message import NULL, Message, Value
from tests.unit.store.records import ident, patient

Side = Literal["pm", "emr"]
HEADER = "MSH|^~\\&|A|B|C|D|20240301||ADT^A08|C1|P|2.5\r"


def fields(*segments: str) -> dict[str, Value]:
    return read_fields(Message.parse((HEADER + "\r".join(segments) + "\r").encode()))


def test_a_field_is_there_deleted_or_absent() -> None:
    found = fields('PID|1|x|7050||Rivers^Ada||20150412|""||||')
    assert found == {"PID-2": "x", "PID-5": "Rivers^Ada", "PID-7": "20150412", "PID-8": NULL}


def test_without_a_pid_nothing_is_said() -> None:
    assert fields("PV1|1") == {}


def test_other_delimiters_say_the_same() -> None:
    odd = Message.parse(b"MSH#$*!%#A#B#C#D#20240301##ADT$A08#C1#P#2.5\rPID#1##7050##Rivers$Ada%b\rIN1#1#P$Q\r")
    assert read_fields(odd) == fields("PID|1||7050||Rivers^Ada&b", "IN1|1|P^Q")


@pytest.mark.parametrize("name", ["PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "AL1", "IAM", "DG1"])
def test_repeating_segments_are_taken_whole_and_cleared_by_a_delete_indicator(name: str) -> None:
    assert fields(f"{name}|1|a", f"{name}|2|b")[name] == f"{name}|1|a\r{name}|2|b"
    assert fields(f'{name}|""')[name] is NULL
    assert fields(f'{name}|1|""')[name] is NULL
    assert fields(f"{name}|1|a", f'{name}|2|""')[name] is not NULL


def test_damaged_bytes_become_text_that_a_database_takes() -> None:
    raw = HEADER.encode() + b"PID|1||7050||Riv\xff\x81ers\rIN1|1|\xff\r"
    found = read_fields(Message.parse(raw, "utf-8"))
    for value in found.values():
        assert isinstance(value, str)
        value.encode("utf-8")


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Rivers^Ada", "Rivers^Ada^^", True),
        ("Elm St^^Springfield", "Elm St^^Springfield^^^&~|", True),
        ("Rivers^Ada ", "Rivers^Ada", True),
        ("Rivers^Ada", "Rivers^ADA", False),
        ("Rivers", "Rivers^A", False),
        ("^Ada", "Ada", False),
        ("", "", True),
    ],
)
def test_trailing_separators_and_blanks_are_no_difference(left: str, right: str, same: bool) -> None:
    assert same_field(left, right) is same
    assert same_field(right, left) is same


@given(st.text("ab^~& |", max_size=8), st.text("ab^~& |", max_size=8), st.text("^~& |", max_size=5))
def test_saying_the_same_is_an_equivalence(left: str, right: str, tail: str) -> None:
    assert same_field(left, left + tail)
    assert same_field(left, right) == same_field(right + tail, left)


def test_a_patient_is_complete_with_key_name_birth_date_and_sex() -> None:
    said: dict[str, Value] = {"PID-5": "Rivers^Ada", "PID-7": "20150412", "PID-8": "F"}
    assert complete((ident("1"),), said)
    assert not complete((), said)
    for path in said:
        assert not complete((ident("1"),), {**said, path: NULL})
        assert not complete((ident("1"),), {key: value for key, value in said.items() if key != path})


def test_each_side_has_its_own_idea_of_what_became_of_a_chart() -> None:
    one = patient(1, merged_pm=2, inactive_emr=5.0)
    assert (one.merged_into("pm"), one.merged_into("emr")) == (2, None)
    assert (one.retired_on("pm"), one.retired_on("emr")) == (True, False)
    assert (one.inactive_on("pm"), one.inactive_on("emr")) == (True, True)
    assert not patient(1).inactive_on("pm")
    assert (other_side("pm"), other_side("emr")) == ("emr", "pm")
    assert patient(1, ident("1"), ident("9", "EMR")).identifier_of("EMR") == ident("9", "EMR")
    assert patient(1).identifier_of("LAB") is None


# -- owners (decisions 9) ---------------------------------------------------------------------------------------------

PM_OWNED = ["PID-2", "PID-4", NAME, "PID-7", "PID-8", "PID-11", "PID-13", "PID-14", "PID-16", "PID-18", "PID-19", "PID-30"]
PM_OWNED += ["GT1", "IN1", "IN2", "IN3", "NK1", "PID-99", "ZZZ"]
EMR_OWNED = ["AL1", "IAM", "DG1", "PID-40"]
SHARED = ["PID-10", "PID-15", "PID-22"]
THE_PMS_WHEN_IT_ONLY_BILLS = ["GT1", "IN1", "IN2", "IN3", "PID-18"]


def test_where_the_pm_owns_the_patients_the_table_says_who_owns_what() -> None:
    assert {path: owners_in("pm").of(path) for path in PM_OWNED + EMR_OWNED + SHARED} == {
        **dict.fromkeys(PM_OWNED, "pm"),
        **dict.fromkeys(EMR_OWNED, "emr"),
        **dict.fromkeys(SHARED, "shared"),
    }


def test_where_the_emr_owns_them_insurance_guarantor_and_account_stay_the_pms() -> None:
    for path in PM_OWNED + EMR_OWNED:
        assert owners_in("emr").of(path) == ("pm" if path in THE_PMS_WHEN_IT_ONLY_BILLS else "emr")
    assert {owners_in("emr").of(path) for path in SHARED} == {"shared"}


@given(
    path=st.sampled_from(PM_OWNED + EMR_OWNED + SHARED),
    authority=st.sampled_from(("pm", "emr")),
    blank=st.booleans(),
)
def test_a_field_has_one_writer_but_a_shared_blank_one(path: str, authority: Side, blank: bool) -> None:
    writers = {side for side in ("pm", "emr") if owners_in(authority).may_write(path, side, blank=blank)}
    owner = owners_in(authority).of(path)
    if owner == "shared":
        assert writers == ({"pm", "emr"} if blank else {authority})
    else:
        assert writers == {owner}
