"""What meets merges, retired and inactive charts in the same batch, behind a hold, or under another id: found by a reader."""

from __future__ import annotations

import pytest

from ophl7.engine.storage import DeliveryMark
from tests.unit.engine.desk import Desk, Line, adt, dft, ft1, message, msa, msh, pid, siu

P1, P2, P3 = "1^^^PM^MR", "2^^^PM^MR", "3^^^PM^MR"
E1, E8, E9, E77 = "1^^^EMR^MR", "8^^^EMR^MR", "9^^^EMR^MR", "77^^^EMR^MR"


def merged(control_id: str, *pairs: tuple[str, str], trigger: str = "A40") -> bytes:
    """(retired, survivor) as PID-3 and MRG-1 are written."""
    lines = [line for retired, stays in pairs for line in (pid(stays), f"MRG|{retired}")]
    return message(msh(f"ADT^{trigger}", control_id), "EVN||20240301100000", *lines)


def gone(control_id: str, ids: str) -> bytes:
    return adt(control_id, "A29", ids=ids)


def ids_left(desk: Desk, control_id: str) -> str:
    """PID-3 of the copy that waits for that message."""
    (row,) = [row for row in desk.memory.deliveries.values() if desk.memory.journal[row.message].control_id == control_id]
    body = row.body if row.body is not None else desk.memory.journal[row.message].raw
    (line,) = [line for line in body.decode().split("\r") if line.startswith("PID")]
    return line.split("|")[3]


def states(desk: Desk, *control_ids: str) -> list[str]:
    return [desk.journal(control_id).state for control_id in control_ids]


def holds(desk: Desk) -> list[str]:
    return sorted(row.key for row in desk.memory.holds.values())


# -- the ledger -------------------------------------------------------------------------------------------------------


async def test_a_credit_that_came_before_its_charge_is_known_when_it_comes_again() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A", ids=P1))
        await desk.send("emr", dft("C1", ft1("T1", kind="CD"), ids=P1))
        await desk.send("emr", dft("C2", ft1("T1"), ids=P1))
        await desk.send("emr", dft("C3", ft1("T1", kind="CD"), ids=P1))
        assert states(desk, "C1", "C2", "C3") == ["accepted", "accepted", "ignored"]
        await desk.send("emr", dft("C4", ft1("T1"), ids=P1))
        assert holds(desk) == ["charge:T1"], "a charge again after its credit is a person's to judge"


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_was_released_held_and_released_again_in_one_commit_is_sent_in_the_ledger_too(at_once: bool) -> None:
    async with Desk() as desk:
        credit, charge = dft("C1", ft1("T1", kind="CD"), ids=P1), dft("C2", ft1("T1"), ids=P1)
        if at_once:
            await desk.send("emr", credit)
            await desk.one_batch(("pm", adt("A", ids=P1)), ("emr", charge))
        else:
            await desk.send("emr", credit, charge)
            await desk.send("pm", adt("A", ids=P1))
        assert states(desk, "C1", "C2") == ["accepted", "accepted"]
        assert {found.state for found, _ in desk.memory.charges.values()} == {"sent"}
        assert all(delivery is not None for _, delivery in desk.memory.charges.values())


async def test_after_a_merge_each_charts_own_charge_of_one_number_is_known() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.send("emr", dft("C1", ft1("T1", amount="10"), ids=P1), dft("C2", ft1("T1", amount="20"), ids=P2))
        await desk.send("pm", merged("M1", (P1, P2)))
        await desk.send("emr", dft("C3", ft1("T1", amount="10"), ids=P1), dft("C4", ft1("T1", amount="20"), ids=P2))
        assert states(desk, "C3", "C4") == ["ignored", "ignored"]


async def test_a_charge_of_ids_of_two_patients_waits_for_just_that_and_blocks_nobody() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.send("emr", adt("L", "A08", ids=f"{P2}~{E9}"), dft("C1", ft1("T1"), ids=f"{P1}~{E9}"))
        assert holds(desk) == ["identity:PM:1"]
        assert {row.blocks for row in desk.memory.holds.values()} == {""}


async def test_a_charge_whose_first_id_is_unknown_finds_a_lane_that_was_united_in_the_same_batch() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.one_batch(("pm", merged("M1", (P1, P2))), ("emr", dft("C1", ft1("T1"), ids=f"{E77}~{P1}")))
        assert states(desk, "M1", "C1") == ["accepted", "accepted"]


# -- what leaves ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [True, False])
async def test_a_chart_that_only_the_emr_knew_and_has_merged_is_billed_under_the_pms_id_of_its_survivor(early: bool) -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A2", ids=P2))
        await desk.send("emr", adt("L", "A08", ids=f"{P2}~{E8}"))
        charge, merge = dft("C1", ft1("T1"), ids=E9), merged("M1", (E9, E8))
        for sent in (charge, merge) if early else (merge, charge):
            await desk.send("emr", sent)
        assert states(desk, "C1", "M1") == ["accepted", "accepted"]
        assert ids_left(desk, "C1") == "2^^^PM^MR~9^^^EMR^MR"


async def test_a_social_security_number_of_the_right_authority_is_nobodys_id() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids="7050^^^CLINIC^MR~111223333^^^PM^SS"))
        await desk.send("emr", adt("L", "A08", ids=f"7050^^^CLINIC^MR~{E9}"), dft("C1", ft1("T1"), ids=E9))
        assert "111223333" not in ids_left(desk, "C1")
    async with Desk(patient_authority="emr", schedule_authority="emr") as desk:
        await desk.send("emr", adt("A1", ids=E1), adt("A2", ids="2^^^CLINIC^MR~999887777^^^EMR^SS"))
        await desk.send("pm", merged("M1", (E1, "2^^^CLINIC^MR")))
        await desk.send("emr", dft("C1", ft1("T1"), ids=E1))
        assert ids_left(desk, "C1") == "2^^^CLINIC^MR"


async def test_a_charge_that_names_both_charts_leaves_with_the_survivor_and_says_so() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2), merged("M1", (P1, P2)))
        await desk.send("emr", dft("C1", ft1("T1"), ids=f"{P1}~{P2}"))
        assert ids_left(desk, "C1") == P2
        assert b"W02" in (desk.lines["emr"].answers[-1] or b"")


async def test_who_is_named_in_pid_2_only_by_an_id_that_the_survivor_has_none_like_is_named_by_the_survivors_own() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids="7^^^LAB^MR"), adt("A2", ids=P2), merged("M1", ("7^^^LAB^MR", P2)))
        await desk.send("emr", dft("C1", ft1("T1"), ids="").replace(b"PID|1||", b"PID|1|7^^^LAB^MR|"))
        assert ids_left(desk, "C1") == P2


# -- holds that must end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [E9, f"{E77}~{P1}", P1])
@pytest.mark.parametrize("back", ["registration", "booking"])
async def test_row_45_whichever_id_names_an_inactive_chart_its_return_releases_the_charge(named: str, back: str) -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1))
        await desk.send("emr", adt("L", "A08", ids=f"{P1}~{E9}"))
        await desk.send("pm", gone("G", P1))
        await desk.send("emr", dft("C1", ft1("T1"), ids=named))
        assert desk.journal("C1").state == "held"
        await desk.send("pm", adt("BACK", ids=P1) if back == "registration" else siu("BACK", ids=P1))
        assert desk.journal("C1").state == "accepted"
        assert holds(desk) == []


async def test_row_45_a_merge_into_a_chart_in_use_releases_what_waited_for_the_inactive_one() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2), gone("G", P1))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1))
        assert desk.journal("C1").state == "held"
        await desk.send("pm", merged("M1", (P1, P2)))
        assert desk.journal("C1").state == "accepted"
        assert ids_left(desk, "C1") == P2


async def test_row_45_an_inactive_survivor_holds_the_charges_of_the_retired_chart_too() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2), merged("M1", (P1, P2)), gone("G", P2))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1), dft("C2", ft1("T2"), ids=P2))
        assert states(desk, "C1", "C2") == ["held", "held"]


async def test_row_10_a_hold_is_named_after_an_id_that_somebody_has_and_a_merge_of_those_releases_it() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.send("emr", dft("C1", ft1("T1"), ids=f"{E77}~{P1}~{P2}"))
        assert holds(desk) == ["identity:PM:1"]
        await desk.send("pm", merged("M1", (P1, P2)))
        assert desk.journal("C1").state == "accepted"


async def test_row_33_a_merge_releases_a_booking_that_seemed_to_be_somebody_elses() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2), siu("S1", "F1", ids=P1))
        await desk.send("pm", siu("S2", "F1", "S14", ids=P2))
        assert desk.journal("S2").state == "held"
        await desk.send("pm", merged("M1", (P1, P2)))
        assert desk.journal("S2").state == "accepted"
        assert holds(desk) == []


async def test_row_65_any_id_of_the_target_releases_the_merge() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1))
        await desk.send("emr", merged("M1", (P1, f"{E8}~{P2}")))
        assert holds(desk) == ["target:EMR:8", "target:PM:2"]
        await desk.send("pm", adt("A2", ids=P2))
        assert desk.journal("M1").state == "accepted"
        assert holds(desk) == []


async def test_row_65_every_chart_that_goes_into_an_unknown_one_waits_with_its_charges() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A3", ids=P3))
        await desk.send("pm", merged("M1", (P1, P2), (P3, P2)))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1), dft("C3", ft1("T3"), ids=P3))
        assert states(desk, "C1", "C3") == ["held", "held"]
        await desk.send("pm", adt("A2", ids=P2))
        assert states(desk, "M1", "C1", "C3") == ["accepted"] * 3
        assert [ids_left(desk, name) for name in ("C1", "C3")] == [P2, P2]
        assert holds(desk) == []


# -- verdicts ---------------------------------------------------------------------------------------------------------


async def test_row_72_every_new_id_of_a_changed_one_is_the_patients() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=f"{P1}~{E8}"))
        await desk.send("pm", merged("M1", (P1, f"{P2}~{E8}"), trigger="A47"))
        await desk.send("pm", adt("U1", "A08", ids=P2))
        assert len(desk.memory.patients) == 1
        assert desk.memory.aliases["PM", "2"] == desk.memory.aliases["PM", "1"]


async def test_row_12_what_is_open_under_a_merged_chart_is_open() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2), siu("S1", "F1", ids=P1), merged("M1", (P1, P2)))
        await desk.send("pm", gone("G", P2))
        assert holds(desk) == ["delete:PM:2"]


async def test_a_merge_may_list_the_id_that_goes_away_in_its_pid_too() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        assert await desk.send("pm", merged("M1", (P1, f"{P2}~{P1}"))) == ["AA"]
        assert desk.journal("M1").state == "accepted"
        assert desk.memory.patients[1].merged_pm == 2


async def test_row_68_a_message_of_more_merges_than_anybody_makes_is_refused() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1))
        many = [(f"{number}^^^OLD^MR", P1) for number in range(51)]
        line = Line("pm", 3)
        assert desk.offer("pm", merged("M1", *many), line=line)
        assert desk.offer("pm", merged("M2", *many[:50]), line=line)
        await desk.settled()
        assert line.codes == ["AE", "AA"]
        assert "M02" in msa(line.answers[0], 3)
        assert len(desk.memory.merges) == 50


# -- what is on its way -----------------------------------------------------------------------------------------------


async def test_what_was_on_its_way_when_its_lane_was_united_is_known_as_such_on_disk() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1), dft("C2", ft1("T2"), ids=P2), dft("C3", ft1("T3"), ids=P1))
        rows = {desk.memory.journal[row.message].control_id: row for row in desk.memory.deliveries.values()}
        desk.seen.out.add(rows["C2"].id)
        await desk.send("pm", merged("M1", (P1, P2)))
        after = {name: desk.memory.deliveries[row.id].state for name, row in rows.items() if name.startswith("C")}
        assert after == {"C1": "queued", "C2": "sending", "C3": "queued"}


async def test_a_copy_that_is_refused_after_the_merge_goes_on_for_the_survivor_under_a_new_control_id() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1), adt("A2", ids=P2))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1), dft("C2", ft1("T2"), ids="2^^^PM^MR"))
        rows = {desk.memory.journal[row.message].control_id: row for row in desk.memory.deliveries.values()}
        desk.seen.tried |= {rows["C1"].id, rows["C2"].id}
        await desk.send("pm", merged("M1", (P1, P2)))
        assert desk.seen.rendered == [], "tried bytes are frozen"
        for name in ("C1", "C2"):
            desk.engine.mark(DeliveryMark(rows[name].id, "held", 1, None, "AE 204", 1.0))
        await desk.settled()
        (made,) = desk.seen.rendered
        assert made.id == rows["C1"].id
        after = desk.memory.deliveries[made.id]
        assert (after.state, after.control_id) == ("queued", made.renewed)
        assert after.control_id != rows["C1"].control_id
        assert ids_left(desk, "C1") == P2
        assert desk.memory.deliveries[rows["C2"].id].state == "held", "the PM does not know the survivor either: a person's"


async def test_row_45_a_return_under_an_id_that_the_hold_is_not_named_after_releases_it_too() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=f"{P1}~7^^^CLINIC^MR"), gone("G", P1))
        await desk.send("emr", dft("C1", ft1("T1"), ids=P1))
        assert holds(desk) == ["patient:PM:1"]
        await desk.send("pm", adt("BACK", ids="7^^^CLINIC^MR"))
        assert desk.journal("C1").state == "accepted"


@pytest.mark.parametrize("kind", ["charge", "merge"])
async def test_a_message_of_thousands_of_unknown_ids_does_not_become_thousands_of_holds(kind: str) -> None:
    many = "~".join(f"{number}^^^X^MR" for number in range(3000))
    async with Desk() as desk:
        await desk.send("pm", adt("A1", ids=P1))
        sent = dft("C1", ft1("T1"), ids=many) if kind == "charge" else merged("C1", (P1, many))
        assert await desk.send("emr", sent) == ["AA"]
        assert desk.journal("C1").state == "held"
        assert len(desk.memory.holds) == 16
        await desk.send("pm", adt("R", ids="15^^^X^MR"))
        assert desk.journal("C1").state == "accepted"
        assert holds(desk) == []
