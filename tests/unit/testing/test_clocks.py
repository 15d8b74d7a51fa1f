"""Clocks that a test owns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ophl7.testing.clocks import JumpingClock, ManualClock


def test_time_goes_by_on_both_hands_of_a_manual_clock_and_a_jump_moves_the_wall_only() -> None:
    clock = ManualClock(datetime(2026, 3, 8, tzinfo=UTC))
    clock.advance(90)
    clock.jump(-3600)
    assert clock.monotonic() == 90
    assert clock.now() == datetime(2026, 3, 8, tzinfo=UTC) + timedelta(seconds=90 - 3600)


def test_time_that_goes_by_never_goes_back() -> None:
    with pytest.raises(ValueError, match="jump"):
        ManualClock().advance(-1)


def test_a_jumping_clock_goes_on_from_where_it_was_set() -> None:
    clock = JumpingClock()
    before = clock.monotonic()
    clock.jump(86_400)
    assert clock.now() - datetime.now(UTC) > timedelta(hours=23)
    assert clock.monotonic() - before < 3600
