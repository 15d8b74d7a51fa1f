"""decisions 4, #23, #28, #34 and #35 under a profile: whose word is taken for how far an appointment is, and in which words."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.messages import (
    OSCAR,
    RUTH,
    SENT,
    VISIT,
    Person,
    Side,
    Visit,
    adt,
    merged,
    message,
    pid,
    siu,
)
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, SPLIT, Opening, Practice, Row, other, owner_of_schedule
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
OSCAR_BOTH = replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR")

ARRIVALS = """
[schedule.progress_events]
"ADT^A04" = "arrived"
"ADT^A10" = "arrived"
"ADT^A09" = "checked_out"
"ADT^A03" = "checked_out"
"ADT^A11" = "booked"
"""
WRITE_BACK = '[schedule]\nwriteback = ["roomed", "seen"]\n'

Booking = Callable[..., Awaitable[Practice]]


@pytest.fixture
def booked(opened: Opening, tmp_path: Path) -> Booking:
    """A practice in which both sides know Ruth and Oscar, and Ruth is booked; its sides have these profiles."""

    async def open_with(setup: str, *, owner: str = "", listener: str = "", visit: Visit | None = VISIT) -> Practice:
        side = owner_of_schedule(setup)
        chosen: dict[str, str] = {}
        for peer, content in ((side, owner), (other(side), listener)):
            if content:
                file = tmp_path / f"{peer}.toml"
                file.write_text(content, encoding="utf-8")
                chosen[f"{peer.upper()}_PROFILE"] = str(file)
        practice = await opened(setup, **chosen)
        registrations = [adt(f"REG{who.id}", "A28", who, sender=practice.patients) for who in (BOTH, OSCAR_BOTH)]
        await practice.accepted(practice.patients, *registrations)
        if visit is not None:
            sent = siu("BOOK", "S12", visit, BOTH, sender=side)
            await practice.accepted(side, sent)
            await practice.assert_relayed(sent, other(side))
        return practice

    return open_with


def visiting(
    control_id: str, trigger: str, visit: str, who: Person = BOTH, *, sender: Side, minute: int = 10, pv1: str = ""
) -> bytes:
    """An ADT about a visit: its number stands in PV1-19."""
    sent = f"{SENT[:8]}08{minute:02}00"
    line = pv1 or f"PV1|1|O|{'|' * 15}|{visit}"
    return message(f"ADT^{trigger}", control_id, f"EVN|{trigger}|{sent}", pid(who), line, sender=sender, sent=sent)


def standing(practice: Practice, filler: str = "S-100") -> tuple[str, str]:
    """The status and the raw code beside it."""
    row = practice.appointment(filler)
    assert row is not None
    return row["status"], row["status_raw"]


def but_progress(row: Row) -> Row:
    """What progress leaves as it was: all but the status, and how far the sender's own clock has come (#87)."""
    moved = {"status", "status_raw", "progress", "message", "mark_pm", "mark_emr"}
    return {key: value for key, value in row.items() if key not in moved}


def steps(practice: Practice, filler: str = "S-100") -> list[str]:
    row = practice.appointment(filler)
    assert row is not None
    return [step[0] for step in json.loads(row["progress"])]


# -- 23 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "status"),
    [("A04", "arrived"), ("A10", "arrived"), ("A03", "checked_out"), ("A09", "checked_out"), ("A11", "booked")],
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_23_an_adt_that_the_profile_names_says_how_far_the_visits_appointment_is__any(
    booked: Booking, setup: str, trigger: str, status: str
) -> None:
    practice = await booked(setup, owner=ARRIVALS, visit=replace(VISIT, status="Confirmed"))
    side, before = practice.schedule, practice.appointment("S-100")
    sent = visiting("X23", trigger, "S-100", sender=side)
    await practice.accepted(side, sent)
    assert practice.decided("X23") == ("accepted", "#23")
    after = practice.appointment("S-100")
    assert before is not None
    assert after is not None
    assert standing(practice) == (status, "")
    assert but_progress(after) == but_progress(before)
    assert steps(practice) == ["confirmed", status]
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_23_arrived_and_back_and_arrived_again_are_three_steps__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=ARRIVALS)
    side = practice.schedule
    sent = [
        visiting(f"X{minute}", trigger, "S-100", sender=side, minute=minute)
        for minute, trigger in ((10, "A10"), (11, "A11"), (12, "A10"), (40, "A03"))
    ]
    await practice.accepted(side, *sent)
    assert steps(practice) == ["booked", "arrived", "booked", "arrived", "checked_out"]
    for payload in sent:
        await practice.assert_relayed(payload, other(side))


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_23_without_sch_2_the_visit_is_named_by_sch_1__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=ARRIVALS, visit=None)
    side = practice.schedule
    sent = siu("BOOK", "S12", replace(VISIT, filler=""), BOTH, sender=side).replace(b"SCH|||", b"SCH|P-9||")
    await practice.accepted(side, sent, visiting("X23", "A04", "P-9", sender=side))
    assert practice.decided("X23") == ("accepted", "#23")
    (row,) = practice.rows("SELECT status FROM appointment")
    assert row["status"] == "arrived"


async def test_row_23_what_the_adt_says_of_the_patient_is_taken_as_ever__pm_owns(booked: Booking) -> None:
    practice = await booked(PM_OWNS, owner=ARRIVALS)
    moved = replace(BOTH, street="9 NEW ST")
    await practice.accepted("pm", visiting("X23", "A04", "S-100", moved, sender="pm"))
    assert (practice.field("7050", "PID-11") or "").startswith("9 NEW ST")
    assert standing(practice)[0] == "arrived"
    assert practice.destinations("X23") == ["emr"]


async def test_row_23_progress_and_edits_that_the_owner_wants_to_hear_leave_in_one_copy__split(booked: Booking) -> None:
    practice = await booked(SPLIT, owner=ARRIVALS, listener='[fields]\ntakes = ["PID-40"]\n')
    sent = visiting("X23", "A04", "S-100", sender="emr").replace(
        b"^PRN^PH^^1^555^0100", b"^PRN^PH^^1^555^0100" + b"|" * 27 + b"TEXT"
    )
    await practice.accepted("emr", sent)
    assert standing(practice)[0] == "arrived"
    assert practice.destinations("X23") == ["pm"]


async def test_row_23_the_schedules_owner_moves_his_schedule_and_not_the_patient__split(booked: Booking) -> None:
    practice = await booked(SPLIT, owner=ARRIVALS)
    moved = replace(BOTH, street="9 NEW ST")
    await practice.accepted("emr", visiting("X23", "A10", "S-100", moved, sender="emr"))
    assert (practice.field("7050", "PID-11") or "").startswith("1 ELM ST")
    assert standing(practice)[0] == "arrived"
    (row,) = practice.deliveries("X23")
    assert b"1 ELM ST" in await practice.arrived("pm", row["control_id"])


@pytest.mark.parametrize(
    ("visit", "who"), [("S-999", BOTH), ("", BOTH), ("S-100", OSCAR_BOTH)], ids=["no such visit", "no visit", "another child"]
)
@pytest.mark.parametrize("trigger", ["A04", "A10", "A03"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_18_a_visit_that_is_no_appointment_of_that_patient_moves_nothing__any(
    booked: Booking, setup: str, trigger: str, visit: str, who: Person
) -> None:
    practice = await booked(setup, owner=ARRIVALS)
    side, before = practice.schedule, practice.appointment("S-100")
    sent = visiting("X18", trigger, visit, who, sender=side)
    await practice.accepted(side, sent)
    # An A04 is a registration, too: it stands under what it says of the patient, with the note about the visit beside it.
    assert practice.decided("X18") == ("accepted", "#4" if trigger == "A04" else "#18")
    assert '["message.note","","apply","#18"' in practice.journal("X18")["detail"]
    assert practice.appointment("S-100") == before
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("trigger", ["A04", "A10", "A03", "A09", "A11"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_23_generic_infers_no_arrival_from_an_adt__any(booked: Booking, setup: str, trigger: str) -> None:
    practice = await booked(setup)
    before = practice.appointment("S-100")
    await practice.accepted(practice.schedule, visiting("X18", trigger, "S-100", sender=practice.schedule))
    assert practice.state("X18") == "accepted"
    assert practice.decided("X18")[1] != "#23"
    assert practice.appointment("S-100") == before


@pytest.mark.parametrize("trigger", ["A04", "A10", "A03"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_23_an_adt_of_the_side_without_the_schedule_never_moves_it__any(
    booked: Booking, setup: str, trigger: str
) -> None:
    practice = await booked(setup, owner=ARRIVALS, listener=ARRIVALS)
    side, before = other(practice.schedule), practice.appointment("S-100")
    await practice.accepted(side, visiting("X18", trigger, "S-100", sender=side))
    assert practice.appointment("S-100") == before


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_23_the_visit_stands_where_the_profile_says__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner='[schedule]\nvisit = "PV1-5.1"\n' + ARRIVALS)
    side = practice.schedule
    await practice.accepted(side, visiting("X23", "A04", "", sender=side, pv1="PV1|1|O|||S-100^VN"))
    assert (practice.decided("X23"), standing(practice)[0]) == (("accepted", "#23"), "arrived")


async def test_row_23_after_a_merge_the_visit_is_still_the_same_patients__pm_owns(booked: Booking) -> None:
    practice = await booked(PM_OWNS, owner=ARRIVALS)
    await practice.accepted("pm", merged("M1", (BOTH, OSCAR_BOTH), sent="20260105080500"))
    await practice.accepted("pm", visiting("X23", "A10", "S-100", OSCAR_BOTH, sender="pm"))
    assert standing(practice)[0] == "arrived"


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_23_progress_waits_for_an_appointment_that_is_held__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=ARRIVALS)
    side = practice.schedule
    await practice.accepted(side, siu("X33", "S14", VISIT, OSCAR_BOTH, sender=side, sent="20260105080100"))
    assert practice.decided("X33") == ("held", "#33")
    await practice.accepted(side, visiting("X23", "A10", "S-100", sender=side))
    assert practice.state("X23") == "held"
    assert standing(practice)[0] == "booked"


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_23_a_booking_and_its_arrival_in_one_batch_meet__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=ARRIVALS, visit=None)
    side = practice.schedule
    line = await practice.line(side)
    both = siu("S1", "S12", VISIT, BOTH, sender=side), visiting("X23", "A10", "S-100", sender=side)
    envelope = b"BHS|^~\\&|A\r" + b"".join(both) + b"BTS|2\r"
    answer = await line.send(envelope)
    assert answer.count(b"MSA|AA|") == 2
    assert steps(practice) == ["booked", "arrived"]


# -- 28 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("code", "status"), [("Roomed", "roomed"), ("SEEN", "seen")])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_28_progress_that_the_owners_profile_wants_is_taken_and_told_to_the_owner__any(
    booked: Booking, setup: str, code: str, status: str, version: str
) -> None:
    practice = await booked(setup, owner=WRITE_BACK)
    side, before = other(practice.schedule), practice.appointment("S-100")
    sent = siu("X28", "S14", replace(VISIT, status=code), BOTH, sender=side, version=version, sent="20260105090000")
    # SCH-1 is not compared, and nothing but the status is taken.
    sent = sent.replace(b"SCH||", b"SCH|E-1|").replace(b"WELL^Well visit", b"SICK^Sick visit")
    reply = await practice.accepted(side, sent)
    assert reply.faults == ()
    assert practice.decided("X28") == ("accepted", "#28")
    after = practice.appointment("S-100")
    assert before is not None
    assert after is not None
    assert standing(practice) == (status, code)
    assert but_progress(after) == but_progress(before)
    assert steps(practice) == ["booked", status]
    await practice.assert_relayed(sent, practice.schedule)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_28_the_owners_echo_and_the_second_report_change_nothing__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=WRITE_BACK)
    owner, side = practice.schedule, other(practice.schedule)
    roomed = replace(VISIT, status="Roomed")
    await practice.accepted(side, siu("X28", "S14", roomed, BOTH, sender=side))
    await practice.accepted(owner, siu("E28", "S14", roomed, BOTH, sender=owner, sent="20260105090100"))
    await practice.accepted(side, siu("F28", "S14", roomed, BOTH, sender=side, sent="20260105090200"))
    assert practice.decided("F28") == ("ignored", "#37")
    assert steps(practice) == ["booked", "roomed"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "Roomed", "start": "20260105110000"}, "S01"),
        ({"status": "Roomed", "room": "ROOM9"}, "S01"),
        ({"status": "Confirmed"}, "S01"),
        ({"status": "Seen"}, "S02"),
    ],
    ids=["and moved", "and elsewhere", "no progress", "not listed"],
)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_28_nothing_but_the_listed_progress_is_written_back__any(
    booked: Booking, setup: str, change: dict[str, str], code: str
) -> None:
    practice = await booked(setup, owner='[schedule]\nwriteback = ["roomed"]\n')
    side, before = other(practice.schedule), practice.appointment("S-100")
    sent = siu("X28", "S14", replace(VISIT, **change), BOTH, sender=side, version="2.5.1")
    assert_refused(await practice.send(side, sent), "AE", code, 207)
    assert practice.appointment("S-100") == before
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_28_the_writers_own_profile_opens_nothing__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, listener=WRITE_BACK)
    side = other(practice.schedule)
    sent = siu("X28", "S14", replace(VISIT, status="Roomed"), BOTH, sender=side, version="2.5.1")
    assert_refused(await practice.send(side, sent), "AE", "S02", 207)


async def test_row_28_progress_of_somebody_unknown_waits_for_him_and_is_taken_then__pm_owns(booked: Booking) -> None:
    practice = await booked(PM_OWNS, owner=WRITE_BACK)
    by_chart = replace(RUTH, ids="E-77^^^EMR^MR")
    sent = siu("X28", "S14", replace(VISIT, status="Roomed"), by_chart, sender="emr")
    await practice.accepted("emr", sent)
    assert practice.decided("X28") == ("held", "#28")
    assert practice.holds() == ["patient:EMR:E-77"]
    linking = replace(RUTH, ids="7050^^^PM^MR~E-77^^^EMR^MR")
    await practice.accepted("emr", adt("L1", "A08", linking, sender="emr", sent="20260105090000"))
    assert practice.state("X28") == "accepted"
    assert standing(practice)[0] == "roomed"
    assert practice.destinations("X28") == ["pm"]


# -- where the status stands, and in which words --------------------------------------------------------------------------

WORDS = """
[schedule]
status_from = ["SCH-25", "SCH-6", "AIP-12", "AIL-12", "AIS-10", "AIG-14"]
[schedule.status_codes]
CI = "checked_in"
"7" = "roomed"
"+" = "confirmed"
"Sent home" = "checked_out"
"""


def placed(segment: str, place: int, value: str) -> str:
    """That segment with `value` in that field."""
    fields = segment.split("|")
    fields += [""] * (place + 1 - len(fields))
    fields[place] = value
    return "|".join(fields)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("CI", "checked_in"),
        ("ci", "checked_in"),
        ("7", "roomed"),
        ("+", "confirmed"),
        ("XX^sent-HOME", "checked_out"),
        ("Arrived", "arrived"),
    ],
)
@pytest.mark.parametrize("place", ["SCH-25", "SCH-6", "AIP-12", "AIL-12", "AIS-10", "AIG-14"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_contract_3_a_status_is_read_where_and_as_the_senders_profile_says__any(
    booked: Booking, setup: str, place: str, word: str, status: str
) -> None:
    practice = await booked(setup, owner=WORDS)
    side = practice.schedule
    name, _, number = place.partition("-")
    bare = siu("X", "S14", replace(VISIT, status=""), BOTH, "AIS|1||WELL", "AIG|1||CHAIR", sender=side, sent="20260105080100")
    lines = bare.decode().split("\r")
    sent = "\r".join(placed(line, int(number), word) if line.startswith(f"{name}|") else line for line in lines).encode()
    await practice.accepted(side, sent)
    assert standing(practice) == (status, word.partition("^")[0])
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_contract_3_the_first_place_that_holds_a_known_word_counts__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, owner=WORDS)
    side = practice.schedule
    sent = siu("X", "S14", replace(VISIT, status="17"), BOTH, sender=side, version="2.5.1", sent="20260105080100")
    reply = await practice.accepted(side, sent.replace(b"SCH||S-100||||", b"SCH||S-100||||CI"))
    assert (standing(practice), reply.warnings) == (("checked_in", "CI"), [])


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_35_without_the_generic_codes_only_the_profiles_own_are_known__any(booked: Booking, setup: str) -> None:
    own = '[schedule]\ngeneric_codes = false\n[schedule.status_codes]\nIN = "arrived"\n'
    practice = await booked(setup, owner=own, visit=replace(VISIT, status="IN"))
    side = practice.schedule
    sent = siu("X35", "S14", replace(VISIT, status="Booked"), BOTH, sender=side, version="2.5.1", sent="20260105080100")
    reply = await practice.accepted(side, sent)
    assert practice.decided("X35") == ("accepted", "#35")
    assert reply.warnings == ["W03"]
    assert standing(practice) == ("arrived", "Booked")
    assert practice.broker.alarms.ringing() == {"unknown_status": 1}


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_35_a_new_appointment_with_an_unknown_code_is_booked__any(booked: Booking, setup: str) -> None:
    practice = await booked(setup, visit=replace(VISIT, status="XYZZY"))
    assert standing(practice) == ("booked", "XYZZY")


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_37_the_owners_own_word_is_an_echo_though_the_other_product_has_it_not__any(
    booked: Booking, setup: str
) -> None:
    practice = await booked(setup, owner=WORDS, visit=replace(VISIT, status="CI"))
    side = other(practice.schedule)
    await practice.accepted(side, siu("X37", "S14", replace(VISIT, status="CI"), BOTH, sender=side))
    assert practice.decided("X37") == ("ignored", "#37")
    sent = siu("X26", "S14", replace(VISIT, status="XX"), BOTH, sender=side, version="2.5.1")
    assert_refused(await practice.send(side, sent), "AE", "S01", 207)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_37_each_side_is_read_by_its_own_profile__any(booked: Booking, setup: str) -> None:
    listener = '[schedule.status_codes]\n"9" = "booked"\n"8" = "seen"\n'
    practice = await booked(setup, owner=WRITE_BACK, listener=listener)
    side = other(practice.schedule)
    await practice.accepted(side, siu("X37", "S14", replace(VISIT, status="9"), BOTH, sender=side))
    assert practice.decided("X37") == ("ignored", "#37")
    await practice.accepted(side, siu("X28", "S14", replace(VISIT, status="8"), BOTH, sender=side))
    assert standing(practice) == ("seen", "8")
