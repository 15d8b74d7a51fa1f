"""A merge is taken apart by a person (#73): one edge of one map, in one commit with all that follows."""

from __future__ import annotations

from typing import Any

import pytest

from ophl7.engine.aftermath import CannotUnmerge, UnmergePlan
from ophl7.hl7v2.message import Message
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid, siu

ADA, BEA, CLEO = (f"705{n}^^^PM^MR~E-{n}^^^EMR^MR" for n in range(3))


def a40(control_id: str, retired: str, into: str, side: str = "pm") -> bytes:
    """In that side's own words: 7051 or E-1."""
    authority = side.upper()
    lines = (pid(f"{into}^^^{authority}^MR"), f"MRG|{retired}^^^{authority}^MR")
    return message(msh("ADT^A40", control_id), "EVN||20240301100000", *lines)


async def two(desk: Desk) -> None:
    assert await desk.send("pm", adt("R0", ids=ADA), adt("R1", ids=BEA)) == ["AA", "AA"]


async def merged(desk: Desk) -> None:
    await two(desk)
    assert await desk.send("pm", a40("M1", "7051", "7050")) == ["AA"]


def patient(desk: Desk, value: str) -> Any:  # noqa: ANN401 - a Patient, without a cast in each test
    return desk.memory.patients[desk.memory.aliases["PM", value]]


async def named(desk: Desk, control_id: str) -> str:
    """PID-3 of the copy of that message as it would leave now."""
    (row,) = [row for row in desk.memory.deliveries.values() if desk.memory.journal[row.message].control_id == control_id]
    pid3 = Message.parse(await desk.memory.body_of(row.id)).first("PID")
    assert pid3 is not None
    return pid3.field(3)


def lane_of(desk: Desk, control_id: str) -> int:
    (row,) = [row for row in desk.memory.deliveries.values() if desk.memory.journal[row.message].control_id == control_id]
    return row.lane


def state(desk: Desk, number: int = 1) -> str:
    return desk.memory.merges[number].state


async def test_row_73_the_redirect_is_gone_and_the_chart_is_in_use_again() -> None:
    async with Desk() as desk:
        await merged(desk)
        assert patient(desk, "7051").retired_on("pm")
        plan = await desk.unmerge(1, "pm")
        assert isinstance(plan, UnmergePlan)
        assert plan.at == desk.clock.moment
        assert not patient(desk, "7051").inactive_on("pm")
        assert patient(desk, "7051").lane != patient(desk, "7050").lane
        assert state(desk) == "unmerged"
        (row,) = desk.memory.unmerges
        assert (row.merge, row.side, row.actor, row.reason) == (1, "pm", "somebody", "they are two children")
        (audited,) = desk.memory.audit
        assert (audited.action, audited.target) == ("unmerge", "merge 1 on the side of the PM")


async def test_row_73_a_look_changes_nothing() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        before = (dict(desk.memory.patients), dict(desk.memory.deliveries), dict(desk.memory.merges), desk.memory.commits)
        plan = await desk.unmerge(1, "pm", look=True)
        assert plan.at is None
        assert (dict(desk.memory.patients), dict(desk.memory.deliveries), dict(desk.memory.merges)) == before[:3]
        assert not desk.memory.audit


async def test_row_73_charges_that_wait_go_back_to_their_own_chart_and_tried_ones_stay() -> None:
    async with Desk() as desk:
        await merged(desk)
        for number in range(3):
            await desk.send("emr", dft(f"C{number}", ft1(f"T{number}"), ids="7051^^^PM^MR"))
        await desk.send("emr", dft("OTHER", ft1("T9"), ids="7050^^^PM^MR"))
        desk.seen.tried.add(desk.seen.fed[-4][0].id)
        assert [await named(desk, f"C{number}") for number in range(3)] == ["7050^^^PM^MR"] * 3
        plan = await desk.unmerge(1, "pm", look=True)
        told = [(one.message - plan.copies[0].message, bool(one.stays)) for one in plan.copies]
        assert told == [(0, True), (1, False), (2, False)]
        assert isinstance(await desk.unmerge(1, "pm", plan.token), UnmergePlan)
        assert [await named(desk, f"C{number}") for number in range(3)] == ["7050^^^PM^MR", "7051^^^PM^MR", "7051^^^PM^MR"]
        assert await named(desk, "OTHER") == "7050^^^PM^MR"
        bea = patient(desk, "7051").lane
        assert [lane_of(desk, control_id) for control_id in ("C0", "C1", "C2")] == [bea] * 3  # in their order, behind C0
        assert lane_of(desk, "OTHER") == patient(desk, "7050").lane != bea


async def test_row_73_a_charge_by_the_emrs_id_alone_goes_back_with_the_pms_id_of_its_own_chart() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("emr", dft("C1", ft1("T1"), ids="E-1^^^EMR^MR"))
        assert "7050" in await named(desk, "C1")
        await desk.unmerge(1, "pm")
        assert (await named(desk, "C1")).split("~") == ["7051^^^PM^MR", "E-1^^^EMR^MR"]


async def test_row_73_the_plan_lists_what_was_processed_through_the_redirect() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("pm", siu("S0", "F0", ids="7051^^^PM^MR"))
        await desk.send("pm", a40("M1", "7051", "7050"))
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        await desk.send("pm", siu("S1", "F1", ids="7051^^^PM^MR"), adt("U1", "A08", ids="7051^^^PM^MR"))
        await desk.send("pm", siu("S2", "F0", "S13", ids="7050^^^PM^MR"))
        plan = await desk.unmerge(1, "pm", look=True)
        said = [(desk.memory.journal[one.message].control_id, one.event, one.destination) for one in plan.processed]
        assert said == [("C1", "DFT^P03", "pm"), ("S1", "SIU^S12", "emr"), ("U1", "ADT^A08", None)]
        assert [(one.reference, one.moved) for one in plan.appointments] == [("F1", False), ("F0", True)]
        assert any("kept and not passed on" in line for line in plan.by_hand)
        assert any("1 appointment went over" in line for line in plan.by_hand)


async def test_row_73_what_changed_after_the_plan_was_made_is_shown_and_nothing_is_done() -> None:
    async with Desk() as desk:
        await merged(desk)
        plan = await desk.unmerge(1, "pm", look=True)
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        again = await desk.unmerge(1, "pm", plan.token)
        assert isinstance(again, CannotUnmerge)
        assert again.plan is not None
        assert [one.event for one in again.plan.processed] == ["DFT^P03"]
        assert patient(desk, "7051").retired_on("pm")
        assert (await desk.unmerge(1, "pm", again.plan.token)).at is not None


async def test_row_73_a_charge_of_the_same_number_is_another_charge_again() -> None:
    """While they were one, T1 of the one was T1 of the other."""
    async with Desk() as desk:
        await merged(desk)
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        await desk.unmerge(1, "pm")
        await desk.send("emr", dft("C2", ft1("T1"), ids="7050^^^PM^MR"))
        assert desk.journal("C2").state == "accepted"
        assert await named(desk, "C2") == "7050^^^PM^MR"


async def test_row_73_charges_that_were_held_for_the_chart_are_judged_again() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("pm", adt("GONE", "A29", ids="7050^^^PM^MR"))
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"), dft("C2", ft1("T2"), ids="7050^^^PM^MR"))
        assert [desk.journal(one).state for one in ("C1", "C2")] == ["held", "held"]
        plan = await desk.unmerge(1, "pm")
        assert plan.released == 1
        assert [desk.journal(one).state for one in ("C1", "C2")] == ["accepted", "held"]
        assert await named(desk, "C1") == "7051^^^PM^MR"


async def test_row_73_what_blocks_the_charges_of_one_chart_blocks_those_of_the_other_no_more() -> None:
    async with Desk() as desk:
        await merged(desk)
        credit = dft("CR", ft1("T7", kind="CD"), ids="7051^^^PM^MR")
        await desk.send("emr", credit, dft("C1", ft1("T1"), ids="7050^^^PM^MR"), dft("C2", ft1("T2"), ids="7051^^^PM^MR"))
        assert [desk.journal(one).state for one in ("CR", "C1", "C2")] == ["held"] * 3
        await desk.unmerge(1, "pm")
        assert [desk.journal(one).state for one in ("CR", "C1", "C2")] == ["held", "accepted", "held"]
        await desk.send("emr", dft("C3", ft1("T3"), ids="7051^^^PM^MR"), dft("C4", ft1("T4"), ids="7050^^^PM^MR"))
        assert [desk.journal(one).state for one in ("C3", "C4")] == ["held", "accepted"]


async def test_row_73_the_same_merge_later_merges_again() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.unmerge(1, "pm")
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        assert await desk.send("pm", a40("M2", "7051", "7050")) == ["AA"]
        assert desk.journal("M2").state == "accepted"
        assert (state(desk), len(desk.memory.merges)) == ("one_sided", 1)
        assert await named(desk, "C1") == "7050^^^PM^MR"
        assert patient(desk, "7051").lane == patient(desk, "7050").lane == lane_of(desk, "C1")


async def test_row_73_one_edge_of_a_chain() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("pm", adt("R2", ids=CLEO))
        await desk.send("pm", a40("M2", "7050", "7052"))
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"), dft("C0", ft1("T2"), ids="7050^^^PM^MR"))
        assert await named(desk, "C1") == "7052^^^PM^MR"
        plan = await desk.unmerge(2, "pm")
        assert set(plan.charts) == {patient(desk, "7050").id, patient(desk, "7051").id}
        assert [await named(desk, "C1"), await named(desk, "C0")] == ["7050^^^PM^MR", "7050^^^PM^MR"]
        assert (state(desk, 1), state(desk, 2)) == ("one_sided", "unmerged")
        assert len({patient(desk, one).lane for one in ("7050", "7051")}) == 1
        assert patient(desk, "7052").lane != patient(desk, "7050").lane


async def test_row_73_where_the_other_side_has_merged_them_too_they_stay_one_lane() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("emr", a40("M2", "E-1", "E-0", "emr"))
        assert state(desk) == "two_sided"
        await desk.send("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        plan = await desk.unmerge(1, "pm")
        assert not plan.lane_parts
        assert any("in the EMR both are still one chart" in line for line in plan.by_hand)
        assert (state(desk), desk.memory.merges[1].pm_at) == ("one_sided", None)
        assert await named(desk, "C1") == "7051^^^PM^MR"
        assert patient(desk, "7051").lane == patient(desk, "7050").lane
        assert (await desk.unmerge(1, "emr")).lane_parts
        assert state(desk) == "unmerged"
        assert patient(desk, "7051").lane != patient(desk, "7050").lane == patient(desk, "7050").subject
        assert lane_of(desk, "C1") == patient(desk, "7051").lane


async def test_row_73_opposite_merges_are_taken_apart_one_by_one() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("emr", a40("M2", "E-0", "E-1", "emr"))
        assert (state(desk, 1), state(desk, 2)) == ("conflict", "conflict")
        await desk.unmerge(1, "pm")
        assert (state(desk, 1), state(desk, 2)) == ("unmerged", "one_sided")


@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_row_73_what_is_not_merged_there_cannot_be_taken_apart(side: str) -> None:
    async with Desk() as desk:
        await merged(desk)
        if side == "pm":
            await desk.unmerge(1, "pm")
        refused = await desk.unmerge(1, "pm" if side == "pm" else "emr")
        assert isinstance(refused, CannotUnmerge)
        assert "does not hold these two for one chart" in refused.reason
        assert isinstance(await desk.unmerge(7, "pm"), CannotUnmerge)


async def test_row_64_row_73_a_chart_that_only_the_merge_made_is_confirmed_by_its_registration() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("pm", a40("M1", "7099", "7050"))
        plan = await desk.unmerge(1, "pm")
        assert any("nobody has registered" in line for line in plan.by_hand)
        assert patient(desk, "7099").provisional
        await desk.send("pm", adt("R9", ids="7099^^^PM^MR"))
        assert not patient(desk, "7099").provisional
        assert patient(desk, "7099").fields["PID-5"] == "Rivers^Ada"


async def test_row_8_row_73_a_registration_that_was_held_for_the_retired_chart_goes_on() -> None:
    async with Desk() as desk:
        await merged(desk)
        await desk.send("pm", adt("R2", "A28", ids=BEA, rest="|||1 Elm St"))
        assert desk.waits_for("R2") == ["retired:PM:7051"]
        await desk.unmerge(1, "pm")
        assert desk.journal("R2").state == "accepted"
        assert patient(desk, "7051").fields["PID-11"] == "1 Elm St"


async def test_row_73_together_with_messages_of_the_same_batch() -> None:
    async with Desk() as desk:
        await merged(desk)
        desk.offer("emr", dft("C1", ft1("T1"), ids="7051^^^PM^MR"))
        plan = await desk.unmerge(1, "pm")
        await desk.settled()
        assert [one.event for one in plan.processed] == ["DFT^P03"]
        assert await named(desk, "C1") == "7051^^^PM^MR"
        assert lane_of(desk, "C1") == patient(desk, "7051").lane
        assert desk.seen.fed[-1][0].lane == patient(desk, "7051").lane
