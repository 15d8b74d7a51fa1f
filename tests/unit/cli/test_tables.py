"""Tables for people: what fits is whole, what does not gives way where that was allowed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.cli.tables import Column, at, table

COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("NAME", lambda one: one["name"], cut=True),
    Column("WHY", lambda one: one["why"], wraps=True),
)


def row(number: int, name: str, why: str | None) -> dict[str, Any]:
    return {"id": number, "name": name, "why": why}


def test_numbers_stand_right_and_what_is_missing_is_a_dash() -> None:
    assert table(COLUMNS, [row(7, "short", "so"), row(123, "", None)]) == [
        " ID  NAME   WHY",
        "  7  short  so",
        "123  -      -",
    ]


def test_a_long_cell_is_cut_and_a_long_reason_goes_on_below() -> None:
    lines = table(COLUMNS, [row(1, "n" * 40, "one two three four five six seven eight")], 50)
    assert lines == [
        "ID  NAME                  WHY",
        " 1  nnnnnnnnnnnnnnnnnnn…  one two three four five",
        "                          six seven eight",
    ]


@given(
    st.lists(
        st.builds(row, st.integers(0, 9999), st.text(max_size=200), st.none() | st.text(max_size=300)), min_size=1, max_size=5
    )
)
def test_no_line_is_wider_than_the_terminal_and_nothing_steers_it(items: list[dict[str, Any]]) -> None:
    for line in table(COLUMNS, items, 100):
        assert len(line) <= 100
        assert line.isprintable() or not line


def test_what_may_not_be_cut_is_whole_even_if_the_table_gets_too_wide() -> None:
    columns = (Column("A", lambda one: one["id"]), Column("B", lambda one: one["name"]))
    assert table(columns, [{"id": "x" * 90, "name": "y" * 90}], 100)[1] == "x" * 90 + "  " + "y" * 90


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-23T12:00:05.250-05:00", "2026-11-23 12:00:05"),
        ("2026-11-23T12:00:05-05:00", "2026-11-23 12:00:05"),
        (None, ""),
    ],
)
def test_a_time_is_shown_to_the_second(text: str | None, shown: str) -> None:
    assert at(text) == shown
