"""Frames with several messages, and frames that hold none (decisions 7)."""

from __future__ import annotations

import pytest

from ophl7.engine.ports import Damage
from tests.unit.engine.desk import Desk, ScriptedStore, adt, message, msa, msh

BHS = "BHS|^~\\&|APP|FAC|HUB|HUB|20240301||||B1\r"
FHS = "FHS|^~\\&|APP|FAC|HUB|HUB|20240301||||F1\r"
ACK = message(msh("ACK", "A1"), "MSA|AA|X")


def lines(answer: bytes | None) -> list[str]:
    return [line[:3] for line in (answer or b"").decode().split("\r") if line]


async def test_a_batch_is_answered_in_its_own_envelope_with_one_ack_a_member() -> None:
    async with Desk() as desk:
        members = adt("C1", ids="1^^^PM^MR") + adt("C2", ids="2^^^PM^MR")
        desk.offer("pm", (FHS + BHS).encode() + members + b"BTS|2\rFTS|1\r")
        await desk.settled()
        assert lines(desk.lines["pm"].answers[0]) == ["FHS", "BHS", "MSH", "MSA", "MSH", "MSA", "BTS", "FTS"]
        assert desk.states == ["accepted", "accepted"]
        assert desk.memory.commits == 1
        first, second = desk.memory.journal[1], desk.memory.journal[2]
        assert first.raw == second.raw
        assert second.raw[second.start : second.end].startswith(b"MSH|^~\\&|APP|FAC|HUB|HUB|20240301100000||ADT^A04|C2")


async def test_the_deliveries_of_a_batch_hold_their_own_member_only() -> None:
    async with Desk() as desk:
        desk.offer("pm", adt("C1", ids="1^^^PM^MR") + adt("C2", ids="2^^^PM^MR"))
        await desk.settled()
        assert [body for _, body in desk.seen.fed] == [None, None]
        for row, _ in desk.seen.fed:
            body = await desk.store.body_of(row.id)
            assert body.count(b"MSH|") == 1
            assert desk.memory.journal[row.message].control_id.encode() in body


async def test_several_bare_messages_are_answered_one_after_another_in_one_frame() -> None:
    async with Desk() as desk:
        desk.offer("pm", adt("C1", ids="1^^^PM^MR") + b"garbage\r" + adt("C2", ids="2^^^PM^MR"))
        await desk.settled()
        assert len(desk.lines["pm"].answers) == 1
        assert lines(desk.lines["pm"].answers[0]) == ["MSH", "MSA", "MSH", "MSA"]


async def test_members_that_are_acknowledgments_get_none_but_the_envelope_is_answered() -> None:
    async with Desk() as desk:
        desk.offer("pm", BHS.encode() + ACK + ACK + b"BTS|2\r")
        desk.offer("pm", ACK + ACK)
        desk.offer("pm", ACK + adt("C1"))
        await desk.settled()
        enveloped, bare, mixed = desk.lines["pm"].answers
        assert lines(enveloped) == ["BHS", "BTS"]
        assert bare is None
        assert lines(mixed) == ["MSH", "MSA"]


async def test_an_empty_envelope_is_kept_and_answered() -> None:
    async with Desk() as desk:
        desk.offer("pm", (BHS + "BTS|0\r").encode())
        await desk.settled()
        assert lines(desk.lines["pm"].answers[0]) == ["BHS", "BTS"]
        assert desk.states == ["ignored"]


@pytest.mark.parametrize("raw", [b"BTS|1\rBHS|^~\\&|A\r", b"FHS\r", b"BHS\rBTS\r"])
async def test_an_envelope_that_cannot_be_echoed_is_refused_like_what_cannot_be_read(raw: bytes) -> None:
    async with Desk() as desk:
        desk.offer("pm", raw)
        await desk.settled()
        assert desk.lines["pm"].codes == ["AR"]
        assert desk.states == ["error"]


@pytest.mark.parametrize("head", [b"", BHS.encode()])
async def test_more_than_a_thousand_members_are_refused_as_one(head: bytes) -> None:
    async with Desk() as desk:
        desk.offer("pm", head + b"".join(adt(f"C{number}") for number in range(1001)))
        await desk.settled()
        answer = desk.lines["pm"].answers[0] or b""
        assert msa(answer, 1) == "AE"
        assert b"|199^" in answer
        assert lines(answer)[0] == ("BHS" if head else "MSH")
        assert len(desk.memory.journal) == 1
        assert desk.states == ["error"]


async def test_a_thousand_members_are_taken() -> None:
    async with Desk() as desk:
        desk.offer("pm", b"".join(adt(f"C{number}", ids=f"{number}^^^PM^MR") for number in range(1000)))
        await desk.settled()
        assert desk.states == ["accepted"] * 1000
        assert desk.memory.commits == 1


@pytest.mark.parametrize(
    ("damage", "codes"),
    [
        (Damage("cut_off", answer=False), [""]),
        (Damage("fs_inside", answer=True), ["AR"]),
        (Damage("too_big", answer=True, close=True), ["AR"]),
    ],
)
async def test_damaged_frames_are_quarantined_and_never_judged(damage: Damage, codes: list[str]) -> None:
    async with Desk() as desk:
        desk.offer("pm", adt("C1"), damage)
        await desk.settled()
        assert desk.lines["pm"].codes == codes
        assert desk.states == ["error"]
        assert desk.memory.patients == {}


async def test_a_poisoned_member_takes_its_frame_into_custody_and_acknowledgments_stay_unanswered() -> None:
    store = ScriptedStore()
    store.refuse_deliveries_of.add("C2")
    async with Desk(store=store) as desk:
        desk.offer("pm", adt("C1", ids="1^^^PM^MR") + ACK + b"MSH|^~\\&|x\r" + adt("C2", ids="2^^^PM^MR"))
        await desk.settled()
        assert desk.lines["pm"].abandoned == 0
        assert lines(desk.lines["pm"].answers[0]).count("MSA") == 3
        assert desk.states == ["held", "ignored", "error", "held"]
