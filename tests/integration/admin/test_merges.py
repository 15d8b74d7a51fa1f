"""Merges as people see them: both halves, and who must do the other one."""

from __future__ import annotations

import pytest

from ophl7.admin.merges import waiting_for
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge, MergeState
from tests.integration.admin.practice import ANNA, BOB, NOON, Desk, Practice


async def test_a_merge_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    anna, bob = practice.patient(ANNA), practice.patient(BOB)
    practice.merge(bob, anna, "one_sided", pm=NOON)
    await practice.commit()
    assert await desk.items("/merges") == [
        {
            "id": 1,
            "retired": "PM:7051",
            "survivor": "PM:7050",
            "pm": "2026-11-23T12:00:00-05:00",
            "emr": None,
            "state": "one_sided",
            "waiting_for": "emr",
            "task": "In the EMR: look for a chart of PM:7051; if there is one, merge it into PM:7050",
            "message": 1,
            "unmerged": [],
        }
    ]


@pytest.mark.parametrize(
    ("state", "pm", "emr", "waits"),
    [
        ("one_sided", 1.0, None, "emr"),
        ("one_sided", None, 1.0, "pm"),
        ("one_sided", 1.0, 1.0, "person"),
        ("two_sided", 1.0, 2.0, None),
        ("conflict", 1.0, 2.0, "person"),
        ("conflict", 1.0, None, "person"),
    ],
)
def test_it_says_who_must_act(state: MergeState, pm: float | None, emr: float | None, waits: str | None) -> None:
    assert waiting_for(Merge(1, 1, 2, pm, emr, state, 1)) == waits


async def test_merges_are_found_by_either_patient_and_by_state(practice: Practice, desk: Desk) -> None:
    anna, bob = practice.patient(ANNA), practice.patient(BOB)
    other = practice.patient(Identifier("EMR", "E-9", "MR"))
    practice.merge(bob, anna, "two_sided", pm=NOON, emr=NOON)
    practice.merge(other, bob, "conflict")
    await practice.commit()
    for patient, found in (("7050", [1]), ("PM:7051", [2, 1]), ("E-9", [2]), ("nobody", [])):
        assert [item["id"] for item in await desk.items("/merges", patient=patient)] == found
    assert [item["id"] for item in await desk.items("/merges", state="conflict")] == [2]
    assert (await desk.get("/api/v1/merges", state="maybe")).status_code == 400
