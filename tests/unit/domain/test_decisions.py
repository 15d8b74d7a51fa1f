"""The decision table as data: it holds every row that code names, and code decides every row that it holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ophl7.domain.decisions import DECISIONS, DecisionRow

ROOT = Path(__file__).parents[3]
ROOMS = ("handlers", "plugins", "ophl7")
CATALOG = ROOT / "ophl7/domain/rows"
ROW = re.compile(r"#\d+b?$")

# Rows that no verdict and no journal entry bears, and why: their outcome is written under another row, or is no outcome at all.
UNDER_ANOTHER_NAME = {
    "#2": "a known patient is updated: #4 or #5",
    "#34": "a status that goes back is taken as any change: #20",
    "#42": "the reasons of a message that waits are joined, each under its own row",
    "#53": "says what is not done: nothing is optimised away, and a charge is #40",
    "#84b": "the row of the second judgement, whichever it is",
    "#73": "is no message: a person takes a merge apart (engine.unmerging)",
    "#88": "says what is not done: these are never judged stale",
    "#92": "says what is not done: what is unknown is left as it came",
    "#94": "nothing is decided, nothing written, nothing answered",
}


def constants(path: Path) -> Iterator[str]:
    """Every row that this file writes as a literal."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (ROW.match(node.value) or node.value == "batch"):
            yield node.value


def named_in_code() -> dict[str, str]:
    """Row -> one file that names it."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not path.is_relative_to(CATALOG):
                found |= dict.fromkeys(constants(path), path.relative_to(ROOT).as_posix())
    return found


def test_the_numbers_of_the_table_are_all_there_once() -> None:
    numbers = {int(number[1:].rstrip("b")) for number in DECISIONS if number != "batch"}
    never_given = {19, 38, 39, 58, 59, 71, 75, 76, 77, 78, 79}
    assert numbers == set(range(1, 96)) - never_given
    assert {"#84b", "#90b", "batch"} <= set(DECISIONS)
    assert all(number == row.number for number, row in DECISIONS.items())


def test_every_row_that_code_names_is_in_the_table() -> None:
    assert {row: place for row, place in named_in_code().items() if row not in DECISIONS} == {}


def test_every_row_of_the_table_is_named_in_code_or_said_to_stand_under_another() -> None:
    assert set(DECISIONS) - set(named_in_code()) - UNDER_ANOTHER_NAME.keys() == set()


@pytest.mark.parametrize("row", DECISIONS.values(), ids=lambda row: row.number)
def test_a_row_speaks_to_staff_in_one_plain_sentence(row: DecisionRow) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", row.plain), "one sentence"
    jargon = r"\b(?:HL7|MSH|PID|SCH|FT1|MRG|ACK|AA|AE|AR|ADT|SIU|DFT|BAR|MLLP|segment|frame|[APS]\d\d)\b"
    assert re.search(jargon, row.plain) is None
    assert all((row.case, row.pm, row.emr, row.ack))


def test_a_rows_answer_is_one_of_those_that_a_sender_can_get() -> None:
    said = {row.ack for row in DECISIONS.values()}
    form = re.compile(r"(AA|AE|AR|-)(( /| or) (AA|AE|AR|-))?( W(0\d)?)?|as (decided|the first)")
    assert {ack for ack in said if form.fullmatch(ack) is None} == set()
