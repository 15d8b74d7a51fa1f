"""decisions 4: numbers that come again (#20, #21, #33), resources (#24), blocks (#25, #27), times, and the API's view of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.messages import OSCAR, RUTH, VISIT, Person, Side, Visit, adt, message, pid, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening, Practice, other, owner_of_schedule
from tests.acceptance.replies import assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
OSCAR_BOTH = replace(OSCAR, ids="7051^^^PM^MR~E-51^^^EMR^MR")

Registering = Callable[..., Awaitable[Practice]]


@pytest.fixture
def registered(opened: Opening) -> Registering:
    """A practice in which both sides know Ruth and Oscar."""

    async def open_with(setup: str, **more: str) -> Practice:
        practice = await opened(setup, **more)
        registrations = [adt(f"REG{who.id}", "A28", who, sender=practice.patients) for who in (BOTH, OSCAR_BOTH)]
        await practice.accepted(practice.patients, *registrations)
        return practice

    return open_with


class Desk:
    """Whoever enters appointments on one side: each message is a minute after the one before."""

    def __init__(self, practice: Practice, side: Side) -> None:
        self.practice, self.side, self.minute = practice, side, 0

    async def enter(self, control_id: str, trigger: str, visit: Visit = VISIT, who: Person | None = BOTH) -> bytes:
        """Sends it; it must be answered AA."""
        self.minute += 1
        sent = siu(control_id, trigger, visit, who, sender=self.side, sent=f"2026010508{self.minute:02}00")
        await self.practice.accepted(self.side, sent)
        return sent

    async def write(self, control_id: str, trigger: str, *segments: str) -> bytes:
        """The same for an appointment of Ruth's in these segments."""
        self.minute += 1
        when = f"2026010508{self.minute:02}00"
        sent = message(f"SIU^{trigger}", control_id, segments[0], pid(BOTH), *segments[1:], sender=self.side, sent=when)
        await self.practice.accepted(self.side, sent)
        return sent


def steps(practice: Practice, filler: str = "S-100") -> list[str]:
    row = practice.appointment(filler)
    assert row is not None
    return [step[0] for step in json.loads(row["progress"])]


def resources(practice: Practice, filler: str = "S-100") -> list[str]:
    row = practice.appointment(filler)
    assert row is not None
    return [f"{kind} {code}" for kind, code, _ in json.loads(row["resources"])]


async def items(practice: Practice, **asked: str) -> list[dict[str, Any]]:
    """`GET /appointments`."""
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"}
        answer = await client.get("/appointments", params=asked, headers=headers)
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


# -- 20, 21: numbers that come again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["Booked", ""])
@pytest.mark.parametrize(("trigger", "status"), [("S15", "cancelled"), ("S16", "discontinued"), ("S26", "no_show")])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_21_after_its_end_came_first_a_newer_booking_is_a_booking__any(
    registered: Registering, setup: str, trigger: str, status: str, said: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("E1", trigger, replace(VISIT, status=""))
    assert steps(practice) == [status]
    sent = await desk.enter("B1", "S12", replace(VISIT, status=said))
    assert practice.decided("B1") == ("accepted", "#20")
    assert steps(practice) == [status, "booked"]
    await practice.assert_relayed(sent, other(practice.schedule))


@pytest.mark.parametrize("trigger", ["S14", "S27"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_21_a_change_that_says_no_status_revives_nothing__any(
    registered: Registering, setup: str, trigger: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12")
    await desk.enter("E1", "S15", replace(VISIT, status=""))
    await desk.enter("C1", trigger, replace(VISIT, status="", room="ROOM2"))
    assert steps(practice) == ["booked", "cancelled"]
    assert "AIL ROOM2" in resources(practice)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_21_what_was_moved_after_it_was_cancelled_is_booked_and_what_is_over_stays_so__any(
    registered: Registering, setup: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12")
    await desk.enter("E1", "S15", replace(VISIT, status=""))
    await desk.enter("M1", "S13", replace(VISIT, status="", start="20260106093000"))
    await desk.enter("D1", "S14", replace(VISIT, status="Complete", start="20260106093000"))
    await desk.enter("M2", "S13", replace(VISIT, status="", start="20260106100000"))
    assert steps(practice) == ["booked", "cancelled", "booked", "checked_out"]


@pytest.mark.parametrize("who", [BOTH, OSCAR_BOTH], ids=["same child", "another"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_21_a_number_that_was_withdrawn_is_not_used_for_a_new_appointment_unseen__any(
    registered: Registering, setup: str, who: Person
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("E1", "S17", replace(VISIT, status=""))
    sent = await desk.enter("B1", "S12", VISIT, who)
    assert practice.state("B1") == "held"
    (key,) = practice.holds()
    assert key == f"appointment:{practice.schedule.upper()}:S-100"
    assert steps(practice) == ["entered_in_error"]
    practice.assert_kept_back(sent)
    await desk.enter("C1", "S14", VISIT)
    assert practice.state("C1") == "held", "what comes after it waits with it"
    await desk.enter("B2", "S12", replace(VISIT, filler="S-101"), who)
    assert practice.state("B2") == "accepted"


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_34_what_was_deleted_and_is_set_back_is_taken__any(registered: Registering, setup: str) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12")
    await desk.enter("D1", "S14", replace(VISIT, status="Deleted"))
    await desk.enter("U1", "S14")
    assert practice.decided("U1") == ("accepted", "#34")
    assert steps(practice) == ["booked", "entered_in_error", "booked"]


# -- 25, 27, 33: time for nobody ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_25_time_is_blocked_and_opened_again__any(registered: Registering, setup: str) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    blocked = replace(VISIT, filler="BLK-1", status="Blocked", room="LUNCH")
    first = await desk.enter("K1", "S23", blocked, None)
    assert steps(practice, "BLK-1") == ["booked"]
    last = await desk.enter("K2", "S24", blocked, None)
    assert steps(practice, "BLK-1") == ["booked", "cancelled"]
    assert practice.broker.alarms.ringing() == {}, "a block is no unknown status"
    for sent in (first, last):
        await practice.assert_relayed(sent, other(practice.schedule))


@pytest.mark.parametrize(("trigger", "status"), [("S14", "arrived"), ("S15", "cancelled"), ("S26", "no_show")])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_20_a_message_without_pid_takes_nobody_out_of_a_patients_appointment__any(
    registered: Registering, setup: str, trigger: str, status: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12")
    before = practice.appointment("S-100")
    sent = await desk.enter("E1", trigger, replace(VISIT, status="Arrived"), None)
    after = practice.appointment("S-100")
    assert before is not None
    assert after is not None
    assert (after["patient"], after["subject"]) == (before["patient"], before["subject"])
    assert after["status"] == status
    assert practice.decided("E1")[1] == {"S14": "#20", "S15": "#21", "S26": "#22"}[trigger]
    await practice.assert_relayed(sent, other(practice.schedule))
    lanes = {row["lane"] for control_id in ("B1", "E1") for row in practice.deliveries(control_id)}
    assert len(lanes) == 1, "it follows what was said of the appointment before"


@pytest.mark.parametrize("trigger", ["S23", "S24"])
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_33_time_blocked_under_the_number_of_a_patients_appointment_is_held__any(
    registered: Registering, setup: str, trigger: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12")
    before = practice.appointment("S-100")
    sent = await desk.enter("K1", trigger, VISIT, None)
    assert practice.decided("K1") == ("held", "#33")
    assert practice.appointment("S-100") == before
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["S12", "S14", "S15", "S23", "S24"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_27_a_block_of_the_other_side_is_passed_on_where_the_receivers_profile_wants_it__any(
    registered: Registering, tmp_path: Path, setup: str, trigger: str
) -> None:
    file = tmp_path / "wants.toml"
    file.write_text("[schedule]\nforward_blocks = true\n", encoding="utf-8")
    owner = owner_of_schedule(setup)
    practice = await registered(setup, **{f"{owner.upper()}_PROFILE": str(file)})
    sent = await Desk(practice, other(owner)).enter("K1", trigger, Visit("E-BLK", room="DRUGREP"), None)
    assert practice.decided("K1") == ("accepted", "#27")
    row = practice.appointment("E-BLK")
    assert row is not None
    assert (row["origin"], row["patient"]) == (other(owner), None)
    await practice.assert_relayed(sent, owner)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_27_the_senders_profile_does_not_ask_for_its_own_blocks__any(
    registered: Registering, tmp_path: Path, setup: str
) -> None:
    file = tmp_path / "wants.toml"
    file.write_text("[schedule]\nforward_blocks = true\n", encoding="utf-8")
    side = other(owner_of_schedule(setup))
    practice = await registered(setup, **{f"{side.upper()}_PROFILE": str(file)})
    practice.assert_kept_back(await Desk(practice, side).enter("K1", "S23", Visit("E-BLK"), None))


# -- 24: resources --------------------------------------------------------------------------------------------------------

SCH = "SCH||S-100|||||||15|min|^^15^20260105093000"
FULL = ("RGS|1", "AIS|1||WELL^Well visit", "AIG|1||CHAIR", "AIL|1||CLINIC^ROOM1", "AIP|1||D-7^WINTER", "AIP|2||N-3^SUMMER")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_20_every_kind_of_resource_and_several_of_one_are_kept_and_shown__any(
    registered: Registering, setup: str
) -> None:
    practice = await registered(setup)
    await Desk(practice, practice.schedule).write("B1", "S12", SCH, *FULL)
    (item,) = await items(practice)
    assert [(one["kind"], one["id"], one["text"]) for one in item["resources"]] == [
        ("AIS", "WELL", "Well visit"),
        ("AIG", "CHAIR", ""),
        ("AIL", "CLINIC^ROOM1", ""),
        ("AIP", "D-7", "WINTER"),
        ("AIP", "N-3", "SUMMER"),
    ]


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_20_a_kind_that_is_not_said_stays_and_one_that_is_said_is_the_new_list__any(
    registered: Registering, setup: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.write("B1", "S12", SCH, *FULL)
    await desk.write("C1", "S14", SCH, "RGS|1", "AIP|1||D-9^FALL")
    assert resources(practice) == ["AIG CHAIR", "AIL CLINIC^ROOM1", "AIP D-9", "AIS WELL"]
    await desk.write("C2", "S14", SCH, "RGS|1", "AIP|1|A|D-8^MAY", "AIP|2|D|D-9^FALL")
    assert resources(practice) == ["AIG CHAIR", "AIL CLINIC^ROOM1", "AIP D-8", "AIS WELL"]
    await desk.write("C3", "S14", SCH)
    assert resources(practice) == ["AIG CHAIR", "AIL CLINIC^ROOM1", "AIP D-8", "AIS WELL"]


@pytest.mark.parametrize("trigger", ["S18", "S19", "S20", "S21", "S22"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_24_a_resource_change_that_lacks_a_kind_waits_and_the_whole_appointment_ends_the_wait__any(
    registered: Registering, setup: str, trigger: str
) -> None:
    practice = await registered(setup)
    side = practice.schedule
    desk = Desk(practice, side)
    await desk.write("B1", "S12", SCH, *FULL)
    before = practice.appointment("S-100")
    half = await desk.write("H1", trigger, SCH, "RGS|1", "AIP|1||D-9^FALL")
    assert practice.decided("H1") == ("held", "#24")
    await desk.write("H2", "S14", f"{SCH}{'|' * 14}Arrived")
    assert practice.state("H2") == "held", "what comes after it waits with it"
    await practice.accepted(other(side), message("SIU^S14", "ECHO", SCH, pid(BOTH), *FULL, sender=other(side)))
    assert practice.decided("ECHO") == ("ignored", "#37")
    assert practice.appointment("S-100") == before
    whole = await desk.write("W1", "S14", f"{SCH}{'|' * 14}Roomed", *FULL[:4], "AIP|1||D-9^FALL")
    assert practice.state("W1") == "accepted"
    assert (practice.decided("H1"), practice.decided("H2")) == (("ignored", "#24"), ("ignored", "#24"))
    assert practice.holds() == []
    assert resources(practice) == ["AIS WELL", "AIG CHAIR", "AIL CLINIC^ROOM1", "AIP D-9"]
    assert steps(practice) == ["booked", "roomed"]
    practice.assert_kept_back(half)
    await practice.assert_relayed(whole, other(side))


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_24_an_appointment_that_ends_needs_no_resources_any_more__any(registered: Registering, setup: str) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.write("B1", "S12", SCH, *FULL)
    await desk.write("H1", "S18", SCH, "RGS|1", "AIP|1||D-9^FALL")
    await desk.write("E1", "S15", SCH)
    assert (practice.state("H1"), practice.state("E1"), practice.holds()) == ("ignored", "accepted", [])
    assert steps(practice) == ["booked", "cancelled"]


# -- 26, 37: what is compared ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sch", "lines", "same"),
    [
        (SCH.replace("|15|min|^^15^20260105093000", "|900|s|^^^202601050930"), FULL, True),
        (SCH.replace("|15|min|^^15^", "|0.25|h|^^^"), FULL, True),
        (SCH.replace("|15|min|^^15^20260105093000", "|||^^M15^20260105093000-0500"), FULL, True),
        (SCH.replace("|15|min|^^15^20260105093000", "|||"), (*FULL, "TQ1|1|||||15^min|20260105143000+0000"), True),
        (SCH.replace("|15|min|^^15^20260105093000", "|||^^^20260105093000^20260105094500"), FULL, True),
        (SCH.replace("SCH||", "SCH|P-77|").replace("|||||||15", "||||MOVED|SICK^Sick|X|15"), (*FULL, "NTE|1||x"), True),
        (SCH, (FULL[0], "AIP|2||N-3^S.", "AIP|1||D-7^W"), True),
        (SCH, (FULL[0], "AIP|1||D-7^WINTER~N-3^SUMMER"), True),
        (SCH.replace("|15|min|", "|15|h|"), FULL, False),
        (SCH.replace("|15|min|^^15^", "|15|s|^^^"), FULL, False),
        (SCH.replace("093000", "093000-0600"), FULL, False),
        (SCH.replace("093000", ""), FULL, False),
        (SCH, (FULL[0], "AIP|1||D-7^WINTER"), False),
        (SCH, (*FULL, "AIP|3||N-9"), False),
        (SCH, (FULL[0], "AIL|1||CLINIC^ROOM2"), False),
        (SCH, (FULL[0], "AIS|1||SICK"), False),
        (SCH, (FULL[0], "AIG|1||TABLE"), False),
    ],
)
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_rows_26_and_37_the_same_in_other_words_is_an_echo_and_anything_else_is_refused__any(
    registered: Registering, setup: str, sch: str, lines: tuple[str, ...], same: bool
) -> None:
    practice = await registered(setup)
    side = other(practice.schedule)
    await Desk(practice, practice.schedule).write("B1", "S12", SCH, *FULL)
    before = practice.appointment("S-100")
    sent = message("SIU^S14", "X1", sch, pid(BOTH), *lines, sender=side, version="2.5.1", sent="20260105081000")
    reply = await practice.send(side, sent)
    if same:
        assert (reply.code, practice.decided("X1")) == ("AA", ("ignored", "#37"))
    else:
        assert_refused(reply, "AE", "S01", 207)
        assert practice.decided("X1") == ("rejected", "#26")
    assert practice.appointment("S-100") == before


# -- times ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        ("202607011030", "2026-07-01T10:30:00-04:00"),
        ("20260308013000", "2026-03-08T01:30:00-05:00"),
        ("20260308023000", "2026-03-08T03:30:00-04:00"),  # that hour does not exist in New York: as if the clock went on
        ("20260308030000", "2026-03-08T03:00:00-04:00"),
        ("20261101013000", "2026-11-01T01:30:00-04:00"),  # that hour comes twice: its first
        ("20261101013000-0500", "2026-11-01T01:30:00-05:00"),
        ("20260105093000+0100", "2026-01-05T03:30:00-05:00"),
        ("20260105", "2026-01-05T00:00:00-05:00"),
        ("20260105093015.25", "2026-01-05T09:30:15.250-05:00"),
        ("2026-01-05", None),
    ],
)
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_contract_3_a_start_without_a_zone_is_in_the_practices_and_never_stops_a_booking__any(
    registered: Registering, setup: str, start: str, shown: str | None
) -> None:
    practice = await registered(setup)
    side = practice.schedule
    sent = await Desk(practice, side).enter("B1", "S12", replace(VISIT, start=start))
    assert practice.state("B1") == "accepted"
    (item,) = await items(practice)
    assert item["start"] == shown
    if shown is not None:
        assert [one["filler_id"] for one in await items(practice, date=shown[:10])] == ["S-100"]
    await practice.assert_relayed(sent, other(side))


@pytest.mark.parametrize(
    ("start", "moved"),
    [
        ("20261101013000", "20261101014500"),
        ("20260308023000", "20260308024500"),
        ("20261101013000-0500", "20261101013000-0400"),
    ],
    ids=["twice", "never", "back an hour"],
)
@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_88_messages_of_the_hour_that_the_clock_changes_are_taken_in_their_order__any(
    registered: Registering, setup: str, start: str, moved: str
) -> None:
    practice = await registered(setup)
    side = practice.schedule
    for number, (when, begin) in enumerate([("20261101014000", start), ("20261101011000", moved)]):
        sent = siu(f"B{number}", "S13", replace(VISIT, start=begin), BOTH, sender=side, sent=when)
        await practice.accepted(side, sent)
        assert practice.state(f"B{number}") == "accepted"
    row = practice.appointment("S-100")
    assert row is not None
    assert row["start"] == moved


# -- contract 6 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_contract_6_an_appointment_shows_its_raw_status_and_every_step_and_a_block_nobody__any(
    registered: Registering, setup: str
) -> None:
    practice = await registered(setup)
    desk = Desk(practice, practice.schedule)
    await desk.enter("B1", "S12", replace(VISIT, status="BOOKED"))
    await desk.enter("P1", "S14", replace(VISIT, status="checked-in"))
    await desk.enter("P2", "S14", replace(VISIT, status="arrived"))
    await desk.enter("P3", "S14", replace(VISIT, status="XYZZY"))
    await desk.enter("K1", "S23", replace(VISIT, filler="BLK-1"), None)
    block, visit = await items(practice, date="2026-01-05")
    assert (block["filler_id"], block["patient"]) == ("BLK-1", None)
    assert visit["patient"] == "PM:7050"
    assert (visit["status"], visit["status_raw"], visit["duration"]) == ("arrived", "XYZZY", "15")
    numbers = [practice.journal(control_id)["id"] for control_id in ("B1", "P1", "P2")]
    assert visit["progress"] == [
        {"status": status, "at": f"2026-01-05T08:0{minute}:00-05:00", "message": number}
        for minute, (status, number) in enumerate(zip(("booked", "checked_in", "arrived"), numbers, strict=True), 1)
    ]
    assert [one["filler_id"] for one in await items(practice, patient="7050")] == ["S-100"]
