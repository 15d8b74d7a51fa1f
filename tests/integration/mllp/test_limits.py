"""Time limits, connection limits, back-pressure and the drain."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from ophl7.engine.ports import Damage
from ophl7.mllp.framing import frame
from ophl7.mllp.listener import Listener
from ophl7.mllp.session import UNANSWERED_BYTES, UNANSWERED_FRAMES, Limits
from ophl7.testing.peers import Client, ScriptedPeer, answering
from tests.integration.mllp.desk import LIMIT_SECONDS, Desk, ManualClock, Observed, Open, echo


async def turned() -> None:
    """Lets the loop look at every socket a few times: what could have been delivered by now has been delivered."""
    async with ScriptedPeer(then=answering(bytes)) as bystander, Client(bystander.host, bystander.port) as client:
        for _ in range(5):
            await client.send(b"are you there?")


# -- time limits -----------------------------------------------------------------------------------------------------------


async def test_a_frame_that_does_not_end_is_quarantined_and_closed(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(frame_timeout=30.0)
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + b"\x0bhalf")
        assert await client.read_answer() == b"ok:one"
        clock.advance(29)
        listener.sweep()
        assert observed.of("stalled") == []
        clock.advance(2)
        listener.sweep()
        await client.closed()
    await observed.seen("closed", "pm", 1, "stalled")
    assert observed.of("stalled") == [("pm", 1, "frame")]
    assert desk.envelopes[1].damage == Damage("cut_off", answer=False, close=True)
    assert desk.payloads[1] == b"half"


async def test_a_byte_now_and_then_does_not_keep_a_frame_alive(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(frame_timeout=30.0)
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0b")
        await turned()
        for _ in range(4):
            clock.advance(9)
            await client.send_raw(b"x")
            await turned()
            listener.sweep()
        await client.closed()
    assert observed.of("stalled") == [("pm", 1, "frame")]


async def test_a_long_frame_over_a_slow_line_is_no_stall(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(frame_timeout=30.0)
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0b" + b"x" * 400_000)
        await turned()
        clock.advance(50)
        listener.sweep()
        await client.send_raw(b"\x1c\r")
        assert len(await client.read_answer()) == 400_003
    assert observed.of("stalled") == []


async def test_frames_one_after_another_without_a_pause_are_no_stall(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(frame_timeout=30.0)
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bon")
        for _ in range(5):
            await client.send_raw(b"e\x1c\r\x0bon")
            assert await client.read_answer() == b"ok:one"
            clock.advance(20)
            listener.sweep()
    assert observed.of("stalled") == []


async def test_a_quiet_line_stays_open_by_default(listen: Open, desk: Desk, clock: ManualClock, observed: Observed) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        assert await client.send(b"saturday") == b"ok:saturday"
        clock.advance(36 * 3600)
        listener.sweep()
        assert await client.send(b"monday") == b"ok:monday"
    assert [event[2] for event in observed.of("closed")] in ([], ["peer"])


async def test_a_quiet_line_is_closed_when_a_limit_is_set(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(idle_timeout=60.0)
    async with Client(*listener.address) as client:
        assert await client.send(b"one") == b"ok:one"
        clock.advance(59)
        listener.sweep()
        assert await client.send(b"two") == b"ok:two"
        clock.advance(61)
        listener.sweep()
        await client.closed()
    await observed.seen("closed", "pm", 1, "idle")


async def test_a_line_that_waits_for_our_answer_is_not_quiet(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    listener = await listen(idle_timeout=60.0)
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one"))
        await desk.arrived(1)
        clock.advance(600)
        listener.sweep()
        desk.answer_all()
        assert await client.read_answer() == b"ok:one"
        await client.send_raw(frame(b"two"))
        await desk.arrived(2)
    assert observed.of("stalled") == []


async def test_the_listener_watches_its_limits_by_itself(desk: Desk, observed: Observed) -> None:
    class SystemClock:
        def now(self) -> datetime:
            return datetime.now(UTC)

        def monotonic(self) -> float:
            return time.monotonic()

    listener = Listener("pm", "127.0.0.1", 0, Limits(frame_timeout=0.05), (), desk, SystemClock(), observed)
    await listener.start()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bhalf")
        await observed.seen("stalled", "pm", 1, "frame")
        for envelope in await desk.arrived(1):
            envelope.session.answer(None)
        await client.closed()
    await listener.stop()


# -- who may connect -------------------------------------------------------------------------------------------------------


async def test_a_connection_too_many_is_closed_and_told(listen: Open, desk: Desk, observed: Observed) -> None:
    desk.answering = echo
    listener = await listen(max_connections=2)
    async with Client(*listener.address) as one:
        async with Client(*listener.address) as two:
            assert await two.send(b"two") == b"ok:two"
            async with Client(*listener.address) as three:
                await three.closed()
            assert await one.send(b"one") == b"ok:one"
        assert [event[:2] for event in observed.of("refused")] == [("pm", "too_many")]
        await observed.seen("closed", "pm")
        async with Client(*listener.address) as four:
            assert await four.send(b"four") == b"ok:four"
    assert desk.connections == ["pm"] * 3


async def test_an_address_that_is_not_allowed_is_closed_at_once(listen: Open, desk: Desk, observed: Observed) -> None:
    listener = await listen(allow=(ip_network("10.0.0.0/8"), ip_network("::1/128")))
    async with Client(*listener.address) as client:
        await client.closed()
    await observed.seen("refused", "pm", "not_allowed")
    assert (desk.envelopes, desk.connections, listener.connections) == ([], [], 0)


async def test_an_allowed_address_is_let_in(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen(allow=(ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8")))
    async with Client(*listener.address) as client:
        assert await client.send(b"one") == b"ok:one"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("fe80::1%eth0", True),
        ("fe81::1", False),
        ("", False),
    ],
)
async def test_an_ipv4_peer_on_an_ipv6_socket_is_known_by_its_ipv4_address(listen: Open, address: str, allowed: bool) -> None:
    listener = await listen(allow=(ip_network("10.0.0.0/8"), ip_network("fe80::/16")))
    assert listener._allowed(address) is allowed


# -- back-pressure ---------------------------------------------------------------------------------------------------------


async def test_a_sender_with_too_many_unanswered_frames_is_not_read_until_half_are_answered(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        for number in range(UNANSWERED_FRAMES):
            await client.send_raw(frame(b"%d" % number))
        await desk.arrived(UNANSWERED_FRAMES)
        await client.send_raw(frame(b"one more"))
        await turned()
        assert len(desk.envelopes) == UNANSWERED_FRAMES
        session = desk.envelopes[0].session
        for _ in range(UNANSWERED_FRAMES // 2):
            session.answer(b"a")
        await turned()
        assert len(desk.envelopes) == UNANSWERED_FRAMES
        session.answer(b"a")
        assert (await desk.arrived(UNANSWERED_FRAMES + 1))[-1].payload == b"one more"


async def test_a_sender_with_too_many_unanswered_bytes_is_not_read_either(listen: Open, desk: Desk) -> None:
    listener = await listen(max_bytes=UNANSWERED_BYTES)
    half = b"x" * (UNANSWERED_BYTES // 2)
    async with Client(*listener.address) as client:
        await client.send_raw(frame(half))
        await client.send_raw(frame(half))
        await desk.arrived(2)
        await client.send_raw(frame(b"one more"))
        await turned()
        assert len(desk.envelopes) == 2
        desk.envelopes[0].session.answer(None)
        desk.envelopes[0].session.answer(None)
        assert (await desk.arrived(3))[-1].payload == b"one more"


async def test_the_time_in_which_we_do_not_read_is_not_held_against_a_frame(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    listener = await listen(frame_timeout=30.0)
    frames = b"".join(frame(b"%d" % number) for number in range(UNANSWERED_FRAMES))
    async with Client(*listener.address) as client:
        await client.send_raw(frames + b"\x0bbeg")
        await desk.arrived(UNANSWERED_FRAMES)
        await client.send_raw(b"un\x1c\r")
        clock.advance(100)
        listener.sweep()
        desk.answer_all()
        listener.sweep()
        assert (await desk.arrived(UNANSWERED_FRAMES + 1))[-1].payload == b"begun"
    assert observed.of("stalled") == []


async def test_the_50_ms_do_not_run_while_we_do_not_read(listen: Open, desk: Desk) -> None:
    listener = await listen()
    frames = b"".join(frame(b"%d" % number) for number in range(UNANSWERED_FRAMES))
    async with Client(*listener.address) as client:
        await client.send_raw(frames + b"\x0bA\x1c")
        await desk.arrived(UNANSWERED_FRAMES)
        (session,) = (known for known in listener._sessions if known is desk.envelopes[0].session)
        assert session._framer.waiting
        assert session._timer is None
        await client.send_raw(b"B\x1c\r")
        desk.answer_all()
        assert (await desk.arrived(UNANSWERED_FRAMES + 1))[-1].damage == Damage("fs_inside", answer=True)


async def test_a_sender_that_never_reads_its_answers_is_paused_and_closed_when_it_stays_so(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = lambda _: b"a" * 65_536
    listener = await listen(frame_timeout=30.0)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, listener.address)
        sending = asyncio.ensure_future(loop.sock_sendall(sock, frame(b"x" * 1000) * 200_000))
        await observed.seen("opened", "pm", 1)
        (session,) = listener._sessions
        async with asyncio.timeout(LIMIT_SECONDS):
            while session._unread_since is None:
                await desk.arrived(len(desk.envelopes) + 1)
        await turned()
        taken = len(desk.envelopes)
        await turned()
        assert len(desk.envelopes) == taken < 20_000
        clock.advance(29)
        listener.sweep()
        assert observed.of("stalled") == []
        clock.advance(2)
        listener.sweep()
        await observed.seen("closed", "pm", 1, "stalled")
        assert observed.of("stalled") == [("pm", 1, "answers")]
        await asyncio.wait((sending,))
        assert isinstance(sending.exception(), ConnectionError)


async def test_a_sender_that_reads_again_is_read_again(listen: Open, desk: Desk, observed: Observed) -> None:
    desk.answering = lambda _: b"a" * 65_536
    listener = await listen()
    count = 400
    async with Client(*listener.address) as client:
        sending = asyncio.ensure_future(client.send_raw(frame(b"x" * 1000) * count))
        answers = [await client.read_answer() for _ in range(count)]
        await sending
    assert {len(answer) for answer in answers} == {65_536}
    assert observed.of("stalled") == []


async def test_closing_does_not_wait_for_ever_for_a_peer_that_does_not_read(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    listener = await listen(frame_timeout=30.0)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, listener.address)
        await loop.sock_sendall(sock, frame(b"one") + frame(b"two"))
        one, two = await desk.arrived(2)
        one.session.answer(b"a" * 8_000_000)
        two.session.abandon()
        listener.sweep()
        assert listener.connections == 1
        clock.advance(31)
        listener.sweep()
        await observed.seen("closed", "pm", 1, "own_trouble")


# -- the drain -------------------------------------------------------------------------------------------------------------


async def test_a_drain_answers_what_was_read_then_closes_and_takes_nothing_new(
    listen: Open, desk: Desk, observed: Observed
) -> None:
    listener = await listen()
    async with Client(*listener.address) as busy, Client(*listener.address) as idle:
        await busy.send_raw(frame(b"one") + frame(b"two") + b"\x0bhalf")
        await desk.arrived(2)
        draining = asyncio.ensure_future(listener.drain(LIMIT_SECONDS))
        await idle.closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*listener.address)
        assert not draining.done()
        await busy.send_raw(b" and its end\x1c\r")
        desk.answer_all()
        assert [await busy.read_answer(), await busy.read_answer()] == [b"ok:one", b"ok:two"]
        await busy.closed()
    assert await draining is True
    assert desk.payloads == [b"one", b"two"]
    assert listener.connections == 0
    assert {event[2] for event in observed.of("closed")} == {"drained"}


async def test_a_drain_ends_at_its_deadline_without_answers(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one"))
        (envelope,) = await desk.arrived(1)
        assert await listener.drain(0.05) is False
        envelope.session.answer(b"too late")
        await client.closed()
    assert listener.connections == 0


async def test_a_drain_without_connections_is_done_at_once(listen: Open) -> None:
    listener = await listen()
    assert await listener.drain(LIMIT_SECONDS) is True
    assert not listener.accepting


async def test_closing_all_leaves_the_door_open(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one"))
        await desk.arrived(1)
        listener.close_all()
        await client.closed()
    desk.answering = echo
    desk.envelopes.clear()
    async with Client(*listener.address) as again:
        assert await again.send(b"two") == b"ok:two"


async def test_a_listening_socket_that_the_system_took_away_is_not_taken_for_one(listen: Open) -> None:
    listener = await listen()
    assert listener.accepting
    assert listener._server is not None
    (ours,) = listener._server.sockets
    asyncio.get_running_loop().remove_reader(ours.fileno())  # or the loop would try to accept from it for ever
    with socket.socket(fileno=os.dup(ours.fileno())) as twin:
        twin.shutdown(socket.SHUT_RDWR)
    assert not listener.accepting


async def test_stop_accepting_keeps_the_connections_that_are_open(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        assert await client.send(b"one") == b"ok:one"
        await listener.stop_accepting()
        assert await client.send(b"two") == b"ok:two"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*listener.address)
