"""decisions 7, rows 87 to 89, from socket to socket: what comes too late, and a sender's clock that cannot be trusted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, Person, Side, adt, dft, merged, siu
from tests.acceptance.practice import SETUPS, Opening, Practice, owner_of_patients, owner_of_schedule

pytestmark = pytest.mark.timeout(30)

EARLIER, SENT, LATER = "20260105080000", "20260105080500", "20260105081000"


def living_in(street: str, who: Person = RUTH) -> Person:
    return replace(who, street=street)


async def registered(practice: Practice, who: Person = RUTH, sent: str = EARLIER) -> Side:
    """Somebody whom the owner has registered; the owner."""
    side = owner_of_patients(practice.setup)
    await practice.accepted(side, adt(f"REG{who.id}", "A28", who, sender=side, sent=sent))
    return side


def street(practice: Practice, who: Person = RUTH) -> str:
    return str(practice.field(who.id, "PID-11")).partition("^")[0]


def zoned(instant: datetime) -> str:
    return instant.strftime("%Y%m%d%H%M%S+0000")


# -- 87 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_87_an_update_older_than_the_last_one_is_stale_and_has_no_effect__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = await registered(practice)
    await practice.accepted(side, adt("U2", "A08", living_in("2 NEW ST"), sender=side, sent=LATER))
    late = adt("U1", "A08", living_in("3 LATE ST"), sender=side, sent=SENT)
    reply = await practice.accepted(side, late)
    assert reply.faults == ()
    assert practice.decided("U1") == ("stale", "#87")
    assert street(practice) == "2 NEW ST"
    practice.assert_kept_back(late)
    assert practice.holds() == []
    assert practice.drift() == []


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_87_a_booking_older_than_the_last_word_on_that_appointment_is_stale__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await registered(practice)
    side = owner_of_schedule(setup)
    await practice.accepted(side, siu("S1", "S12", VISIT, sender=side, sent=EARLIER))
    await practice.accepted(side, siu("S3", "S13", replace(VISIT, start="20260106093000"), sender=side, sent=LATER))
    late = siu("S2", "S14", replace(VISIT, start="20260107093000"), sender=side, sent=SENT)
    await practice.accepted(side, late)
    assert practice.decided("S2") == ("stale", "#87")
    row = practice.appointment("S-100")
    assert row is not None
    assert row["start"] == "20260106093000"
    practice.assert_kept_back(late)
    # Another appointment of the same patient is another object.
    await practice.accepted(side, siu("S4", "S12", replace(VISIT, filler="S-101"), sender=side, sent=SENT))
    assert practice.state("S4") == "accepted"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_87_a_cancellation_that_overtook_its_booking_stays__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await registered(practice)
    side = owner_of_schedule(setup)
    await practice.accepted(side, siu("S2", "S15", sender=side, sent=LATER), siu("S1", "S12", sender=side, sent=SENT))
    assert practice.decided("S1") == ("stale", "#87")
    row = practice.appointment("S-100")
    assert row is not None
    assert row["status"] == "cancelled"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_87_each_sender_is_judged_by_its_own_clock__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = await registered(practice, sent=LATER)
    other: Side = "emr" if side == "pm" else "pm"
    chart = "AL1|1|DA|PCN^PENICILLIN" if other == "emr" else "IN1|1|PLAN|INS1|AETNA"
    await practice.accepted(other, adt("E1", "A08", RUTH, chart, sender=other, sent=EARLIER))
    assert practice.state("E1") == "accepted"
    assert practice.field("7050", chart[:3]) == chart


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_87_pid_33_decides_where_both_carry_it__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = await registered(practice)

    def update(control_id: str, place: str, updated: str, sent: str) -> bytes:
        header, evn, pid = adt(control_id, "A08", living_in(place), sender=side, sent=sent, version="2.5").split(b"\r")[:3]
        pid += b"|" * (33 - pid.count(b"|")) + updated.encode()
        return b"\r".join((header, evn, pid)) + b"\r"

    await practice.accepted(side, update("U1", "2 NEW ST", LATER, SENT))
    await practice.accepted(side, update("U2", "3 LATE ST", SENT, LATER))
    assert practice.decided("U2") == ("stale", "#87")
    # Without it the event's time counts, against the last that was applied.
    await practice.accepted(side, adt("U3", "A08", living_in("4 LAST ST"), sender=side, sent=LATER))
    assert practice.state("U3") == "accepted"
    assert street(practice) == "4 LAST ST"


async def test_row_87_evn_2_comes_before_msh_7_which_counts_where_it_is_missing__any(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=SENT)
    old_event = adt("U1", "A08", living_in("2 NEW ST"), sent=SENT).replace(
        f"EVN|A08|{SENT}".encode(), b"EVN|A08|20260105080000"
    )
    await practice.accepted("pm", old_event)
    assert practice.decided("U1") == ("stale", "#87")
    no_event = adt("U2", "A08", living_in("3 LATE ST"), sent=EARLIER).replace(f"EVN|A08|{EARLIER}".encode(), b"EVN|A08")
    await practice.accepted("pm", no_event)
    assert practice.decided("U2") == ("stale", "#87")
    assert street(practice) == "1 ELM ST"


async def test_row_87_what_changed_nothing_was_the_last_word_too__any(opened: Opening) -> None:
    """An update that says what is known already; then, late, an older one that says something else."""
    practice = await opened()
    await registered(practice)
    chart = adt("E1", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr", sent=EARLIER)
    echo = adt("E3", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr", sent=LATER)
    await practice.accepted("emr", chart, echo)
    assert practice.state("E3") == "ignored"
    await practice.accepted("emr", adt("E2", "A08", RUTH, "AL1|1|DA|EGG^EGGS", sender="emr", sent=SENT))
    assert practice.decided("E2") == ("stale", "#87")
    assert practice.field("7050", "AL1") == "AL1|1|DA|PCN^PENICILLIN"


async def test_row_87_refusals_are_decided_before_it__any(opened: Opening) -> None:
    """P9: that the EMR may not create a patient does not depend on when it tries."""
    practice = await opened()
    await registered(practice)
    await practice.accepted("emr", adt("E1", "A08", RUTH, "AL1|1|DA|EGG^EGGS", sender="emr", sent=LATER))
    delete = adt("E2", "A29", RUTH, sender="emr", sent=SENT)
    assert (await practice.send("emr", delete)).code == "AE"
    assert practice.decided("E2") == ("rejected", "#13")


async def test_row_87_what_would_be_held_is_stale_instead_when_it_comes_too_late__any(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=LATER)
    await practice.accepted("pm", adt("U1", "A08", replace(RUTH, birth="20010101", given="EVE"), sent=SENT))
    assert practice.decided("U1") == ("stale", "#87")
    assert practice.holds() == []


async def test_row_87_a_copy_of_a_stale_message_is_a_duplicate__any(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=LATER)
    late = adt("U1", "A08", sent=SENT)
    line = await practice.line("pm")
    answer = await line.send(late)
    assert await line.send(late) == answer
    assert [row["state"] for row in practice.rows("SELECT state FROM journal ORDER BY id")][1:] == ["stale", "duplicate"]


async def test_row_87_a_stale_message_is_listed__any(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=LATER)
    await practice.accepted("pm", adt("U1", "A08", sent=SENT))
    base, _, token = practice.broker.web_address.partition("?token=")
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:
        found = (await client.get("/api/v1/messages", params={"state": "stale"})).json()["items"]
    assert [(one["control_id"], one["state"], one["ack"], one["row"]) for one in found] == [("U1", "stale", "AA", "#87")]
    assert found[0]["reason"] == (
        "its time, 2026-01-05 08:05:00, is before that of what was applied last about this patient from the same system, "
        "2026-01-05 08:10:00"
    )


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_row_87_the_watermark_outlives_a_batch_and_a_restart__any(opened: Opening, together: bool) -> None:
    practice = await opened()
    await registered(practice)
    two = [adt("U2", "A08", living_in("2 NEW ST"), sent=LATER), adt("U1", "A08", living_in("3 LATE ST"), sent=SENT)]
    if together:
        await (await practice.line("pm")).pipeline(*two)
    else:
        await practice.accepted("pm", two[0])
        await practice.broker.stop()
        practice = await opened()
        await practice.accepted("pm", two[1])
    assert practice.decided("U1") == ("stale", "#87")
    assert street(practice) == "2 NEW ST"


# -- 88 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_88_a_charge_is_never_stale_and_moves_no_watermark__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    await registered(practice)
    await practice.accepted("emr", dft("C2", [FEE], sent=LATER), dft("C1", [Fee("T-2")], sent=EARLIER))
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent")]
    await practice.accepted("emr", adt("E1", "A08", RUTH, "AL1|1|DA|EGG^EGGS", sender="emr", sent=SENT))
    assert practice.state("E1") == "accepted"


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_88_a_merge_is_never_stale_and_moves_no_watermark__any(opened: Opening, setup: str, side: Side) -> None:
    practice = await opened(setup)
    owner = await registered(practice, sent=SENT)
    await registered(practice, OSCAR, sent=SENT)
    await practice.accepted(side, merged("M1", (OSCAR, RUTH), sender=side, sent=EARLIER))
    assert practice.state("M1") == "accepted"
    assert len(practice.merges()) == 1
    await practice.accepted(owner, adt("U1", "A08", living_in("2 NEW ST"), sender=owner, sent=SENT))
    assert street(practice) == "2 NEW ST"


async def test_row_88_equal_times_are_applied_in_the_order_in_which_they_come__any(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=SENT)
    await practice.accepted("pm", *(adt(f"U{n}", "A08", living_in(f"{n} NEW ST"), sent=SENT) for n in (1, 2)))
    assert street(practice) == "2 NEW ST"


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ("20260105080530", "202601050805", "accepted"),  # the same minute
        ("202601050805", "20260105080530", "accepted"),
        ("20260105080530", "202601050804", "stale"),
        ("202601050805", "20260105080459", "stale"),
        ("20260105080530", "20260105", "accepted"),
        ("20260105080530", "20260104", "stale"),
        ("20260105080530.500", "20260105080530", "accepted"),
        ("20260105080530.500", "20260105080530.4", "stale"),
        ("20260105080530.45", "20260105080530.4", "accepted"),
        ("20260105080530-0500", "20260105130530+0000", "accepted"),  # the same instant
        ("20260105080530-0500", "20260105130529+0000", "stale"),
        ("20260105080530", "20260105130529+0000", "stale"),  # without a zone it is the practice's, New York
        ("20260105080530", "nonsense", "accepted"),
    ],
)
async def test_row_88_times_are_compared_up_to_the_coarser_precision__any(
    opened: Opening, first: str, second: str, state: str
) -> None:
    practice = await opened()
    await registered(practice, sent=first)
    await practice.accepted("pm", adt("U1", "A08", living_in("2 NEW ST"), sent=second))
    assert practice.state("U1") == state
    # The watermark has not moved: what would be stale before is stale still.
    await practice.accepted("pm", adt("U2", "A08", living_in("3 LATE ST"), sent="20260103"))
    assert practice.state("U2") == "stale"


@pytest.mark.parametrize("hour", ["20251102013000", "20250309023000"], ids=["twice", "not at all"])
async def test_row_88_a_time_that_a_change_of_clocks_makes_ambiguous_is_never_stale__any(opened: Opening, hour: str) -> None:
    practice = await opened()
    await registered(practice, sent="20260105080000")
    await practice.accepted("pm", adt("U1", "A08", living_in("2 NEW ST"), sent=hour))
    assert practice.state("U1") == "accepted"
    await practice.accepted("pm", adt("U2", "A08", living_in("3 LATE ST"), sent="20260105075900"))
    assert practice.state("U2") == "stale"


async def test_row_88_what_is_released_is_not_stale_and_moves_no_watermark__any(opened: Opening) -> None:
    practice = await opened()
    # A booking that does not say enough waits for its patient; another one of the same appointment waits likewise.
    someone = replace(RUTH, birth="")
    await practice.accepted("pm", siu("S2", "S12", VISIT, someone, sent=LATER))
    await practice.accepted("pm", siu("S1", "S13", replace(VISIT, minutes="30"), someone, sent=EARLIER))
    await practice.accepted("pm", adt("REG", "A28", sent=SENT))
    assert [practice.state(one) for one in ("S2", "S1")] == ["accepted", "accepted"]
    await practice.accepted("pm", siu("S0", "S13", replace(VISIT, minutes="45"), sent="20260105070000"))
    assert practice.state("S0") == "accepted"


@pytest.mark.parametrize("kind", ["identity", "retired", "delete"])
async def test_row_88_what_delays_nobody_else_is_judged_by_87_when_it_is_released__any(opened: Opening, kind: str) -> None:
    practice = await opened()
    await registered(practice, sent=EARLIER)
    await registered(practice, OSCAR, sent=EARLIER)
    if kind == "identity":
        held = adt("H1", "A08", replace(living_in("9 WRONG ST"), ids="7050^^^PM^MR~7051^^^PM^MR"), sent=SENT)
    elif kind == "retired":
        await practice.accepted("pm", merged("M1", (RUTH, OSCAR), sent=EARLIER))
        held = adt("H1", "A04", living_in("9 WRONG ST"), sent=SENT)
    else:
        await practice.accepted("pm", siu("S1", "S12", replace(VISIT, start="20991231090000"), sent=EARLIER))
        held = adt("H1", "A29", sent=SENT)
    await practice.accepted("pm", held)
    assert practice.state("H1") == "held"
    assert practice.holds()[0].startswith(kind)
    await practice.accepted("pm", adt("U1", "A08", living_in("2 NEW ST"), sent=LATER))
    (hold,) = practice.rows("SELECT id FROM hold WHERE closed_at IS NULL")
    base, _, token = practice.broker.web_address.partition("?token=")
    if kind == "identity":
        await practice.accepted("pm", merged("M1", (OSCAR, RUTH), sent=LATER))
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as client:
        answer = await client.post(f"/api/v1/holds/{hold['id']}/release", json={"reason": "looked at it"})
    if kind != "identity":
        assert (answer.status_code, answer.json()["state"]) == (200, "stale")
    assert practice.decided("H1") == ("stale", "#87")
    assert practice.holds() == []
    assert street(practice) == "2 NEW ST"


# -- 89 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_89_a_time_in_the_future_is_taken_as_now_with_a_warning__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await opened(setup)
    side = await registered(practice)
    now = datetime.now(UTC)
    ahead = adt("U1", "A08", living_in("2 NEW ST"), sender=side, sent=zoned(now + timedelta(days=1)), version=version)
    reply = await practice.accepted(side, ahead)
    assert [(fault.severity, fault.ours) for fault in reply.faults] == ([("W", "")] if version > "2.5" else [])
    assert practice.decided("U1") == ("accepted", "#89")
    await practice.assert_relayed(ahead, "emr" if side == "pm" else "pm")
    before = adt("U2", "A08", living_in("3 LATE ST"), sender=side, sent=zoned(now - timedelta(minutes=1)))
    after = adt("U3", "A08", living_in("4 LAST ST"), sender=side, sent=zoned(datetime.now(UTC) + timedelta(minutes=1)))
    await practice.accepted(side, before, after)
    assert (practice.state("U2"), practice.state("U3")) == ("stale", "accepted")
    assert street(practice) == "4 LAST ST"


async def test_row_89_ten_minutes_are_no_reason_to_warn__any(opened: Opening) -> None:
    practice = await opened()
    sent = zoned(datetime.now(UTC) + timedelta(minutes=9))
    reply = await practice.accepted("pm", adt("REG", "A28", version="2.5.1", sent=sent))
    assert reply.faults == ()
    assert practice.decided("REG") == ("accepted", "#1")


async def test_row_89_a_second_one_from_the_future_is_processed_too__any(opened: Opening) -> None:
    practice = await opened()
    far = datetime.now(UTC) + timedelta(days=2)
    await registered(practice, sent=zoned(far))
    for number in (1, 2, 3):
        sent = zoned(far - timedelta(hours=number))
        await practice.accepted("pm", adt(f"U{number}", "A08", living_in(f"{number} NEW ST"), sent=sent))
    assert street(practice) == "3 NEW ST"


# -- a sender's clock that goes back ------------------------------------------------------------------------------------------


def people(count: int) -> list[Person]:
    return [replace(RUTH, id=str(8000 + number), given=f"N{number}") for number in range(count)]


def alarms(practice: Practice) -> dict[str, int]:
    return practice.broker.alarms.ringing()


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_section_7_a_clock_that_goes_back_over_three_lanes_is_not_believed_until_it_passes(
    opened: Opening, together: bool
) -> None:
    practice = await opened()
    everybody = people(5)
    for who in everybody:
        await practice.accepted("pm", adt(f"R{who.id}", "A28", who, sent=LATER))
    late = [adt(f"U{who.id}", "A08", living_in("2 NEW ST", who), sent=SENT) for who in everybody]
    if together:
        await (await practice.line("pm")).pipeline(*late)
    else:
        await practice.accepted("pm", *late)
    assert [practice.state(f"U{who.id}") for who in everybody] == ["stale"] * 3 + ["accepted"] * 2
    assert alarms(practice) == {"sender_clock": 1}
    assert street(practice, everybody[3]) == "2 NEW ST"
    # It runs on from where it is: what it applied last is its watermark again.
    await practice.accepted("pm", adt("X1", "A08", living_in("3 NEXT ST", everybody[4]), sent="20260105081100"))
    assert alarms(practice) == {}
    await practice.accepted("pm", adt("X2", "A08", living_in("4 LATE ST", everybody[4]), sent="20260105080900"))
    assert practice.state("X2") == "stale"


async def test_section_7_one_patient_s_late_messages_are_no_reason_to_doubt_a_clock(opened: Opening) -> None:
    practice = await opened()
    await registered(practice, sent=LATER)
    for number in range(5):
        await practice.accepted("pm", adt(f"U{number}", "A08", living_in(f"{number} NEW ST"), sent=SENT))
        assert practice.state(f"U{number}") == "stale"
    assert alarms(practice) == {}


async def test_section_7_a_clock_that_runs_on_in_between_is_believed(opened: Opening) -> None:
    practice = await opened()
    everybody = people(6)
    for who in everybody:
        await practice.accepted("pm", adt(f"R{who.id}", "A28", who, sent=SENT))
    for number, who in enumerate(everybody):
        await practice.accepted("pm", adt(f"U{who.id}", "A08", living_in("2 NEW ST", who), sent=EARLIER))
        assert practice.state(f"U{who.id}") == "stale"
        await practice.accepted("pm", adt(f"N{who.id}", "A08", who, sent=f"202601050810{number:02}"))
    assert alarms(practice) == {}


async def test_section_7_one_sender_s_clock_says_nothing_of_the_other_s(opened: Opening) -> None:
    practice = await opened()
    everybody = people(4)
    for who in everybody:
        await practice.accepted("pm", adt(f"R{who.id}", "A28", who, sent=SENT))
        await practice.accepted("emr", adt(f"E{who.id}", "A08", who, "AL1|1|DA|EGG", sender="emr", sent=SENT))
    await practice.accepted("pm", *(adt(f"U{who.id}", "A08", who, sent=EARLIER) for who in everybody))
    assert alarms(practice) == {"sender_clock": 1}
    await practice.accepted("emr", adt("E2", "A08", everybody[3], "AL1|1|DA|NUT", sender="emr", sent=EARLIER))
    assert practice.state("E2") == "stale"
