"""A batch takes no more than can be judged in a short while, so that whoever arrives meanwhile is answered soon."""

from __future__ import annotations

import asyncio

from ophl7.engine.admission import Admission
from ophl7.engine.pace import FEWEST, JUDGING_SECONDS, MOST_FRAMES, Pace
from ophl7.engine.ports import Envelope
from tests.unit.engine.desk import Desk, Line, adt


def test_quick_frames_are_taken_as_many_as_there_may_be() -> None:
    pace = Pace()
    assert pace.most == MOST_FRAMES
    for _ in range(50):
        pace.judged(MOST_FRAMES, JUDGING_SECONDS * 0.9)
    assert pace.most == MOST_FRAMES


def test_slow_ones_are_taken_as_many_as_fit_and_some_always() -> None:
    pace = Pace()
    for _ in range(50):
        pace.judged(10, 10 * JUDGING_SECONDS / 32.5)
    assert pace.most == 32
    for _ in range(50):
        pace.judged(1, 1.0)
    assert pace.most == FEWEST


def test_one_batch_that_was_interrupted_is_soon_forgotten_and_an_empty_one_says_nothing() -> None:
    pace = Pace()
    pace.judged(16, 1.0)
    assert pace.most == FEWEST
    pace.judged(0, 5.0)
    for _ in range(30):
        pace.judged(64, 0.001)
    assert pace.most == MOST_FRAMES


async def test_beside_a_flood_whose_messages_take_long_the_other_peers_is_in_the_next_short_batch() -> None:
    async with Desk() as desk:
        inner = desk.engine._decide

        async def slow(uow: object, frame: object) -> object:
            desk.clock.moment += JUDGING_SECONDS / 16.5
            return await inner(uow, frame)  # type: ignore[arg-type]

        desk.engine._decide = slow  # type: ignore[method-assign, assignment]
        lines = [Line("pm", number) for number in range(64)]
        for turn in range(20):
            for number, line in enumerate(lines):
                desk.engine.offer(Envelope("pm", line, adt(f"F{turn}-{number}"), 0.0))
        await desk.settled()
        sizes = desk.seen.batches
        assert sizes[0] == MOST_FRAMES
        assert sizes[-2] == 16
        assert sum(sizes) == 20 * 64
        for number, line in enumerate(lines):
            desk.engine.offer(Envelope("pm", line, adt(f"G{number}"), 0.0))
        desk.offer("emr", adt("E1"))
        await asyncio.sleep(0)
        await desk.settled()
        ours = [decision.peer for decision in desk.seen.decisions[20 * 64 :]]
        assert ours.index("emr") < 16
        assert isinstance(desk.engine._frames, Admission)
