"""Delivery over TLS: whom we believe, whether we are believed, and in whose hands it is when not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ophl7.errors import LinkDown
from ophl7.mllp.framing import frame
from ophl7.mllp.sender import MllpSender
from ophl7.mllp.tls import Files, Names, Tls, read
from ophl7.testing import peers
from ophl7.testing.peers import ScriptedPeer, acknowledgment
from tests.authority import HOST, Authority, Issued, files
from tests.integration.mllp.strangers import Host

MESSAGE = b"MSH|^~\\&|EMR|E|PM|P|20260302080000||DFT^P03|A1|P|2.5\rEVN|P03|20260302080000\r"
PM = Names.of_peer("pm")
LONG = 5.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


def trusting(authority: Authority | None, shown: Issued | None = None) -> Tls:
    return read(files(shown, authority), PM).for_sending()


def serving(issued: Issued, clients: Authority | None = None, *, newest: bool = True) -> Callable[[socket.socket], None]:
    """A server of one message a connection, with alerts as OpenSSL sends them."""
    context = issued.serving(clients=clients)
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while data := wrapped.recv(65536):
                wrapped.sendall(frame(acknowledgment(data[1:-2])))

    return serve


async def down(port: int, tls: Tls, host: str = HOST, patience: float = LONG) -> str:
    """The text of the LinkDown; it is always of the kind `tls`, and the connection is gone."""
    sender = MllpSender(host, port, LONG, patience, tls=tls)
    with pytest.raises(LinkDown) as caught:
        await sender.exchange(MESSAGE, "A1")
    assert caught.value.kind == "tls", caught.value
    assert not sender.connected
    text = str(caught.value)
    assert text.startswith(f"mllps://{host}:{port} ")
    return text


# -- all is well -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest", [True, False], ids=["1.3", "1.2"])
async def test_messages_and_answers_travel_over_tls_with_both_certificates_checked(authority: Authority, newest: bool) -> None:
    async with Host(serving(authority.issue("pm"), authority, newest=newest)) as pm:
        sender = MllpSender(HOST, pm.port, LONG, tls=trusting(authority, authority.issue("ophl7")))
        for _ in range(3):
            assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
        await sender.close()
    assert pm.errors == []


async def test_one_connection_serves_many_messages_and_a_closed_one_is_made_again(authority: Authority) -> None:
    async with ScriptedPeer(tls=authority.issue("pm").serving()) as pm:
        sender = MllpSender(pm.host, pm.port, LONG, tls=trusting(authority))
        for _ in range(20):
            await sender.exchange(MESSAGE, "A1")
        assert pm.connections == 1
        await pm.stop()
        await pm.start()
        assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
        await sender.close()
    assert pm.connections == 2


async def test_a_big_message_and_a_big_answer_pass(authority: Authority) -> None:
    async with ScriptedPeer(peers.answering(lambda payload: b"MSH|" + payload), tls=authority.issue("pm").serving()) as pm:
        sender = MllpSender(pm.host, pm.port, LONG, max_answer=1 << 24, tls=trusting(authority))
        payload = b"x" * 3_000_000
        assert await sender.exchange_raw(payload) == b"MSH|" + payload
        await sender.close()


async def test_an_authority_between_is_trusted_without_its_own_issuer(authority: Authority, tmp_path: Path) -> None:
    """A vendor hands out the certificate of the authority that signs, and keeps the one above it."""
    leaf = authority.issue("pm")
    pinned = tmp_path / "pinned.pem"
    pinned.write_bytes(leaf.cert.read_bytes())  # even the server's own certificate will do
    async with ScriptedPeer(tls=leaf.serving()) as pm:
        tls = read(Files(ca=pinned), PM).for_sending()
        sender = MllpSender(pm.host, pm.port, LONG, tls=tls)
        assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
        await sender.close()


# -- whom we do not believe ------------------------------------------------------------------------------------------------


async def test_a_server_of_an_unknown_authority_is_not_believed_and_learns_why(
    authority: Authority, stranger: Authority
) -> None:
    async with Host(serving(stranger.issue("pm"))) as pm:
        text = await down(pm.port, trusting(authority))
    assert "signed by nobody in OPHL7_PM_TLS_CA: put the certificate of its authority there" in text
    (error,) = pm.errors
    assert isinstance(error, ssl.SSLError)
    assert error.reason == "TLSV1_ALERT_UNKNOWN_CA"


async def test_without_authorities_the_machine_is_asked(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Host(serving(authority.issue("pm"))) as pm:
        text = await down(pm.port, trusting(None))
        assert "signed by nobody whom this machine trusts (OPHL7_PM_TLS_CA is not set)" in text
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        sender = MllpSender(HOST, pm.port, LONG, tls=trusting(None))
        assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
        await sender.close()


async def test_an_expired_server_is_not_believed(authority: Authority) -> None:
    async with Host(serving(authority.issue("pm", lasts=timedelta(days=-1)))) as pm:
        text = await down(pm.port, trusting(authority))
    assert "shows a certificate that has expired" in text
    assert "its side must renew it" in text


async def test_a_server_of_tomorrow_is_not_believed(authority: Authority) -> None:
    async with Host(serving(authority.issue("pm", begins=timedelta(days=1)))) as pm:
        assert "is not valid yet" in await down(pm.port, trusting(authority))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_server_with_another_name_is_not_believed(authority: Authority, host: str) -> None:
    async with Host(serving(authority.issue("pm", "pm.example.org"))) as pm:
        text = await down(pm.port, trusting(authority), host)
    assert f"shows a certificate for another name than {host}" in text


# -- who does not believe us -----------------------------------------------------------------------------------------------


async def test_a_server_that_wants_a_certificate_and_gets_none_says_so_in_tls_1_3(authority: Authority) -> None:
    async with Host(serving(authority.issue("pm"), authority)) as pm:
        text = await down(pm.port, trusting(authority))
    assert "wants a certificate of ours and got none: set OPHL7_PM_TLS_CERT and OPHL7_PM_TLS_KEY" in text


async def test_in_tls_1_2_it_only_seems_so(authority: Authority) -> None:
    async with Host(serving(authority.issue("pm"), authority, newest=False)) as pm:
        assert "seems to want a certificate of ours" in await down(pm.port, trusting(authority))


@pytest.mark.parametrize("newest", [True, False], ids=["1.3", "1.2"])
async def test_a_server_that_does_not_know_who_signed_ours_says_so(
    authority: Authority, stranger: Authority, newest: bool
) -> None:
    async with Host(serving(authority.issue("pm"), authority, newest=newest)) as pm:
        text = await down(pm.port, trusting(authority, stranger.issue("ophl7")))
    assert "does not know who signed our certificate (OPHL7_PM_TLS_CERT); its side must trust that authority" in text


async def test_a_server_that_finds_ours_expired_says_so(authority: Authority) -> None:
    async with Host(serving(authority.issue("pm"), authority)) as pm:
        text = await down(pm.port, trusting(authority, authority.issue("ophl7", lasts=timedelta(days=-1))))
    assert "our certificate (OPHL7_PM_TLS_CERT) has expired; renew it and restart ophl7" in text


async def test_nothing_of_a_message_is_sent_before_the_server_has_let_us_in(authority: Authority, stranger: Authority) -> None:
    """With TLS 1.3 we are done before it is. A message that leaves then would count as tried, and nobody has taken it."""
    context = authority.issue("pm").serving(clients=authority)
    came: list[int] = []

    def count(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := connection.recv(65536):
            came.append(len(data))
            incoming.write(data)
            try:
                tls.do_handshake()
            except ssl.SSLError:  # wants more, or refuses us
                connection.sendall(outgoing.read())

    async with Host(count) as pm:
        sender = MllpSender(HOST, pm.port, LONG, tls=trusting(authority, stranger.issue("ophl7")))
        with pytest.raises(LinkDown, match="does not know who signed our certificate"):
            await sender.connect()
        with pytest.raises(LinkDown, match="does not know who signed our certificate"):
            await sender.exchange_raw(b"x" * 200_000)
    assert 0 < sum(came) < 40_000


async def test_a_server_that_says_nothing_after_the_handshake_gets_its_message_all_the_same(authority: Authority) -> None:
    context = authority.issue("pm").serving()
    context.num_tickets = 0
    async with ScriptedPeer(tls=context) as pm:
        sender = MllpSender(pm.host, pm.port, LONG, tls=trusting(authority))
        assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
        await sender.close()


# -- who speaks no TLS -----------------------------------------------------------------------------------------------------


async def test_a_plain_port_that_waits_is_told_apart_from_one_that_cannot_be_reached() -> None:
    async with Host(lambda connection: bool(connection.recv(4096)) and connection.recv(4096) == b"") as pm:  # waits for a VT
        text = await down(pm.port, trusting(None), patience=0.05)
    assert "took the connection but did not agree on TLS within 0.05 s; is it a plain mllp:// port?" in text


async def test_a_port_that_answers_in_another_language_is_told_apart() -> None:
    def web(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        connection.recv(4096)

    async with Host(web) as pm:
        assert "does not answer in TLS" in await down(pm.port, trusting(None))


async def test_a_port_that_hangs_up_is_told_apart() -> None:
    async with Host(lambda connection: None) as pm:
        assert "hung up before TLS was agreed; is it a plain mllp:// port" in await down(pm.port, trusting(None))


async def test_nobody_there_is_refused_as_on_a_plain_port() -> None:
    with socket.socket() as unused:
        unused.bind((HOST, 0))
        with pytest.raises(LinkDown) as caught:
            await MllpSender(HOST, unused.getsockname()[1], LONG, tls=trusting(None)).exchange(MESSAGE, "A1")
    assert caught.value.kind == "refused"


# -- what is not a matter of TLS -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (peers.silence, "timeout"),
        (peers.close, "closed"),
        (peers.half_answer, "closed"),
        (peers.garbage, "garbage"),
        (peers.unframed, "garbage"),
        (peers.wrong_id, "foreign"),
    ],
)
async def test_bad_answers_are_what_they_are_without_tls(authority: Authority, behaviour: peers.Behaviour, kind: str) -> None:
    async with ScriptedPeer(behaviour, tls=authority.issue("pm").serving()) as pm:
        sender = MllpSender(pm.host, pm.port, 0.2 if kind == "timeout" else LONG, tls=trusting(authority))
        with pytest.raises(LinkDown) as caught:
            await sender.exchange(MESSAGE, "A1")
        assert caught.value.kind == kind
        assert (await sender.exchange(MESSAGE, "A1")).code == "AA"  # and the next try is clean
        await sender.close()
    assert pm.connections == 2


async def test_tls_that_breaks_after_an_answer_is_a_lost_connection_and_counts(authority: Authority) -> None:
    """Then the server had let us in: what it does with the message in flight nobody knows."""
    context = authority.issue("pm").serving()

    def break_off(connection: socket.socket) -> None:
        below = connection.dup()
        with context.wrap_socket(connection, server_side=True) as wrapped, below:
            wrapped.sendall(frame(acknowledgment(wrapped.recv(65536)[1:-2])))
            wrapped.recv(65536)
            below.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            wrapped.recv(65536)

    async with Host(break_off) as pm:
        sender = MllpSender(HOST, pm.port, LONG, tls=trusting(authority))
        await sender.exchange(MESSAGE, "A1")
        with pytest.raises(LinkDown, match="lost the connection without an answer") as caught:
            await sender.exchange(MESSAGE, "A1")
        assert caught.value.kind == "closed"


async def test_a_cancelled_handshake_leaves_no_connection_behind(authority: Authority) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.set()
        while await reader.read(4096):
            pass
        gone.set()
        writer.close()

    started = asyncio.Event()
    server = await asyncio.start_server(silent, HOST, 0)
    sender = MllpSender(HOST, server.sockets[0].getsockname()[1], LONG, tls=trusting(authority))
    exchange = asyncio.ensure_future(sender.exchange(MESSAGE, "A1"))
    await started.wait()
    exchange.cancel()
    async with asyncio.timeout(LONG):
        await gone.wait()
    assert exchange.cancelled()
    server.close()
    await server.wait_closed()
