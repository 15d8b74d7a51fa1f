"""How long an appointment is, in whichever unit it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ophl7.domain.duration import between, minutes, quantity_minutes


@pytest.mark.parametrize(
    ("amount", "units", "said"),
    [
        ("15", (), "15"),
        ("015", ("",), "15"),
        ("15.0", ("MIN",), "15"),
        ("15", ("m", "minutes"), "15"),
        ("0.25", ("h",), "15"),
        ("1", ("hr.",), "60"),
        ("900", ("s", "seconds"), "15"),
        ("90", ("S",), "1.5"),
        ("100", ("s",), "1.666"),
        ("1", ("d",), "1440"),
        ("15", ("17", "min"), "15"),
        ("15", ("SLOTS",), "15 SLOTS"),
        ("a while", ("min",), "a while min"),
        ("NaN", (), "NaN"),
        ("1e99", ("min",), "1e99 min"),
        ("0", ("min",), "0"),
    ],
)
def test_an_amount_and_a_unit_are_minutes_or_stay_as_they_were_said(amount: str, units: tuple[str, ...], said: str) -> None:
    assert minutes(amount, *units) == said


@pytest.mark.parametrize(
    ("text", "said"), [("15", "15"), ("M15", "15"), ("s90", "1.5"), ("H1", "60"), ("D1", "1440"), ("W1", "W1"), ("X", "X")]
)
def test_the_old_timing_field_has_its_unit_before_the_number(text: str, said: str) -> None:
    assert quantity_minutes(text) == said


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("20260105093000", "202601050945", "15"),
        ("20260105093000-0500", "20260105143030+0000", "0.5"),
        ("20260105093000", "20260105143000+0000", ""),
        ("20260105093000", "20260105093000", ""),
        ("20260105093000", "20260105090000", ""),
        ("soon", "20260105090000", ""),
        ("20260105090000", "later", ""),
    ],
)
def test_an_end_says_the_length_where_it_can_be_compared_with_the_start(start: str, end: str, said: str) -> None:
    assert between(start, end) == said


@given(st.text(max_size=8), st.text(max_size=5))
def test_nothing_that_is_sent_as_a_length_raises(amount: str, unit: str) -> None:
    assert isinstance(minutes(amount, unit), str)
    assert isinstance(quantity_minutes(amount), str)
