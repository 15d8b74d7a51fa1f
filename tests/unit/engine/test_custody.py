"""Messages in custody: taken with AA, released in the commit of what clears their condition, oldest first (decisions 11)."""

from __future__ import annotations

from ophl7.kit import Change, Context, Receive, Rules, Verdict, hold, reject
from ophl7.kit.parts import RegisteredRule
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import Desk, ScriptedStore, adt, dft, ft1, siu


def rules_of(rules: Rules) -> list[RegisteredRule]:
    return rules.registered


async def test_held_charges_and_bookings_leave_in_the_commit_of_the_registration_oldest_first() -> None:
    async with Desk() as desk:
        assert await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T2"))) == ["AA", "AA"]
        assert await desk.send("pm", siu("S1", born="")) == ["AA"]
        assert desk.states == ["held"] * 3
        before = desk.memory.commits
        await desk.send("pm", adt("P1"))
        assert desk.memory.commits == before + 1
        assert desk.states == ["accepted"] * 4
        assert desk.delivered == ["P1", "D1", "D2", "S1"]
        assert desk.memory.holds == {}
        assert {closed.how for _, closed in desk.memory.closed_holds.values()} == {"released"}
        assert desk.seen.decisions[-1].released == 3


async def test_a_message_held_in_the_very_same_batch_is_released_in_it() -> None:
    async with Desk() as desk:
        await desk.one_batch(("emr", dft("D1", ft1("T1"))), ("pm", siu("S1", born="")), ("pm", adt("P1")))
        assert desk.memory.commits == 1
        assert desk.states == ["accepted"] * 3
        assert desk.delivered == ["P1", "D1", "S1"]
        assert desk.memory.charges[1, 0][0].state == "sent"
        assert desk.memory.charges[1, 0][1] == desk.seen.fed[1][0].id


async def test_a_charge_that_waits_under_the_second_id_is_released_by_a_registration_with_both() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1"), ids="C9^^^EMR^PI"))
        await desk.send("pm", adt("P1", ids="7050^^^PM^MR~C9^^^EMR^PI"))
        assert desk.states == ["accepted", "accepted"]
        assert desk.delivered == ["P1", "D1"]
        assert desk.memory.charges[1, 0][0].subject == desk.memory.patients[1].subject


async def test_a_registration_that_links_an_id_releases_what_waited_for_it() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1"), ids="C9^^^EMR^PI"))
        assert desk.states[-1] == "held"
        assert await desk.send("emr", adt("E1", "A08", ids="7050^^^PM^MR~C9^^^EMR^PI")) == ["AA"]
        assert desk.journal("D1").state == "accepted"


async def test_of_two_waiting_charges_with_one_id_the_older_leaves_and_the_other_content_waits_for_a_biller() -> None:
    for at_once in (True, False):
        async with Desk() as desk:
            first, second = dft("D1", ft1("T1", amount="10")), dft("D2", ft1("T1", amount="20"))
            if at_once:
                await desk.send("emr", first, second)
            else:
                await desk.send("emr", first)
                await desk.send("emr", second)
            await desk.send("pm", adt("P1"))
            assert desk.delivered == ["P1", "D1"], at_once
            assert [row.key for row in desk.memory.holds.values()] == ["charge:T1"]
            assert desk.journal("D2").state == "held"


async def test_a_waiting_charge_that_was_sent_twice_leaves_once_and_is_counted_once() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T1")))
        await desk.send("pm", adt("P1"))
        assert desk.delivered == ["P1", "D1"]
        assert desk.states == ["accepted", "ignored", "accepted"]
        assert sorted(charge.state for charge, _ in desk.memory.charges.values()) == ["sent", "superseded"]


async def test_a_released_message_whose_charges_are_partly_known_counts_the_known_ones_once() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T1"), ft1("T2", 2)))
        await desk.send("pm", adt("P1"))
        states = {place: charge.state for place, (charge, _) in desk.memory.charges.items()}
        assert states == {(1, 0): "sent", (2, 0): "superseded", (2, 1): "sent"}
        body = desk.seen.fed[-1][0].body or b""
        assert b"|T2|" in body
        assert b"|T1|" not in body


async def test_a_charge_that_stays_in_custody_for_another_reason_is_found_under_its_patient() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1", kind="PY"), ids="C9^^^EMR^PI"))
        await desk.send("pm", adt("P1", ids="7050^^^PM^MR~C9^^^EMR^PI"))
        assert [row.key for row in desk.memory.holds.values()] == ["payment:T1"]
        assert desk.memory.charges[1, 0][0].subject == desk.memory.patients[1].subject


async def test_a_refusal_that_shows_itself_at_the_release_is_a_work_item_not_a_lost_message() -> None:
    rules = Rules("late")

    @rules.judge("charge.add")
    async def refuse(_change: Change, ctx: Context) -> Verdict | None:
        return reject("#41", "C01", "refused now") if ctx.match.patient is not None else None

    async with Desk(rules=rules_of(rules)) as desk:
        assert await desk.send("emr", dft("D1", ft1("T1"))) == ["AA"]
        await desk.send("pm", adt("P1"))
        assert [row.key for row in desk.memory.holds.values()] == ["refused:1"]
        assert desk.journal("D1").state == "held"
        assert desk.delivered == ["P1"]
        assert desk.memory.charges[1, 0][0].state == "held"


def chart_rule() -> Rules:
    """Charges wait for every id that they name."""
    rules = Rules("charts")

    @rules.judge("message.receive")
    async def charts(change: Change, ctx: Context) -> Verdict | None:
        assert isinstance(change, Receive)
        unknown = ctx.match.unknown[-1:] if ctx.message.type == "DFT" else ()
        return hold("#43", f"patient:{unknown[0]}", "the chart is not known yet") if unknown else None

    return rules


async def test_a_message_with_two_conditions_waits_for_both_and_leaves_once() -> None:
    async with Desk(rules=rules_of(chart_rule())) as desk:
        both = "7050^^^PM^MR~C9^^^EMR^PI"
        await desk.send("emr", dft("D1", ft1("T1"), ids=both))
        assert sorted(row.key for row in desk.memory.holds.values()) == ["patient:EMR:C9", "patient:PM:7050"]
        await desk.send("pm", adt("P1"))
        assert [row.key for row in desk.memory.holds.values()] == ["patient:EMR:C9"]
        await desk.send("emr", adt("E1", "A08", ids=both))
        assert desk.delivered == ["P1", "D1"]
        assert desk.memory.holds == {}


async def test_a_message_that_was_released_by_another_release_is_not_judged_again() -> None:
    async with Desk(rules=rules_of(chart_rule()), patient_authority="emr", schedule_authority="emr") as desk:
        # X will link the PM's id when it is released, which is what Y waits for besides the patient.
        both = "C9^^^EMR^MR~7050^^^PM^MR"
        await desk.send("pm", adt("X", "A08", ids=both))
        await desk.send("emr", dft("Y", ft1("T1"), ids=both))
        keys = sorted(row.key for row in desk.memory.holds.values())
        assert keys == ["patient:EMR:C9", "patient:EMR:C9", "patient:PM:7050", "patient:PM:7050"]
        await desk.send("emr", adt("E1", ids="C9^^^EMR^MR"))
        assert [desk.journal(control_id).state for control_id in ("X", "Y")] == ["accepted", "accepted"]
        assert desk.delivered == ["E1", "Y"]
        assert desk.memory.holds == {}


async def test_a_charge_behind_a_hold_of_its_lane_waits_with_it_also_in_the_same_batch() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        # A chart that may be overwritten holds the later updates of that patient, and of nobody else (#7).
        other = adt("P2", "A08", name="Rivers^Bea", born="20180101")
        await desk.send("pm", other, adt("P3", "A08", rest="||Elm St"), adt("P4", ids="8^^^PM^MR"))
        assert [desk.journal(f"P{number}").state for number in (2, 3, 4)] == ["held", "held", "accepted"]
        assert await desk.send("pm", adt("P5", "A08", rest="||Oak St")) == ["AA"]
        assert desk.journal("P5").state == "held"
        assert desk.journal("P5").reason.startswith("waits behind message")


async def test_refusals_are_decided_on_arrival_also_behind_a_hold() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("pm", adt("P2", "A08", name="Rivers^Bea", born="20180101"))
        assert await desk.send("emr", siu("S1", born="")) == ["AE"]
        assert await desk.send("emr", dft("D1", "FT1|1|T1||20240301||")) == ["AE"]


async def test_a_refused_charge_that_is_sent_until_it_is_taken_is_counted_once() -> None:
    mended = [False]
    rules = Rules("profile")

    @rules.judge("charge.add")
    async def refuse(_change: Change, _ctx: Context) -> Verdict | None:
        return None if mended[0] else reject("#41", "C01", "not in the profile")

    async with Desk(rules=rules_of(rules)) as desk:
        await desk.send("pm", adt("P1"))
        for _ in range(3):
            assert await desk.send("emr", dft("D1", ft1("T1"))) == ["AE"]
        counted = [charge.state for charge, _ in desk.memory.charges.values() if charge.state != "superseded"]
        assert counted == ["rejected"]
        mended[0] = True
        assert await desk.send("emr", dft("D1", ft1("T1"))) == ["AA"]
        counted = [charge.state for charge, _ in desk.memory.charges.values() if charge.state != "superseded"]
        assert counted == ["sent"]


async def test_thousands_in_custody_of_one_patient_are_released_without_growing_cost() -> None:
    async with Desk() as desk:
        for begin in range(0, 600, 100):
            await desk.send("emr", *(dft(f"D{n}", ft1(f"T{n}")) for n in range(begin, begin + 100)))
        await desk.send("pm", adt("P1"))
        assert desk.delivered == ["P1", *(f"D{n}" for n in range(600))]
        assert desk.memory.holds == {}


async def test_what_waits_for_an_unknown_patient_is_released_by_the_registration_of_any_id_that_it_names() -> None:
    both = "7050^^^PM^MR~C9^^^EMR^PI"
    for known_as in ("7050^^^PM^MR", "C9^^^EMR^PI"):
        async with Desk() as desk:
            await desk.send("emr", dft("D1", ft1("T1"), ids=both))
            await desk.send("pm", siu("S1", ids=both, born=""))
            assert {row.key for row in desk.memory.holds.values()} == {"patient:PM:7050", "patient:EMR:C9"}
            await desk.send("pm", adt("P1", ids=known_as))
            assert desk.delivered == ["P1", "D1", "S1"], known_as
            assert desk.memory.holds == {}


async def test_a_credit_of_an_unknown_patient_and_charge_blocks_the_lane_once_he_is_known_and_leaves_after_its_charge() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1", kind="CD")))
        assert {row.key: row.blocks for row in desk.memory.holds.values()} == {"patient:PM:7050": "", "charge:T1": ""}
        (since,) = {row.since for row in desk.memory.holds.values()}
        desk.clock.moment += 60
        await desk.send("pm", adt("P1"))
        (hold_,) = desk.memory.holds.values()
        assert (hold_.key, hold_.blocks, hold_.since) == ("charge:T1", f"charges:{desk.memory.patients[1].lane}", since)
        await desk.send("emr", dft("D2", ft1("T2")))
        assert desk.journal("D2").state == "held"
        await desk.send("emr", dft("D3", ft1("T1")))
        assert desk.memory.holds == {}
        assert desk.delivered == ["P1", "D3", "D1", "D2"]


async def test_a_charge_that_repeats_one_in_custody_waits_with_it_and_is_left_out_once_that_was_sent() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1"), ft1("T2", 2, kind="CD")))
        assert desk.journal("D1").state == "held"  # its credit waits for a charge that nobody knows (#51)
        await desk.send("emr", dft("D2", ft1("T1")))
        assert desk.journal("D2").state == "held", "D1 may yet be discarded: then this is the only one"
        await desk.send("emr", dft("D3", ft1("T2")))
        assert [desk.journal(control_id).state for control_id in ("D1", "D2", "D3")] == ["accepted", "ignored", "accepted"]
        assert desk.memory.holds == {}
        assert desk.delivered == ["P1", "D3", "D1"]


async def test_all_that_a_registration_releases_is_read_at_once() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        for number in range(20):
            await desk.send("emr", dft(f"D{number}", ft1(f"T{number}")))
        before = store.loads
        await desk.send("pm", adt("P1"))
        assert desk.states == ["accepted"] * 21
        assert store.loads - before == 3  # the batch, the messages in custody, what they touch


async def test_a_message_in_custody_that_cannot_be_read_any_more_is_a_persons_work_and_stops_nobody() -> None:
    memory = MemoryStore()
    async with Desk(store=memory) as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T2")))
    damaged = memory.journal[1]._replace(raw=b"\x00" + memory.journal[1].raw[:2], end=3)
    memory.journal[1] = damaged
    async with Desk(store=memory) as desk:
        assert await desk.send("pm", adt("P1")) == ["AA"]
        assert desk.delivered == ["P1", "D2"]
        assert [row.key for row in memory.holds.values()] == ["refused:1"]


async def test_what_a_release_releases_in_its_turn_overtakes_nothing_older() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("C0", ft1("T0")), dft("C1", ft1("T1")), dft("C2", ft1("T0", kind="CD")))
        await desk.send("pm", adt("REG"))
        charges = [row.message for row, _ in desk.seen.fed if row.stream == "charges"]
        assert [desk.memory.journal[number].control_id for number in charges] == ["C0", "C1", "C2"]
