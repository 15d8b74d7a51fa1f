"""A person's release or discard, decided inside a batch: what it does, what follows in its commit, what it cannot do."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from ophl7.domain.charge import Charge
from ophl7.engine.acts import Act, Done, NotDone, Verb
from ophl7.errors import StoreRefused
from ophl7.kit import Change, Context, Handlers, Hold, Rules, Segment, Verdict, hold, reject
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import START, Desk, ScriptedStore, adt, dft, ft1, message, msh, pid, siu

OTHER_CHILD = {"name": "Rivers^Bea", "born": "20180101"}


def everything(store: MemoryStore) -> dict[str, Any]:
    """All that is stored, to be compared."""
    return {name: deepcopy(value) for name, value in vars(store).items() if name != "commits"}


def charges(desk: Desk) -> list[tuple[str, str]]:
    found: list[Charge] = [charge for _, (charge, _) in sorted(desk.memory.charges.items())]
    return [(charge.transaction_id, charge.state) for charge in found]


def done(came: Done | NotDone) -> Done:
    assert isinstance(came, Done), came
    return came


async def refused(desk: Desk, control_id: str, key: str = "") -> str:
    """A release that cannot be: nothing at all has changed. Its sentence."""
    before = everything(desk.memory)
    came = await desk.act("release", control_id, key)
    assert isinstance(came, NotDone)
    assert came.still_open
    assert everything(desk.memory) == before
    return came.reason


# -- what a release sets aside ------------------------------------------------------------------------------------------


async def test_row_7_released_the_chart_is_overwritten_the_copy_leaves_and_what_waited_behind_follows_in_one_commit() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD), adt("P3", "A08", **OTHER_CHILD, rest="|||Elm St"))
        assert desk.states == ["accepted", "held", "held"]
        commits = desk.memory.commits
        came = done(await desk.act("release", "P2", "demographics"))
        assert desk.memory.commits == commits + 1
        assert came == Done(START.timestamp(), "accepted", "accepted", (), 1)
        assert desk.delivered == ["P1", "P2", "P3"]
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Bea"
        assert desk.memory.holds == {}
        ends = {row.message: (closed.how, closed.by, closed.reason) for row, closed in desk.memory.closed_holds.values()}
        assert ends == {2: ("accepted", "somebody", "it was looked at"), 3: ("released", None, None)}
        assert [(row.action, row.target, row.reason) for row in desk.memory.audit] == [
            ("release-hold", "hold 1 of message 2", "it was looked at")
        ]
        row = desk.journal("P2")
        assert (row.state, row.row, row.reason) == (
            "accepted",
            "#7",
            "accepted by a person: birth date and given name or sex change at once: a chart may be overwritten",
        )


@pytest.mark.parametrize("field", ["name", "sex", "born"])
async def test_row_11_released_the_value_is_deleted(field: str) -> None:
    path = {"name": "PID-5", "sex": "PID-8", "born": "PID-7"}[field]
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **{field: '""'}))
        assert done(await desk.act("release", "P2", "demographics")).state == "accepted"
        assert path not in desk.memory.patients[1].fields
        assert desk.delivered == ["P1", "P2"]


async def test_row_11_a_deleted_key_id_beside_another_is_taken_as_it_is_and_no_id_is_lost() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", ids='7050^^^PM^MR~""^^^EMR^MR', rest="|||Elm St"))
        assert desk.waits_for("P2") == ["demographics:PM:7050"]
        assert done(await desk.act("release", "P2")).state == "accepted"
        assert desk.memory.patients[1].fields["PID-11"] == "Elm St"
        assert ("PM", "7050") in desk.memory.aliases


async def test_row_11_a_message_that_names_nobody_else_is_refused_at_its_release_and_stays_as_work() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", "A08", ids='""^^^PM^MR'))
        came = done(await desk.act("release", "P1"))
        assert (came.how, came.state, came.waits_for) == ("accepted", "held", ("refused:1",))
        assert desk.waits_for("P1") == ["refused:1"]
        assert "PID names no patient: have the sender correct it" in await refused(desk, "P1")


async def test_row_16_released_a_charge_for_another_name_and_birth_date_leaves() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        stranger = message(msh("DFT^P03", "D1"), pid(name="Lake^Cy", born="20100101"), ft1("T1"))
        await desk.send("emr", stranger)
        assert desk.waits_for("D1") == ["identity:PM:7050"]
        assert done(await desk.act("release", "D1")).state == "accepted"
        assert desk.delivered == ["P1", "D1"]
        assert charges(desk) == [("T1", "sent")]


async def test_row_24_released_a_resource_change_without_its_resources_changes_the_rest() -> None:
    async with Desk() as desk:
        bare = message(msh("SIU^S18", "S2"), "SCH||F1|||||||30|min|^^30^20240306090000" + "|" * 14 + "Booked", pid())
        await desk.send("pm", adt("P1"), siu("S1"), bare)
        assert desk.waits_for("S2") == ["appointment:PM:F1"]
        assert done(await desk.act("release", "S2")).state == "accepted"
        row = desk.memory.appointments[1]
        assert (row.start, [one.id for one in row.resources]) == ("20240306090000", ["D1"])
        assert desk.delivered == ["P1", "S1", "S2"]


async def test_row_33_released_the_appointment_is_the_other_patient_s() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", ids="8^^^PM^MR", name="Hill^Di"), siu("S1"))
        await desk.send(
            "pm", siu("S2", event="S13", ids="8^^^PM^MR"), siu("S3", event="S14", ids="8^^^PM^MR", status="Arrived")
        )
        assert [desk.journal(number).state for number in ("S2", "S3")] == ["held", "held"]
        came = done(await desk.act("release", "S2", "appointment"))
        assert (came.state, came.released) == ("accepted", 1)
        row = desk.memory.appointments[1]
        assert (row.patient, row.subject, row.status) == (2, desk.memory.patients[2].subject, "arrived")


async def test_row_49_released_the_changed_charge_goes_to_the_pm() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1", amount="10")), dft("D2", ft1("T1", amount="20")))
        assert desk.waits_for("D2") == ["charge:T1"]
        assert done(await desk.act("release", "D2")).state == "accepted"
        assert desk.delivered == ["P1", "D1", "D2"]
        assert charges(desk) == [("T1", "sent"), ("T1", "sent")]


async def test_row_51_released_the_credit_leaves_and_the_lane_s_charges_behind_it_follow() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1", kind="CD")), dft("D2", ft1("T2")))
        assert [desk.journal(number).state for number in ("D1", "D2")] == ["held", "held"]
        came = done(await desk.act("release", "D1"))
        assert (came.state, came.released) == ("accepted", 1)
        assert desk.delivered == ["P1", "D1", "D2"]


async def test_row_52_released_the_payment_goes_to_the_pm() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1", kind="PY")))
        assert done(await desk.act("release", "D1", "payment")).state == "accepted"
        assert desk.delivered == ["P1", "D1"]


async def test_row_5_released_a_field_of_the_other_system_is_taken() -> None:
    async with Desk(foreign_fields="hold") as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", adt("E1", "A08", sex="M", rest="|||Elm St"))
        reason = next(iter(desk.memory.holds.values())).reason
        assert "PID-8 is kept" in reason
        assert "PID-11 is kept" in reason, "a person sees all that he would accept"
        assert done(await desk.act("release", "E1", "fields")).state == "accepted"
        assert desk.memory.patients[1].fields["PID-11"] == "Elm St"
        assert desk.memory.drift == []


async def test_row_12_released_a_chart_with_open_business_becomes_inactive() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), siu("S1"), adt("P2", "A29"))
        assert desk.waits_for("P2") == ["delete:PM:7050"]
        assert done(await desk.act("release", "P2")).state == "accepted"
        assert desk.memory.patients[1].inactive_pm is not None
        assert desk.delivered == ["P1", "S1", "P2"]


async def test_row_45_released_a_charge_of_an_inactive_chart_goes_to_the_pm() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A29"))
        await desk.send("emr", dft("D1", "FT1|1|T1||20240401||CG|99213|||1|10"))
        assert desk.waits_for("D1") == ["patient:PM:7050"]
        assert done(await desk.act("release", "D1")).state == "accepted"
        assert desk.delivered == ["P1", "P2", "D1"]


MERGED = message(msh("ADT^A40", "M1"), "EVN||20240301100000", pid(), "MRG|8^^^PM^MR")


async def test_row_8_released_a_registration_of_a_retired_chart_is_kept_there_and_not_passed_on() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", ids="8^^^PM^MR"), MERGED)
        await desk.send("pm", adt("P3", "A04", ids="8^^^PM^MR", rest="|||Elm St"))
        assert desk.waits_for("P3") == ["retired:PM:8"]
        assert done(await desk.act("release", "P3")).state == "accepted"
        assert desk.memory.patients[2].fields["PID-11"] == "Elm St"
        assert desk.memory.patients[2].merged_pm == 1
        assert "P3" not in desk.delivered


async def test_row_66_released_a_chart_is_merged_into_the_other_one() -> None:
    async with Desk() as desk:
        people = [adt(f"P{number}", ids=f"{number}^^^PM^MR") for number in (7050, 8, 9)]
        elsewhere = message(msh("ADT^A40", "M2"), "EVN||20240301100000", pid("9^^^PM^MR"), "MRG|8^^^PM^MR")
        await desk.send("pm", *people, MERGED, elsewhere)
        assert desk.waits_for("M2") == ["merge:PM:8"]
        assert done(await desk.act("release", "M2")).state == "accepted"
        assert desk.memory.patients[2].merged_pm == 3


async def test_row_70_released_what_was_carried_over_by_hand_is_noted() -> None:
    async with Desk() as desk:
        moved = message(msh("ADT^A43", "M1"), "EVN||20240301100000", pid(), "MRG|8^^^PM^MR")
        await desk.send("pm", adt("P1"), moved)
        assert done(await desk.act("release", "M1")).state == "accepted"
        assert desk.journal("M1").row == "#70"
        assert desk.delivered == ["P1"]


# -- what a release cannot do -------------------------------------------------------------------------------------------


async def test_a_release_invents_no_patient() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")))
        assert "register the patient" in await refused(desk, "D1")
        booking = message(msh("SIU^S12", "S1"), "SCH||F1|||||||30|min|^^30^20240305090000", pid("9^^^PM^MR", sex=""))
        await desk.send("pm", booking, adt("P1", "A08", ids="10^^^PM^MR", name=""))
        for control_id in ("S1", "P1"):
            assert "register the patient" in await refused(desk, control_id)


async def test_row_10_a_release_cannot_choose_between_two_patients_until_they_are_one() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", ids="8^^^PM^MR"))
        await desk.send("emr", dft("D1", ft1("T1"), ids="7050^^^PM^MR~8^^^PM^MR"))
        assert "merge the two" in await refused(desk, "D1")
        await desk.send("pm", MERGED)
        assert desk.journal("D1").state == "accepted", "the merge says who it is"


async def test_row_50_a_credit_does_not_leave_before_its_charge() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        other = message(msh("DFT^P03", "D1"), pid(name="Lake^Cy", born="20100101"), ft1("T1"))
        await desk.send("emr", other, dft("D2", ft1("T1", kind="CD")))
        assert desk.waits_for("D2") == ["charge:T1"]
        assert "message 2, which brings that charge, first" in await refused(desk, "D2")
        came = done(await desk.act("release", "D1"))
        assert (came.state, came.released) == ("accepted", 1)
        assert desk.delivered == ["P1", "D1", "D2"]


async def test_what_waits_behind_another_message_is_not_released_before_it() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD), adt("P3", "A08", rest="|||Elm St"))
        assert "waits behind message 2: release or discard that one first" in await refused(desk, "P3")


async def test_row_65_a_merge_into_somebody_unknown_waits_for_him() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P2", ids="8^^^PM^MR"), MERGED)
        assert "register the patient who remains" in await refused(desk, "M1")


async def test_row_66_a_merge_is_not_turned_round_by_a_release() -> None:
    async with Desk() as desk:
        back = message(msh("ADT^A40", "M2"), "EVN||20240301100000", pid("8^^^PM^MR"), "MRG|7050^^^PM^MR")
        await desk.send("pm", adt("P1"), adt("P2", ids="8^^^PM^MR"), MERGED, back)
        assert "cannot turn that round" in await refused(desk, "M2")


async def test_row_95_a_part_that_fails_again_holds_again_and_one_that_was_mended_lets_it_go() -> None:
    broken = [True]
    handlers = Handlers("visits")

    @handlers.on("ADT^A04")
    async def visit(_msh: Segment, _ctx: Context) -> list[Change]:
        if broken[0]:
            raise ValueError
        return []

    async with Desk(handlers=handlers.registered) as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", rest="|||Elm St"))
        assert desk.waits_for("P1") == ["handler:visits.visit"]
        said = await refused(desk, "P1")
        assert "visits.visit failed: ValueError" in said
        assert "mend that part" in said
        broken[0] = False
        came = done(await desk.act("release", "P1"))
        assert (came.how, came.state) == ("released", "accepted")
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Ada"


async def test_a_handler_that_raises_its_hold_again_takes_no_release_and_says_so() -> None:
    handlers = Handlers("stubborn")

    @handlers.on("ADT^A04")
    async def never(_msh: Segment, _ctx: Context) -> list[Change]:
        raise Hold("own", "review:own", "it wants a person")

    async with Desk(handlers=handlers.registered) as desk:
        await desk.send("pm", adt("P1"))
        assert "the part that holds it takes no release" in await refused(desk, "P1")


async def test_a_handler_that_asks_may_be_released() -> None:
    handlers = Handlers("asking")

    @handlers.on("ADT^A04")
    async def ask(_msh: Segment, ctx: Context) -> list[Change]:
        ctx.hold("own", "review:own", "it wants a person", blocks="")
        return []

    async with Desk(handlers=handlers.registered) as desk:
        await desk.send("pm", adt("P1"))
        assert desk.waits_for("P1") == ["review:own"]
        assert done(await desk.act("release", "P1")).state == "accepted"
        assert len(desk.memory.patients) == 1


async def test_a_refusal_at_the_release_is_work_and_is_judged_again_when_it_is_released_itself() -> None:
    strict = [True]
    rules = Rules("late")

    @rules.judge("patient.field")
    async def refuse(_change: Change, _ctx: Context) -> Verdict | None:
        return reject("#5", "P02", "not today") if strict[0] and arrived[0] else None

    arrived = [False]
    async with Desk(rules=rules.registered) as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD))
        arrived[0] = True
        came = done(await desk.act("release", "P2"))
        assert (came.how, came.state, came.waits_for) == ("accepted", "held", ("refused:2",))
        assert desk.journal("P2").reason == "refused at its release: P02 not today"
        assert "refused at its release: P02 not today: have the sender correct it" in await refused(desk, "P2", "refused")
        strict[0] = False
        came = done(await desk.act("release", "P2", "refused"))
        assert (came.how, came.state) == ("released", "accepted"), "what was accepted first stays accepted"
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Bea"


async def test_what_cannot_be_read_any_more_is_not_released_and_can_be_discarded() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")))
        row = desk.journal("D1")
        desk.memory.journal[row.id] = row._replace(raw=b"no HL7 any more")
        assert "cannot be read under the settings of today" in await refused(desk, "D1")
        assert done(await desk.act("discard", "D1")).state == "ignored"
        assert charges(desk) == [("T1", "cancelled")]


# -- several holds, and what stays accepted -----------------------------------------------------------------------------


async def test_a_message_with_two_holds_leaves_when_a_person_has_released_both() -> None:
    rules = Rules("second")

    @rules.judge("charge.add")
    async def second(_change: Change, _ctx: Context) -> Verdict | None:
        return hold("own", "review:second", "a second look")

    async with Desk(rules=rules.registered) as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1", kind="PY")))
        first = done(await desk.act("release", "D1", "payment"))
        assert (first.how, first.state, first.waits_for) == ("accepted", "held", ("review:second",))
        assert desk.journal("D1").reason == "a second look"
        assert done(await desk.act("release", "D1", "review")).state == "accepted"
        assert desk.delivered == ["P1", "D1"]


async def test_what_was_accepted_stays_accepted_when_the_other_condition_clears_by_itself() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1", kind="PY")))
        assert desk.waits_for("D1") == ["patient:PM:7050", "payment:T1"]
        came = done(await desk.act("release", "D1", "payment"))
        assert (came.state, came.waits_for) == ("held", ("patient:PM:7050",))
        await desk.send("pm", adt("P1"))
        assert desk.journal("D1").state == "accepted"
        assert desk.delivered == ["P1", "D1"]


async def test_what_was_accepted_for_one_message_is_accepted_for_no_other() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1", kind="PY")), dft("D2", ft1("T1", kind="PY", amount="9")))
        await desk.act("release", "D1")
        assert desk.waits_for("D2") == ["payment:T1"]
        assert desk.journal("D2").state == "held"


async def test_only_what_a_person_was_shown_is_accepted_not_another_reason_under_the_same_key() -> None:
    words = ["it is early"]
    rules = Rules("words")

    @rules.judge("patient.field")
    async def say(_change: Change, _ctx: Context) -> Verdict | None:
        return hold("own", "review:words", words[0])

    async with Desk(rules=rules.registered) as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", rest="|||Elm St"))
        words[0] = "it is late"
        came = done(await desk.act("release", "P2"))
        assert (came.how, came.state, came.waits_for) == ("released", "held", ("review:words",))
        assert [row.reason for row in desk.memory.holds.values()] == ["it is late"]
        assert done(await desk.act("release", "P2")).state == "accepted"


# -- discard ------------------------------------------------------------------------------------------------------------


async def test_a_discarded_charge_is_cancelled_and_its_holds_closed_with_the_reason() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1", kind="PY"), ft1("T2", 2)))
        before = desk.journal("D1")
        came = done(await desk.act("discard", "D1", "payment"))
        assert came == Done(START.timestamp(), "discarded", "ignored", (), 0)
        assert charges(desk) == [("T1", "cancelled"), ("T2", "cancelled")]
        assert desk.memory.holds == {}
        assert {(closed.how, closed.by, closed.reason) for _, closed in desk.memory.closed_holds.values()} == {
            ("discarded", "somebody", "it was looked at")
        }
        row = desk.journal("D1")
        assert (row.state, row.reason) == ("ignored", "discarded by a person")
        assert (row.row, row.detail, row.subject) == (before.row, before.detail, before.subject)
        assert [row.action for row in desk.memory.audit] == ["discard-hold"]
        await desk.send("pm", adt("P1"))
        assert desk.delivered == ["P1"]
        assert charges(desk) == [("T1", "cancelled"), ("T2", "cancelled")]


async def test_what_waited_behind_a_discarded_message_goes_on_in_the_same_commit() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD), adt("P3", "A08", rest="|||Elm St"))
        commits = desk.memory.commits
        came = done(await desk.act("discard", "P2"))
        assert (came.state, came.released, desk.memory.commits) == ("ignored", 1, commits + 1)
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Ada"
        assert desk.memory.patients[1].fields["PID-11"] == "Elm St"
        assert desk.delivered == ["P1", "P3"]


async def test_what_waits_for_the_same_by_itself_goes_on_waiting() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T2")))
        assert done(await desk.act("discard", "D1")).released == 0
        assert desk.waits_for("D2") == ["patient:PM:7050"]


async def test_row_48_a_repetition_takes_the_place_of_a_discarded_charge() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        stranger = message(msh("DFT^P03", "D1"), pid(name="Lake^Cy", born="20100101"), ft1("T1"))
        await desk.send("emr", stranger, dft("D2", ft1("T1")))
        assert desk.waits_for("D2") == ["charge:T1"]
        came = done(await desk.act("discard", "D1"))
        assert (came.state, came.released) == ("ignored", 1)
        assert desk.delivered == ["P1", "D2"]
        assert charges(desk) == [("T1", "cancelled"), ("T1", "sent")]


async def test_row_51_a_credit_of_a_discarded_charge_waits_on_for_another_reason_and_can_then_be_released() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        stranger = message(msh("DFT^P03", "D1"), pid(name="Lake^Cy", born="20100101"), ft1("T1"))
        await desk.send("emr", stranger, dft("D2", ft1("T1", kind="CD")))
        assert done(await desk.act("discard", "D1")).released == 0
        assert [row.reason for row in desk.memory.holds.values()] == ["it credits a charge that is not known"]
        assert done(await desk.act("release", "D2")).state == "accepted"


# -- once, alone, and with others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", ["release", "discard"])
async def test_a_closed_hold_is_decided_no_second_time(again: Verb) -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD))
        await desk.act("release", "P2")
        before = everything(desk.memory)
        came = await desk.act(again, "P2", hold=1)
        assert isinstance(came, NotDone)
        assert not came.still_open
        assert everything(desk.memory) == before


async def test_of_two_people_at_once_one_decides() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD))
        both = await asyncio.gather(desk.act("release", "P2", hold=1), desk.act("discard", "P2", hold=1))
        assert [type(one) for one in both] == [Done, NotDone]
        assert desk.states == ["accepted", "accepted"]
        assert len(desk.memory.audit) == 1


async def test_a_condition_that_clears_in_the_same_batch_is_faster_than_the_person() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")))
        act = partial(desk.people.carry_out, act=Act("discard", 1, 1, "somebody", "so"))
        asked = asyncio.create_task(desk.engine.perform(act))
        desk.offer("pm", adt("P1"))  # wakes the loop after the task
        came = await asked
        await desk.settled()
        assert isinstance(came, NotDone)
        assert desk.journal("D1").state == "accepted"
        assert charges(desk) == [("T1", "sent")]


async def test_a_hold_of_another_message_is_not_open_for_this_one() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T2")))
        act = Act("discard", 1, 2, "somebody", "so")
        came = await desk.engine.perform(partial(desk.people.carry_out, act=act))
        assert isinstance(came, NotDone)
        assert desk.states == ["held", "held"]


async def test_rows_that_the_database_refuses_leave_everything_as_it_was() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("P1"), adt("P2", "A08", **OTHER_CHILD))
        before = everything(desk.memory)
        store.faults = [StoreRefused(), None, StoreRefused()]  # the batch, the marks alone, the act alone
        with pytest.raises(StoreRefused):
            await desk.act("release", "P2")
        assert everything(desk.memory) == before
        assert done(await desk.act("release", "P2")).state == "accepted"


async def test_emr_owned_patients_are_released_the_same_way() -> None:
    async with Desk(patient_authority="emr", schedule_authority="emr") as desk:
        await desk.send("emr", adt("E1", ids="1^^^EMR^MR"), adt("E2", "A08", ids="1^^^EMR^MR", **OTHER_CHILD))
        assert done(await desk.act("release", "E2", "demographics")).state == "accepted"
        assert desk.delivered == ["E1", "E2"]
