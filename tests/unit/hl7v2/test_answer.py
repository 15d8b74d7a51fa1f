"""Reading the peer's answers (decisions 8)."""

from __future__ import annotations

import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2.answer import ReadAnswer, ReadError, read

MSH = b"MSH|^~\\&|E|H|P|F|2024||ACK|9|P|2.5\r"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"MSA|AA|ID-1\r", ReadAnswer("AA", "ID-1", ())),
        (b"MSA|CA|ID-1|all fine\r", ReadAnswer("CA", "ID-1", ())),
        (b"MSA| AE | ID\r", ReadAnswer("AE", " ID", ())),
        (
            b"MSA|AE|1\rERR||PID^1^3|204^x^HL70357|E|P9^y^Z|||JANE DOE\rERR|||0|W\r",
            ReadAnswer("AE", "1", (ReadError(204, "E", "P9"), ReadError(0, "W", ""))),
        ),
        (
            b"MSA|AR|1\rERR|MSH^1^9^200&x&HL70357~PID^1^3^101\r",
            ReadAnswer("AR", "1", (ReadError(200, "", ""), ReadError(101, "", ""))),
        ),
        (b"MSA|AE|1|text|||207^x^HL70357\r", ReadAnswer("AE", "1", (ReadError(207, "", ""),))),
        (b"MSA|AE|1\rERR|||nonsense|F\r", ReadAnswer("AE", "1", (ReadError(0, "F", ""),))),
        (b"MSA|AE|1\rERR||||F\r", ReadAnswer("AE", "1", (ReadError(0, "F", ""),))),
        (b"MSA|AE|1\rERR|||||X9\r", ReadAnswer("AE", "1", (ReadError(0, "", "X9"),))),
        (b"MSA|AE|1\rERR|\r", ReadAnswer("AE", "1", ())),
    ],
)
def test_both_forms_of_errors_are_read_and_texts_are_not(body: bytes, expected: ReadAnswer) -> None:
    assert read(MSH + body) == expected


def test_an_answer_without_a_message_type_counts() -> None:
    assert read(MSH.replace(b"ACK", b"") + b"MSA|AA|1").code == "AA"


@pytest.mark.parametrize("raw", [b"", b"garbage", b"MSA|AA|1\r", MSH, MSH + b"MSA||1\r", b"MSH|\rMSA|AA|1\r"])
def test_what_is_no_answer_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read(raw)
