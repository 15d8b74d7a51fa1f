"""What the test receiver answers, without a socket."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ophl7.cli.listen import Receiver
from ophl7.engine.ports import Damage, Envelope


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Session:
    peer = "test"
    number = 1

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []

    def answer(self, payload: bytes | None) -> None:
        self.answers.append(payload)

    def abandon(self) -> None:
        raise AssertionError("a test receiver has no trouble of its own")


def answered(payload: bytes, damage: Damage | None = None) -> bytes | None:
    session = Session()
    assert Receiver("AA", StoppedClock(), as_json=False).offer(Envelope("test", session, payload, 0.0, damage))
    (answer,) = session.answers
    return answer


def test_an_acknowledgment_is_never_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert answered(b"MSH|^~\\&|||||||ACK^A08|9|P|2.5\rMSA|AA|1\r") is None
    assert capsys.readouterr().out.startswith("ACK^A08 9 ")


def test_what_is_no_hl7_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert b"MSA|AR|" in (answered(b"hello") or b"")
    assert capsys.readouterr().out == "(no MSH) - 5 bytes\n"


def test_a_damaged_frame_gets_the_answer_that_is_due(capsys: pytest.CaptureFixture[str]) -> None:
    assert b"MSA|AR|" in (answered(b"MSH|", Damage("fs_inside", answer=True)) or b"")
    assert answered(b"MSH|", Damage("cut_off", answer=False)) is None
    assert capsys.readouterr().out == "(damaged) - 4 bytes\n" * 2


def test_several_messages_in_a_frame_get_an_answer_each(capsys: pytest.CaptureFixture[str]) -> None:
    one = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A08|%d|P|2.5\r"
    answer = answered(one % 1 + one % 2) or b""
    assert answer.count(b"MSA|AA|") == 2
    assert answer.index(b"MSA|AA|1") < answer.index(b"MSA|AA|2")
    assert len(capsys.readouterr().out.splitlines()) == 2
