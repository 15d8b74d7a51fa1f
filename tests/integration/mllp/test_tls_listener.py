"""A listener that speaks TLS: who gets in, who does not and how that is told, and that all else is as on a plain port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from ophl7.mllp.door import HANDSHAKE_SECONDS
from ophl7.mllp.framing import frame
from ophl7.mllp.session import LINGER_SECONDS, UNANSWERED_FRAMES
from ophl7.mllp.tls import ClientAuth, Names, Tls, read
from ophl7.testing.peers import Client
from tests.authority import HOST, Authority, Issued, files
from tests.integration.mllp.desk import LIMIT_SECONDS, Desk, ManualClock, Observed, Open, echo
from tests.integration.mllp.strangers import Caller


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Issued:
    return authority.issue("ophl7")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


@pytest.fixture
def tls(ours: Issued, authority: Authority) -> Callable[[ClientAuth], Tls]:
    return lambda auth: read(files(ours, authority), Names.of_peer("pm")).for_listening(auth)


Speaking = Callable[[ClientAuth], Tls]


def old(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def at_most_1_2(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


# -- who gets in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [None, at_most_1_2], ids=["1.3", "1.2"])
async def test_messages_and_answers_travel_over_tls(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, change: Callable[[ssl.SSLContext], None] | None
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls("none"))
    async with Client(*listener.address, authority.trusting(None, change)) as client:
        payloads = [b"%d" % number for number in range(50)]
        assert await client.pipeline(*payloads) == [b"ok:" + payload for payload in payloads]
        assert await client.send(b"x" * 200_000) == b"ok:" + b"x" * 200_000
    assert desk.connections == ["pm"]


async def test_what_comes_together_with_the_end_of_the_handshake_is_not_lost(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    """A client writes as soon as the handshake is over for it; its first message travels with its last handshake bytes."""
    desk.answering = echo
    listener = await listen(tls=tls("must"))
    for number in range(20):
        answer = await Caller(listener.address[1]).secured(
            authority.trusting(authority.issue("pm")), frame(b"%d" % number), half_close=True
        )
        assert answer == frame(b"ok:%d" % number)
    assert len(observed.of("opened")) == 20
    assert observed.of("tls_failed") == []


@pytest.mark.parametrize("auth", ["none", "want", "must"])
async def test_a_certificate_of_the_authority_opens_every_door(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, auth: ClientAuth
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls(auth))
    async with Client(*listener.address, authority.trusting(authority.issue("pm"))) as client:
        assert await client.send(b"one") == b"ok:one"


@pytest.mark.parametrize("auth", ["none", "want"])
async def test_without_a_certificate_one_gets_in_unless_one_must_show_it(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, auth: ClientAuth
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls(auth))
    async with Client(*listener.address, authority.trusting()) as client:
        assert await client.send(b"one") == b"ok:one"


async def test_where_nobody_is_asked_any_certificate_will_do(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, stranger: Authority
) -> None:
    desk.answering = echo
    listener = await listen(tls=tls("none"))
    async with Client(*listener.address, authority.trusting(stranger.issue("pm"))) as client:
        assert await client.send(b"one") == b"ok:one"


# -- who does not, and how it is told --------------------------------------------------------------------------------------


async def told_once(observed: Observed, kind: str, *words: str) -> None:
    """One line, with these words in it; no session was opened."""
    await observed.seen("tls_failed", "pm", kind)
    (told,) = observed.of("tls_failed")
    assert all(part in str(told[2]) for part in words), told
    assert str(told[3]).startswith(f"{HOST}:")
    assert observed.of("opened") == observed.of("refused") == []


async def test_without_a_certificate_the_client_is_turned_away_and_learns_why(
    listen: Open, desk: Desk, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("must"))
    reason = await Caller(listener.address[1]).refused(authority.trusting())
    assert reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    await told_once(observed, "no_certificate", "shows no certificate", "OPHL7_PM_TLS_CLIENT_AUTH=must", "OPHL7_PM_TLS_CA")
    assert (desk.envelopes, desk.connections, listener.connections) == ([], [], 0)


async def test_with_tls_1_2_it_is_the_same(listen: Open, tls: Speaking, authority: Authority, observed: Observed) -> None:
    listener = await listen(tls=tls("must"))
    reason = await Caller(listener.address[1]).refused(authority.trusting(None, at_most_1_2))
    assert reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"
    await told_once(observed, "no_certificate", "shows no certificate")


@pytest.mark.parametrize("auth", ["want", "must"])
async def test_a_certificate_of_another_authority_is_turned_away(
    listen: Open, tls: Speaking, authority: Authority, stranger: Authority, observed: Observed, auth: ClientAuth
) -> None:
    listener = await listen(tls=tls(auth))
    reason = await Caller(listener.address[1]).refused(authority.trusting(stranger.issue("pm")))
    assert reason == "TLSV1_ALERT_UNKNOWN_CA"
    await told_once(observed, "certificate", "signed by nobody in OPHL7_PM_TLS_CA")


async def test_an_expired_certificate_is_turned_away(
    listen: Open, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("must"))
    expired = authority.issue("old", lasts=timedelta(days=-1))
    assert await Caller(listener.address[1]).refused(authority.trusting(expired)) == "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    await told_once(observed, "certificate", "has expired", "its side must renew it")


async def test_a_certificate_of_tomorrow_is_turned_away(
    listen: Open, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("must"))
    early = authority.issue("new", begins=timedelta(days=1))
    await Caller(listener.address[1]).refused(authority.trusting(early))
    await told_once(observed, "certificate", "not valid yet", "clock")


async def test_a_client_that_does_not_trust_us_is_told_with_what_it_said(
    listen: Open, tls: Speaking, stranger: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("none"))
    assert await Caller(listener.address[1]).refused(stranger.trusting()) == "CERTIFICATE_VERIFY_FAILED"
    await told_once(observed, "ours_refused", "does not know who signed our certificate (OPHL7_PM_TLS_CERT)")


async def test_a_plain_client_is_turned_away(listen: Open, desk: Desk, tls: Speaking, observed: Observed) -> None:
    listener = await listen(tls=tls("must"))
    answer = await Caller(listener.address[1]).plain(frame(b"MSH|^~\\&|PM|A"))
    assert b"MSA" not in answer
    await told_once(observed, "no_tls", "does not speak TLS", "OPHL7_PM_TLS_CERT")
    assert desk.envelopes == []


async def test_a_browser_is_turned_away(listen: Open, tls: Speaking, observed: Observed) -> None:
    listener = await listen(tls=tls("none"))
    await Caller(listener.address[1]).plain(b"GET / HTTP/1.1\r\nHost: pm\r\n\r\n")
    await told_once(observed, "no_tls", "does not speak TLS")


async def test_tls_of_the_last_century_is_turned_away(
    listen: Open, tls: Speaking, authority: Authority, observed: Observed
) -> None:
    listener = await listen(tls=tls("none"))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context = authority.trusting(None, old)
    assert await Caller(listener.address[1]).refused(context) == "TLSV1_ALERT_PROTOCOL_VERSION"
    await told_once(observed, "version", "TLS 1.2")


async def test_a_client_that_hangs_up_half_way_is_told(listen: Open, tls: Speaking, observed: Observed) -> None:
    listener = await listen(tls=tls("none"))
    _, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"\x16\x03\x01")
    writer.close()
    await told_once(observed, "hung_up", "hung up before TLS was agreed")


async def test_a_client_that_vanishes_half_way_is_told(listen: Open, tls: Speaking, observed: Observed) -> None:
    listener = await listen(tls=tls("none"))
    _, writer = await asyncio.open_connection(*listener.address)
    writer.write(b"\x16\x03\x01")
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
    await told_once(observed, "hung_up", "hung up before TLS was agreed")


async def test_a_tls_client_on_a_plain_port_is_told_and_its_hello_is_no_junk(
    listen: Open, desk: Desk, authority: Authority, observed: Observed
) -> None:
    listener = await listen()
    assert "EOF" in await Caller(listener.address[1]).refused(authority.trusting())
    await observed.seen("closed", "pm", 1, "tls")
    (told,) = observed.of("tls_failed")
    assert told[:2] == ("pm", "no_tls")
    assert "speaks TLS, and this port does not: set OPHL7_PM_TLS_CERT and OPHL7_PM_TLS_KEY" in str(told[2])
    assert (observed.of("junk"), desk.envelopes) == ([], [])


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


async def closed(reader: asyncio.StreamReader) -> bool:
    """Whether the other end closes without a word."""
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            return await reader.read(1) == b""
        except ConnectionResetError:
            return True


async def wait_for(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - nothing tells us of it
            await asyncio.sleep(0.001)
