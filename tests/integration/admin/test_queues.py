"""What waits, what was not taken, who did what; and pages of all of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ophl7.domain.identifiers import Identifier
from ophl7.engine.storage import DeliveryState
from tests.integration.admin.practice import ANNA, BOB, LINK, NOON, Desk, Practice, adt


async def test_a_hold_carries_the_names_that_others_rely_on_until_it_is_closed(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt(), peer="emr", state="held")
    closed = practice.hold(message, "handler:patient")
    practice.hold(message)
    practice.close_hold(closed, "released", None, None)
    await practice.commit()
    assert await desk.items("/holds") == [
        {
            "id": 2,
            "reason": "the patient is not known",
            "key": "patient:PM:7050",
            "message": 1,
            "since": "2026-11-23T12:00:00-05:00",
            "peer": "emr",
        }
    ]
    assert await desk.items("/holds", peer="pm") == []
    assert len(await desk.items("/holds", message=1)) == 1


async def test_a_value_that_was_not_taken_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt(), peer="emr")
    practice.drift(message, practice.patient(ANNA))
    await practice.commit()
    assert await desk.items("/drift") == [
        {
            "id": 1,
            "patient": "PM:7050",
            "field": "PID-11",
            "peer": "emr",
            "offered": "1 New St",
            "kept": "2 Old St",
            "rule": "#5",
            "message": 1,
            "at": "2026-11-23T12:00:00-05:00",
            "restored": None,
        }
    ]


async def test_drift_is_found_by_patient_and_peer(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt(), peer="emr")
    practice.drift(message, practice.patient(ANNA))
    practice.drift(message, practice.patient(BOB))
    await practice.commit()
    assert [item["id"] for item in await desk.items("/drift", patient="7051")] == [2]
    assert await desk.items("/drift", patient="nobody") == []
    assert await desk.items("/drift", peer="pm") == []


async def test_a_delivery_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt())
    practice.delivery(message)
    practice.delivery(message, "held", lane=2**62 + 1)
    await practice.commit()
    held, queued = await desk.items("/deliveries")
    assert held == {
        "id": 2,
        "destination": "emr",
        "lane": str(2**62 + 1),
        "stream": "record",
        "control_id": "D2",
        "state": "held",
        "attempts": 2,
        "next_at": "2026-11-23T12:01:00-05:00",
        "last_answer": "AE 204",
        "message": 1,
        "created_at": "2026-11-23T12:00:00-05:00",
        "changed_at": "2026-11-23T12:00:05-05:00",
    }
    assert (queued["state"], queued["attempts"], queued["next_at"], queued["last_answer"]) == ("queued", 0, None, None)


@pytest.mark.parametrize("state", ["queued", "sending", "accepted", "held", "unknown", "parked", "rejected", "skipped"])
async def test_deliveries_are_found_by_destination_and_state(practice: Practice, desk: Desk, state: DeliveryState) -> None:
    message, other = practice.message(adt()), practice.message(adt())
    practice.delivery(message, state, "pm")
    practice.delivery(other, "parked" if state != "parked" else "queued", "emr")
    await practice.commit()
    assert [item["id"] for item in await desk.items("/deliveries", state=state)] == [1]
    assert [item["id"] for item in await desk.items("/deliveries", destination="pm")] == [1]
    assert [item["id"] for item in await desk.items("/deliveries", message=2)] == [2]


async def test_whatever_is_not_settled_is_found_at_once(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt())
    states: tuple[DeliveryState, ...] = (
        "queued",
        "sending",
        "accepted",
        "held",
        "unknown",
        "parked",
        "rejected",
        "skipped",
    )
    for state in states:
        practice.delivery(message, state)
    await practice.commit()
    found = [item["state"] for item in await desk.items("/deliveries", state="open")]
    assert found == ["parked", "unknown", "held", "sending", "queued"]
    assert await desk.items("/deliveries", state="open", destination="pm") == []


async def test_the_audit_says_who_did_what(practice: Practice, desk: Desk) -> None:
    practice.audit("view-message")
    practice.audit("view-raw")
    await practice.commit()
    assert [item["action"] for item in await desk.items("/audit")] == ["view-raw", "view-message"]
    assert (await desk.items("/audit"))[0] == {
        "id": 2,
        "at": "2026-11-23T12:00:00-05:00",
        "actor": "api 127.0.0.1",
        "action": "view-raw",
        "target": "message 1",
        "reason": None,
    }


@pytest.mark.parametrize(
    ("path", "items"),
    [
        ("/links", [dict(LINK)]),
        ("/routes", [{"event": "ADT^A08", "handlers": ["patient"]}]),
        ("/plugins", [{"name": "patient_authority"}]),
    ],
)
async def test_how_the_house_is_put_together_is_shown(desk: Desk, path: str, items: list[dict[str, Any]]) -> None:
    assert (await desk.get(f"/api/v1{path}")).json() == {"items": items, "next": None}


LISTS = ["/messages", "/appointments", "/charges", "/holds", "/merges", "/drift", "/deliveries", "/audit"]
TOTAL = 23


async def fill(practice: Practice) -> None:
    anna = practice.patient(ANNA)
    for _ in range(TOTAL):
        message = practice.message(adt(), subject=anna.subject)
        practice.appointment(anna, NOON)
        practice.charge(message, anna.subject)
        practice.hold(message)
        practice.merge(practice.patient(Identifier("PM", f"M{message}", "MR")), anna, "one_sided")
        practice.drift(message, anna)
        practice.delivery(message)
        practice.audit("view-raw")
    await practice.commit()


@pytest.mark.parametrize("path", LISTS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, TOTAL + 2))
async def test_pages_of_any_size_together_are_the_whole_list(practice: Practice, desk: Desk, path: str, limit: int) -> None:
    if not practice.last:
        await fill(practice)
    found: list[int] = []
    cursor: str | None = None
    for _ in range(TOTAL + 1):
        query: dict[str, str | int] = {"limit": limit} | ({"cursor": cursor} if cursor is not None else {})
        page = (await desk.get(f"/api/v1{path}", **query)).json()
        assert 0 < len(page["items"]) <= limit
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == list(range(TOTAL, 0, -1))


async def test_a_page_is_50_unless_asked_otherwise_and_never_more_than_500(practice: Practice, desk: Desk) -> None:
    for _ in range(503):
        practice.audit("view-raw")
    await practice.commit()
    assert len(await desk.items("/audit")) == 50
    assert len(await desk.items("/audit", limit=500)) == 500
    assert len(await desk.items("/audit", limit=100000)) == 500


async def test_a_row_that_comes_between_two_pages_moves_nothing(practice: Practice, desk: Desk) -> None:
    for _ in range(4):
        practice.audit("view-raw")
    await practice.commit()
    first = (await desk.get("/api/v1/audit", limit=2)).json()
    practice.audit("view-raw")
    await practice.commit()
    assert [item["id"] for item in await desk.items("/audit", limit=2, cursor=first["next"])] == [2, 1]
