"""Delays between tries: they double, stay below the longest, and spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ophl7.engine.backoff import JITTER, delay

CHANCES = st.floats(0, 1)
FIRST = st.floats(0.001, 3600)


@given(attempt=st.integers(-5, 10**6), first=FIRST, times=st.floats(1, 1000), chance=CHANCES)
def test_a_delay_is_never_outside_of_its_bounds(attempt: int, first: float, times: float, chance: float) -> None:
    longest = first * times
    found = delay(attempt, first, longest, chance)
    assert first * (1 - JITTER) <= found * 1.000001
    assert found <= longest * (1 + JITTER) * 1.000001


@given(attempt=st.integers(1, 200), first=FIRST, times=st.floats(1, 1000), chance=CHANCES)
def test_a_later_try_never_waits_less(attempt: int, first: float, times: float, chance: float) -> None:
    longest = first * times
    assert delay(attempt, first, longest, chance) <= delay(attempt + 1, first, longest, chance)


@given(attempt=st.integers(1, 40), first=FIRST)
def test_it_doubles_until_it_is_the_longest(attempt: int, first: float) -> None:
    assert delay(attempt, first, 2.0**60 * first, 0.5) == first * 2.0 ** (attempt - 1)
    assert delay(attempt, first, first, 0.5) == first


@given(attempt=st.integers(1, 40), first=FIRST, low=CHANCES, high=CHANCES)
def test_chance_spreads_it_by_a_fifth_at_most(attempt: int, first: float, low: float, high: float) -> None:
    shorter, longer = (delay(attempt, first, first * 100, chance) for chance in sorted((low, high)))
    assert shorter <= longer <= shorter * (1 + JITTER) / (1 - JITTER) * 1.000001
