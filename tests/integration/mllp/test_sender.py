"""Whatever is not the one awaited answer is told, never credited, and ends the connection (decisions 8)."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.engine.ports import AnswerError
from ophl7.errors import LinkDown
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import MllpSender
from ophl7.testing import peers
from ophl7.testing.peers import Behaviour, Incoming, ScriptedPeer, acknowledgment


def message(control_id: str, version: str = "2.5") -> bytes:
    return f"MSH|^~\\&|EMR|E|PM|P|20260302080000||DFT^P03|{control_id}|P|{version}\rEVN|P03|20260302080000\r".encode()


def sender_to(peer: ScriptedPeer, ack_timeout: float = 5.0, max_answer: int = 1 << 20) -> MllpSender:
    return MllpSender(peer.host, peer.port, ack_timeout, max_answer=max_answer)


async def too_late(message: Incoming) -> None:
    """Lets the sender's time limit pass, then answers what it would have answered: on a connection that is gone."""
    while (await message.wire._reader.read(1)) != b"":
        raise AssertionError("nothing else was to be sent")
    message.wire._writer.write(frame(acknowledgment(message.payload)))


async def without_msa(message: Incoming) -> None:
    await message.reply(acknowledgment(message.payload).split(b"\r")[0] + b"\r")


async def empty_block(message: Incoming) -> None:
    await message.reply(b"")


async def endless(message: Incoming) -> None:
    await message.wire.write(b"\x0bMSH|" + b"x" * 5000)


async def fs_inside(message: Incoming) -> None:
    await message.wire.write(frame(acknowledgment(message.payload))[:-2] + b"\x1cMSA|AA|x\x1c\r")


async def begun_again(message: Incoming) -> None:
    await message.wire.write(b"\x0bMSH|^~" + frame(acknowledgment(message.payload)))


async def junk_first(message: Incoming) -> None:
    await message.wire.write(b"HTTP/1.1 200 OK\r\n\r\n" + frame(acknowledgment(message.payload)))


async def vanish(message: Incoming) -> None:
    message.wire.abort()


BAD = [
    pytest.param(peers.silence, "timeout", id="silence"),
    pytest.param(too_late, "timeout", id="too late"),
    pytest.param(peers.close, "closed", id="close"),
    pytest.param(vanish, "closed", id="vanish"),
    pytest.param(peers.half_answer, "closed", id="half an answer"),
    pytest.param(peers.garbage, "garbage", id="no HL7"),
    pytest.param(without_msa, "garbage", id="no MSA"),
    pytest.param(empty_block, "garbage", id="an empty block"),
    pytest.param(peers.unframed, "garbage", id="unframed"),
    pytest.param(junk_first, "garbage", id="junk before the block"),
    pytest.param(fs_inside, "garbage", id="an FS inside"),
    pytest.param(begun_again, "garbage", id="begun twice"),
    pytest.param(endless, "garbage", id="endless"),
    pytest.param(peers.wrong_id, "foreign", id="the answer to another message"),
]


async def test_an_accepting_answer_is_credited() -> None:
    async with ScriptedPeer() as peer:
        sender = sender_to(peer)
        answer = await sender.exchange(message("A1"), "A1")
        await sender.close()
    assert (answer.code, answer.control_id, answer.errors) == ("AA", "A1", ())
    assert answer.raw == acknowledgment(message("A1"))
    assert peer.payloads == [message("A1")]


async def test_one_connection_serves_many_messages() -> None:
    async with ScriptedPeer() as peer:
        sender = sender_to(peer)
        for number in range(20):
            assert (await sender.exchange(message(f"A{number}"), f"A{number}")).code == "AA"
        assert sender.connected
        await sender.close()
    assert peer.connections == 1


@pytest.mark.parametrize(("version", "severity"), [("2.3", ""), ("2.5", "F")])
async def test_a_refusal_is_an_answer_with_its_error(version: str, severity: str) -> None:
    async with ScriptedPeer(peers.refuse("AE", 206, "F")) as peer:
        sender = sender_to(peer)
        answer = await sender.exchange(message("A1", version), "A1")
        await sender.close()
    assert answer.code == "AE"
    assert answer.errors == (AnswerError(206, severity, ""),)


@pytest.mark.parametrize(("behaviour", "kind"), BAD)
async def test_what_is_not_the_awaited_answer_ends_the_connection_and_the_next_try_is_clean(
    behaviour: Behaviour, kind: str
) -> None:
    async with ScriptedPeer(behaviour) as peer:
        sender = sender_to(peer, ack_timeout=0.1 if kind == "timeout" else 5.0, max_answer=2000)
        with pytest.raises(LinkDown) as caught:
            await sender.exchange(message("A1"), "A1")
        assert caught.value.kind == kind
        assert f"mllp://127.0.0.1:{peer.port} " in str(caught.value)
        assert not sender.connected
        answer = await sender.exchange(message("A2"), "A2")
        assert answer.control_id == "A2"
        await sender.close()
    assert peer.connections == 2


async def test_the_peers_words_never_reach_the_error() -> None:
    async with ScriptedPeer(peers.answering(lambda _: b"MSH|^~\\&|DOE^JANE\rPID|1||7050\r")) as peer:
        with pytest.raises(LinkDown) as caught:
            await sender_to(peer).exchange(message("A1"), "A1")
    text = str(caught.value) + repr(caught.value.__cause__)
    assert "DOE" not in text
    assert "7050" not in text


async def test_a_late_answer_is_never_taken_for_the_next_messages() -> None:
    release = asyncio.Event()
    async with ScriptedPeer(peers.slow(release)) as peer:
        sender = sender_to(peer, ack_timeout=0.05)
        with pytest.raises(LinkDown):
            await sender.exchange(message("A1"), "A1")
        release.set()
        answer = await sender.exchange(message("A1"), "A1")
        assert answer.code == "AA"
        await sender.close()
    assert [known.connection for known in peer.messages] == [1, 2]


async def test_an_answer_without_its_cr_is_an_answer() -> None:
    async def without_cr(message: Incoming) -> None:
        await message.wire.write(frame(acknowledgment(message.payload))[:-1])

    async with ScriptedPeer(without_cr) as peer:
        sender = sender_to(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        await sender.close()


async def test_line_ends_around_an_answer_are_harmless() -> None:
    async def with_lines(message: Incoming) -> None:
        await message.wire.write(b"\r\n" + frame(acknowledgment(message.payload)) + b"\n\x00\r\n")

    async with ScriptedPeer(then=with_lines) as peer:
        sender = sender_to(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        assert (await sender.exchange(message("A2"), "A2")).code == "AA"
        await sender.close()
    assert peer.connections == 1


async def test_an_answer_that_waits_before_we_ask_ends_the_connection_before_anything_is_sent() -> None:
    async def twice(message: Incoming) -> None:
        await message.reply(acknowledgment(message.payload))
        await message.reply(acknowledgment(message.payload, control_id=b"A2"))

    async with ScriptedPeer(twice) as peer:
        sender = sender_to(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        await peer.settled()
        with pytest.raises(LinkDown, match="although nothing was asked") as caught:
            await sender.exchange(message("A2"), "A2")
        assert caught.value.kind == "garbage"
        assert len(peer.messages) == 1
        assert (await sender.exchange(message("A2"), "A2")).control_id == "A2"
        await sender.close()


async def test_an_answer_that_has_begun_before_we_ask_ends_the_connection_too() -> None:
    async def and_more(message: Incoming) -> None:
        await message.reply(acknowledgment(message.payload))
        await message.wire.write(b"\x0bMSH|^~")

    async with ScriptedPeer(and_more) as peer:
        sender = sender_to(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        await peer.settled()
        with pytest.raises(LinkDown, match="although nothing was asked"):
            await sender.exchange(message("A2"), "A2")
        assert len(peer.messages) == 1


async def test_a_connection_that_the_peer_closed_meanwhile_is_opened_again_without_a_fault() -> None:
    async def once(message: Incoming) -> None:
        await message.reply(acknowledgment(message.payload))
        await message.wire.close()

    async with ScriptedPeer(then=once) as peer:
        sender = sender_to(peer)
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        await peer.settled()
        assert (await sender.exchange(message("A2"), "A2")).code == "AA"
        await sender.close()
    assert peer.connections == 2


async def test_a_peer_that_is_not_there_refuses() -> None:
    async with ScriptedPeer() as peer:
        sender = sender_to(peer)
        await peer.stop()
        with pytest.raises(LinkDown, match="refuses connections") as caught:
            await sender.exchange(message("A1"), "A1")
        assert caught.value.kind == "refused"
        await peer.start()
        assert (await sender.exchange(message("A1"), "A1")).code == "AA"
        await sender.close()


async def test_a_name_with_several_addresses_refuses_just_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call failed")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", refuse)
    with pytest.raises(LinkDown) as caught:
        await MllpSender("localhost", 1, 1.0).exchange(message("A1"), "A1")
    assert caught.value.kind == "refused"


async def test_a_name_that_nobody_knows_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unknown)
    with pytest.raises(LinkDown, match="cannot be reached: Name or service not known") as caught:
        await MllpSender("no.such.host", 2575, 1.0).exchange(message("A1"), "A1")
    assert caught.value.kind == "unreachable"


async def test_two_messages_at_a_time_are_a_fault_of_the_caller() -> None:
    release = asyncio.Event()
    async with ScriptedPeer(peers.slow(release)) as peer:
        sender = sender_to(peer)
        first = asyncio.ensure_future(sender.exchange(message("A1"), "A1"))
        await peer.received(1)
        with pytest.raises(RuntimeError, match="one message in flight"):
            await sender.exchange(message("A2"), "A2")
        release.set()
        assert (await first).code == "AA"
        await sender.close()


async def test_a_cancelled_exchange_takes_its_connection_with_it() -> None:
    async with ScriptedPeer(peers.silence) as peer:
        sender = sender_to(peer)
        first = asyncio.ensure_future(sender.exchange(message("A1"), "A1"))
        await peer.received(1)
        first.cancel()
        await asyncio.wait((first,))
        assert not sender.connected
        assert (await sender.exchange(message("A2"), "A2")).control_id == "A2"
        await sender.close()
    assert peer.connections == 2


async def test_closing_during_an_exchange_ends_it() -> None:
    async with ScriptedPeer(peers.silence) as peer:
        sender = sender_to(peer)
        first = asyncio.ensure_future(sender.exchange(message("A1"), "A1"))
        await peer.received(1)
        await sender.close()
        with pytest.raises(LinkDown) as caught:
            await first
    assert caught.value.kind == "closed"


async def test_closing_twice_is_closing() -> None:
    async with ScriptedPeer() as peer:
        sender = sender_to(peer)
        await sender.close()
        await sender.exchange(message("A1"), "A1")
        await sender.close()
        await sender.close()
        assert not sender.connected


async def test_a_raw_exchange_returns_whatever_block_comes_back() -> None:
    async with ScriptedPeer(peers.garbage, peers.wrong_id) as peer:
        sender = sender_to(peer)
        assert await sender.exchange_raw(message("A1")) == b"<html>502 Bad Gateway</html>"
        assert b"|XA2" in await sender.exchange_raw(message("A2"))
        await sender.close()
    assert peer.connections == 1


async def test_a_message_that_no_block_can_hold_is_not_sent() -> None:
    async with ScriptedPeer() as peer:
        sender = sender_to(peer)
        with pytest.raises(ValueError, match="cannot travel"):
            await sender.exchange(b"MSH\x1cPID", "A1")
    assert peer.connections == 0
