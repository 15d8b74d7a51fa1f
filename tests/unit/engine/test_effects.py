"""What an accepted message writes: registry, schedule, drift, deliveries; and what happens when it cannot be written."""

from __future__ import annotations

import pytest

from ophl7.engine.effects import Effects
from ophl7.engine.ruling import Ruling
from ophl7.kit import Change, Context, Deliver, Handlers, Rules, Segment, Verdict, hold
from ophl7.kit.parts import RegisteredRule
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid, siu


async def test_a_deleted_field_is_gone_and_an_absent_one_is_not() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", rest="|||Elm St||5550100"))
        assert desk.memory.patients[1].fields["PID-11"] == "Elm St"
        await desk.send("pm", adt("P2", "A08", rest='|||""'))
        fields = desk.memory.patients[1].fields
        assert "PID-11" not in fields
        assert fields["PID-13"] == "5550100"
        assert desk.memory.patients[1].message == 2


async def test_a_value_that_is_not_taken_is_a_drift_row_and_the_registry_keeps_its_own() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", rest="|||Elm St"))
        assert await desk.send("emr", adt("E1", "A08", rest='|||Oak St||""')) == ["AA"]
        (row,) = desk.memory.drift
        assert (row.field, row.offered, row.kept, row.rule, row.peer) == ("PID-11", "Oak St", "Elm St", "#5", "emr")
        assert desk.memory.patients[1].fields["PID-11"] == "Elm St"
        assert desk.delivered == ["P1"]


async def test_an_appointment_keeps_what_a_later_message_does_not_say_and_counts_each_step_once() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"), siu("S1", placer="L1"))
        short = message(msh("SIU^S14", "S2", at="20240301120000"), "SCH||F1" + "|" * 23 + "Arrived", pid())
        await desk.send("pm", short, siu("S3", event="S14", placer="L1", status="Arrived"))
        (one,) = desk.memory.appointments.values()
        assert (one.placer, one.start, one.duration) == ("L1", "20240305090000", "30")
        assert one.resources
        assert [(step.status, step.message) for step in one.progress] == [("booked", 2), ("arrived", 3)]
        assert one.progress[1].at == 1709312400.0  # MSH-7 of S2, in the practice's zone
        assert one.patient == 1


async def test_the_time_of_a_step_is_ours_when_the_sender_says_none_that_can_be_read() -> None:
    async with Desk() as desk:
        await desk.send("pm", message(msh("SIU^S23", "S1", at="soon"), "SCH||B1" + "|" * 23 + "Blocked"))
        (one,) = desk.memory.appointments.values()
        assert one.progress[0].at == desk.clock.moment
        assert one.patient is None


async def test_a_block_is_a_lane_of_its_own_and_so_is_a_message_about_nobody() -> None:
    handlers = Handlers("notes")

    @handlers.on("MDM^T02")
    async def note(_msh: Segment, _ctx: Context) -> list[Change]:
        return [Deliver("emr", "record")]

    async with Desk(handlers=handlers.registered) as desk:
        blocks = [siu("S1", "B1", "S23", ids=None), siu("S2", "B1", "S24", ids=None), siu("S3", "B2", "S23", ids=None)]
        await desk.send("pm", *blocks, message(msh("MDM^T02", "M1")), message(msh("MDM^T02", "M2")))
        lanes = [row.lane for row, _ in desk.seen.fed]
        assert lanes[0] == lanes[1]
        assert len(set(lanes)) == 4


async def test_what_cannot_be_written_is_undone_and_held() -> None:
    async def run(release: bool) -> tuple[list[str], list[str], int]:
        async with Desk() as desk:
            if release:
                await desk.send("emr", dft("D1", ft1("T1")))
            else:
                await desk.send("pm", adt("P0"))
            broken = Effects._deliver

            def fail(self: Effects, change: Deliver, ruling: Ruling, patient: object) -> int:
                if change.stream == "charges":
                    raise RuntimeError("out of ink")
                return broken(self, change, ruling, patient)  # type: ignore[arg-type]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Effects, "_deliver", fail)
                if release:
                    await desk.send("pm", adt("P1"))
                else:
                    assert await desk.send("emr", dft("D1", ft1("T1"))) == ["AA"]
            charges: list[str] = [charge.state for charge, _ in desk.memory.charges.values()]
            keys = [row.key for row in desk.memory.holds.values()]
            return keys, charges, len(desk.seen.fed)

    assert await run(release=False) == (["handler:engine"], ["held"], 1)
    assert await run(release=True) == (["handler:engine"], ["held"], 1)


async def test_verdicts_that_rules_raise_count_like_those_they_return() -> None:
    from ophl7.kit import Hold, Reject

    def rules(error: Exception) -> list[RegisteredRule]:
        found = Rules("own")

        @found.judge("patient.create")
        async def own(_change: Change, _ctx: Context) -> Verdict | None:
            raise error

        return found.registered

    async with Desk(rules=rules(Reject.because("#1", "P01", "no"))) as desk:
        assert await desk.send("pm", adt("P1")) == ["AE"]
    async with Desk(rules=rules(Hold("#3", "patient:PM:7050", "wait"))) as desk:
        assert await desk.send("pm", adt("P1")) == ["AA"]
        assert desk.states == ["held"]


async def test_a_rule_may_read_the_registry() -> None:
    found = Rules("own")
    seen: list[object] = []

    @found.judge("patient.create")
    async def own(_change: Change, ctx: Context) -> Verdict | None:
        from ophl7.kit import Identifier

        seen.append(await ctx.patient(Identifier("PM", "1")))
        seen.append(await ctx.patient(Identifier("PM", "2")))
        seen.append(await ctx.appointment("pm", "F9"))
        return hold("#3", "review:own", "look") if ctx.match.key == Identifier("PM", "3") else None

    async with Desk(rules=found.registered) as desk:
        await desk.send("pm", adt("P1", ids="1^^^PM^MR"))
        assert seen == [None, None, None]
        await desk.send("pm", adt("P2", ids="4^^^PM^MR"))
        assert seen[3] == desk.memory.patients[1]
        assert desk.engine.extra_reads == 2 + 3  # the first knew its own id already


async def test_two_ids_of_different_patients_are_nobody_until_a_person_looks() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", ids="1^^^PM^MR"), adt("P2", ids="2^^^PM^MR"))
        assert await desk.send("emr", dft("D1", ft1("T1"), ids="1^^^PM^MR~2^^^PM^MR")) == ["AA"]
        assert [row.key.partition(":")[0] for row in desk.memory.holds.values()] == ["identity"]


@pytest.mark.parametrize(
    ("wanted", "sent", "code"), [(None, "X", "AA"), ({"P", "T"}, "T", "AA"), ({"T"}, "", "AR"), ({"P"}, "D", "AR")]
)
async def test_the_processing_ids_of_the_practice(wanted: set[str] | None, sent: str, code: str) -> None:
    async with Desk(processing_ids=None if wanted is None else frozenset(wanted)) as desk:
        assert await desk.send("pm", message(msh("ADT^A04", "C1", processing=sent), "EVN||2024", pid())) == [code]
