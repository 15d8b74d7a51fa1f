"""Which day a charge belongs to, also when the clocks change, and what is told when its bytes are gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest

from tests.integration.admin.practice import ANNA, ZONE, Desk, Practice, dft


async def report(desk: Desk, day: str) -> dict[str, Any]:
    answer = await desk.get("/api/v1/reconciliation", date=day)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("day", "hours", "first", "last"),
    [
        ("2026-03-08", 23, "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"),
        ("2026-11-01", 25, "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"),
        ("2026-11-23", 24, "2026-11-23T00:00:00-05:00", "2026-11-24T00:00:00-05:00"),
    ],
)
async def test_a_day_is_the_practices_from_midnight_to_midnight(
    practice: Practice, desk: Desk, day: str, hours: int, first: str, last: str
) -> None:
    begin, end = datetime.fromisoformat(first).timestamp(), datetime.fromisoformat(last).timestamp()
    for at in (begin - 0.001, begin, end - 0.001, end):
        number = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", at=at)
        practice.charge(number, 1, "sent", practice.delivery(number, "accepted", "pm"), line=0, amount="")
    await practice.commit()
    found = await report(desk, day)
    assert (found["begins"], found["ends"], found["hours"]) == (first, last, hours)
    assert (found["received"]["count"], found["accepted"]["count"], found["adds_up"]) == (2, 2, True)
    assert found["messages"]["received"] == 2


async def test_more_messages_than_one_statement_reads_are_all_counted_once(practice: Practice, desk: Desk) -> None:
    at = datetime(2026, 11, 23, 9, tzinfo=ZONE).timestamp()
    for number in range(1, 131):  # many within one moment
        practice.message(dft("7050", f"C{number}"), peer="emr", event="DFT^P03", at=at + number // 60)
        practice.charge(number, 1, "sent", practice.delivery(number, "accepted", "pm"), line=0, amount="")
    await practice.commit()
    found = await report(desk, "2026-11-23")
    assert (found["received"]["count"], found["adds_up"]) == (130, True)


async def test_a_day_whose_bytes_are_gone_is_counted_by_the_ledger_and_says_so(practice: Practice, desk: Desk) -> None:
    anna = practice.patient(ANNA)
    number = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", subject=anna.subject)
    practice.charge(number, anna.subject, "sent", practice.delivery(number, "accepted", "pm"), line=0)
    await practice.commit()
    with closing(sqlite3.connect(practice.path)) as connection, connection:
        connection.execute("UPDATE journal SET raw = NULL")
    found = await report(desk, "2026-11-23")
    assert found["not_compared"] == [number]
    assert (found["received"], found["adds_up"]) == ({"count": 1, "amount": "125.50", "without_amount": 0}, True)


async def test_charge_messages_of_the_pm_are_told_apart(practice: Practice, desk: Desk) -> None:
    practice.message(dft("7050", "C1"), peer="pm", event="DFT^P03", state="rejected", row="#55")
    await practice.commit()
    found = await report(desk, "2026-11-23")
    assert (found["from_pm"], found["received"]["count"], found["adds_up"]) == (1, 0, True)
