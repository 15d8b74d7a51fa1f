"""Patients, appointments and charges over the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ophl7.domain.charge import ChargeState
from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.provenance import Origin, noted
from ophl7.engine.storage import DeliveryState
from tests.integration.admin.practice import ANNA, BOB, NOON, Desk, Practice, adt, dft

FIELDS = {
    "PID-5": "O\\T\\Hara&van^Anna^B^Jr^Ms~Nick^Name",
    "PID-7": "20180402",
    "PID-8": "F^Female",
    "AL1": "AL1|1||X\rAL1|2||Y",
}


async def test_a_patient_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    practice.patient(
        ANNA,
        Identifier("EMR", "55", "MR"),
        Identifier("SSA", "999-99-9999", "SS"),
        more={"fields": FIELDS, "origins": noted("", ["PID-5"], Origin(1, "#1", NOON))},
    )
    await practice.commit()
    for identifier in ("7050", "PM:7050", "EMR:55", "55"):
        answer = await desk.get(f"/api/v1/patients/{identifier}")
        assert answer.json() == {
            "id": 1,
            "identifiers": [
                {"id": "7050", "authority": "PM", "type": "MR"},
                {"id": "55", "authority": "EMR", "type": "MR"},
                {"id": "999-99-9999", "authority": "SSA", "type": "SS"},
            ],
            "name": {"family": "O&Hara", "given": "Anna", "middle": "B", "suffix": "Jr", "prefix": "Ms"},
            "birth_date": "2018-04-02",
            "sex": "F",
            "active": {"pm": True, "emr": True},
            "merged_into": {"pm": None, "emr": None},
            "provisional": False,
            "fields": FIELDS,
            "origins": {"PID-5": {"message": 1, "rule": "#1", "at": "2026-11-23T12:00:00-05:00"}},
            "created_at": "2026-11-23T12:00:00-05:00",
            "message": 1,
        }


async def test_a_patient_of_whom_little_is_known_has_nulls(practice: Practice, desk: Desk) -> None:
    practice.patient(ANNA, more={"provisional": True, "fields": {"PID-5": "Specimen", "PID-7": "2018"}})
    await practice.commit()
    shown = (await desk.get("/api/v1/patients/7050")).json()
    assert shown["name"] == {"family": "Specimen", "given": None, "middle": None, "suffix": None, "prefix": None}
    assert (shown["birth_date"], shown["sex"], shown["provisional"]) == (None, None, True)


async def test_a_retired_patient_names_the_survivor_of_that_side_only(practice: Practice, desk: Desk) -> None:
    practice.patient(ANNA, more={"merged_emr": 2})
    practice.patient(BOB, Identifier("EMR", "51", "MR"), more={"inactive_pm": NOON})
    await practice.commit()
    anna = (await desk.get("/api/v1/patients/PM:7050")).json()
    bob = (await desk.get("/api/v1/patients/PM:7051")).json()
    assert anna["active"] == {"pm": True, "emr": False}
    assert anna["merged_into"] == {"pm": None, "emr": "EMR:51"}
    assert bob["active"] == {"pm": False, "emr": True}
    assert bob["merged_into"] == {"pm": None, "emr": None}


async def test_a_survivor_without_an_id_of_that_side_is_named_by_his_first(practice: Practice, desk: Desk) -> None:
    practice.patient(ANNA, more={"merged_emr": 2})
    practice.patient(BOB)
    await practice.commit()
    assert (await desk.get("/api/v1/patients/PM:7050")).json()["merged_into"]["emr"] == "PM:7051"


@pytest.mark.parametrize("asked", ["7050", "7051"])
async def test_what_stands_under_charts_that_were_merged_is_shown_for_each_of_their_ids(
    practice: Practice, desk: Desk, asked: str
) -> None:
    anna, bob = practice.patient(ANNA), practice.patient(BOB)
    practice.rows.patients[bob.id] = replace(bob, lane=anna.lane, merged_pm=anna.id)
    for one in (anna, bob):
        practice.appointment(one, NOON)
    await practice.commit()
    found = (await desk.get(f"/api/v1/appointments?patient={asked}")).json()["items"]
    assert [row["patient"] for row in found] == ["PM:7051", "PM:7050"]
    assert (await desk.get(f"/api/v1/patients/{asked}")).json()["identifiers"][0]["id"] == asked


@pytest.mark.parametrize("identifier", ["7059", "EMR:7050", "PM:", ":7050", "SSA:999-99-9999", "999-99-9999"])
async def test_nobody_is_found_by_what_is_not_his_key_id(practice: Practice, desk: Desk, identifier: str) -> None:
    practice.patient(ANNA, Identifier("SSA", "999-99-9999", "SS"))
    await practice.commit()
    answer = await desk.get(f"/api/v1/patients/{identifier}")
    assert answer.status_code == 404
    assert identifier.rpartition(":")[2] not in answer.text or identifier == "PM:"


@pytest.mark.parametrize("path", ["/patients/7", "/messages?patient=7", "/charges?patient=7", "/appointments?patient=7"])
async def test_a_bare_id_of_two_patients_answers_with_the_list(practice: Practice, desk: Desk, path: str) -> None:
    practice.patient(Identifier("PM", "7", "MR"))
    practice.patient(Identifier("EMR", "7", "MR"))
    await practice.commit()
    answer = await desk.get(f"/api/v1{path}")
    assert (answer.status_code, answer.json()["patients"]) == (409, ["EMR:7", "PM:7"])
    for one in answer.json()["patients"]:
        assert (await desk.get(f"/api/v1{path.replace('7', one)}")).status_code == 200


async def test_two_authorities_with_one_id_for_one_patient_are_no_ambiguity(practice: Practice, desk: Desk) -> None:
    practice.patient(Identifier("PM", "7", "MR"), Identifier("EMR", "7", "MR"))
    await practice.commit()
    assert (await desk.get("/api/v1/patients/7")).status_code == 200


async def test_an_id_with_a_colon_or_a_slash_is_found(practice: Practice, desk: Desk) -> None:
    practice.patient(Identifier("PM", "A:7", "MR"))
    practice.patient(Identifier("PM", "A/8", "MR"))
    await practice.commit()
    assert (await desk.get("/api/v1/patients/A:7")).json()["id"] == 1
    assert (await desk.get("/api/v1/patients/PM:A:7")).json()["id"] == 1
    assert (await desk.get("/api/v1/patients/PM:A%2F8")).json()["id"] == 2


async def test_an_appointment_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    practice.appointment(practice.patient(ANNA), NOON)
    await practice.commit()
    assert await desk.items("/appointments") == [
        {
            "id": 1,
            "placer_id": "P1",
            "filler_id": "F1",
            "patient": "PM:7050",
            "start": "2026-11-23T12:00:00-05:00",
            "duration": "15",
            "status": "booked",
            "status_raw": "Booked",
            "progress": [{"status": "booked", "at": "2026-11-23T12:00:00-05:00", "message": 1}],
            "resources": [{"kind": "AIP", "id": "DR1", "text": "Dr. Synthetic"}],
            "origin": "pm",
            "message": 1,
        }
    ]


async def test_a_day_of_the_schedule_is_one_of_the_practices_zone(practice: Practice, desk: Desk) -> None:
    anna, bob = practice.patient(ANNA), practice.patient(BOB)
    practice.appointment(anna, NOON - 12 * 3600 - 1)  # the last second of the 22nd in New York
    practice.appointment(anna, NOON - 12 * 3600)
    practice.appointment(None, NOON)
    practice.appointment(bob, NOON + 12 * 3600 - 1)
    practice.appointment(anna, NOON + 12 * 3600)
    practice.appointment(anna, None)
    await practice.commit()
    assert [item["id"] for item in await desk.items("/appointments", date="2026-11-23")] == [4, 3, 2]
    assert [item["id"] for item in await desk.items("/appointments", date="2026-11-23", patient="7050")] == [2]
    everything = await desk.items("/appointments")
    assert [(item["id"], item["patient"]) for item in everything][2:4] == [(4, "PM:7051"), (3, None)]
    assert everything[0]["start"] is None


async def test_a_charge_carries_the_names_that_others_rely_on(practice: Practice, desk: Desk) -> None:
    anna = practice.patient(ANNA)
    message = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", subject=anna.subject)
    practice.charge(message, anna.subject, delivery=practice.delivery(message, "accepted", "pm"), line=0)
    await practice.commit()
    assert await desk.items("/charges") == [
        {
            "id": 1,
            "transaction_id": "T1",
            "patient": "PM:7050",
            "visit": "V1",
            "date": "2026-11-23",
            "procedure": "99213",
            "modifiers": ["25"],
            "units": "2",
            "diagnoses": ["Z00.129", "J06.9"],
            "amount": "125.50",
            "kind": "CG",
            "state": "accepted",
            "message": 1,
            "line": 1,
            "delivery": 1,
        }
    ]


STATES: list[tuple[ChargeState, DeliveryState | None, str | None]] = [
    ("held", None, "held"),
    ("rejected", None, "rejected"),
    ("cancelled", None, "cancelled"),
    ("superseded", None, None),
    ("sent", None, "queued"),
    ("sent", "queued", "queued"),
    ("sent", "sending", "queued"),
    ("sent", "unknown", "queued"),
    ("sent", "accepted", "accepted"),
    ("sent", "held", "held"),
    ("sent", "parked", "parked"),
    ("sent", "rejected", "rejected"),
    ("sent", "skipped", "skipped"),
    ("cancelled", "queued", "cancelled"),
]


@pytest.mark.parametrize(("state", "delivery", "shown"), STATES)
async def test_where_a_charge_stands_is_told_by_us_or_by_its_delivery(
    practice: Practice, desk: Desk, state: ChargeState, delivery: DeliveryState | None, shown: str | None
) -> None:
    message = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03")
    practice.charge(message, 1, state, practice.delivery(message, delivery, "pm") if delivery is not None else None)
    await practice.commit()
    found = [item["state"] for item in await desk.items("/charges")]
    assert found == ([shown] if shown is not None else [])
    for asked in ("held", "queued", "accepted", "rejected", "parked", "cancelled", "skipped"):
        assert len(await desk.items("/charges", state=asked)) == (asked == shown)


async def test_charges_of_somebody_who_is_not_known_are_found_by_his_id(practice: Practice, desk: Desk) -> None:
    unknown = Identifier("EMR", "4711")
    message = practice.message(dft("4711", "C1"), peer="emr", event="DFT^P03", state="held", subject=subject_of(unknown))
    practice.charge(message, subject_of(unknown), "held")
    await practice.commit()
    for asked in ("4711", "EMR:4711"):
        (item,) = await desk.items("/charges", patient=asked)
        assert (item["patient"], item["state"]) == ("EMR:4711", "held")
    assert await desk.items("/charges", patient="PM:4711") == []


async def test_charges_that_wait_for_one_id_are_found_when_the_other_authority_has_it(practice: Practice, desk: Desk) -> None:
    practice.patient(ANNA)
    waiting = Identifier("EMR", "7050")
    message = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", state="held", subject=subject_of(waiting))
    practice.charge(message, subject_of(waiting), "held")
    await practice.commit()
    assert [item["patient"] for item in await desk.items("/charges", patient="7050")] == ["EMR:7050"]
    assert await desk.items("/charges", patient="PM:7050") == []


async def test_what_came_under_an_id_that_was_linked_afterwards_is_found_by_the_patient(practice: Practice, desk: Desk) -> None:
    anna = practice.patient(ANNA, Identifier("EMR", "55", "MR"))
    before = subject_of(Identifier("EMR", "55"))
    message = practice.message(dft("55", "C1"), peer="emr", event="DFT^P03", subject=before)
    practice.charge(message, before, "rejected")
    practice.charge(message, anna.subject)
    await practice.commit()
    assert [item["id"] for item in await desk.items("/charges", patient="7050")] == [2, 1]
    assert [item["id"] for item in await desk.items("/messages", patient="EMR:55")] == [1]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("20261123", "2026-11-23"),
        ("20261123091500", "2026-11-23T09:15:00-05:00"),
        ("20261123091500+0000", "2026-11-23T04:15:00-05:00"),
        ("202611", None),
        ("", None),
        ("soon", None),
    ],
)
async def test_a_service_date_is_shown_as_iso_or_not_at_all(
    practice: Practice, desk: Desk, written: str, shown: str | None
) -> None:
    practice.charge(practice.message(adt()), 1, date=written)
    await practice.commit()
    (item,) = await desk.items("/charges")
    assert item["date"] == shown


async def test_charges_are_found_by_their_day(practice: Practice, desk: Desk) -> None:
    message = practice.message(adt())
    for written in ("20261122", "20261123", "20261123235959", "20261124"):
        practice.charge(message, 1, date=written)
    await practice.commit()
    assert [item["id"] for item in await desk.items("/charges", date="2026-11-23")] == [3, 2]


async def test_what_a_charge_does_not_say_is_null(practice: Practice, desk: Desk) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("transaction_id", "procedure", "units", "amount", "visit", "kind"), "")
    practice.charge(practice.message(b"garbage"), 1, "rejected", **nothing, modifiers=(), diagnoses=())
    await practice.commit()
    (item,) = await desk.items("/charges")
    assert {name: item[name] for name in nothing} == dict.fromkeys(nothing)
    assert (item["modifiers"], item["diagnoses"], item["patient"]) == ([], [], None)
