"""The real broker process between both simulators: in the evening it holds what they remember, and nothing else waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from ophl7.mllp.sender import Address as BrokerAddress
from ophl7.simulate.asking import Asker
from ophl7.simulate.comparing import differences
from ophl7.simulate.line import Rest
from ophl7.simulate.player import Playbill, Player
from ophl7.simulate.role import Role, SetUp
from ophl7.simulate.steps import Side
from ophl7.simulate.tally import Teller
from ophl7.simulate.truth import Document
from ophl7.units import Address
from tests.acceptance.practice import until
from tests.acceptance.process import Served, served

pytestmark = pytest.mark.timeout(120)

DAY = date(2026, 1, 5)
TOKEN = "token-of-the-test-practice"
SIDES: tuple[Side, Side] = ("pm", "emr")
LIMIT_SECONDS = 60.0


async def moment(_seconds: float) -> None:
    """A rest without a length: to wait for a broker that is just being started, and for nothing else."""
    await asyncio.sleep(0.02)


@dataclass
class House:
    """Both simulators, and the broker of the moment."""

    database: Path
    set_up: SetUp
    players: dict[Side, Player]
    stack: AsyncExitStack
    broker: Served
    lines: list[str]
    playing: list[asyncio.Task[None]]

    @property
    def asker(self) -> Asker:
        found = re.search(r"Status page: http://127\.0\.0\.1:(\d+)/", self.broker.output)
        assert found is not None
        return Asker("127.0.0.1", int(found[1]), TOKEN)

    async def restart(self) -> None:
        """kill -9, and up again where it was."""
        await self.broker.kill()
        await self.stack.aclose()
        await self.start(*(":".join(map(str, self.broker.addresses[side])) for side in SIDES))

    async def start(self, pm: str = "127.0.0.1:0", emr: str = "127.0.0.1:0") -> None:
        urls = [f"mllp://{self.players[side].address}" for side in SIDES]
        self.broker = await self.stack.enter_async_context(
            served(self.database, self.set_up, urls[0], urls[1], API_TOKEN=TOKEN, PM_LISTEN=pm, EMR_LISTEN=emr)
        )

    def counts(self) -> list[int]:
        return [count for player in self.players.values() for count in (player.tally.sent, player.tally.received.total())]

    async def evening(self) -> None:
        """Both have said everything, and the broker has nothing to deliver; seen twice without anything in between."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                for task in self.playing:
                    assert not task.done(), task.exception()
                before = self.counts()
                if all(player.idle for player in self.players.values()):
                    open_ones = [
                        one for state in ("queued", "sending") for one in await self.asker.items("/deliveries", state=state)
                    ]
                    if not open_ones and self.counts() == before and all(player.idle for player in self.players.values()):
                        return
                await asyncio.sleep(0.05)

    async def assert_all_is_right(self) -> None:
        documents = [player.truth.document() for player in self.players.values()]
        assert differences(documents, await self.asker.held(documents)) == []
        assert [line for line in self.lines if "NOT AS EXPECTED" in line] == []
        assert [player.tally.surprises for player in self.players.values()] == [0, 0]
        assert [player.tally.unanswered for player in self.players.values()] == [0, 0]
        # What waits for a person is what the clinic has reported for a biller, and nothing else (#52).
        held = [one["transaction_id"] for document in documents for one in document["charges"] if one["state"] == "held"]
        assert sorted(one["key"] for one in await self.asker.items("/holds")) == sorted(f"payment:{name}" for name in held)
        states = {one["state"] for one in await self.asker.items("/messages")}
        assert states <= {"accepted", "rejected", "held", "ignored", "duplicate"}
        await self._assert_nothing_more(documents)

    async def _assert_nothing_more(self, documents: list[Document]) -> None:
        """Nothing is there that no simulator has said."""
        said = {one["filler_id"] for document in documents for one in document["appointments"]}
        assert {one["filler_id"] for one in await self.asker.items("/appointments")} == said
        charged = {(one["transaction_id"], one["kind"]) for document in documents for one in document["charges"]}
        there = {(one["transaction_id"], one["kind"]) for one in await self.asker.items("/charges")}
        # The PM's own attempt at charging is kept and reported, like every refused charge (P8).
        assert {key for key in there - charged if not key[0].startswith("X")} == set()


Rests = Callable[[Side], Rest]


@asynccontextmanager
async def playing(
    folder: Path,
    set_up: SetUp,
    *,
    seed: int,
    version: str = "2.5.1",
    patients: int = 12,
    days: int = 1,
    outage: Side | None = None,
    pause: float = 0.0,
) -> AsyncIterator[House]:
    lines: list[str] = []

    async def rest(seconds: float) -> None:
        """An outage lasts until the broker has something for who is away; a pause is a moment."""
        while seconds > 1 and outage is not None:
            waiting = await house.asker.items("/deliveries", destination=outage, state="queued")
            if len(waiting) > 2 or all(player.idle for side, player in players.items() if side != outage):
                return
            await asyncio.sleep(0.02)
        await moment(seconds)

    players: dict[Side, Player] = {}
    async with AsyncExitStack() as stack:
        for side in SIDES:
            role = Role(side, set_up, seed=seed, version=version, patients=patients)
            bill = Playbill(DAY, days=days, outage=9.0 if side == outage else 0.0, pause=pause, patience=0.0)
            players[side] = Player(role, Address("127.0.0.1", 0), Teller(side, lines.append), bill, rest)
            await players[side].open()
            stack.push_async_callback(players[side].close)
        async with AsyncExitStack() as own:
            house = House(folder / "ophl7.db", set_up, players, own, Served.__new__(Served), lines, [])
            await house.start()
            for side, player in players.items():
                address = BrokerAddress(*house.broker.addresses[side])
                house.playing.append(asyncio.create_task(player.play(address)))
            try:
                yield house
            finally:
                for player in players.values():
                    player.stop()
                await asyncio.gather(*house.playing, return_exceptions=True)
                await house.stack.aclose()


@pytest.mark.parametrize(
    ("set_up", "seed", "version"),
    [("pm/pm", 1, "2.5.1"), ("pm/pm", 2, "2.3.1"), ("pm/pm", 3, "2.8"), ("emr/emr", 1, "2.5.1"), ("emr/emr", 4, "2.3.1")],
)
async def test_in_the_evening_the_broker_holds_what_both_sides_remember(
    tmp_path: Path, set_up: SetUp, seed: int, version: str
) -> None:
    async with playing(tmp_path, set_up, seed=seed, version=version) as house:
        await house.evening()
        await house.assert_all_is_right()


async def test_two_busy_days_end_the_same(tmp_path: Path) -> None:
    async with playing(tmp_path, "pm/pm", seed=77, patients=40, days=2) as house:
        await house.evening()
        await house.assert_all_is_right()
        assert sum(player.tally.sent for player in house.players.values()) > 600


@pytest.mark.parametrize(("set_up", "away"), [("pm/pm", "emr"), ("emr/emr", "pm")])
async def test_a_side_that_is_away_gets_everything_when_it_is_back(tmp_path: Path, set_up: SetUp, away: Side) -> None:
    async with playing(tmp_path, set_up, seed=5, outage=away) as house:
        await house.evening()
        assert any(line.startswith(away.upper()) and "is back" in line for line in house.lines)
        await house.assert_all_is_right()


@pytest.mark.crash
@pytest.mark.parametrize(("set_up", "messages"), [("pm/pm", 30), ("emr/emr", 70)])
async def test_a_broker_that_is_killed_in_the_middle_of_the_day_ends_it_all_the_same(
    tmp_path: Path, set_up: SetUp, messages: int
) -> None:
    async with playing(tmp_path, set_up, seed=6, pause=0.001) as house:
        await until(lambda: sum(house.counts()) >= messages, LIMIT_SECONDS)
        await house.restart()
        assert not any(player.idle for player in house.players.values())
        await house.evening()
        await house.assert_all_is_right()
