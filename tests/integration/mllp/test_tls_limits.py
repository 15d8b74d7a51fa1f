"""A port with TLS is a port: limits hold from the first byte on; back-pressure, half-closed lines and drain are as without."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from ipaddress import ip_network

import pytest

from ophl7.mllp.door import HANDSHAKE_SECONDS
from ophl7.mllp.framing import frame
from ophl7.mllp.session import LINGER_SECONDS, UNANSWERED_FRAMES
from ophl7.testing.peers import Client
from tests.authority import Authority
from tests.integration.mllp.desk import LIMIT_SECONDS, Desk, ManualClock, Observed, Open, Speaking, echo
from tests.integration.mllp.strangers import Caller, at_most_1_2, closed, told_once, wait_for

# -- limits ----------------------------------------------------------------------------------------------------------------


async def test_a_handshake_that_does_not_end_is_ended(
    listen: Open, desk: Desk, tls: Speaking, clock: ManualClock, observed: Observed
) -> None:
    listener = await listen(tls=tls("none"))
    reader, writer = await asyncio.open_connection(*listener.address)
    for byte in b"\x16\x03\x01\x02":  # a byte now and then does not keep it open
        writer.write(bytes((byte,)))
        await wait_for(lambda: len(listener._doors) == 1)
        clock.advance(HANDSHAKE_SECONDS / 4)
        listener.sweep()
    assert await closed(reader)
    await told_once(observed, "timeout", "did not agree on TLS within 10 s")
    await wait_for(lambda: not listener._doors)
    writer.close()


async def test_who_is_turned_away_may_read_why_but_not_stay(
    listen: Open, tls: Speaking, clock: ManualClock, observed: Observed
) -> None:
    listener = await listen(tls=tls("none"))
    _, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"GET / HTTP/1.1\r\n")
    await observed.seen("tls_failed")
    clock.advance(LINGER_SECONDS / 2)
    listener.sweep()
    assert len(listener._doors) == 1
    clock.advance(LINGER_SECONDS)
    listener.sweep()
    await wait_for(lambda: not listener._doors)
    assert len(observed.of("tls_failed")) == 1
    writer.close()


async def test_connections_in_the_handshake_count(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls("none"), max_connections=2)
    _, waiting = await asyncio.open_connection(*listener.address)
    await wait_for(lambda: len(listener._doors) == 1)
    async with Client(*listener.address, authority.trusting()) as client:
        assert await client.send(b"one") == b"ok:one"
        reader, third = await asyncio.open_connection(*listener.address)
        assert await closed(reader)
        assert [event[:2] for event in observed.of("refused")] == [("pm", "too_many")]
        assert listener.connections == 1
        third.close()
    waiting.close()
    await wait_for(lambda: not listener._doors)
    async with Client(*listener.address, authority.trusting()) as again:
        assert await again.send(b"two") == b"ok:two"


async def test_the_last_place_is_for_the_one_who_has_it(listen: Open, desk: Desk, tls: Speaking, authority: Authority) -> None:
    desk.answering = echo
    listener = await listen(tls=tls("none"), max_connections=1)
    for number in range(3):
        async with Client(*listener.address, authority.trusting()) as client:
            assert await client.send(b"%d" % number) == b"ok:%d" % number
        await wait_for(lambda: listener.connections == 0)


async def test_the_address_is_looked_at_before_the_handshake(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("none"), allow=(ip_network("10.0.0.0/8"),))
    reader, writer = await asyncio.open_connection(*listener.address)
    assert await closed(reader)  # without a byte of TLS
    await observed.seen("refused", "pm", "not_allowed")
    assert (observed.of("tls_failed"), listener._doors) == ([], set())
    writer.close()


# -- as on a plain port ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [None, at_most_1_2], ids=["1.3", "1.2"])
async def test_a_sender_that_closes_its_half_still_gets_its_answers(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, change: Callable[[ssl.SSLContext], None] | None
) -> None:
    listener = await listen(tls=tls("none"))
    context = authority.trusting(None, change)
    asked = asyncio.ensure_future(Caller(listener.address[1]).secured(context, frame(b"one") + frame(b"two"), half_close=True))
    await desk.arrived(2)
    desk.answer_all()
    assert await asked == frame(b"ok:one") + frame(b"ok:two")


async def test_a_sender_with_too_many_unanswered_frames_is_not_read(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority
) -> None:
    listener = await listen(tls=tls("none"))
    async with Client(*listener.address, authority.trusting()) as client:
        for number in range(UNANSWERED_FRAMES):
            await client.send_raw(frame(b"%d" % number))
            await desk.arrived(number + 1)
        writing = asyncio.ensure_future(client.send_raw(frame(b"x" * 900_000) * 20))
        await wait_for(lambda: not next(iter(listener._sessions))._transport.is_reading())
        assert len(desk.envelopes) == UNANSWERED_FRAMES
        desk.answering = echo
        desk.answer_all()
        for number in range(UNANSWERED_FRAMES):
            assert await client.read_answer() == b"ok:%d" % number
        for _ in range(20):
            assert len(await client.read_answer()) == 900_003
        await writing


async def test_answers_that_nobody_reads_stop_the_reading(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, clock: ManualClock, observed: Observed
) -> None:
    desk.answering = lambda _: b"a" * 65_536
    listener = await listen(tls=tls("none"), frame_timeout=30.0)
    async with Client(*listener.address, authority.trusting()) as client:
        client.wire._reader._limit = 4096  # type: ignore[attr-defined]  # asyncio reads ahead by twice this
        writing = asyncio.ensure_future(client.send_raw(frame(b"x" * 1000) * 20_000))
        await observed.seen("opened", "pm", 1)
        (session,) = listener._sessions
        await wait_for(lambda: session._unread_since is not None)
        assert len(desk.envelopes) < 20_000
        clock.advance(31)
        listener.sweep()
        await observed.seen("closed", "pm", 1, "stalled")
        writing.cancel()
        await asyncio.wait((writing,))
    assert observed.of("stalled") == [("pm", 1, "answers")]


async def test_a_drain_answers_what_was_read_and_says_goodbye(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("must"))
    caller = Caller(listener.address[1])
    asked = asyncio.ensure_future(
        caller.secured(authority.trusting(authority.issue("pm")), frame(b"one") + frame(b"two") + b"\x0bhalf")
    )
    _, knocking = await asyncio.open_connection(*listener.address)
    await desk.arrived(2)
    await wait_for(lambda: len(listener._doors) == 1)
    draining = asyncio.ensure_future(listener.drain(LIMIT_SECONDS))
    await wait_for(lambda: not listener._doors)  # nothing was received there: it is cut
    assert not draining.done()
    desk.answer_all()
    assert await asked == frame(b"ok:one") + frame(b"ok:two")  # and then TLS's own goodbye: else OpenSSL had complained
    assert await draining is True
    assert {event[2] for event in observed.of("closed")} == {"drained"}
    assert observed.of("tls_failed") == []
    knocking.close()


async def test_stopping_cuts_those_who_knock(listen: Open, tls: Speaking, observed: Observed) -> None:
    listener = await listen(tls=tls("none"))
    reader, writer = await asyncio.open_connection(*listener.address)
    await wait_for(lambda: len(listener._doors) == 1)
    await listener.stop()
    assert await closed(reader)
    assert observed.of("tls_failed") == []
    writer.close()


async def test_our_own_trouble_closes_without_an_answer(listen: Open, desk: Desk, tls: Speaking, authority: Authority) -> None:
    listener = await listen(tls=tls("none"))
    async with Client(*listener.address, authority.trusting()) as client:
        await client.send_raw(frame(b"one"))
        await desk.arrived(1)
        listener.close_all()
        await client.closed()


async def test_bytes_that_nobody_can_decrypt_end_the_connection(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls("none"))
    async with Client(*listener.address, authority.trusting()) as client:
        assert await client.send(b"one") == b"ok:one"
        below = client.wire._writer.transport._ssl_protocol._transport  # type: ignore[attr-defined]
        below.write(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await client.closed()
    await observed.seen("closed", "pm", 1, "lost")
