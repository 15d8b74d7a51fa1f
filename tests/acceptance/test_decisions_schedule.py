"""decisions 4, row by row, from socket to socket."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.acceptance.messages import OSCAR, RUTH, VISIT, Person, Visit, adt, message, relayed, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening, Practice, other
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
PATIENT_EVENTS = ("S12", "S13", "S14", "S15", "S16", "S17", "S18", "S19", "S20", "S21", "S22", "S26", "S27")


async def registered(opened: Opening, setup: str, **more: str) -> Practice:
    """A practice in which both sides know Ruth."""
    practice = await opened(setup, **more)
    await practice.accepted(practice.patients, adt("REG", "A28", BOTH, sender=practice.patients))
    return practice


async def booked(opened: Opening, setup: str, visit: Visit = VISIT) -> Practice:
    """... and have her booked."""
    practice = await registered(opened, setup)
    sent = siu("BOOK", "S12", visit, BOTH, sender=practice.schedule)
    await practice.accepted(practice.schedule, sent)
    await practice.assert_relayed(sent, other(practice.schedule))
    return practice


def status_of(practice: Practice, filler: str = "S-100") -> str:
    row = practice.appointment(filler)
    assert row is not None
    return str(row["status"])


# -- 20, 21, 22 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["S12", "S13", "S14", "S27"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_20_the_owner_books__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await registered(opened, setup)
    side = practice.schedule
    sent = siu("X20", trigger, VISIT, BOTH, "NTE|1||front desk: bring card", "ZAP|1|x", sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X20") == ("accepted", "#20")
    row, patient = practice.appointment("S-100"), practice.patient("7050")
    assert row is not None
    assert patient is not None
    assert (row["start"], row["status"], row["patient"]) == ("20260105093000", "booked", patient["id"])
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_20_a_later_message_moves_the_same_appointment__any(opened: Opening, setup: str) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    moved = siu("X20", "S13", replace(VISIT, start="20260106140000"), BOTH, sender=side, sent="20260105080100")
    await practice.accepted(side, moved)
    row = practice.appointment("S-100")
    assert row is not None
    assert row["start"] == "20260106140000"
    assert practice.count("appointment") == 1
    await practice.assert_relayed(moved, other(side))


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_20_without_sch_2_the_placer_number_counts__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    side = practice.schedule
    for number, start in enumerate(["20260105093000", "20260105100000"]):
        visit = replace(VISIT, filler="", start=start)
        sent = siu(f"X{number}", "S12", visit, BOTH, sender=side, sent=f"2026010508000{number}")
        await practice.accepted(side, sent.replace(b"SCH|||", b"SCH|P-9||"))
    (row,) = practice.rows("SELECT placer, start FROM appointment")
    assert (row["placer"], row["start"]) == ("P-9", "20260105100000")


@pytest.mark.parametrize(
    ("trigger", "status"), [("S15", "cancelled"), ("S16", "discontinued"), ("S17", "entered_in_error"), ("S26", "no_show")]
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_rows_21_and_22_an_appointment_ends_and_its_row_stays__any(
    opened: Opening, setup: str, trigger: str, status: str
) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    sent = siu("X21", trigger, replace(VISIT, status=""), BOTH, sender=side, sent="20260105081500")
    await practice.accepted(side, sent)
    assert practice.decided("X21") == ("accepted", "#22" if trigger == "S26" else "#21")
    assert status_of(practice) == status
    assert practice.count("appointment") == 1
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize(("trigger", "status"), [("S15", "cancelled"), ("S17", "entered_in_error"), ("S26", "no_show")])
@pytest.mark.parametrize("setup", SETUPS)
async def test_rows_21_and_22_an_unknown_appointment_leaves_a_tombstone__any(
    opened: Opening, setup: str, trigger: str, status: str
) -> None:
    practice = await registered(opened, setup)
    side = practice.schedule
    sent = siu("X21", trigger, replace(VISIT, status=""), BOTH, sender=side)
    await practice.accepted(side, sent)
    assert status_of(practice) == status
    await practice.assert_relayed(sent, other(side))


# -- 26 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trigger", PATIENT_EVENTS)
async def test_row_26_the_emr_may_not_book_a_patient__pm_owns(opened: Opening, trigger: str, version: str) -> None:
    practice = await registered(opened, PM_OWNS)
    sent = siu("B26", trigger, VISIT, BOTH, sender="emr", version=version)
    assert_refused(await practice.send("emr", sent), "AE", "S01", 207)
    assert practice.decided("B26") == ("rejected", "#26")
    assert practice.count("appointment") == 0
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", [EMR_OWNS, "pm/emr"])
@pytest.mark.parametrize("trigger", PATIENT_EVENTS)
async def test_row_26_the_pm_may_not_book_a_patient__emr_owns(opened: Opening, trigger: str, setup: str) -> None:
    practice = await registered(opened, setup)
    sent = siu("A26", trigger, VISIT, BOTH, sender="pm", version="2.5.1")
    assert_refused(await practice.send("pm", sent), "AE", "S01", 207)
    assert practice.decided("A26") == ("rejected", "#26")
    assert practice.count("appointment") == 0
    practice.assert_kept_back(sent)


@pytest.mark.parametrize(
    "change",
    [{"start": "20260105110000"}, {"minutes": "45"}, {"room": "ROOM9"}, {"doctor": "D-9"}, {"status": "Confirmed"}],
    ids=lambda change: next(iter(change)),
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_26_the_other_side_may_change_nothing_of_a_known_appointment__any(
    opened: Opening, setup: str, change: dict[str, str]
) -> None:
    practice = await booked(opened, setup)
    side, before = other(practice.schedule), practice.appointment("S-100")
    sent = siu("X26", "S14", replace(VISIT, **change), BOTH, sender=side)
    assert_refused(await practice.send(side, sent), "AE", "S01", 207)
    assert practice.appointment("S-100") == before
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_26_another_patient_of_a_known_appointment_is_refused__any(opened: Opening, setup: str) -> None:
    practice = await booked(opened, setup)
    owner, side = practice.patients, other(practice.schedule)
    oscar = replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR")
    await practice.accepted(owner, adt("REG2", "A28", oscar, sender=owner))
    assert_refused(await practice.send(side, siu("X26", "S14", VISIT, oscar, sender=side)), "AE", "S01", 207)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_26_an_unknown_patient_is_no_reason_to_hold_what_is_refused__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = other(practice.schedule)
    assert_refused(await practice.send(side, siu("X26", "S12", sender=side)), "AE", "S01", 207)
    assert practice.holds() == []


# -- 25, 27 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["S12", "S15", "S23", "S24"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_25_the_owner_blocks_time_for_nobody__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    side = practice.schedule
    sent = siu("X25", trigger, Visit("BLK-1", room="LUNCH"), None, sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X25") == ("accepted", "#25")
    row = practice.appointment("BLK-1")
    assert row is not None
    assert row["patient"] is None
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("trigger", ["S12", "S23"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_27_a_block_of_the_other_side_is_kept_and_stays_here__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await booked(opened, setup)
    side = other(practice.schedule)
    # The number is the owner's appointment's too: each side numbers its own.
    sent = siu("X27", trigger, Visit("S-100", room="DRUGREP"), None, sender=side, version="2.5.1")
    reply = await practice.accepted(side, sent)
    assert reply.faults == ()
    assert practice.decided("X27") == ("accepted", "#27")
    kept = practice.rows("SELECT origin, patient IS NULL AS block FROM appointment WHERE filler = 'S-100' ORDER BY id")
    assert [(row["origin"], row["block"]) for row in kept] == [(practice.schedule, 0), (side, 1)]
    practice.assert_kept_back(sent)


# -- 28, 29, 37 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ["Roomed", "Started", "SEEN"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_28_clinical_progress_of_the_other_side_is_not_enabled__any(
    opened: Opening, setup: str, status: str, version: str
) -> None:
    practice = await booked(opened, setup)
    side = other(practice.schedule)
    sent = siu("X28", "S14", replace(VISIT, status=status), BOTH, sender=side, version=version)
    assert_refused(await practice.send(side, sent), "AE", "S02", 207)
    assert practice.decided("X28") == ("rejected", "#28")
    assert status_of(practice) == "booked"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_29_schedule_requests_are_refused_by_their_header__any(
    opened: Opening, setup: str, side: str, version: str
) -> None:
    practice = await registered(opened, setup)
    who = practice.schedule if side == "pm" else other(practice.schedule)
    sent = message("SRM^S01", "X29", "ARQ|P-1", sender=who, version=version)
    assert_refused(await practice.send(who, sent), "AR", "", (200, 201))
    assert practice.decided("X29") == ("rejected", "#29")
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["S12", "S13", "S14"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_37_an_echo_of_what_we_sent_is_ignored__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await booked(opened, setup)
    side, before = other(practice.schedule), practice.appointment("S-100")
    # Texts, SCH-1 and SCH-6 are not compared.
    echo = siu("X37", trigger, VISIT, BOTH, "NTE|1||seen it", sender=side, version="2.5.1")
    echo = echo.replace(b"WELL^Well visit", b"WELL^WELL VISIT")
    reply = await practice.accepted(side, echo)
    assert reply.faults == ()
    assert practice.decided("X37") == ("ignored", "#37")
    assert practice.appointment("S-100") == before
    practice.assert_kept_back(echo)


# -- the EMR as the schedule's owner, the PM as the patients' -------------------------------------------------------------


async def test_contract_4_a_patient_named_only_by_the_senders_chart_id_leaves_with_the_owners_too(opened: Opening) -> None:
    practice = await registered(opened, "pm/emr")
    by_chart: Person = replace(RUTH, ids="E-50^^^EMR^MR")
    sent = siu("B20", "S12", VISIT, by_chart, sender="emr")
    await practice.accepted("emr", sent)
    payload = await practice.copy_of(sent, "pm")
    both = sent.replace(b"|E-50^^^EMR^MR|", b"|7050^^^PM^MR~E-50^^^EMR^MR|")
    assert payload == relayed(both, payload.split(b"|")[9].decode())


# -- 30 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_30_a_booking_that_says_who_comes_makes_a_provisional_patient_and_the_next_adt_confirms_him__any(
    opened: Opening, setup: str
) -> None:
    practice = await opened(setup)
    side = practice.schedule
    sent = siu("S1", "S12", VISIT, BOTH, sender=side)
    reply = await practice.accepted(side, sent)
    assert reply.faults == ()
    assert practice.decided("S1") == ("accepted", "#30")
    await practice.assert_relayed(sent, other(side))
    patient, row = practice.patient("7050"), practice.appointment("S-100")
    assert patient is not None
    assert row is not None
    assert (patient["provisional"], row["patient"]) == (1, patient["id"])
    assert set(patient["fields"]) == {"PID-5", "PID-7", "PID-8"}, "the rest is the next ADT's to say"
    update = adt("U1", "A08", BOTH, sender=side, sent="20260105080500")
    await practice.accepted(side, update)
    confirmed = practice.patient("7050")
    assert confirmed is not None
    assert confirmed["provisional"] == 0
    assert "PID-11" in confirmed["fields"]


@pytest.mark.parametrize("missing", [{"birth": ""}, {"sex": ""}, {"family": "", "given": ""}])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_30_a_booking_that_says_too_little_waits_for_the_registration__any(
    opened: Opening, setup: str, missing: dict[str, str]
) -> None:
    practice = await opened(setup)
    side = practice.schedule
    vague = siu("S1", "S12", VISIT, replace(BOTH, **missing), sender=side).replace(b"|^|", b"||")
    await practice.accepted(side, vague)
    assert practice.decided("S1") == ("held", "#30")
    assert practice.count("patient") == 0
    await practice.accepted(side, adt("R1", "A28", BOTH, sender=side))
    assert practice.state("S1") == "accepted"


async def test_row_31_who_owns_the_schedule_only_makes_no_patient__split(opened: Opening) -> None:
    practice = await opened("pm/emr")
    await practice.accepted("emr", siu("S1", "S12", VISIT, BOTH, sender="emr"))
    assert practice.decided("S1") == ("held", "#31")
    assert practice.count("patient") == 0


# -- 24, 33 to 35 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["S18", "S19", "S20", "S21", "S22"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_24_a_resource_change_with_its_resources_is_a_change_and_without_them_is_held__any(
    opened: Opening, setup: str, trigger: str
) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    whole = siu("X24", trigger, replace(VISIT, room="ROOM2"), BOTH, sender=side, sent="20260105080100")
    await practice.accepted(side, whole)
    assert practice.state("X24") == "accepted"
    row = practice.appointment("S-100")
    assert row is not None
    assert "ROOM2" in row["resources"]
    await practice.assert_relayed(whole, other(side))
    bare = b"\r".join(line for line in whole.replace(b"X24", b"Y24").split(b"\r") if line[:3] not in {b"RGS", b"AIL", b"AIP"})
    await practice.accepted(side, bare)
    assert practice.decided("Y24") == ("held", "#24")
    (key,) = practice.holds()
    assert key.endswith(":S-100")
    assert key.startswith("appointment:")
    practice.assert_kept_back(bare)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_33_a_known_appointment_of_somebody_else_is_held_with_what_comes_after_it__any(
    opened: Opening, setup: str
) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    oscar = replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR")
    await practice.accepted(practice.patients, adt("REG2", "A28", oscar, sender=practice.patients))
    await practice.accepted(side, siu("X33", "S14", VISIT, oscar, sender=side, sent="20260105080100"))
    assert practice.decided("X33") == ("held", "#33")
    row, ruth = practice.appointment("S-100"), practice.patient("7050")
    assert row is not None
    assert ruth is not None
    assert row["patient"] == ruth["id"]
    await practice.accepted(side, siu("Y33", "S14", VISIT, BOTH, sender=side, sent="20260105080200"))
    assert practice.state("Y33") == "held"
    await practice.accepted(side, siu("Z33", "S12", replace(VISIT, filler="S-101"), oscar, sender=side, sent="20260105080300"))
    assert practice.state("Z33") == "accepted"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_34_progress_goes_both_ways_and_every_step_is_kept_and_passed_on__any(opened: Opening, setup: str) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    steps = ["Arrived", "CHECKED IN", "arrived", "Checked In", "Roomed", "Started", "Complete"]
    sent = [
        siu(f"P{number}", "S14", replace(VISIT, status=status), BOTH, sender=side, sent=f"2026010508{number:02}00")
        for number, status in enumerate(steps, 1)
    ]
    await practice.accepted(side, *sent)
    for payload in sent:
        await practice.assert_relayed(payload, other(side))
    row = practice.appointment("S-100")
    assert row is not None
    progress = json.loads(row["progress"])
    assert [step[0] for step in progress] == [
        "booked",
        "arrived",
        "checked_in",
        "arrived",
        "checked_in",
        "roomed",
        "seen",
        "checked_out",
    ]
    assert row["status"] == "checked_out"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_35_an_unknown_status_keeps_its_raw_code_and_the_status_as_it_was__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await booked(opened, setup)
    side = practice.schedule
    moved = replace(VISIT, status="XYZZY", start="20260106093000")
    sent = siu("X35", "S14", moved, BOTH, sender=side, version=version, sent="20260105080100")
    reply = await practice.accepted(side, sent)
    assert practice.decided("X35") == ("accepted", "#35")
    assert reply.warnings == (["W03"] if version == "2.5.1" else [])
    row = practice.appointment("S-100")
    assert row is not None
    assert (row["status"], row["status_raw"], row["start"]) == ("booked", "XYZZY", "20260106093000")
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("trigger", ["S15", "S16", "S17", "S26"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_26_an_ending_that_still_carries_the_code_of_the_booking_is_no_echo__any(
    opened: Opening, setup: str, trigger: str
) -> None:
    practice = await booked(opened, setup)
    side = other(practice.schedule)
    reply = await practice.send(side, siu("X26", trigger, VISIT, BOTH, sender=side, version="2.5.1"))
    assert_refused(reply, "AE", "S01", 207)
    assert status_of(practice) == "booked"
    practice.assert_kept_back(siu("X26", trigger, VISIT, BOTH, sender=side, version="2.5.1"))
