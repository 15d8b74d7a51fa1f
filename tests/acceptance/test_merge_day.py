"""The day with merges over real sockets, undisturbed and killed three times: the same evening."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.testing.peers import ScriptedPeer
from tests.acceptance.day import Step
from tests.acceptance.merge_day import DEADLY, MergedEvening, look_merged, merge_day
from tests.acceptance.messages import Side
from tests.acceptance.playing import disturb
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Ledger, Opening, Practice, until
from tests.acceptance.test_day import Hospitality

pytestmark = pytest.mark.timeout(60)


async def known_to_be_down(ledger: Ledger, step: Step) -> None:
    """The first charge of the outage has found nobody: from here on nothing waits that was tried."""
    if step.outage == "begins":
        await until(lambda: bool(ledger.rows("SELECT 1 FROM meta WHERE name = 'link pm' AND value = 'down'")))


async def undisturbed(practice: Practice) -> MergedEvening:
    answers: dict[str, str] = {}
    for step in merge_day(practice.setup):
        if step.outage == "begins":
            await practice.quiet()
        await disturb(practice.desk, step.outage)
        answers[step.control_id] = (await practice.send(step.side, step.payload)).code
        await known_to_be_down(practice, step)
    return look_merged(practice, answers, await practice.quiet())


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_a_day_with_merges_ends_as_the_decisions_say(opened: Opening, setup: str) -> None:
    found = await undisturbed(await opened(setup))
    assert found.answers == {step.control_id: step.code for step in merge_day(setup)}
    assert found.waiting == 0
    assert found.merged_into == {"7050": (None, None), "7051": ("7050", "7050"), "7052": (None, None), "7060": ("7052", None)}
    assert found.merges == (("7051", "7050", True, True, "two_sided"), ("7060", "7052", True, False, "one_sided"))
    assert found.schedule == {"S-1": ("checked_in", "7051"), "S-2": ("booked", "7050")}
    assert found.charges == tuple((f"T-{number}", "sent") for number in range(1, 10))
    assert {name: state for name, state in found.states.items() if state != "accepted"} == {
        "M4": "ignored",
        "M5": "rejected",
        "N1": "rejected",
    }
    family, oscars = frozenset({"7050", "7051"}), frozenset({"7052", "7060"})
    chart = "7050^^^PM^MR~E-50^^^EMR^MR" if setup == PM_OWNS else "E-50^^^EMR^MR"  # nothing is supplied to what the owner says
    assert found.received["pm", "charges", family] == (
        ("C1", "7051^^^PM^MR~E-51^^^EMR^MR"),
        ("C2", "7050^^^PM^MR"),
        ("C3", "7050^^^PM^MR"),
        ("C4", chart),
        ("C5", "7050^^^PM^MR"),
        ("C6", "7050^^^PM^MR"),
        ("C7", "7050^^^PM^MR"),
    )
    assert found.received["pm", "charges", oscars] == (("C8", "7052^^^PM^MR"), ("C9", "7052^^^PM^MR"))
    receiver: Side = "emr" if setup == PM_OWNS else "pm"
    records = dict(found.received[receiver, "record", family])
    own = "{}^^^PM^MR" if setup == PM_OWNS else "{}^^^EMR^MR"
    ruth, twin = (own.format("7050"), own.format("7051")) if setup == PM_OWNS else (own.format("E-50"), own.format("E-51"))
    assert records["B1"] == twin
    assert records["B4"] == ruth, "the receiver has merged by now"
    assert records["U2"] == ruth
    assert "U1" not in records


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_the_same_day_killed_three_times_ends_the_same(opened: Opening, tmp_path: Path, setup: str) -> None:
    expected = await undisturbed(await opened(setup))
    ledger = Ledger(tmp_path / "killed.db")
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        desk: dict[Side, ScriptedPeer] = {"pm": pm, "emr": emr}
        sender = Hospitality(ledger.database, setup, desk)
        await sender.start()
        for step in merge_day(setup):
            if step.outage == "begins":
                await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state = 'queued'"))
            await disturb(desk, step.outage)
            await (sender.send_and_kill(step) if step.control_id in DEADLY else sender.send(step))
            await known_to_be_down(ledger, step)
        await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))
        assert await sender.stop() == 0
        received = {side: list(peer.payloads) for side, peer in desk.items()}
    assert look_merged(ledger, sender.answers, received) == expected
    assert ledger.rows("PRAGMA integrity_check")[0]["integrity_check"] == "ok"
