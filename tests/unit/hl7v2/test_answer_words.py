"""Answers that say in words of their own what table 0357 has a code for (decisions 8, by profile)."""

from __future__ import annotations

import pytest

from ophl7.domain.profile import AnswerRules
from ophl7.engine.ports import Answer, AnswerError
from ophl7.engine.settlement import settle
from ophl7.hl7v2.answer import read
from ophl7.profiles.reading import parse

WORDS = {"Record locked": 206, "LK1": 206, "no such patient": 204}


def answer(msa: str, err: str = "", version: str = "2.5") -> bytes:
    return f"MSH|^~\\&|PM|P|EMR|E|20260101||ACK|X1|P|{version}\rMSA|{msa}\r{err}".encode()


@pytest.mark.parametrize(
    ("raw", "codes"),
    [
        (answer("AE|A1|RECORD LOCKED"), [206]),
        (answer("AE|A1|cannot file: record locked by another user"), [206]),
        (answer("AE|A1|No such patient", "ERR||||E\r"), [204]),
        (answer("AE|A1||", "ERR||||E|lk1\r"), [206]),
        (answer("AE|A1|record locked", "ERR|||103|E\r"), [103]),
        (answer("AE|A1|something else"), []),
    ],
)
def test_8_a_products_own_words_are_read_as_the_code_that_its_profile_says(raw: bytes, codes: list[int]) -> None:
    assert [error.code for error in read(raw, words=WORDS).errors] == codes


def test_8_without_a_profile_a_text_means_nothing() -> None:
    assert read(answer("AE|A1|record locked")).errors == ()


def test_8_a_locked_record_in_words_is_sent_again_without_end() -> None:
    found = read(answer("AE|A1|record locked"), words=WORDS)
    errors = tuple(AnswerError(one.code, one.severity, one.application_code) for one in found.errors)
    settled = settle(Answer("AE", "A1", errors, b""), attempts=40, nack_default="park")
    assert (settled.outcome, settled.locked) == ("retry", True)


def test_a_profile_names_its_codes_and_only_those_of_the_table() -> None:
    profile = parse('[answers.codes]\n"record locked" = 206\n', "ours", "ours.toml")
    assert profile.answers == AnswerRules({"record locked": 206})
    with pytest.raises(ValueError, match="0357"):
        parse("[answers.codes]\nbusy = 42\n", "ours", "ours.toml")
