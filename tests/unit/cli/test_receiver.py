"""What the test receiver answers, without a socket."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from ophl7.cli.listen import Receiver
from ophl7.hl7v2.ack import AckCode

A08 = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|%d|P|2.5\r"


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def receiver() -> Receiver:
    return Receiver("AA", StoppedClock(), as_json=False)


def test_an_acknowledgment_is_never_answered(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    assert receiver.take(b"MSH|^~\\&|||||||ACK^A08|9|P|2.5\rMSA|AA|1\r") is None
    assert capsys.readouterr().out.startswith("ACK^A08 9 ")


@pytest.mark.parametrize("block", [b"hello", b""])
def test_what_is_no_hl7_is_refused(receiver: Receiver, block: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert b"MSA|AR|" in (receiver.take(block) or b"")
    assert capsys.readouterr().out == f"(no MSH) - {len(block)} bytes\n"


def test_a_block_with_an_fs_inside_is_refused(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    assert b"MSA|AR|" in (receiver.damaged(b"MSH|\x1cx") or b"")
    assert capsys.readouterr().out == "(damaged) - 6 bytes\n"


@pytest.mark.parametrize("block", [b"MSH|", A08 % 1 + b"\x1c\x0b" + A08 % 2, None])
def test_half_a_block_and_two_in_one_get_no_answer(receiver: Receiver, block: bytes | None) -> None:
    assert receiver.damaged(block) is None


def test_a_size_that_nobody_knows_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    Receiver("AA", StoppedClock(), as_json=False).damaged(None)
    Receiver("AA", StoppedClock(), as_json=True).damaged(None)
    text, data = capsys.readouterr().out.splitlines()
    assert text == "(damaged) - ? bytes"
    assert json.loads(data) == {"event": "(damaged)", "control_id": "", "bytes": None}


def test_several_messages_in_a_block_get_an_answer_each(receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    answer = receiver.take(A08 % 1 + A08 % 2) or b""
    assert answer.count(b"MSA|AA|") == 2
    assert answer.index(b"MSA|AA|1") < answer.index(b"MSA|AA|2")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_envelope_of_a_batch_is_answered_even_where_its_members_are_not(receiver: Receiver) -> None:
    answer = receiver.take(b"BHS|^~\\&|A|B|C|D\rMSH|^~\\&|||||||ACK|9|P|2.5\rMSA|AA|1\rBTS|1\r") or b""
    assert answer.startswith(b"BHS|")
    assert b"MSA|" not in answer


@pytest.mark.parametrize(("answer", "unreadable"), [("AA", "AR"), ("AE", "AR"), ("CA", "CR"), ("CE", "CR"), ("CR", "CR")])
def test_every_code_of_either_mode_can_be_tried_out(answer: AckCode, unreadable: str) -> None:
    receiver = Receiver(answer, StoppedClock(), as_json=False)
    assert f"MSA|{answer}|1\r".encode() in (receiver.take(A08 % 1) or b"")
    assert f"MSA|{unreadable}|".encode() in (receiver.take(b"hello") or b"")
