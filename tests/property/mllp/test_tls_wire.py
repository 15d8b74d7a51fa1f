"""Whatever pieces encrypted bytes come in, the protocol on top sees the same plain ones, and every goodbye is told once."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.mllp.tls_wire import TlsWire
from tests.authority import HOST, Authority


class Raw(asyncio.Transport):
    """The socket's transport: keeps what is written until the other end takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.calls: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return "close" in self.calls or "abort" in self.calls

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def taken(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


class Top(asyncio.Protocol):
    """The party, and the protocol that it puts on top."""

    def __init__(self, *, keeps: bool = False) -> None:
        self.keeps = keeps
        self.received = bytearray()
        self.told: list[object] = []

    def met(self, wire: TlsWire, raw: asyncio.Transport) -> bool:
        return True

    def agreed(self, transport: asyncio.Transport) -> asyncio.Protocol:
        self.transport = transport
        self.told.append("agreed")
        return self

    def failed(self, error: Exception | None) -> None:
        self.told.append(getattr(error, "reason", error))

    def gone(self) -> None:
        self.told.append("gone")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keeps

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(("lost", getattr(exc, "reason", exc)))


class Contexts:
    """Both ends' contexts, and a client's that trusts nobody."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.server = authority.issue("ophl7").serving()
        self.client = authority.trusting()
        self.distrustful = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(scope="module")
def contexts() -> Iterator[Contexts]:
    with tempfile.TemporaryDirectory() as folder:
        yield Contexts(Path(folder))


class Talk:
    """Our wire as the server, and OpenSSL's bare client; `cut` says into what pieces the client's bytes are cut."""

    def __init__(self, contexts: Contexts, cut: list[int], *, keeps: bool = False, distrustful: bool = False) -> None:
        self.raw, self.top = Raw(), Top(keeps=keeps)
        self.wire = TlsWire(contexts.server, self.top)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = contexts.distrustful if distrustful else contexts.client
        self.client = context.wrap_bio(self._in, self._out, server_hostname=HOST)
        self._cut = cut
        self.wire.connection_made(self.raw)

    def shake(self, first: bytes = b"") -> None:
        """To the end; `first` leaves together with the client's last bytes of the handshake."""
        while True:
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.pass_on()
            else:
                break
        if first:
            self.client.write(first)
        self.pass_on()

    def pass_on(self) -> None:
        """What the client has written to the wire, piece by piece, and what that has to say back."""
        data = self._out.read()
        while data:
            size = self._cut.pop(0) if self._cut else len(data)
            self.wire.data_received(data[:size])
            data = data[size:]
        self._in.write(self.raw.taken())

    def read(self) -> bytes:
        found = b""
        while True:
            try:
                chunk = self.client.read(65536)
            except ssl.SSLWantReadError:
                return found
            except ssl.SSLZeroReturnError:
                chunk = b""
            if not chunk:
                return found + b"<goodbye>"
            found += chunk


CUTS = st.lists(st.integers(1, 3000), max_size=60)
TEXTS = st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(cut=CUTS, texts=TEXTS)
def test_plain_bytes_come_whole_and_in_order_however_they_are_cut(
    contexts: Contexts, cut: list[int], texts: list[bytes]
) -> None:
    talk = Talk(contexts, cut)
    talk.shake(texts[0])
    for text in texts[1:]:
        talk.client.write(text)
        talk.pass_on()
    assert bytes(talk.top.received) == b"".join(texts)
    assert talk.top.told == ["agreed", "made"]


@settings(max_examples=30, deadline=None)
@given(texts=TEXTS)
def test_answers_come_whole_and_in_order_and_then_a_goodbye(contexts: Contexts, texts: list[bytes]) -> None:
    talk = Talk(contexts, [])
    talk.shake()
    for text in texts:
        talk.top.transport.write(text)
    talk.top.transport.close()
    talk.top.transport.write(b"too late")
    talk.pass_on()
    assert talk.read() == b"".join(texts) + b"<goodbye>"
    assert talk.raw.calls == ["close"]


@pytest.mark.parametrize("keeps", [True, False])
def test_a_half_that_is_closed_is_told_once_and_answers_still_leave_if_they_are_wanted(contexts: Contexts, keeps: bool) -> None:
    talk = Talk(contexts, [], keeps=keeps)
    talk.shake(b"hello")
    with pytest.raises(ssl.SSLWantReadError):
        talk.client.unwrap()  # its goodbye; it now waits for ours
    talk.pass_on()
    assert talk.wire.eof_received() is keeps  # the socket's own end comes behind it
    assert talk.top.told == ["agreed", "made", "eof"]
    assert talk.raw.calls == ([] if keeps else ["close"])
    talk.top.transport.write(b"answer")
    talk.top.transport.close()
    talk.pass_on()
    assert talk.read() == (b"answer<goodbye>" if keeps else b"<goodbye>")


def test_a_socket_that_ends_without_a_goodbye_is_an_end_as_well(contexts: Contexts) -> None:
    talk = Talk(contexts, [])
    talk.shake(b"hello")
    assert talk.wire.eof_received() is False
    talk.wire.connection_lost(None)
    assert talk.top.told == ["agreed", "made", "eof", ("lost", None)]


def test_after_our_goodbye_what_still_comes_is_dropped(contexts: Contexts) -> None:
    talk = Talk(contexts, [])
    talk.shake(b"one")
    talk.client.write(b"two")  # on its way when we say goodbye
    talk.top.transport.write_eof()
    talk.pass_on()
    assert bytes(talk.top.received) == b"one"
    assert talk.raw.calls == ["write_eof"]
    assert talk.read() == b"<goodbye>"


def test_a_client_that_refuses_us_is_told_with_its_alert(contexts: Contexts) -> None:
    talk = Talk(contexts, [], distrustful=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        talk.shake()
    talk.pass_on()
    talk.wire.connection_lost(None)
    assert talk.top.told == ["TLSV1_ALERT_UNKNOWN_CA", "gone"]


@given(garbage=st.binary(min_size=1, max_size=300).filter(lambda data: data[0] != 0x16), cut=CUTS)
def test_bytes_that_are_no_tls_fail_at_most_once_and_reach_nobody(contexts: Contexts, garbage: bytes, cut: list[int]) -> None:
    raw, top = Raw(), Top()
    wire = TlsWire(contexts.server, top)
    wire.connection_made(raw)
    while garbage:
        size = cut.pop(0) if cut else len(garbage)
        wire.data_received(garbage[:size])
        garbage = garbage[size:]
    wire.eof_received()
    wire.connection_lost(None)
    assert len(top.told) == 2
    assert top.told[1] == "gone"
    assert top.received == b""


def test_bytes_that_cannot_be_decrypted_end_it_after_what_could(contexts: Contexts) -> None:
    talk = Talk(contexts, [])
    talk.shake()
    talk.client.write(b"whole")
    talk.pass_on()
    talk.wire.data_received(b"\x17\x03\x03\x00\x20" + b"x" * 32)
    assert bytes(talk.top.received) == b"whole"
    assert talk.raw.calls == ["abort"]
    talk.wire.connection_lost(None)
    assert talk.top.told[-1] == ("lost", "DECRYPTION_FAILED_OR_BAD_RECORD_MAC")


def test_given_up_is_given_up(contexts: Contexts) -> None:
    talk = Talk(contexts, [])
    talk.wire.give_up()
    talk.wire.data_received(b"\x16\x03\x01")
    talk.wire.connection_lost(None)
    assert talk.top.told == ["gone"]
    assert talk.raw.calls == ["abort"]
