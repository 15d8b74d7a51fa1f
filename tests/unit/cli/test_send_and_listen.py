"""`send` against `listen`, each in a process of its own, and against peers that misbehave."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ophl7 import cli
from ophl7.cli.exits import Exit
from ophl7.cli.send import Reply, read_replies

ONE = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|ID1|P|2.5\rPID|1||7050\r"
TWO = b"MSH|^~\\&|A|B|C|D|20260101||SIU^S12|ID2|P|2.3\rSCH|1\r"
OPHL7 = [sys.executable, "-m", "ophl7"]


class Running:
    """A test receiver in a child process; `output` is what it printed, once it has ended."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.output = ""


@contextmanager
def listening(*options: str, end: signal.Signals = signal.SIGTERM) -> Iterator[Running]:
    with subprocess.Popen(
        [*OPHL7, "listen", "--port", "0", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        found = re.search(r"mllp://\S+", child.stderr.readline())
        assert found is not None
        running = Running(found[0])
        try:
            yield running
        finally:
            child.send_signal(end)
            running.output, _ = child.communicate(timeout=30)
    assert child.returncode == Exit.OK


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages.hl7"
    path.write_bytes((ONE + TWO).replace(b"\r", b"\n"))
    return path


def test_accepted_messages_are_one_line_each_on_both_sides(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as receiver:
        assert cli.run(["send", str(file), str(file), "--to", receiver.url]) == Exit.OK
    assert capsys.readouterr().out.splitlines() == ["AA ID1", "AA ID2", "AA ID1", "AA ID2"]
    assert receiver.output.splitlines()[:2] == [f"ADT^A08 ID1 {len(ONE)} bytes", f"SIU^S12 ID2 {len(TWO)} bytes"]


def test_a_refusal_is_status_4(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listening("--answer", "AE", "--json") as receiver:
        assert cli.run(["send", str(file), "--to", receiver.url, "--json"]) == Exit.REFUSED
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(reply["code"], reply["control_id"]) for reply in replies] == [("AE", "ID1"), ("AE", "ID2")]
    received = [json.loads(line) for line in receiver.output.splitlines()]
    assert received[0] == {"event": "ADT^A08", "control_id": "ID1", "bytes": len(ONE)}


@pytest.mark.parametrize(("code", "status"), [("CA", Exit.OK), ("CE", Exit.REFUSED), ("CR", Exit.REFUSED)])
def test_answers_of_enhanced_mode_are_understood(
    file: Path, capsys: pytest.CaptureFixture[str], code: str, status: Exit
) -> None:
    with listening("--answer", code) as receiver:
        assert cli.run(["send", str(file), "--to", receiver.url]) == status
    assert capsys.readouterr().out.splitlines() == [f"{code} ID1", f"{code} ID2"]


def test_a_batch_is_answered_member_by_member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = tmp_path / "batch.hl7"
    batch.write_bytes(b"BHS|^~\\&|A|B|C|D\r" + ONE + TWO + b"BTS|2\r")
    with listening() as receiver:
        assert cli.run(["send", str(batch), "--to", receiver.url]) == Exit.OK
    assert capsys.readouterr().out.splitlines() == ["AA ID1", "AA ID2"]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_receiver_ends_in_peace_while_somebody_is_connected(end: signal.Signals) -> None:
    with listening(end=end) as receiver:
        host, port = receiver.url.removeprefix("mllp://").split(":")
        connection = socket.create_connection((host, int(port)), timeout=30)
        connection.sendall(b"\x0b" + ONE + b"\x1c\r\x0bMSH|")
        assert b"MSA|AA|ID1" in connection.recv(4096)
    with connection:
        assert connection.recv(4096) == b""
    assert receiver.output == f"ADT^A08 ID1 {len(ONE)} bytes\n"


def test_a_message_that_no_block_can_hold_is_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.hl7"
    bad.write_bytes(ONE.replace(b"7050", b"70\x1c50"))
    with listening() as receiver:
        assert cli.run(["send", str(bad), "--to", receiver.url]) == Exit.USAGE
    assert "cannot travel in an MLLP block" in capsys.readouterr().err
    assert receiver.output == ""


def test_nobody_there_is_status_3_and_says_how_far_it_came(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert cli.run(["send", str(file), "--to", f"mllp://127.0.0.1:{port}"]) == Exit.CONNECTION
    told = capsys.readouterr().err
    assert "refuses connections" in told
    assert "0 of 2 messages were answered" in told


def test_a_peer_that_says_nothing_is_status_3(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"mllp://127.0.0.1:{silent.getsockname()[1]}"
        assert cli.run(["send", str(file), "--to", url, "--timeout", "0.05"]) == Exit.CONNECTION
    assert "did not answer" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["host:2575", "http://host:1", "mllps://host", "mllp://host"])
def test_an_address_that_cannot_be_used_is_a_usage_error(url: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["send", str(file), "--to", url]) == Exit.USAGE
    assert "--to" in capsys.readouterr().err


def test_a_file_without_a_message_is_a_usage_error_before_anything_is_sent(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "notes.txt"
    bad.write_text("hello\n")
    with listening() as receiver:
        assert cli.run(["send", str(file), str(bad), "--to", receiver.url]) == Exit.USAGE
    assert "notes.txt holds no HL7 message" in capsys.readouterr().err
    assert receiver.output == ""


def test_a_taken_port_is_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert cli.run(["listen", "--port", str(taken.getsockname()[1])]) == Exit.CONNECTION
    assert "is another program using it?" in capsys.readouterr().err


ACK = b"MSH|^~\\&|||||||ACK|9|P|2.5\r"


@pytest.mark.parametrize(
    ("raw", "reply"),
    [
        (ACK + b"MSA|AA|ID1\r", Reply("AA", "ID1", "")),
        (ACK + b"MSA|AE|ID1|no such patient\r", Reply("AE", "ID1", "no such patient")),
        (
            ACK + b"MSA|AE|ID1\rERR||PID^1^3|204^Unknown key identifier|E||||name the patient\r",
            Reply("AE", "ID1", "name the patient"),
        ),
        (ACK + b"MSA|AE|ID1\rERR||PID^1^3|204^Unknown key identifier|E\r", Reply("AE", "ID1", "Unknown key identifier")),
        (ACK + b"MSA|AE|ID1\rERR|PID^1^3^204&Unknown key identifier\r", Reply("AE", "ID1", "Unknown key identifier")),
        (ACK + b"MSA|AA|\x1b[2J\r", Reply("AA", "\ufffd[2J", "")),
        (ACK, Reply("??", "", "the answer has no MSA segment")),
    ],
)
def test_an_answer_is_read_as_code_control_id_and_reason(raw: bytes, reply: Reply) -> None:
    assert read_replies(raw) == [reply]


def test_an_answer_that_is_no_hl7_is_shown_as_such() -> None:
    (reply,) = read_replies(b"hello")
    assert (reply.code, reply.control_id) == ("??", "")
