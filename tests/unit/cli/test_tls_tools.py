"""`send` and `listen` over TLS: with each other, in processes of their own, and what they say when there is none."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ophl7 import cli
from ophl7.cli.exits import Exit
from ophl7.cli.listen import Receiver, Reception
from ophl7.cli.tls import listening as listening_with
from ophl7.clock import SystemClock
from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client
from tests.authority import Authority, Issued, files

ONE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|ID1|P|2.5\rPID|1||7050\r"
SECONDS = 30


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "message.hl7"
    path.write_bytes(ONE)
    return str(path)


def own(issued: Issued) -> list[str]:
    return ["--tls-cert", str(issued.cert), "--tls-key", str(issued.key)]


def of(authority: Authority) -> list[str]:
    return ["--tls-ca", str(authority.file)]


class Receiving:
    """`ophl7 listen` as a child; `said` is its standard error, once it has ended."""

    def __init__(self, url: str, hint: str) -> None:
        self.url = url
        self.hint = hint
        self.got = self.said = ""


@contextmanager
def receiving(*options: str) -> Iterator[Receiving]:
    command = [sys.executable, "-m", "ophl7", "listen", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        line = child.stderr.readline()
        found = re.search(r"mllps?://\S+", line)
        assert found is not None, line
        running = Receiving(found[0], line)
        try:
            yield running
        finally:
            child.send_signal(signal.SIGTERM)
            running.got, running.said = child.communicate(timeout=SECONDS)
    assert child.returncode == Exit.OK


def test_a_message_travels_over_tls_with_both_certificates_checked(
    authority: Authority, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving(*own(authority.issue("receiver")), *of(authority)) as receiver:
        assert receiver.url.startswith("mllps://")
        assert "--tls-ca AUTHORITY --tls-cert CERTIFICATE --tls-key KEY" in receiver.hint
        options = ["--to", receiver.url, *of(authority), *own(authority.issue("sender"))]
        assert cli.run(["send", file, file, *options]) == Exit.OK
    assert capsys.readouterr().out == "AA ID1\nAA ID1\n"
    assert receiver.got == f"ADT^A08 ID1 {len(ONE)} bytes\n" * 2


def test_a_receiver_without_authorities_asks_nobody(authority: Authority, file: str) -> None:
    with receiving(*own(authority.issue("receiver"))) as receiver:
        assert receiver.hint.endswith("--tls-ca AUTHORITY\n")
        assert cli.run(["send", file, "--to", receiver.url, *of(authority)]) == Exit.OK


def test_a_sender_without_a_certificate_is_told_so_on_both_sides(
    authority: Authority, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving(*own(authority.issue("receiver")), *of(authority)) as receiver:
        assert cli.run(["send", file, "--to", receiver.url, *of(authority)]) == Exit.CONNECTION
    told = capsys.readouterr()
    assert "wants a certificate of ours and got none: set --tls-cert and --tls-key (0 of 1 messages" in told.err
    assert re.search(
        r"^no TLS with 127.0.0.1:\d+: it shows no certificate, and --tls-ca wants one", receiver.said, re.MULTILINE
    )
    assert (told.out, receiver.got) == ("", "")


def test_a_receiver_that_is_not_trusted_is_told_so_on_both_sides(
    authority: Authority, stranger: Authority, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with receiving(*own(stranger.issue("receiver"))) as receiver:
        assert cli.run(["send", file, "--to", receiver.url, *of(authority)]) == Exit.CONNECTION
    assert "shows a certificate that is signed by nobody in --tls-ca" in capsys.readouterr().err
    assert "it refuses us: it does not know who signed our certificate (--tls-cert)" in receiver.said


def test_a_plain_sender_is_told_apart_by_the_receiver(authority: Authority, file: str) -> None:
    with receiving(*own(authority.issue("receiver"))) as receiver:
        plain = receiver.url.replace("mllps", "mllp")
        assert cli.run(["send", file, "--to", plain]) == Exit.CONNECTION
    assert "does not speak TLS" in receiver.said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--to", "mllp://127.0.0.1:1", "--tls-ca", "ca.pem"], "is plain MLLP, but an option asks for TLS; write mllps://"),
        (["--to", "mllps://127.0.0.1:1", "--tls-cert", "c.pem"], "--tls-cert and --tls-key come together"),
        (["--to", "mllps://127.0.0.1:1", "--tls-ca", "nowhere.pem"], "--tls-ca: 'nowhere.pem' cannot be read"),
    ],
)
def test_options_that_cannot_be_are_a_usage_error(
    options: list[str], words: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["send", file, *options]) == Exit.USAGE
    assert words in capsys.readouterr().err


def test_a_receiver_with_authorities_only_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["listen", "--port", "0", "--tls-ca", "ca.pem"]) == Exit.USAGE
    assert "--tls-cert and --tls-key" in capsys.readouterr().err


@pytest.fixture
async def reception(authority: Authority) -> AsyncIterator[tuple[Reception, tuple[str, int]]]:
    tls = listening_with(files(authority.issue("receiver")))
    made = Reception(Receiver("AA", SystemClock(), as_json=False), tls)
    yield made, await made.start("127.0.0.1", 0)
    await made.close()


async def test_who_only_knocks_is_let_go_when_the_receiver_ends(reception: tuple[Reception, tuple[str, int]]) -> None:
    made, address = reception
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(SECONDS):
        while not made._welcomes:  # noqa: ASYNC110 - nothing tells us of it
            await asyncio.sleep(0)
        await made.close()
        assert await reader.read() == b""
    writer.close()


async def test_a_receiver_serves_others_while_one_does_not_end_its_handshake(
    reception: tuple[Reception, tuple[str, int]], authority: Authority
) -> None:
    with socket.create_connection(reception[1]):
        async with Client(*reception[1], authority.trusting(authority.issue("old", lasts=timedelta(days=-1)))) as client:
            assert b"MSA|AA|ID1" in await client.send(ONE)
            await client.send_raw(frame(ONE))
            assert b"MSA|AA|ID1" in await client.read_answer()
