"""The page for billers, and what it says when it cannot say anything."""

from __future__ import annotations

import pytest

from tests.integration.admin.practice import ANNA, NOON, TOKEN, Desk, Practice, bar, dft


@pytest.fixture
async def filled(practice: Practice) -> None:
    anna = practice.patient(ANNA)
    number = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", subject=anna.subject)
    practice.charge(number, anna.subject, "sent", practice.delivery(number, "accepted", "pm"), line=0, amount="")
    practice.appointment(anna, NOON - 86400, "checked_out")
    practice.hold(practice.message(dft("7051", "C2"), peer="emr", event="DFT^P03", state="held"))
    practice.message(bar("P01", "C3", "<b>^Bell"), peer="emr", event="BAR^P01", state="rejected", row="#56")
    await practice.commit()


@pytest.mark.usefixtures("filled")
async def test_the_page_shows_the_day_and_what_does_not_add_up(desk: Desk) -> None:
    page = await desk.get("/books", date="2026-11-23")
    assert page.status_code == 200
    assert "The charges do not add up" in page.text  # the held one has no ledger row
    assert "the message brought this charge, the ledger does not have it" in page.text
    assert "PM:7050" in page.text
    assert "&lt;b&gt;" in page.text
    assert "<b>" not in page.text
    day_before = await desk.get("/books", date="2026-11-22")
    assert "The charges add up" in day_before.text
    assert "checked_out" in day_before.text


@pytest.mark.usefixtures("filled")
async def test_the_page_is_for_who_is_let_in_and_says_what_is_wrong(desk: Desk) -> None:
    async with desk.client(token=None) as client:
        assert (await client.get("/books")).status_code == 401
        assert (await client.post("/books")).status_code == 405
    assert (await desk.get("/books", date="yesterday")).status_code == 400
    assert TOKEN not in (await desk.get("/books")).text


async def test_the_page_says_that_the_database_is_away(desk: Desk) -> None:
    page = await desk.get("/books")
    assert page.status_code == 503
    assert "cannot be read" in page.text
