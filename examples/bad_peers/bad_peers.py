"""A sender of your own, tested against a receiver and a line that misbehave: what docs/howto/test-against-bad-peers.md shows.

Run it with `python -m pytest --asyncio-mode=auto examples/bad_peers/bad_peers.py`.
"""

from __future__ import annotations

from ophl7.testing import behaviours, faults
from ophl7.testing.chaos import bad_receiver, bad_sender
from ophl7.testing.peers import Client, ScriptedPeer, accept, acknowledgment
from ophl7.testing.proxy import FaultProxy
from ophl7.testing.senders import ScriptedSender

CHARGE = b"MSH|^~\\&|EMR|CLINIC|PM|DESK|20260302080000||DFT^P03|C-1|P|2.5\rEVN|P03|20260302080000\r"


async def deliver(host: str, port: int, payload: bytes) -> None:
    """Stands for your sender: brings the message until an AA names it. Put your own in its place."""
    for _ in range(20):
        try:
            async with Client(host, port) as client:
                answer = await client.send(payload, limit=0.2)
        except (OSError, EOFError, ValueError):  # no answer in time, none at all, or half of one
            continue
        if b"MSA|AA|C-1" in answer:
            return
    raise ConnectionError("gave up")


async def test_an_answer_that_never_comes_and_a_wrong_one_are_not_taken_for_success() -> None:
    async with ScriptedPeer(behaviours.silence, behaviours.wrong_id, behaviours.half_answer, then=accept) as peer:
        await deliver(peer.host, peer.port, CHARGE)
    assert peer.payloads == [CHARGE] * 4


async def test_behaviours_combine() -> None:
    both = behaviours.in_one_write(behaviours.wrong_id, behaviours.accept)
    async with ScriptedPeer(
        behaviours.in_pieces(1, behaviours.unframed), behaviours.followed_by(behaviours.reset, both)
    ) as peer:
        await deliver(peer.host, peer.port, CHARGE)


async def test_whatever_a_receiver_does_by_chance_the_message_arrives() -> None:
    chaos = bad_receiver(seed=2026, most=10)
    async with ScriptedPeer(then=chaos) as peer:
        await deliver(peer.host, peer.port, CHARGE)
    assert set(peer.payloads) == {CHARGE}, chaos.drawn


async def test_a_line_that_breaks_in_the_middle_of_the_answer() -> None:
    async with ScriptedPeer() as peer, FaultProxy(peer.host, peer.port) as line:
        line.to_client.fault = faults.cut_after(20, rst=True)
        async with Client(line.host, line.port) as client:
            await client.send_raw(b"\x0b" + CHARGE + b"\x1c\r")
            await peer.received(1)
            await client.wire.gone(limit=5)
        line.heal()
        await deliver(line.host, line.port, CHARGE)
    assert peer.payloads == [CHARGE] * 2


async def test_a_receiver_of_your_own_meets_a_bad_sender() -> None:
    async with ScriptedPeer() as receiver:  # put your own in its place
        receiver.strict = False
        sender = ScriptedSender(receiver.host, receiver.port, then=bad_sender(seed=2026))
        assert await sender.deliver(CHARGE) == [acknowledgment(CHARGE)]
