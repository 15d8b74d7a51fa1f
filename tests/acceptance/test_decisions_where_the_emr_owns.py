"""Rows that ask nobody who owns what, where the EMR owns patients and schedule: the same road from its own side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, adt, dft, merged, message, pid, relayed, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Opening, Practice, owner_of_patients
from tests.acceptance.replies import VERSIONS, assert_refused, read_reply
from tests.acceptance.test_decisions_generic import mounted

pytestmark = pytest.mark.timeout(30)

EITHER = pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])


async def registered(opened: Opening, setup: str = EMR_OWNS, **more: str) -> Practice:
    """Ruth and Oscar, announced by who owns the patients."""
    practice = await opened(setup, **more)
    side = owner_of_patients(setup)
    await practice.accepted(side, adt("R1", "A28", sender=side), adt("R2", "A28", OSCAR, sender=side))
    return practice


# -- charges --------------------------------------------------------------------------------------------------------------


@EITHER
async def test_row_42_one_charge_of_several_that_needs_a_biller_keeps_the_others_with_it__any(
    opened: Opening, setup: str
) -> None:
    practice = await registered(opened, setup)
    sent = dft("C1", [Fee("T-1"), Fee("T-2", kind="PY"), Fee("T-3", kind="AJ")])
    await practice.accepted("emr", sent)
    assert practice.state("C1") == "held"
    assert practice.holds() == ["payment:T-2", "payment:T-3"]
    assert practice.charges() == [("T-1", "held"), ("T-2", "held"), ("T-3", "held")]
    practice.assert_kept_back(sent)


@EITHER
async def test_row_53_zero_amounts_equal_lines_and_several_drug_codes_leave_as_they_are__any(
    opened: Opening, setup: str
) -> None:
    practice = await registered(opened, setup)
    lines = [
        Fee("T-1", amount="0.00").ft1(1),
        Fee("T-2").ft1(2),
        Fee("T-3").ft1(3),
        Fee("T-4", code="90460").ft1(4) + "|||||SL|||49281-0400-10^A^NDC~49281-0545-05^B^NDC",
    ]
    sent = message("DFT^P03", "C1", "EVN|P03|20260105", pid(RUTH), "PV1|1|O", *lines, sender="emr")
    await practice.accepted("emr", sent)
    assert practice.decided("C1") == ("accepted", "#40")
    assert practice.charges() == [(f"T-{number}", "sent") for number in (1, 2, 3, 4)]
    await practice.assert_relayed(sent, "pm")


@pytest.mark.parametrize("event", ["BAR^P01", "EHC^E01"])
async def test_row_56_the_emr_that_owns_the_patients_makes_no_claims__emr_owns(opened: Opening, event: str) -> None:
    practice = await registered(opened)
    sent = message(event, "X56", "EVN|P01|20260105", pid(RUTH), sender="emr")
    assert_refused(await practice.send("emr", sent), "AR", "C03", (200, 201))
    assert practice.decided("X56") == ("rejected", "#56")
    practice.assert_kept_back(sent)


# -- merges ---------------------------------------------------------------------------------------------------------------


async def test_row_68_nothing_usable_in_mrg__emr_owns(opened: Opening) -> None:
    practice = await registered(opened)
    sent = message("ADT^A40", "M1", "EVN|A40|20260105", pid(RUTH), "MRG|", sender="emr")
    assert_refused(await practice.send("emr", sent), "AE", "M02", 101)
    assert practice.decided("M1") == ("rejected", "#68")


def account_merge(control_id: str, setup: str) -> bytes:
    """The account ACC-2, together with another street, which is none of a merge's business."""
    line = "|".join([*pid(replace(RUTH, street="9 NEW RD")).split("|"), "", "", "", "", "ACC-2"])
    side = owner_of_patients(setup)
    return message("ADT^A41", control_id, "EVN|A41|20260105", line, "MRG|||ACC-1", sender=side, sent="20260105080100")


@EITHER
async def test_row_69_an_account_merge_changes_the_account_and_no_demographics__any(opened: Opening, setup: str) -> None:
    """The account is the biller's to keep: where the EMR owns the patients, it is the PM's all the same (decisions 9)."""
    practice = await registered(opened, setup)
    sent = account_merge("M1", setup)
    await practice.accepted(practice.patients, sent)
    assert practice.decided("M1") == ("accepted", "#69" if setup == PM_OWNS else "#4")
    assert practice.field("7050", "PID-18") == ("ACC-2" if setup == PM_OWNS else None)
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    practice.assert_kept_back(sent)


@EITHER
async def test_row_69_an_account_merge_creates_nobody_and_waits_for_the_registration__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = practice.patients
    await practice.accepted(side, account_merge("M1", setup))
    assert practice.decided("M1") == ("held", "#69")
    assert practice.holds() == ["patient:PM:7050"]
    assert practice.count("patient") == 0
    await practice.accepted(side, adt("R1", "A28", sender=side))
    assert practice.holds() == []
    assert practice.state("M1") == "accepted"


async def test_row_70_moves_are_a_persons__emr_owns(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", merged("M1", (OSCAR, RUTH), trigger="A43", sender="emr"))
    assert practice.decided("M1") == ("held", "#70")
    await practice.accepted("emr", adt("U1", "A08", sender="emr"))  # that message only waits
    assert practice.state("U1") == "accepted"


async def test_row_74_charts_of_what_may_be_two_children_are_merged_loudly__emr_owns(opened: Opening) -> None:
    practice = await registered(opened)
    reply = await practice.accepted("emr", merged("M1", (OSCAR, RUTH), sender="emr", version="2.5.1"))
    assert practice.decided("M1") == ("accepted", "#74")
    assert reply.warnings == [""]
    assert [pair[2:] for pair in practice.merges()] == [(False, True, "one_sided")]


# -- any message ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
async def test_row_81_another_processing_id_is_refused__emr_owns(opened: Opening, version: str) -> None:
    practice = await opened(EMR_OWNS)
    sent = message("ADT^A28", "X81", "EVN|A28", pid(RUTH), sender="emr", version=version, mode="T")
    assert_refused(await practice.send("emr", sent), "AR", "", 202)
    assert practice.decided("X81") == ("rejected", "#81")
    assert practice.patient("7050") is None


async def test_row_82_an_unknown_version_is_refused__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    assert_refused(await practice.send("emr", adt("X82", "A28", sender="emr", version="3.0")), "AR", "", 203)
    assert practice.decided("X82") == ("rejected", "#82")


async def test_row_84b_a_refused_message_is_judged_again_and_counted_once__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    again = adt("B84", "A28")
    for _ in range(2):
        assert_refused(await practice.send("pm", again), "AE", "P01", 204)
    await practice.accepted("emr", adt("R1", "A28", sender="emr"))
    await practice.accepted("pm", again)
    states = practice.rows("SELECT state FROM journal WHERE control_id = 'B84' ORDER BY id")
    assert [row["state"] for row in states] == ["rejected", "rejected", "ignored"]  # known by now, and nothing new


@pytest.mark.parametrize("version", VERSIONS)
async def test_row_85_the_control_id_again_with_another_content_is_a_new_message__emr_owns(
    opened: Opening, version: str
) -> None:
    practice = await registered(opened)
    reply = await practice.accepted("emr", siu("R1", "S12", VISIT, sender="emr", version=version))
    assert reply.warnings == (["W04"] if version >= "2.5" else [])
    assert practice.decided("R1") == ("accepted", "#85")


async def test_row_86_without_control_ids_only_the_lanes_last_message_is_a_copy__emr_owns(opened: Opening) -> None:
    practice = await registered(opened)
    line = await practice.line("emr")
    steps = [("Arrived", "20260105092500"), ("Booked", "20260105092520"), ("Arrived", "20260105092540")]
    for status, sent in steps:
        step = siu("", "S14", replace(VISIT, status=status), sender="emr", sent=sent)
        for _ in range(2):
            assert read_reply(await line.send(step)).code == "AA"
    states = practice.rows("SELECT state FROM journal WHERE event = 'SIU^S14' ORDER BY id")
    assert [row["state"] for row in states] == ["accepted", "duplicate"] * 3


async def test_row_90_what_is_no_readable_hl7_is_kept_and_refused__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    reply = read_reply(await (await practice.line("emr")).send(b"no message at all"))
    assert (reply.code, reply.faults[0].code) == ("AR", 100)
    assert practice.rows("SELECT state, decision_row FROM journal") == [{"state": "error", "decision_row": "#90"}]


async def test_row_90b_an_end_mark_inside_the_data_damages_one_frame_only__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    line = await practice.line("emr")
    good = adt("X91", "A28", sender="emr")
    await line.send_raw(b"\x0b" + good.replace(b"ADAMSKI", b"ADA\x1cMSKI") + b"\x1c\r" + frame(good))
    answers = [read_reply(await line.read_answer()) for _ in range(2)]
    assert [reply.code for reply in answers] == ["AR", "AA"]
    assert [row["decision_row"] for row in practice.rows("SELECT decision_row FROM journal ORDER BY id")] == ["#90b", "#6"]


async def test_row_91_a_message_too_big_is_refused_and_the_connection_closed__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS, EMR_MAX_BYTES="2KiB")
    async with Client(*practice.address("emr")) as line:
        await line.send_raw(frame(adt("X91", "A28", RUTH, "NTE|1||" + "x" * 5000, sender="emr")))
        reply = read_reply(await line.read_answer())
        await line.closed()
    assert (reply.code, reply.faults[0].code) == ("AR", 199)
    assert [row["decision_row"] for row in practice.rows("SELECT decision_row FROM journal")] == ["#91"]


async def test_row_92_unknown_segments_pass_untouched__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    sent = adt("X92", "A28", RUTH, "ZPI|1|a^b~c&d\\F\\", "XYZ|", "QRD", sender="emr")
    await practice.accepted("emr", sent)
    payload = await practice.copy_of(sent, "pm")
    assert payload == relayed(sent, payload.split(b"|")[9].decode())


async def test_row_93_an_ack_on_a_listener_is_never_answered__emr_owns(opened: Opening) -> None:
    practice = await opened(EMR_OWNS)
    await (await practice.line("emr")).send_raw(frame(message("ACK^A08", "K93", "MSA|AA|1", sender="emr")))
    assert (await practice.send("emr", message("ADT^A24", "X93", sender="emr"))).control_id == "X93"
    assert practice.decided("K93") == ("ignored", "#93")


async def test_row_94_while_the_disk_is_full_nothing_is_answered_and_nothing_lost__emr_owns(opened: Opening) -> None:
    practice = await registered(opened)
    line = await practice.line("emr")
    practice.broker.engine.close_for("disk")
    await line.send_raw(frame(siu("X95", "S12", sender="emr")))
    await line.closed()
    assert practice.rows("SELECT 1 FROM journal WHERE control_id = 'X95'") == []
    practice.broker.engine.open_for("disk")
    async with Client(*practice.address("emr")) as again:
        assert read_reply(await again.send(siu("X95", "S12", sender="emr"))).code == "AA"


async def test_row_95_a_failing_handler_costs_its_message_only__emr_owns(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, HANDLERS_PATH=mounted(tmp_path))
    bad = adt("X95", "A08", replace(RUTH, street="9 NEW RD"), "ZBD|1", sender="emr")
    await practice.accepted("emr", bad, adt("X97", "A08", OSCAR, sender="emr"))
    assert practice.decided("X95") == ("held", "#95")
    assert practice.state("X97") == "accepted"
    assert practice.field("7050", "PID-11") == "1 ELM ST^^SPRINGFIELD^NY^12345"
    practice.assert_kept_back(bad)


@EITHER
async def test_section_7_members_of_a_batch_are_judged_one_by_one(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    side = practice.patients
    members = siu("X1", "S12", sender=side) + message("ORU^R01", "X2", sender=side) + dft("X3", [FEE], sender=side)
    answer = await (await practice.line(side)).send(b"BHS|^~\\&|US\r" + members + b"BTS|3\r")
    codes = [part.split(b"|")[1] for part in answer.split(b"\r") if part.startswith(b"MSA")]
    assert codes == ([b"AA", b"AR", b"AR"] if side == "pm" else [b"AA", b"AR", b"AA"])
