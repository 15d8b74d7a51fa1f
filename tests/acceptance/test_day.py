"""A practice's day over real sockets, and the same day through a broker that is killed in the middle of it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.day import Step, day, evening, look
from tests.acceptance.messages import Side
from tests.acceptance.playing import disturb
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Ledger, Opening, until
from tests.acceptance.process import Served, served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_a_day_ends_as_the_decisions_say(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    steps, answers = day(setup), dict[str, str]()
    for step in steps:
        await disturb(practice.desk, step.outage)
        answers[step.control_id] = (await practice.send(step.side, step.payload)).code
    received = await practice.quiet()
    assert look(practice, steps, answers, received) == evening(setup)


class Hospitality:
    """A sender who repeats what was not answered, against a broker that may vanish."""

    def __init__(self, database: Path, setup: str, desk: dict[Side, ScriptedPeer]) -> None:
        self.database = database
        self.setup = setup
        self.desk = desk
        self.answers: dict[str, str] = {}
        self._broker: Served
        self._lines: dict[Side, Client] = {}
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        urls = self.desk["pm"].url, self.desk["emr"].url
        self._broker = await self._stack.enter_async_context(served(self.database, self.setup, *urls))
        for side, address in self._broker.addresses.items():
            self._lines[side] = await self._stack.enter_async_context(Client(*address))

    async def send(self, step: Step) -> None:
        reply = read_reply(await self._lines[step.side].send(step.payload))
        assert reply.control_id == step.control_id
        self.answers[step.control_id] = reply.code

    async def send_and_kill(self, step: Step) -> None:
        """The frame is in the kernel's hands, or being judged, or committed, or answered: whatever the moment is."""
        await self._lines[step.side].send_raw(frame(step.payload))
        await self._broker.kill()
        await self._stack.aclose()
        await self.start()
        await self.send(step)

    async def stop(self) -> int:
        self._broker.tell_to_stop()
        status = await self._broker.stopped()
        await self._stack.aclose()
        return status


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_the_same_day_with_kills_in_the_middle_ends_the_same(tmp_path: Path, setup: str) -> None:
    steps = day(setup)
    deadly = {"B3", "D1", "R4"}  # a booking, a charge during the outage, the registration that releases one
    ledger = Ledger(tmp_path / "ophl7.db")
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        desk: dict[Side, ScriptedPeer] = {"pm": pm, "emr": emr}
        sender = Hospitality(ledger.database, setup, desk)
        await sender.start()
        for step in steps:
            await disturb(desk, step.outage)
            await (sender.send_and_kill(step) if step.control_id in deadly else sender.send(step))
        await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))
        assert await sender.stop() == 0
        received = {side: list(peer.payloads) for side, peer in desk.items()}
    assert look(ledger, steps, sender.answers, received) == evening(setup)
    assert ledger.rows("PRAGMA integrity_check")[0]["integrity_check"] == "ok"
