"""Whatever arrives: every frame is read, gets its one answer, and the batch loop goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, siu

TESTS = Path(__file__).parents[2]
FOUND = sorted([*(TESTS / "corpus").glob("*.hl7"), *(TESTS / "malformed").glob("*.hl7")])

SEEDS = [adt("C1"), adt("C2", "A08", ids="7050^^^PM^MR~C9^^^EMR^PI"), dft("D1", ft1("T1"), ft1("T2", 2)), siu("S1")]
SEEDS += [b"BHS|^~\\&|A\r" + adt("B1") + adt("B2") + b"BTS|2\r", message(msh("ACK", "A1"), "MSA|AA|x")]
PIECES = st.sampled_from(
    [b"\r", b"\n", b"|", b"^", b"~", b"\\", b"&", b'""', b"MSH|", b"BHS|", b"BHS\r", b"BTS", b"\xff", b"\x00", b"PID|"]
)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(raw)))
        raw[place : place + draw(st.integers(0, 8))] = draw(PIECES | st.binary(max_size=4))
    return bytes(raw)


async def judged(frames: list[tuple[str, bytes]]) -> None:
    async with Desk() as desk:
        await desk.one_batch(*frames)
        answered = sum(len(line.answers) for line in desk.lines.values())
        assert answered == len(frames)
        assert not any(line.abandoned for line in desk.lines.values())
        assert desk.seen.alone == []
        assert not any(key.startswith("handler:") for key in (row.key for row in desk.memory.holds.values()))
        # Nothing is silent but acknowledgments; nothing is an empty frame.
        for line in desk.lines.values():
            assert b"" not in line.answers
        for row in desk.memory.journal.values():
            silent = row.event.partition("^")[0] == "ACK" or (row.row == "batch" and not row.event)
            assert (row.answer is None) == silent


@settings(max_examples=150, deadline=None)
@given(frames=st.lists(st.tuples(st.sampled_from(["pm", "emr"]), mutations() | st.binary(max_size=60)), min_size=1, max_size=6))
def test_whatever_bytes_arrive_each_frame_gets_its_one_answer(frames: list[tuple[str, bytes]]) -> None:
    asyncio.run(judged(frames))


def test_every_message_that_others_have_published_and_every_broken_one_gets_its_one_answer() -> None:
    raw = [path.read_bytes() for path in FOUND]
    assert len(raw) > 300
    for peer in ("pm", "emr"):
        asyncio.run(judged([(peer, one) for one in raw]))
