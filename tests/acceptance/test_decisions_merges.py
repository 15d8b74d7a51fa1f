"""decisions 6, row by row, from socket to socket; and what becomes of other messages about merged charts (#8, #32, #44)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.testing.peers import refuse, slow
from tests.acceptance.messages import (
    RUTH,
    VISIT,
    Fee,
    Person,
    Side,
    adt,
    control_id_of,
    dft,
    merged,
    message,
    pid,
    segments,
    siu,
)
from tests.acceptance.practice import PM_OWNS, SETUPS, Opening, Practice, other
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)

MERGES = ("A18", "A30", "A34", "A36", "A39", "A40")

# Ruth was registered twice; under each of her PM's ids the EMR has a chart of its own.
TWIN = replace(RUTH, id="7051")
THIRD = replace(RUTH, id="7052")


def both(who: Person) -> Person:
    """With the ids of both sides, as the patients' owner writes them."""
    return replace(who, ids=f"{who.id}^^^PM^MR~{who.id.replace('70', 'E-')}^^^EMR^MR")


def in_words_of(side: Side, who: Person) -> Person:
    """As that side's staff know the chart."""
    return who if side == "pm" else replace(who, ids=f"{who.id.replace('70', 'E-')}^^^EMR^MR")


async def twice(opened: Opening, setup: str, *people: Person, **more: str) -> Practice:
    """A practice that knows Ruth under two ids."""
    practice = await opened(setup, **more)
    for number, who in enumerate(people or (RUTH, TWIN)):
        await practice.accepted(practice.patients, adt(f"REG{number}", "A28", both(who), sender=practice.patients))
    await practice.quiet()
    return practice


def merge_of(side: Side, retired: Person, survivor: Person, control_id: str = "M1", **more: str) -> bytes:
    return merged(control_id, (in_words_of(side, retired), in_words_of(side, survivor)), sender=side, **more)


def ids_in(payload: bytes) -> bytes:
    """PID-3."""
    return segments(payload, b"PID")[0].split(b"|")[3]


# -- 60 to 63 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", MERGES)
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_60_a_side_merges_its_own_charts_and_only_those__any(
    opened: Opening, setup: str, side: Side, trigger: str
) -> None:
    practice = await twice(opened, setup)
    sent = merge_of(side, TWIN, RUTH, trigger=trigger)
    reply = await practice.accepted(side, sent)
    assert reply.faults == ()
    assert practice.decided("M1") == ("accepted", "#60")
    assert practice.merged_into("7051", side) == "7050"
    assert practice.merged_into("7051", other(side)) is None
    assert practice.merges() == [("7051", "7050", side == "pm", side == "emr", "one_sided")]
    assert practice.count("patient") == 2
    assert practice.field("7051", "PID-5") == "ADAMSKI^RUTH"
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_61_the_other_side_reports_the_same_pair__any(opened: Opening, setup: str, side: Side) -> None:
    practice = await twice(opened, setup)
    await practice.accepted(side, merge_of(side, TWIN, RUTH))
    await practice.accepted(other(side), merge_of(other(side), TWIN, RUTH, "M2"))
    assert practice.decided("M2") == ("accepted", "#61")
    assert practice.merges() == [("7051", "7050", True, True, "two_sided")]


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_61_a_chain_on_one_side_and_one_step_on_the_other_agree__any(opened: Opening, setup: str) -> None:
    practice = await twice(opened, setup, RUTH, TWIN, THIRD)
    await practice.accepted("pm", merge_of("pm", THIRD, TWIN), merge_of("pm", TWIN, RUTH, "M2"))
    await practice.accepted("emr", merge_of("emr", THIRD, RUTH, "M3"))
    assert practice.merges() == [
        ("7052", "7051", True, False, "one_sided"),
        ("7051", "7050", True, False, "one_sided"),
        ("7052", "7050", True, True, "two_sided"),
    ]
    await practice.accepted("emr", merge_of("emr", TWIN, RUTH, "M4"))
    assert {state for *_, state in practice.merges()} == {"two_sided"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_62_opposite_directions_are_a_conflict_and_traffic_flows__any(
    opened: Opening, setup: str, side: Side, version: str
) -> None:
    practice = await twice(opened, setup)
    await practice.accepted(side, merge_of(side, TWIN, RUTH))
    reply = await practice.accepted(other(side), merge_of(other(side), RUTH, TWIN, "M2", version=version))
    assert practice.decided("M2") == ("accepted", "#62")
    assert reply.warnings == ([""] if version == "2.5.1" else [])
    assert {state for *_, state in practice.merges()} == {"conflict"}
    assert practice.merged_into("7051", side) == "7050"
    assert practice.merged_into("7050", other(side)) == "7051"
    pm_survivor = b"7050" if side == "pm" else b"7051"
    for control_id, who in (("C1", RUTH), ("C2", TWIN)):
        charge = dft(control_id, [Fee(control_id)], who)
        await practice.accepted("emr", charge)
        assert ids_in(await practice.copy_of(charge, "pm")) == pm_survivor + b"^^^PM^MR"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_63_the_same_merge_again_changes_nothing__any(opened: Opening, setup: str) -> None:
    practice = await twice(opened, setup)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH), merge_of("pm", TWIN, RUTH, "M2"))
    assert practice.decided("M2") == ("ignored", "#63")
    assert practice.merges() == [("7051", "7050", True, False, "one_sided")]


# -- 64, 65 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_64_an_unknown_source_is_kept_as_a_redirect_and_late_messages_resolve__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await twice(opened, setup, RUTH)
    early = dft("C1", [Fee("T-1")], TWIN)
    await practice.accepted("emr", early)
    assert practice.decided("C1") == ("held", "#43")
    reply = await practice.accepted("pm", merge_of("pm", TWIN, RUTH, version=version))
    assert practice.decided("M1") == ("accepted", "#64")
    assert reply.warnings == ([""] if version == "2.5.1" else [])
    assert practice.state("C1") == "accepted"
    late = dft("C2", [Fee("T-2")], TWIN)
    await practice.accepted("emr", late)
    for sent in (early, late):
        assert ids_in(await practice.copy_of(sent, "pm")) == b"7050^^^PM^MR"
    assert practice.merges() == [("7051", "7050", True, False, "one_sided")]
    if practice.patients == "pm":
        await practice.accepted("pm", adt("R9", "A28", TWIN))
        assert practice.decided("R9") == ("held", "#8"), "nobody is created from a merged id"


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_65_an_unknown_target_is_waited_for_and_charges_of_the_source_with_it__any(
    opened: Opening, setup: str
) -> None:
    practice = await twice(opened, setup, TWIN)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    assert practice.decided("M1") == ("held", "#65")
    assert practice.holds() == ["target:PM:7050"]
    charge = dft("C1", [Fee("T-1")], TWIN)
    await practice.accepted("emr", charge)
    assert practice.state("C1") == "held"
    await practice.accepted(practice.patients, adt("R1", "A28", both(RUTH), sender=practice.patients))
    assert (practice.state("M1"), practice.state("C1")) == ("accepted", "accepted")
    assert practice.holds() == []
    assert ids_in(await practice.copy_of(charge, "pm")) == b"7050^^^PM^MR"


# -- 66 to 68 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_66_a_chart_that_is_merged_elsewhere_already_is_a_persons__any(
    opened: Opening, setup: str, side: Side
) -> None:
    practice = await twice(opened, setup, RUTH, TWIN, THIRD)
    await practice.accepted(side, merge_of(side, TWIN, RUTH), merge_of(side, TWIN, THIRD, "M2"))
    assert practice.decided("M2") == ("held", "#66")
    assert practice.holds() == [f"merge:{'PM:7051' if side == 'pm' else 'EMR:E-51'}"]
    assert practice.merged_into("7051", side) == "7050"


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_66_a_cycle_is_a_persons__any(opened: Opening, setup: str, side: Side) -> None:
    practice = await twice(opened, setup, RUTH, TWIN, THIRD)
    await practice.accepted(side, merge_of(side, THIRD, TWIN), merge_of(side, TWIN, RUTH, "M2"))
    await practice.accepted(side, merge_of(side, RUTH, THIRD, "M3"))
    assert practice.decided("M3") == ("held", "#66")
    assert practice.merged_into("7050", side) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_67_source_and_target_are_one_id__any(opened: Opening, setup: str, side: Side, version: str) -> None:
    practice = await twice(opened, setup)
    sent = merge_of(side, RUTH, RUTH, version=version)
    assert_refused(await practice.send(side, sent), "AE", "M01", 205)
    assert practice.decided("M1") == ("rejected", "#67")
    assert practice.merges() == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mrg", ["", "MRG|", 'MRG|""', "MRG|||A-1", "MRG|123456789^^^SSA^SS"])
@pytest.mark.parametrize("trigger", ["A18", "A34", "A40"])
async def test_row_68_nothing_usable_in_mrg__any(opened: Opening, trigger: str, mrg: str, version: str) -> None:
    practice = await twice(opened, PM_OWNS)
    lines = [f"EVN|{trigger}|20260105", pid(RUTH), *([mrg] if mrg else [])]
    sent = message(f"ADT^{trigger}", "M1", *lines, sender="pm", version=version)
    assert_refused(await practice.send("pm", sent), "AE", "M02", 101)
    assert practice.decided("M1") == ("rejected", "#68")


async def test_row_15_a_merge_into_nobody_names_no_patient__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    sent = message("ADT^A40", "M1", "EVN|A40", "PID|1||||ADAMSKI^RUTH", "MRG|7051^^^PM^MR", sender="pm")
    assert_refused(await practice.send("pm", sent), "AE", "", 101)
    assert practice.decided("M1") == ("rejected", "#15")


async def test_several_pairs_are_one_unit_and_a_chain_in_one_message_is_a_chain__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS, RUTH, TWIN, THIRD)
    await practice.accepted("pm", merged("M1", (THIRD, TWIN), (TWIN, RUTH)))
    assert [pair[:2] for pair in practice.merges()] == [("7052", "7051"), ("7051", "7050")]
    charge = dft("C1", [Fee("T-1")], THIRD)
    await practice.accepted("emr", charge)
    assert ids_in(await practice.copy_of(charge, "pm")) == b"7050^^^PM^MR"


async def test_of_several_pairs_one_that_waits_keeps_all_back__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("pm", merged("M1", (TWIN, RUTH), (replace(RUTH, id="7060"), replace(RUTH, id="7061"))))
    assert practice.decided("M1") == ("held", "#65")
    assert practice.merges() == []


# -- 69, 70, 72, 74 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A35", "A41"])
async def test_row_69_an_account_merge_re_points_the_account_and_is_not_passed_on__any(opened: Opening, trigger: str) -> None:
    practice = await twice(opened, PM_OWNS, RUTH)
    line = "|".join([*pid(RUTH).split("|"), "", "", "", "", "ACC-2"])
    assert line.split("|")[18] == "ACC-2"
    sent = message(f"ADT^{trigger}", "M1", f"EVN|{trigger}", line, "MRG|||ACC-1", sender="pm", sent="20260105080100")
    await practice.accepted("pm", sent)
    assert practice.decided("M1") == ("accepted", "#69")
    assert practice.field("7050", "PID-18") == "ACC-2"
    assert practice.merges() == []
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["A42", "A43", "A44", "A45", "A49", "A50", "A51"])
@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_row_70_moves_are_a_persons__any(opened: Opening, side: Side, trigger: str) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted(side, merge_of(side, TWIN, RUTH, trigger=trigger))
    assert practice.decided("M1") == ("held", "#70")
    assert "by hand" in practice.journal("M1")["reason"]
    later = adt("U1", "A08", both(RUTH), sent="20260105080500")
    await practice.accepted("pm", later)
    assert practice.state("U1") == "accepted"  # that message only


@pytest.mark.parametrize("trigger", ["A46", "A47"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_72_a_changed_id_is_an_alias_of_the_same_patient__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await twice(opened, setup, RUTH)
    new = replace(RUTH, id="8050")
    await practice.accepted("pm", merged("M1", (RUTH, new), trigger=trigger))
    assert practice.decided("M1") == ("accepted", "#72")
    old, found = practice.patient("7050"), practice.patient("8050")
    assert old == found
    assert old is not None
    assert old["merged_pm"] is None
    assert practice.count("patient") == 1
    await practice.accepted("pm", merged("M2", (RUTH, new), trigger=trigger))
    assert practice.decided("M2") == ("ignored", "#72")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("other_child", [{"birth": "20190101"}, {"sex": "M"}])
async def test_row_74_charts_of_what_may_be_two_children_are_merged_loudly__any(
    opened: Opening, version: str, other_child: dict[str, str]
) -> None:
    practice = await twice(opened, PM_OWNS, RUTH, replace(TWIN, **other_child))
    reply = await practice.accepted("pm", merge_of("pm", TWIN, RUTH, version=version))
    assert practice.decided("M1") == ("accepted", "#74")
    assert reply.warnings == ([""] if version == "2.5.1" else [])
    assert practice.merges() == [("7051", "7050", True, False, "one_sided")]


# -- what is about merged charts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["A08", "A31"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_8_an_update_of_a_chart_that_its_sender_retired_stays_there__any(
    opened: Opening, setup: str, trigger: str
) -> None:
    practice = await twice(opened, setup)
    side = practice.patients
    await practice.accepted(side, merge_of(side, TWIN, RUTH))
    who = in_words_of(side, replace(TWIN, street="9 NEW RD"))
    sent = adt("U1", trigger, who, sender=side, version="2.5.1", sent="20260105080500")
    reply = await practice.accepted(side, sent)
    assert practice.decided("U1") == ("accepted", "#8")
    assert reply.warnings == [""]
    assert str(practice.field("7051", "PID-11")).startswith("9 NEW RD")
    assert str(practice.field("7050", "PID-11")).startswith("1 ELM ST")
    practice.assert_kept_back(sent)
    survivor = adt("U2", "A08", in_words_of(side, RUTH), sender=side, sent="20260105080600")
    await practice.accepted(side, survivor)
    assert practice.destinations("U2") == [other(side)]


@pytest.mark.parametrize("trigger", ["A01", "A04", "A05", "A28"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_8_a_registration_under_a_retired_id_is_held_alone__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await twice(opened, setup)
    side = practice.patients
    await practice.accepted(side, merge_of(side, TWIN, RUTH))
    await practice.accepted(side, adt("R1", trigger, in_words_of(side, TWIN), sender=side, sent="20260105080500"))
    assert practice.decided("R1") == ("held", "#8")
    (key,) = practice.holds()
    assert key.startswith("retired:")
    await practice.accepted(side, adt("U2", "A08", in_words_of(side, RUTH), sender=side, sent="20260105080600"))
    assert practice.state("U2") == "accepted"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_32_a_booking_for_a_retired_chart_goes_to_the_survivor_of_the_receiving_side__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await twice(opened, setup)
    side = practice.schedule
    receiver = other(side)
    await practice.accepted(receiver, merge_of(receiver, TWIN, RUTH))
    sent = siu("S1", "S12", VISIT, in_words_of(side, TWIN), sender=side, version=version)
    reply = await practice.accepted(side, sent)
    assert practice.decided("S1") == ("accepted", "#32")
    assert reply.warnings == (["W02"] if version == "2.5.1" else [])
    arrived = await practice.copy_of(sent, receiver)
    assert in_words_of(side, RUTH).pid_3.encode() in ids_in(arrived)
    assert b"7051" not in ids_in(arrived)
    assert b"E-51" not in ids_in(arrived)


async def test_row_32_where_only_the_sender_has_merged_the_booking_keeps_the_id_that_the_receiver_knows__pm_owns(
    opened: Opening,
) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    sent = siu("S1", "S12", VISIT, TWIN, version="2.5.1")
    reply = await practice.accepted("pm", sent)
    assert (practice.decided("S1"), reply.warnings) == (("accepted", "#32"), ["W02"])
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_33_a_merge_explains_that_an_appointment_moves_to_the_survivor__any(opened: Opening, setup: str) -> None:
    practice = await twice(opened, setup)
    side = practice.schedule
    await practice.accepted(side, siu("S1", "S12", VISIT, in_words_of(side, TWIN), sender=side))
    await practice.accepted(side, merge_of(side, TWIN, RUTH))
    await practice.accepted(side, siu("S2", "S14", VISIT, in_words_of(side, RUTH), sender=side, sent="20260105080500"))
    assert practice.state("S2") == "accepted"
    row, ruth = practice.appointment("S-100"), practice.patient("7050")
    assert row is not None
    assert ruth is not None
    assert row["patient"] == ruth["id"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_44_a_charge_for_a_chart_that_the_pm_retired_goes_to_the_survivor__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await twice(opened, setup)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    sent = dft("C1", [Fee("T-1")], both(TWIN), version=version)
    reply = await practice.accepted("emr", sent)
    assert practice.decided("C1") == ("accepted", "#44")
    assert reply.warnings == (["W02"] if version == "2.5.1" else [])
    arrived = await practice.copy_of(sent, "pm")
    assert ids_in(arrived) == b"7050^^^PM^MR~E-50^^^EMR^MR"
    assert arrived.replace(b"7050", b"7051").replace(b"E-50", b"E-51") == sent.replace(
        b"C1", control_id_of(arrived).encode(), 1
    )


async def test_row_44_the_emrs_own_chart_id_alone_is_sent_on_with_the_pms_survivor__pm_owns(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    sent = dft("C1", [Fee("T-1")], in_words_of("emr", TWIN))
    await practice.accepted("emr", sent)
    assert ids_in(await practice.copy_of(sent, "pm")) == b"7050^^^PM^MR~E-50^^^EMR^MR"


async def test_row_44_what_only_the_emr_has_merged_is_billed_under_the_id_that_the_pm_knows__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("emr", merge_of("emr", TWIN, RUTH))
    sent = dft("C1", [Fee("T-1")], TWIN)
    await practice.accepted("emr", sent)
    assert practice.decided("C1") == ("accepted", "#40")
    await practice.assert_relayed(sent, "pm")


async def test_row_10_ids_of_two_charts_that_a_side_has_merged_are_one_patient__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("emr", merge_of("emr", TWIN, RUTH))
    mixed = replace(RUTH, ids="7050^^^PM^MR~E-51^^^EMR^MR")
    await practice.accepted("emr", dft("C1", [Fee("T-1")], mixed))
    assert practice.state("C1") == "accepted"


async def test_row_10_a_merge_releases_what_waited_because_its_ids_were_two_patients__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    mixed = replace(RUTH, ids="7050^^^PM^MR~E-51^^^EMR^MR")
    charge = dft("C1", [Fee("T-1")], mixed)
    await practice.accepted("emr", charge)
    assert practice.decided("C1") == ("held", "#10")
    await practice.accepted("emr", merge_of("emr", TWIN, RUTH))
    assert practice.state("C1") == "accepted"
    assert practice.holds() == []


# -- what waits while charts are merged -----------------------------------------------------------------------------------


async def test_charges_that_wait_for_the_pm_are_made_anew_for_the_survivor_in_the_order_of_both_lanes__any(
    opened: Opening,
) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.desk["pm"].stop()
    charges = [dft(f"C{n}", [Fee(f"T-{n}")], who) for n, who in enumerate((TWIN, RUTH, TWIN, RUTH))]
    await practice.accepted("emr", *charges)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.desk["pm"].start()
    received = [await practice.copy_of(sent, "pm") for sent in charges]
    assert [ids_in(payload) for payload in received] == [b"7050^^^PM^MR"] * 4
    arrived = [control_id_of(payload) for payload in practice.desk["pm"].payloads if segments(payload, b"FT1")]
    assert arrived == [control_id_of(payload) for payload in received]


async def test_bytes_that_were_tried_are_frozen_and_what_comes_after_them_is_made_anew__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS, PM_RETRY="1h..1h")
    practice.desk["pm"].script.append(refuse("AR", 206))  # the record is open at the desk
    first, second = dft("C1", [Fee("T-1")], TWIN), dft("C2", [Fee("T-2")], TWIN)
    await practice.accepted("emr", first)
    await practice.until(lambda: practice.deliveries("C1")[0]["attempts"] == 1)
    await practice.accepted("emr", second)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    bodies = {name: practice.deliveries(name)[0]["body"] for name in ("C1", "C2")}
    assert bodies["C1"] is None
    assert ids_in(bodies["C2"]) == b"7050^^^PM^MR"


async def test_a_charge_that_the_pm_did_not_know_is_sent_anew_under_another_control_id_once_a_merge_explains_why__any(
    opened: Opening,
) -> None:
    practice = await twice(opened, PM_OWNS)
    practice.desk["pm"].script.append(refuse("AE", 204))
    charge = dft("C1", [Fee("T-1")], TWIN)
    await practice.accepted("emr", charge)
    await practice.until(lambda: practice.deliveries("C1")[0]["state"] == "held")
    refused = practice.deliveries("C1")[0]["control_id"]
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.until(lambda: practice.deliveries("C1")[0]["state"] == "accepted")
    (row,) = practice.deliveries("C1")
    assert row["control_id"] != refused
    assert row["former_control_id"] == refused
    assert ids_in(await practice.arrived("pm", row["control_id"])) == b"7050^^^PM^MR"


async def test_what_is_on_its_way_in_both_lanes_settles_before_the_united_lane_goes_on__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS, PM_CONNECTIONS="4", PM_ACK_TIMEOUT="5s")
    gate = asyncio.Event()
    practice.desk["pm"].script.extend([slow(gate), slow(gate)])
    await practice.accepted("emr", dft("C1", [Fee("T-1")], TWIN), dft("C2", [Fee("T-2")], RUTH))
    await practice.desk["pm"].received(2, 10)
    later = [dft(f"C{n}", [Fee(f"T-{n}")], who) for n, who in ((3, TWIN), (4, RUTH))]
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.accepted("emr", *later)
    assert len(practice.desk["pm"].messages) == 2
    gate.set()
    for sent in later:
        assert ids_in(await practice.copy_of(sent, "pm")) == b"7050^^^PM^MR"
    order = [segments(payload, b"FT1")[0].split(b"|")[2] for payload in practice.desk["pm"].payloads]
    assert set(order[:2]) == {b"T-1", b"T-2"}
    assert order[2:] == [b"T-3", b"T-4"]


async def test_charges_of_both_charts_are_one_ledger_after_the_merge__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("emr", dft("C1", [Fee("T-1")], TWIN))
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.accepted("emr", dft("C2", [Fee("T-1")], RUTH))
    assert practice.decided("C2") == ("ignored", "#48")


async def test_a_merge_of_a_chart_whose_charges_wait_blocks_those_of_the_survivor_too__any(opened: Opening) -> None:
    practice = await twice(opened, PM_OWNS)
    await practice.accepted("emr", dft("C1", [Fee("T-9", kind="CD")], TWIN))
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.accepted("emr", dft("C2", [Fee("T-2")], RUTH))
    assert practice.state("C2") == "held"
    await practice.accepted("emr", dft("C3", [Fee("T-9")], RUTH))
    assert [practice.state(name) for name in ("C1", "C2", "C3")] == ["accepted"] * 3


async def test_a_refusal_that_comes_after_the_merge_is_explained_by_it_too__any(opened: Opening) -> None:
    """The natural race: the charge is on its way while the PM's staff merge."""
    practice = await twice(opened, PM_OWNS)
    gate = asyncio.Event()
    practice.desk["pm"].script.append(slow(gate, refuse("AE", 204)))
    charge, later = dft("C1", [Fee("T-1")], TWIN), dft("C2", [Fee("T-2")], RUTH)
    await practice.accepted("emr", charge)
    await practice.desk["pm"].received(1, 10)
    await practice.accepted("pm", merge_of("pm", TWIN, RUTH))
    await practice.accepted("emr", later)
    refused = practice.deliveries("C1")[0]["control_id"]
    gate.set()
    await practice.until(lambda: practice.deliveries("C2")[0]["state"] == "accepted")
    (row,) = practice.deliveries("C1")
    assert (row["state"], row["former_control_id"]) == ("accepted", refused)
    arrived = [payload for payload in practice.desk["pm"].payloads if segments(payload, b"FT1")]
    assert [ids_in(payload) for payload in arrived] == [b"7051^^^PM^MR", b"7050^^^PM^MR", b"7050^^^PM^MR"]
    assert control_id_of(arrived[1]) == row["control_id"]


# -- accounts, pairs, and merges that are passed on ---------------------------------------------------------------------


def with_account(who: Person, account: str) -> str:
    """His PID, with an account number."""
    return "|".join([*pid(who).split("|"), "", "", "", "", account])


async def family(opened: Opening) -> Practice:
    """Two children of one account, and a third of another."""
    practice = await opened(PM_OWNS)
    people = ((RUTH, "ACC-1"), (replace(TWIN, birth="20190101", given="BEA"), "ACC-1^^^PM"), (THIRD, "ACC-12"))
    for number, (who, account) in enumerate(people):
        line = with_account(who, account)
        await practice.accepted("pm", message("ADT^A28", f"REG{number}", "EVN|A28", line, sender="pm"))
    return practice


@pytest.mark.parametrize("trigger", ["A35", "A41"])
async def test_row_69_everybody_with_the_old_account_has_the_new_one__pm_owns(opened: Opening, trigger: str) -> None:
    practice = await family(opened)
    sent = message(
        f"ADT^{trigger}", "M1", f"EVN|{trigger}", with_account(RUTH, "ACC-2"), "MRG|||ACC-1", sender="pm", sent="20260105080100"
    )
    await practice.accepted("pm", sent)
    assert practice.decided("M1") == ("accepted", "#69")
    assert [practice.field(f"705{n}", "PID-18") for n in range(3)] == ["ACC-2", "ACC-2", "ACC-12"]
    practice.assert_kept_back(sent)


async def test_row_69_several_pairs_of_accounts_in_one_message__pm_owns(opened: Opening) -> None:
    practice = await family(opened)
    lines = (with_account(RUTH, "ACC-2"), "MRG|||ACC-1", with_account(THIRD, "ACC-3"), "MRG|||ACC-12")
    await practice.accepted("pm", message("ADT^A41", "M1", "EVN|A41", *lines, sender="pm", sent="20260105080100"))
    assert [practice.field(f"705{n}", "PID-18") for n in range(3)] == ["ACC-2", "ACC-2", "ACC-3"]


async def test_row_69_the_emrs_accounts_are_not_the_pms__pm_owns(opened: Opening) -> None:
    practice = await family(opened)
    line = with_account(RUTH, "ACC-9")
    await practice.accepted("emr", message("ADT^A41", "M1", "EVN|A41", line, "MRG|||ACC-1", sender="emr"))
    assert [practice.field(f"705{n}", "PID-18") for n in range(2)] == ["ACC-1", "ACC-1^^^PM"]


async def test_row_60_row_69_a36_merges_charts_and_accounts__pm_owns(opened: Opening) -> None:
    practice = await family(opened)
    lines = (with_account(RUTH, "ACC-2"), "MRG|7052^^^PM^MR||ACC-1")
    await practice.accepted("pm", message("ADT^A36", "M1", "EVN|A36", *lines, sender="pm", sent="20260105080100"))
    assert practice.decided("M1") == ("accepted", "#60")
    assert practice.merged_into("7052", "pm") == "7050"
    assert [practice.field(f"705{n}", "PID-18") for n in range(3)] == ["ACC-2", "ACC-2", "ACC-12"]
    await practice.accepted("pm", message("ADT^A36", "M2", "EVN|A36", *lines, sender="pm", sent="20260105080200"))
    assert practice.state("M2") == "ignored"


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("trigger", MERGES)
async def test_row_68_accounts_and_visits_alone_name_no_chart__any(opened: Opening, side: Side, trigger: str) -> None:
    practice = await twice(opened, PM_OWNS)
    for number, mrg in enumerate(("MRG|||ACC-1", "MRG|||||V-1")):
        sent = message(f"ADT^{trigger}", f"M{number}", f"EVN|{trigger}", pid(in_words_of(side, RUTH)), mrg, sender=side)
        assert_refused(await practice.send(side, sent), "AE", "M02", 101)
    assert practice.merges() == []


async def four_charts(opened: Opening) -> Practice:
    """The PM and the EMR have two charts each, and nobody knows yet that they are the same people's."""
    practice = await opened(PM_OWNS)
    for number, who in enumerate((RUTH, TWIN)):
        await practice.accepted("pm", adt(f"REG{number}", "A28", who))
        await practice.accepted("pm", adt(f"EMR{number}", "A28", in_words_of("emr", who)))
    assert practice.count("patient") == 4
    return practice


async def test_domain_2_2_several_ids_are_paired_by_the_system_that_gave_them__any(opened: Opening) -> None:
    practice = await four_charts(opened)
    into = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
    gone = replace(TWIN, ids="7051^^^PM^MR~E-51^^^EMR^MR")
    await practice.accepted("pm", merged("M1", (gone, into)))
    assert practice.decided("M1") == ("accepted", "#60")
    pairs = [(retired, survivor) for retired, survivor, *_ in practice.merges()]
    assert sorted(pairs) == [("7051", "7050"), ("E-51", "E-50")]


async def test_domain_2_2_where_the_order_says_something_else_a_person_is_asked__any(opened: Opening) -> None:
    practice = await four_charts(opened)
    into = replace(RUTH, ids="E-50^^^EMR^MR~7050^^^PM^MR")
    gone = replace(TWIN, ids="7051^^^PM^MR~E-51^^^EMR^MR")
    await practice.accepted("pm", merged("M1", (gone, into)))
    assert practice.decided("M1") == ("held", "#66")
    assert practice.merges() == []


@pytest.mark.parametrize("trigger", ["A46", "A47"])
async def test_row_72_every_pair_of_a_message_is_heard__pm_owns(opened: Opening, trigger: str) -> None:
    practice = await twice(opened, PM_OWNS)
    new = (replace(RUTH, id="8050"), replace(TWIN, id="8051"))
    await practice.accepted("pm", merged("M1", (RUTH, new[0]), (TWIN, new[1]), trigger=trigger))
    assert practice.decided("M1") == ("accepted", "#72")
    for old, known_as in (("7050", "8050"), ("7051", "8051")):
        assert practice.patient(old) == practice.patient(known_as) is not None


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("setup", SETUPS)
async def test_a_merge_is_passed_on_only_where_a_profile_asks_for_it__any(
    opened: Opening, setup: str, asked: bool, tmp_path: Path
) -> None:
    more: dict[str, str] = {}
    if asked:
        profile = tmp_path / "hears_merges.toml"
        profile.write_text("[merges]\nforward = true\n")
        more = {"EMR_PROFILE": str(profile)}
    practice = await twice(opened, setup, **more)
    sent = merge_of("pm", TWIN, RUTH)
    await practice.accepted("pm", sent)
    if asked:
        payload = await practice.copy_of(sent, "emr")
        assert segments(payload, b"MRG") == segments(sent, b"MRG")
        again = merge_of("pm", TWIN, RUTH, "M2")
        await practice.accepted("pm", again)
        assert practice.state("M2") == "ignored"
        practice.assert_kept_back(again)
    else:
        practice.assert_kept_back(sent)
