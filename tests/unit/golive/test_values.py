"""Cells into what HL7 writes; what cannot be understood says what to write, and never quotes the cell."""

from __future__ import annotations

from datetime import date

import pytest

from ophl7.domain.identifiers import Identifier
from ophl7.golive import values

TODAY = date(2026, 3, 1)
KNOWN = frozenset({"PM", "EMR"})


@pytest.mark.parametrize(
    "text",
    [
        "2018-04-12", "2018-4-12", "2018/04/12", "2018.04.12", "2018-04-12T00:00:00Z", "2018-04-12 00:00:00.000",
        "4/12/2018", "04/12/2018", "4-12-2018", "4/12/2018 12:00:00 AM", "4/12/2018 0:00",
        "20180412", "201804121530", "20180412153000.1234-0500",
    ],
)  # fmt: skip
def test_a_day_is_a_day_however_it_is_written(text: str) -> None:
    assert values.day(text, TODAY) == "20180412"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("4/12/18", "year of two digits"),
        ("4-12-18 10:00", "year of two digits"),
        ("12.04.2018", "is no date"),  # day first, nobody can tell
        ("13/04/2018", "begin with the month"),
        ("2018-02-30", "no day of the calendar"),
        ("2018", "is no date"),
        ("201804", "is no date"),
        ("43202", "is no date"),  # a spreadsheet's own number of days
        ("April 12, 2018", "is no date"),
        ("2026-03-02", "in the future"),
        ("1776-07-04", "before 1880"),
        ("٢٠١٨-٠٤-١٢", "is no date"),
    ],
)
def test_what_is_no_certain_day_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        values.day(text, TODAY)
    assert text not in str(refused.value).partition("; write")[0]


def test_today_is_not_the_future() -> None:
    assert values.day("2026-03-01", TODAY) == "20260301"


@pytest.mark.parametrize(
    ("text", "code"),
    [("m", "M"), ("Male", "M"), ("FEMALE", "F"), ("girl", "F"), ("other", "O"), ("x", "O"), ("Unknown", "U"), ("U", "U")],
)
def test_sexes_in_words_and_letters(text: str, code: str) -> None:
    assert values.sex(text) == code


def test_a_sex_that_is_none_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="is not M, F, O or U"):
        values.sex("Frances")


@pytest.mark.parametrize(("text", "code"), [("yes", "Y"), ("TRUE", "Y"), ("0", "N"), ("n", "N")])
def test_yes_and_no(text: str, code: str) -> None:
    assert values.yes_no(text) == code
    with pytest.raises(ValueError, match="neither"):
        values.yes_no("perhaps")


def test_an_id_is_its_own_systems_unless_it_names_the_other_one() -> None:
    assert values.own_id("7050", "PM", KNOWN) == Identifier("PM", "7050", "MR")
    assert values.own_id("EMR:E-50", "PM", KNOWN) == Identifier("EMR", "E-50", "MR")
    assert values.own_id("A:50", "PM", KNOWN) == Identifier("PM", "A:50", "MR")


def test_ids_of_others_name_their_system() -> None:
    assert values.other_ids("EMR:E-50; LAB:1:2 ;") == [Identifier("EMR", "E-50", "MR"), Identifier("LAB", "1:2", "MR")]
    for wrong in ("E-50", "EMR:", "EMR:1;50"):
        with pytest.raises(ValueError, match="AUTHORITY:id"):
            values.other_ids(wrong)
    with pytest.raises(ValueError, match="no assigning authority"):
        values.other_ids("E M^R:50")


@pytest.mark.parametrize("value", ["1.23E+05", "1E5", "7,05e+11"])
def test_an_id_that_a_spreadsheet_rounded_is_nobodys(value: str) -> None:
    with pytest.raises(ValueError, match="rounded by a spreadsheet"):
        values.own_id(value, "PM", KNOWN)


def test_an_id_never_becomes_a_delete_indicator() -> None:
    for wrong in ('PM:""', "PM:"):
        with pytest.raises(ValueError, match="no id"):
            values.own_id(wrong, "PM", KNOWN)
