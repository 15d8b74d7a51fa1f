"""The console's page of a day's schedule: every step of every appointment, and nobody's name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ophl7.domain.appointment import Progress
from tests.integration.admin.practice import ANNA, NOON, Desk, Practice


@pytest.fixture
async def text(practice: Practice, desk: Desk) -> str:
    anna = practice.patient(ANNA, more={"fields": {"PID-5": "Specimen^Anna"}})
    number = practice.appointment(anna, NOON)
    steps = (Progress("booked", NOON - 7200, 1), Progress("checked_in", NOON - 60, 2), Progress("arrived", NOON, 3))
    row = replace(practice.rows.appointments[number], status="arrived", status_raw="<b>A&R</b>", progress=steps)
    practice.rows.appointments[number] = row
    practice.appointment(None, NOON - 3600)
    practice.appointment(anna, NOON + 24 * 3600)
    await practice.commit()
    answer = await desk.get("/schedule?date=2026-11-23")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


async def test_it_shows_every_step_with_the_message_that_said_it(text: str) -> None:
    said = [line.split(",")[0].strip() for line in text.split("<li>")[1:]]
    assert said == ["booked", "booked", "checked in", "arrived"], "the block first, then Anna's by the time of each step"
    assert "2026-11-23 11:59:00" in text
    assert '<a href="/api/v1/messages/2/timeline">message 2</a>' in text
    assert "&lt;b&gt;A&amp;R&lt;/b&gt;" in text
    assert "DR1" in text


async def test_a_block_is_shown_as_one_and_another_day_is_not_shown(text: str) -> None:
    assert text.count("time without a patient") == 1
    assert text.count('<th scope="row">') == 2
    assert "/schedule?date=2026-11-22" in text
    assert "/schedule?date=2026-11-24" in text


async def test_it_names_nobody(text: str) -> None:
    for secret in ("7050", "Specimen", "Anna", "20180402"):
        assert secret not in text


async def test_an_empty_day_says_so_and_a_day_that_is_none_is_refused(practice: Practice, desk: Desk) -> None:
    await practice.commit()
    assert "Nothing is booked on this day" in (await desk.get("/schedule?date=2026-11-25")).text
    assert (await desk.get("/schedule")).status_code == 200
    assert "2026-11-23" in (await desk.get("/schedule?date=2026-02-30")).text, "an example of what to write"
    assert (await desk.get("/schedule?date=2026-02-30")).status_code == 400
