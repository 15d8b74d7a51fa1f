"""A peer that commits (CA) and says later, on the same connection, what it made of the message (decision record 0056)."""

from __future__ import annotations

import pytest

from ophl7.errors import LinkDown
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import MllpSender
from ophl7.testing.peers import Incoming, ScriptedPeer, acknowledgment
from tests.integration.mllp.test_sender import message


def told(peer: ScriptedPeer) -> tuple[MllpSender, list[tuple[str, str]]]:
    late: list[tuple[str, str]] = []
    return MllpSender(peer.host, peer.port, 5.0, late=lambda control_id, code: late.append((control_id, code))), late


async def commits(message: Incoming) -> None:
    await message.reply(acknowledgment(message.payload, "CA"))


async def commits_and_says(message: Incoming) -> None:
    """Both in one segment."""
    await message.wire.write(frame(acknowledgment(message.payload, "CA")) + frame(acknowledgment(message.payload, "AA")))


async def refuses_the_first_then_commits(message: Incoming) -> None:
    await message.reply(acknowledgment(message.payload, "AE", control_id=b"A1", error=103))
    await message.reply(acknowledgment(message.payload, "CA"))


async def answers_the_first(message: Incoming) -> None:
    await message.reply(acknowledgment(message.payload, "AA", control_id=b"A1"))


async def test_8_what_comes_with_its_commit_costs_nothing() -> None:
    async with ScriptedPeer(commits_and_says, commits_and_says) as peer:
        sender, late = told(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "CA"
        assert (await sender.exchange(message("A2"), "A2")).code == "CA"
        await sender.close()
    assert peer.connections == 1
    assert late == [("A1", "AA"), ("A2", "AA")]


async def test_8_what_comes_while_another_one_waits_is_never_its_answer_and_a_refusal_is_told() -> None:
    async with ScriptedPeer(commits, refuses_the_first_then_commits) as peer:
        sender, late = told(peer)
        await sender.exchange(message("A1"), "A1")
        answer = await sender.exchange(message("A2"), "A2")
        await sender.close()
    assert (answer.code, answer.control_id) == ("CA", "A2")
    assert late == [("A1", "AE")]
    assert peer.connections == 1


async def test_8_an_answer_to_what_was_not_committed_here_still_ends_the_connection() -> None:
    async with ScriptedPeer(answers_the_first) as peer:
        sender, late = told(peer)
        with pytest.raises(LinkDown) as caught:
            await sender.exchange(message("A2"), "A2")
        await sender.close()
    assert caught.value.kind == "foreign"
    assert late == []


async def test_8_it_is_said_once_a_second_time_ends_the_connection() -> None:
    async with ScriptedPeer(commits_and_says, answers_the_first) as peer:
        sender, late = told(peer)
        await sender.exchange(message("A1"), "A1")
        with pytest.raises(LinkDown):
            await sender.exchange(message("A2"), "A2")
        await sender.close()
    assert late == [("A1", "AA")]


async def answers_a_stranger(message: Incoming) -> None:
    await message.reply(acknowledgment(message.payload, "AA", control_id=b"X9"))


async def test_8_a_commit_does_not_open_the_connection_to_answers_about_anything_else() -> None:
    async with ScriptedPeer(commits, answers_a_stranger) as peer:
        sender, late = told(peer)
        await sender.exchange(message("A1"), "A1")
        with pytest.raises(LinkDown) as down:
            await sender.exchange(message("A2"), "A2")
        assert not sender.connected
        await sender.close()
    assert (down.value.kind, late) == ("foreign", [])
