"""Frames in, answers out, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ophl7.engine.ports import Damage
from ophl7.errors import SettingsError
from ophl7.mllp.framing import frame
from ophl7.mllp.listener import Listener
from ophl7.mllp.session import Limits
from ophl7.testing.peers import Client
from tests.integration.mllp.desk import START, Desk, ManualClock, Observed, Open, echo


async def test_a_frame_becomes_an_envelope_with_its_peer_its_time_and_its_bytes(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"MSH|\xff\x00one"))
        (envelope,) = await desk.arrived(1)
    assert (envelope.peer, envelope.session.peer, envelope.session.number) == ("pm", "pm", 1)
    assert envelope.payload == b"MSH|\xff\x00one"
    assert envelope.received_at == START.timestamp()
    assert envelope.damage is None


async def test_the_answer_goes_back_in_a_block(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        assert await client.send(b"one") == b"ok:one"
        assert await client.send(b"two") == b"ok:two"


async def test_pipelined_frames_arrive_in_one_go_and_are_answered_in_order(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    payloads = [b"%d" % number for number in range(50)]
    async with Client(*listener.address) as client:
        assert await client.pipeline(*payloads) == [b"ok:" + payload for payload in payloads]


async def test_answers_given_one_by_one_keep_their_order(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + frame(b"two") + frame(b"three"))
        one, two, three = await desk.arrived(3)
        one.session.answer(b"first")
        assert await client.read_answer() == b"first"
        two.session.answer(b"second")
        three.session.answer(b"third")
        assert [await client.read_answer(), await client.read_answer()] == [b"second", b"third"]


async def test_an_envelope_settled_without_an_answer_leaves_the_next_its_own(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"an ACK") + frame(b"two"))
        first, second = await desk.arrived(2)
        first.session.answer(None)
        second.session.answer(b"for two")
        assert await client.read_answer() == b"for two"


async def test_two_connections_get_their_own_answers(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as one, Client(*listener.address) as two:
        await one.send_raw(frame(b"1"))
        await desk.arrived(1)
        await two.send_raw(frame(b"2"))
        await desk.arrived(2)
        desk.answer_all()
        assert [await two.read_answer(), await one.read_answer()] == [b"ok:2", b"ok:1"]
    assert [envelope.session.number for envelope in desk.envelopes] == [1, 2]


async def test_a_frame_in_single_bytes_is_a_frame(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        for byte in frame(b"slowly"):
            await client.send_raw(bytes((byte,)))
        assert await client.read_answer() == b"ok:slowly"
    assert desk.payloads == [b"slowly"]


async def test_a_sender_that_never_writes_the_cr_gets_its_answer(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bone\x1c")
        assert await client.read_answer() == b"ok:one"
        await client.send_raw(b"\r\x0btwo\x1c")
        assert await client.read_answer() == b"ok:two"


async def test_a_damaged_frame_is_offered_with_its_damage_and_gets_one_answer(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bA\x1cB\x1cC\x1c\r" + frame(b"two"))
        assert [await client.read_answer(), await client.read_answer()] == [b"ar:fs_inside", b"ok:two"]
    assert desk.envelopes[0].damage == Damage("fs_inside", answer=True)
    assert desk.payloads[0] == b"A\x1cB\x1cC"


async def test_a_frame_that_a_vt_cuts_off_is_offered_and_gets_no_answer(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bhalf" + frame(b"whole"))
        assert await client.read_answer() == b"ok:whole"
    assert desk.envelopes[0].damage == Damage("cut_off", answer=False)
    assert desk.payloads == [b"half", b"whole"]


async def test_a_connection_that_breaks_in_a_frame_leaves_it_in_quarantine(
    listen: Open, desk: Desk, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + b"\x0bhalf")
        await desk.arrived(1)
    await observed.seen("closed", "pm", 1)
    assert desk.payloads == [b"one", b"half"]
    assert desk.envelopes[1].damage == Damage("cut_off", answer=False, close=True)


async def test_a_vanished_connection_leaves_its_frame_in_quarantine_too(listen: Open, desk: Desk, observed: Observed) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + b"\x0bhalf")
        await desk.arrived(1)
        client.wire._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.abort()
        await observed.seen("closed", "pm", 1, "lost")
    assert desk.payloads == [b"one", b"half"]


async def test_a_sender_that_closes_its_half_still_gets_every_answer(listen: Open, desk: Desk, observed: Observed) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + frame(b"two"))
        client.half_close()
        await desk.arrived(2)
        desk.answer_all()
        assert [await client.read_answer(), await client.read_answer()] == [b"ok:one", b"ok:two"]
        await client.closed()
    await observed.seen("closed", "pm", 1, "peer")


async def test_a_half_closed_connection_ends_even_when_no_answer_is_due(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"an ACK"))
        client.half_close()
        (envelope,) = await desk.arrived(1)
        envelope.session.answer(None)
        await client.closed()


async def test_a_half_close_after_an_fs_ends_the_frame(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0bone\x1c")
        client.half_close()
        assert await client.read_answer() == b"ok:one"


async def test_when_nothing_is_accepted_the_connection_closes_without_an_answer(
    listen: Open, desk: Desk, observed: Observed
) -> None:
    desk.open = False
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one"))
        await client.closed()
    await observed.seen("closed", "pm", 1, "not_accepting")


async def test_own_trouble_closes_without_an_answer_but_not_without_the_earlier_ones(
    listen: Open, desk: Desk, observed: Observed
) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + frame(b"two") + frame(b"three"))
        one, two, three = await desk.arrived(3)
        one.session.answer(b"committed")
        two.session.abandon()
        three.session.answer(b"too late")
        assert await client.read_answer() == b"committed"
        await client.closed()
    await observed.seen("closed", "pm", 1, "own_trouble")


async def test_one_answer_too_many_closes_because_it_would_be_taken_for_the_next(listen: Open, desk: Desk) -> None:
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one"))
        (envelope,) = await desk.arrived(1)
        envelope.session.answer(b"right")
        envelope.session.answer(b"surplus")
        assert await client.read_answer() == b"right"
        await client.closed()


async def test_a_client_that_vanishes_between_answers_harms_nobody(listen: Open, desk: Desk, observed: Observed) -> None:
    listener = await listen()
    async with Client(*listener.address) as other:
        async with Client(*listener.address) as client:
            await client.send_raw(frame(b"one") + frame(b"two"))
            envelopes = list(await desk.arrived(2))
            client.abort()
            envelopes[0].session.answer(b"into the void")  # not noticed yet
            envelopes[1].session.answer(b"into the void")
            await observed.seen("closed", "pm", 2)
            envelopes[1].session.answer(b"into the void")  # noticed by now
            envelopes[1].session.abandon()
        await other.send_raw(frame(b"three"))
        (await desk.arrived(3))[2].session.answer(b"alive")
        assert await other.read_answer() == b"alive"
        assert listener.connections == 1


async def test_a_frame_that_is_too_big_is_answered_then_closed_while_the_sender_still_sends(
    listen: Open, desk: Desk, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(max_bytes=1000)
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"first"))
        sending = asyncio.ensure_future(client.send_raw(b"\x0bMSH|" + b"x" * 3_000_000 + b"\x1c\r"))
        assert await client.read_answer() == b"ok:first"
        assert await client.read_answer() == b"ar:too_big"
        await client.closed()
        await asyncio.wait((sending,))
        assert sending.exception() is None
    await observed.seen("closed", "pm", 1, "too_big")
    assert desk.envelopes[1].damage == Damage("too_big", answer=True, close=True)


async def test_a_frame_that_is_too_big_without_an_msh_is_closed_without_an_answer(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen(max_bytes=1000)
    async with Client(*listener.address) as client:
        await client.send_raw(b"\x0b" + b"x" * 2000)
        await client.closed()
    assert desk.envelopes[0].damage == Damage("too_big", answer=False, close=True)


async def test_junk_between_frames_is_told_with_its_count(listen: Open, desk: Desk, observed: Observed) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(b"\r\nGET /\x0bone\x1c\r")
        assert await client.read_answer() == b"ok:one"
    assert observed.of("junk") == [("pm", 1, 4)]


async def test_a_stream_of_junk_is_closed_after_what_was_read_is_answered(listen: Open, desk: Desk, observed: Observed) -> None:
    desk.answering = echo
    listener = await listen()
    async with Client(*listener.address) as client:
        await client.send_raw(frame(b"one") + b"x" * 70_000)
        assert await client.read_answer() == b"ok:one"
        await client.closed()
    await observed.seen("closed", "pm", 1, "junk")


async def test_the_engine_hears_of_every_accepted_connection(listen: Open, desk: Desk, observed: Observed) -> None:
    listener = await listen()
    async with Client(*listener.address), Client(*listener.address):
        await observed.seen("opened", "pm", 2)
        assert desk.connections == ["pm", "pm"]
        assert listener.connections == 2


async def test_keepalive_is_on(listen: Open, observed: Observed) -> None:
    listener = await listen()
    async with Client(*listener.address):
        await observed.seen("opened")
        (session,) = listener._sessions
        sock = session._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def test_an_address_in_use_stops_the_start_and_names_the_setting(
    listen: Open, desk: Desk, clock: ManualClock, observed: Observed
) -> None:
    host, port = (await listen()).address
    with pytest.raises(SettingsError, match=rf"OPHL7_EMR_LISTEN=127\.0\.0\.1:{port}: cannot listen there .*free port"):
        await Listener("emr", host, port, Limits(), (), desk, clock, observed).start()


async def test_a_stopped_listener_opens_again_on_the_same_port(listen: Open, desk: Desk) -> None:
    desk.answering = echo
    listener = await listen()
    address = listener.address
    await listener.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
    await listener.start()
    assert listener.address == address
    async with Client(*address) as client:
        assert await client.send(b"back") == b"ok:back"
