"""Playing a role: against scripted listeners in place of a broker, without letting time pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from ophl7.errors import LinkDown
from ophl7.mllp.sender import Address as BrokerAddress
from ophl7.simulate import player as playing
from ophl7.simulate.line import Rest
from ophl7.simulate.player import Playbill, Player
from ophl7.simulate.role import Role, SetUp
from ophl7.simulate.steps import Side
from ophl7.simulate.tally import Teller
from ophl7.testing.peers import Behaviour, Client, Incoming, ScriptedPeer, accept, acknowledgment, close, silence, slow
from ophl7.units import Address
from tests.acceptance.practice import until
from tests.unit.simulate.table import DAY, play, sit_down

ALL = Playbill(DAY, once=True, quiet=0.0)


async def no_rest(_seconds: float) -> None:
    await asyncio.sleep(0)


@dataclass
class Stage:
    """A player and the listener that it takes for the broker."""

    broker: ScriptedPeer
    player: Player
    lines: list[str] = field(default_factory=list)

    async def play(self) -> None:
        await self.player.play(BrokerAddress(self.broker.host, self.broker.port))

    @property
    def told(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]


@asynccontextmanager
async def stage(
    *script: Behaviour,
    then: Behaviour = accept,
    side: Side = "pm",
    set_up: SetUp = "pm/pm",
    bill: Playbill = ALL,
    as_json: bool = False,
    rest: Rest = no_rest,
) -> AsyncIterator[Stage]:
    lines: list[str] = []
    role = Role(side, set_up, seed=1, version="2.5.1", patients=3)
    async with ScriptedPeer(*script, then=then) as broker:
        player = Player(role, Address("127.0.0.1", 0), Teller(side, lines.append, as_json=as_json), bill, rest)
        await player.open()
        try:
            yield Stage(broker, player, lines)
        finally:
            await player.close()


def answers(step_codes: dict[str, tuple[str, str]]) -> Behaviour:
    """Answers as a broker does: what is listed with that code and reason, everything else with AA."""

    async def behaviour(message: Incoming) -> None:
        code, reason = step_codes.get(message.control_id.decode(), ("AA", ""))
        answer = acknowledgment(message.payload, code)
        if reason:
            answer += f"ERR|||207|E|{reason}^why^OPHL7\r".encode()
        await message.reply(answer)

    return behaviour


def right_answers(side: Side = "pm") -> Behaviour:
    said = play(sit_down(patients=3), "pm/pm").by(side)
    return answers({one.step.control_id: (one.step.code, one.step.reason) for one in said})


async def test_the_owner_says_its_whole_day_and_leaves_when_nothing_comes_any_more() -> None:
    async with stage(then=right_answers()) as one:
        await one.play()
    wanted = sit_down(patients=3).roles["pm"]
    steps = wanted.opens(DAY)
    said = {wanted.hand.write(step) for step in steps}
    assert set(one.broker.payloads) == said
    tally = one.player.tally
    assert (tally.sent, tally.again, tally.surprises, tally.unanswered) == (len(steps), 1, 0, 0)
    assert tally.answers == {"AA": len(steps) - 2, "AR": 2}
    assert [patient["id"] for patient in one.player.truth.document()["patients"]] == [f"PM:219601{n:03}" for n in (1, 2, 3)]
    assert one.player.idle is False  # it does not receive any more


async def test_messages_leave_in_the_order_of_the_practices_clock() -> None:
    async with stage(then=right_answers()) as one:
        await one.play()
    times = [payload.split(b"|")[6] for payload in one.broker.payloads]
    assert times == sorted(times)


async def test_an_answer_that_the_set_up_does_not_ask_for_is_told_and_its_effect_not_remembered() -> None:
    async with stage(then=accept, as_json=True) as one:
        await one.play()
    assert one.player.tally.surprises == 2
    wrong = [told for told in one.told if told.get("expected") is False]
    assert [(told["sent"], told["code"]) for told in wrong] == [("DFT^P03", "AA"), ("BAR^P01", "AA")]
    nobody: dict[str, tuple[str, str]] = {f"P219601D{n:04}": ("AE", "P02") for n in range(1, 99)}
    async with stage(then=answers(nobody)) as one:
        await one.play()
    assert one.player.truth.document()["patients"] == []
    assert any("NOT AS EXPECTED: AA" in line for line in one.lines)


async def test_another_answer_to_the_second_copy_is_told() -> None:
    numbers = count()

    async def counting(message: Incoming) -> None:
        own_id = f"|N{next(numbers)}".encode()
        await message.reply(acknowledgment(message.payload).replace(b"|A" + message.control_id, own_id))

    async with stage(then=counting) as one:
        await one.play()
    assert one.player.tally.again == 1
    assert one.player.tally.surprises == 3  # the copy, and the two that should have been refused
    assert any("another answer than the first" in line for line in one.lines)


async def test_the_second_copy_comes_over_another_connection() -> None:
    async with stage(then=right_answers()) as one:
        await one.play()
    copies = [message for message in one.broker.messages if one.broker.payloads.count(message.payload) == 2]
    assert len(copies) == 2
    assert copies[0].connection < copies[1].connection


async def test_the_other_side_waits_for_the_day_and_ends_with_it() -> None:
    deliveries = [one.payload for one in play(sit_down(patients=3), "pm/pm").by("pm") if one.step.code == "AA"]
    wanted = {one.payload for one in play(sit_down(patients=3), "pm/pm").by("emr")}
    async with stage(then=right_answers("emr"), side="emr", bill=replace(ALL, once=False)) as one:
        on = asyncio.ensure_future(one.play())
        async with Client(one.player.address.host, one.player.address.port) as sender:
            for payload in deliveries:
                await sender.send(payload)
                await sender.send(payload)  # as after an outage: the same bytes, the same MSH-10
        assert wanted <= set(await one.broker.received(len(wanted)))
        await until(lambda: one.player.idle)
        one.player.stop()
        await on
    assert one.player.days_over == 1
    assert one.player.tally.received.total() == one.player.tally.received_twice == len(deliveries)
    assert set(one.broker.payloads) == wanted


async def test_stopped_while_an_answer_is_on_its_way_it_is_waited_for() -> None:
    until = asyncio.Event()
    async with stage(accept, slow(until)) as one:
        on = asyncio.ensure_future(one.play())
        await one.broker.received(2)
        one.player.stop()
        until.set()
        await on
    assert (one.player.tally.sent, one.player.tally.unanswered) == (2, 0)


async def test_stopped_while_nobody_answers_it_leaves_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "_LAST_ANSWER_SECONDS", 0.0)
    async with stage(accept, silence) as one:
        on = asyncio.ensure_future(one.play())
        await one.broker.received(2)
        one.player.stop()
        await on
    assert (one.player.tally.sent, one.player.tally.unanswered) == (1, 1)


async def test_a_broker_that_is_given_up_ends_it() -> None:
    async with stage(then=close, bill=replace(ALL, patience=1.0)) as one:
        with pytest.raises(LinkDown, match="given up"):
            await one.play()
    assert one.player.tally.unanswered == 1


async def test_days_follow_each_other_and_endless_ones_remember_the_last_only() -> None:
    async def stopping(message: Incoming) -> None:
        await accept(message)
        if message.payload.split(b"|")[6].startswith(b"20260108"):
            one.player.stop()

    async with stage(then=stopping, bill=Playbill(DAY, days=0)) as one:
        await one.play()
        assert one.player.days_over == 3
    assert {key["id"][:7] for key in one.player.truth.document()["patients"]} <= {"PM:2199"}
    async with stage(bill=replace(ALL, days=2)) as one:
        await one.play()
    assert len(one.player.truth.document()["patients"]) == 6


async def test_the_pace_is_kept_by_resting_before_each_message() -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async with stage(then=right_answers(), bill=replace(ALL, pause=0.5), rest=rest) as one:
        await one.play()
    assert rests == [0.5] * one.player.tally.sent


async def test_in_an_outage_nothing_is_taken_and_nothing_said_and_then_it_goes_on() -> None:
    async def rest(seconds: float) -> None:
        seen.append((seconds, one.player._receiver.listening, len(one.broker.messages)))

    seen: list[tuple[float, bool, int]] = []
    async with stage(then=right_answers(), bill=replace(ALL, outage=7.0), rest=rest) as one:
        await one.play()
    assert seen == [(7.0, False, playing._AWAY_AFTER + 1)]  # one of them was said twice
    assert one.player.tally.surprises == 0
    assert any("is switched off for 7 s" in line for line in one.lines)
    assert any("is back" in line for line in one.lines)


async def test_what_cannot_be_read_is_answered_ar_and_told() -> None:
    async with stage(side="emr") as one, Client(one.player.address.host, one.player.address.port) as sender:
        answer = await sender.send(b"MSH|^~\\&|A|B|C|D|20260105||||P|2.5\r")
    assert b"MSA|AR|" in answer
    assert any("cannot be read" in line for line in one.lines)


async def test_the_summary_has_every_count_in_words_and_as_json() -> None:
    async with stage(then=right_answers()) as one:
        await one.play()
        Teller("pm", one.lines.append).summary(one.player.tally)
        Teller("pm", one.lines.append, as_json=True).summary(one.player.tally)
    text = "\n".join(one.lines)
    for words in ("sent ", "sent again  1", "tried again 0", "received    0", "unanswered  0", "not as expected  0"):
        assert words in text
    summary = json.loads(one.lines[-1])["summary"]
    assert summary["sent"] == sum(summary["answers"].values()) == one.player.tally.sent
    assert summary["sent_again"] == 1


def test_nothing_that_a_line_shows_can_steer_a_terminal() -> None:
    lines: list[str] = []
    Teller("emr", lines.append).remark("A\x1b[2J\rB")
    assert lines == ["EMR       A\ufffd[2J\ufffdB"]
