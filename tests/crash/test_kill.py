"""`kill -9` under load at every step, again and again: nothing is lost, nothing has a second effect, nothing overtakes."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.crash.campaign import AT_RANDOM, Campaign
from tests.crash.doomed import AT_START, AT_STOP, STEPS

FULL = os.environ.get("CRASH_LENGTH") == "full"
ROUNDS = int(os.environ.get("CRASH_ROUNDS", "520" if FULL else "0"))
# So much is acknowledged at least: what the rounds that end at steps leave of it is made up in long ones that end at random.
MESSAGES = int(os.environ.get("CRASH_MESSAGES", ROUNDS * 400))
LONG = 5  # every so many rounds of the full length
# No round begins after this; 0: all rounds. What was done until then is looked at all the same.
SECONDS = float(os.environ.get("CRASH_SECONDS", "0"))
# Other rounds end after so many answers, drawn anew for each: soon after a start as well as in full run.
ANSWERS = (1, 300) if FULL else (1, 60)

pytestmark = [pytest.mark.crash, pytest.mark.timeout(5400 if FULL else 240)]


def share(messages: int, rounds: int) -> tuple[int, int]:
    """How long one of so many rounds lasts that have to bring so many answers between them."""
    mean = max(2, messages // rounds)
    return mean // 2, mean * 3 // 2


async def test_kill_9_at_every_step_loses_nothing_and_doubles_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.randrange(2**32)))
    campaign = Campaign(tmp_path, seed=seed, answers=ANSWERS, haste=1 if FULL else 8)
    steps = [*STEPS, *AT_START, *AT_STOP, AT_RANDOM]
    rounds = ROUNDS or len(steps)
    began = time.monotonic()
    await campaign.begin()
    stepped = 0
    for turn in range(rounds):
        if SECONDS and time.monotonic() - began > SECONDS:
            break
        if FULL and turn % LONG == LONG - 1:
            await campaign.round(AT_RANDOM, share(MESSAGES - campaign.load.acknowledged, (rounds - turn - 1) // LONG + 1))
            continue
        if stepped % len(steps) == 0:
            campaign.chance.shuffle(steps)
        await campaign.round(steps[stepped % len(steps)])
        stepped += 1
    found = await campaign.end()
    load, tally = campaign.load, campaign.tally
    with capsys.disabled():
        print(
            f"\ncrash: {tally.rounds} rounds, {tally.kills.total()} kills in {time.monotonic() - began:.0f} s, seed {seed}: "
            f"{found.messages} messages acknowledged ({load.resent} sent again after a kill, {load.repeats} for nothing), "
            f"{found.deliveries} copies ({found.repeated} delivered again), {found}"
        )
        for step, count in sorted(tally.kills.items()):
            print(f"  {count:5} killed {step}")
    assert found.clean, found.first()
    assert load.wrong == []
    assert found.messages > tally.rounds * 10
    # On a busy machine a single kill that was to come amid a commit may come when it is over; among many some are in time.
    reached = {step if FULL else step.removesuffix(" (just after)") for step in tally.kills}
    assert {step for step in steps[:stepped] if step not in reached} == set(), f"steps that were never reached: {tally.missed}"
