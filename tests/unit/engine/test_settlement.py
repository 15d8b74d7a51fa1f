"""What an answer to something that we sent means: decisions 8, line by line."""

from __future__ import annotations

from typing import Literal

import pytest

from ophl7.engine.ports import Answer, AnswerError
from ophl7.engine.settlement import settle


def outcome(
    code: str, *errors: int, severity: str = "E", attempts: int = 1, nack_default: Literal["park", "retry"] = "park"
) -> str:
    answer = Answer(code, "D1", tuple(AnswerError(error, severity, "") for error in errors), b"")
    return settle(answer, attempts=attempts, nack_default=nack_default).outcome


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acceptance_is_accepted_whatever_it_warns_of(code: str) -> None:
    assert outcome(code) == "accepted"
    assert outcome(code, 207, severity="W") == "accepted"


@pytest.mark.parametrize("code", ["AE", "AR", "CE"])
@pytest.mark.parametrize("attempts", [1, 5, 1000])
def test_a_locked_record_is_tried_again_without_end(code: str, attempts: int) -> None:
    assert outcome(code, 206, attempts=attempts) == "retry"


@pytest.mark.parametrize("code", ["AE", "AR", "CE"])
def test_a_fatal_error_of_the_peer_is_tried_again(code: str) -> None:
    assert outcome(code, 102, severity="F") == "retry"


@pytest.mark.parametrize("code", ["AE", "AR", "CE"])
def test_an_internal_error_is_tried_five_times_then_parked(code: str) -> None:
    assert [outcome(code, 207, attempts=number) for number in range(1, 7)] == ["retry"] * 4 + ["parked"] * 2


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_an_unknown_key_is_held(code: str) -> None:
    assert outcome(code, 204) == "held"


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_duplicate_is_accepted_only_if_these_bytes_had_been_sent_before(code: str) -> None:
    assert outcome(code, 205, attempts=1) == "parked"
    assert outcome(code, 205, attempts=2) == "accepted"


@pytest.mark.parametrize(("code", "error"), [("AE", 100), ("AE", 101), ("AE", 102), ("AE", 103), ("AR", 200), ("CR", 203)])
def test_a_fault_of_content_or_set_up_is_parked(code: str, error: int) -> None:
    assert outcome(code, error, nack_default="retry") == "parked"


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_bare_refusal_is_as_the_practice_says(code: str) -> None:
    assert outcome(code) == "parked"
    assert outcome(code, nack_default="retry") == "retry"
    assert outcome(code, 206, severity="W", nack_default="retry") == "retry"  # warnings alone explain nothing


@pytest.mark.parametrize(
    ("code", "error"), [("CE", 204), ("CE", 205), ("CR", 204), ("CR", 206), ("CR", 207), ("AE", 0), ("XX", 206)]
)
def test_any_other_refusal_with_an_error_is_parked(code: str, error: int) -> None:
    assert outcome(code, error, attempts=2, nack_default="retry") == "parked"


def test_people_see_the_codes_and_never_the_peers_text() -> None:
    plain = Answer("AE", "D1", (AnswerError(204, "E", "P01"),), b"MSA|AE|D1|Ada Rivers is unknown")
    assert settle(plain, attempts=1, nack_default="park").answer == "AE 204 P01"
    chatty = Answer("AE", "D1", (AnswerError(204, "E", "Ada Rivers"),), b"")
    assert settle(chatty, attempts=1, nack_default="park").answer == "AE 204"


@pytest.mark.parametrize("nack_default", ["park", "retry"])
def test_an_answer_whose_code_is_none_keeps_its_words_to_itself(nack_default: Literal["park", "retry"]) -> None:
    said = settle(Answer("RIVERS^ADA 20180412", "D1", (), b""), attempts=1, nack_default=nack_default)
    assert (said.outcome, said.answer) == ("parked" if nack_default == "park" else "retry", "unknown code")


def test_a_name_in_the_place_of_an_application_code_is_not_shown() -> None:
    named, coded = (
        settle(Answer("AE", "D1", (AnswerError(101, "E", code),), b""), attempts=1, nack_default="park")
        for code in ("RIVERS", "P01")
    )
    assert (named.answer, coded.answer) == ("AE 101", "AE 101 P01")
