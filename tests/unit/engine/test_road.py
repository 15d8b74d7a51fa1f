"""The road of a batch with the shipped handlers and rules: decided, committed once, then answered."""

from __future__ import annotations

from tests.unit.engine.desk import Desk, ScriptedStore, adt, dft, ft1, message, msa, msh, pid, siu


async def test_a_batch_of_many_is_one_commit_and_answered_in_order() -> None:
    async with Desk() as desk:
        codes = await desk.send("pm", *(adt(f"C{number}", ids=f"{number}^^^PM^MR") for number in range(100)))
        assert codes == ["AA"] * 100
        assert [msa(answer, 2) for answer in desk.lines["pm"].answers] == [f"C{number}" for number in range(100)]
        assert desk.memory.commits == 1
        assert desk.delivered == [f"C{number}" for number in range(100)]


async def test_more_than_128_frames_are_several_batches_in_order() -> None:
    async with Desk() as desk:
        await desk.send("pm", *(adt(f"C{number}", ids=f"{number}^^^PM^MR") for number in range(300)))
        assert desk.seen.batches == [128, 128, 44]
        assert [msa(answer, 2) for answer in desk.lines["pm"].answers] == [f"C{number}" for number in range(300)]


async def test_answers_leave_only_after_the_commit() -> None:
    import asyncio

    store = ScriptedStore()
    store.gate = asyncio.Event()
    async with Desk(store=store) as desk:
        desk.offer("pm", adt("C1"))
        await store.reached.wait()
        assert desk.lines["pm"].answers == []
        assert desk.seen.fed == []
        store.gate.set()
        await desk.settled()
        assert desk.lines["pm"].codes == ["AA"]
        assert desk.delivered == ["C1"]


async def test_a_second_copy_in_one_batch_gets_the_first_ones_answer_and_has_no_effect() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("C1"), adt("C1"), adt("C1"))
        assert len(set(desk.lines["pm"].answers)) == 1
        assert desk.states == ["accepted", "duplicate", "duplicate"]
        assert desk.delivered == ["C1"]


async def test_a_second_copy_later_gets_the_stored_answer_byte_for_byte() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("C1"))
        await desk.send("pm", adt("C1", at="20240301110000"))  # MSH-7 differs: still a copy (#84)
        assert desk.lines["pm"].answers[0] == desk.lines["pm"].answers[1]
        assert desk.delivered == ["C1"]


async def test_a_copy_after_a_week_is_a_new_message() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("C1"))
        desk.clock.moment += 7 * 24 * 3600 + 1
        await desk.send("pm", adt("C1"))
        assert desk.states == ["accepted", "accepted"]


async def test_a_refused_message_is_judged_again_when_it_comes_again() -> None:
    async with Desk() as desk:
        assert await desk.send("emr", adt("C1", ids="7050^^^PM^MR")) == ["AE"]
        await desk.send("pm", adt("P1"))
        assert await desk.send("emr", adt("C1", ids="7050^^^PM^MR")) == ["AA"]
        assert desk.journal("C1").repeats == 1


async def test_the_same_control_id_with_other_content_is_a_new_message_with_a_warning() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("C1"))
        assert await desk.send("pm", adt("C1", name="Rivers^Adele")) == ["AA"]
        assert b"W04" in (desk.lines["pm"].answers[1] or b"")
        assert desk.states == ["accepted", "accepted"]


async def test_a_later_message_of_the_batch_sees_what_an_earlier_one_registered() -> None:
    async with Desk() as desk:
        await desk.one_batch(("pm", adt("P1")), ("emr", dft("D1", ft1("T1"))), ("pm", siu("S1")))
        assert desk.states == ["accepted"] * 3
        assert desk.memory.commits == 1


async def test_a_charge_by_the_second_of_two_new_ids_passes_in_the_same_batch() -> None:
    async with Desk() as desk:
        both = adt("P1", ids="7050^^^PM^MR~C9^^^EMR^PI")
        await desk.one_batch(("pm", both), ("emr", dft("D1", ft1("T1"), ids="C9^^^EMR^PI")))
        assert desk.states == ["accepted", "accepted"]


async def test_charges_by_either_id_of_one_patient_are_the_same_charge_within_a_batch() -> None:
    async with Desk() as desk:
        both = adt("P1", ids="7050^^^PM^MR~C9^^^EMR^PI")
        await desk.one_batch(
            ("pm", both),
            ("emr", dft("D1", ft1("T1"), ids="C9^^^EMR^PI")),
            ("emr", dft("D2", ft1("T1"), ids="7050^^^PM^MR")),
        )
        assert desk.states == ["accepted", "accepted", "ignored"]
        assert desk.delivered == ["P1", "D1"]


async def test_an_acknowledgment_on_a_listener_is_kept_and_never_answered() -> None:
    async with Desk() as desk:
        await desk.send("pm", message(msh("ACK", "A1"), "MSA|AA|X"))
        assert desk.lines["pm"].answers == [None]
        assert desk.states == ["ignored"]


async def test_what_cannot_be_read_is_quarantined_and_refused() -> None:
    async with Desk() as desk:
        assert await desk.send("pm", b"no message at all") == ["AR"]
        assert desk.states == ["error"]
        assert desk.memory.journal[1].raw == b"no message at all"


async def test_an_unknown_type_an_unknown_event_and_an_ignored_one() -> None:
    from ophl7.domain.policy import PeerPolicy

    peers = {"pm": PeerPolicy("PM", ignore_events=frozenset({"ORU^R01"})), "emr": PeerPolicy("EMR")}
    async with Desk(peers=peers) as desk:
        assert await desk.send("pm", message(msh("ORM^O01", "C1"), pid())) == ["AR"]
        assert await desk.send("pm", message(msh("ADT^Z99", "C2"), pid())) == ["AR"]
        assert await desk.send("pm", message(msh("ORU^R01", "C3"), pid())) == ["AA"]
        answers = desk.lines["pm"].answers
        assert b"|200^" in (answers[0] or b"")
        assert b"|201^" in (answers[1] or b"")
        assert desk.states == ["rejected", "rejected", "ignored"]


async def test_a_version_and_a_processing_id_that_are_not_ours_are_refused_by_the_header() -> None:
    async with Desk() as desk:
        assert await desk.send("pm", message(msh("ADT^A04", "C1", version="3.0"), pid())) == ["AR"]
        assert await desk.send("pm", message(msh("ADT^A04", "C2", processing="T"), pid())) == ["AR"]
        assert await desk.send("pm", message(msh("ADT^A04", "C3", processing=""), pid())) == ["AA"]
        assert b"|203^" in (desk.lines["pm"].answers[0] or b"")
        assert b"|202^" in (desk.lines["pm"].answers[1] or b"")


async def test_weak_control_ids_repeat_only_the_last_message_of_their_lane() -> None:
    arrive, leave = adt("", "A04"), adt("", "A08", name="Rivers^Adele")
    async with Desk() as desk:
        await desk.send("pm", arrive, arrive, leave, arrive)
        assert desk.states == ["accepted", "duplicate", "accepted", "accepted"]
        await desk.send("pm", arrive)
        assert desk.states[-1] == "duplicate"


async def test_the_last_message_of_a_lane_counts_by_whichever_id_it_came() -> None:
    by_pm, by_emr = adt("", "A08"), adt("", "A08", ids="C9^^^EMR^PI")
    for in_one_batch in (True, False):
        async with Desk() as desk:
            await desk.send("pm", adt("P0", ids="7050^^^PM^MR~C9^^^EMR^PI"))
            if in_one_batch:
                await desk.send("pm", by_pm, by_emr, by_pm, by_pm)
            else:
                for raw in (by_pm, by_emr, by_pm, by_pm):
                    await desk.send("pm", raw)
            assert desk.states[1:] == ["accepted", "accepted", "accepted", "duplicate"], in_one_batch
