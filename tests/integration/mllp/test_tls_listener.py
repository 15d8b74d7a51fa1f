"""A listener that speaks TLS: who gets in, and who does not and how that is told at both ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta

import pytest

from ophl7.mllp.framing import frame
from ophl7.mllp.tls import ClientAuth
from ophl7.testing.peers import Client
from tests.authority import Authority
from tests.integration.mllp.desk import Desk, Observed, Open, Speaking, echo
from tests.integration.mllp.strangers import Caller, at_most_1_2, told_once


def old(context: ssl.SSLContext) -> None:
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


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
