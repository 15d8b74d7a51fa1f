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


Row = tuple[str, str, int | None, str, int, bool, str]

# decisions 8: row, MSA-1, ERR code (None: no ERR), severity, tries, NACK_DEFAULT=retry, what becomes of it.
_PASSING = [
    ("AE/AR/CE + 206, or severity F", code, error, severity, tries, retry, "retry")
    for code in ("AE", "AR", "CE")
    for error, severity in ((206, "E"), (101, "F"), (204, "F"), (207, "F"))
    for tries in (1, 1000)
    for retry in (False, True)
]
_INTERNAL = [
    ("AE/AR/CE + 207", code, 207, "E", tries, False, "retry" if tries < 5 else "parked")
    for code in ("AE", "AR", "CE")
    for tries in range(1, 8)
]
_UNKNOWN = [("AE/AR + 204", code, 204, "E", tries, True, "held") for code in ("AE", "AR") for tries in (1, 9)]
_DUPLICATE = [
    ("AE/AR + 205", code, 205, "E", tries, True, "accepted" if tries > 1 else "parked")
    for code in ("AE", "AR")
    for tries in (1, 2, 9)
]
_CONTENT = [("AE + 1xx", "AE", error, "E", tries, True, "parked") for error in (100, 101, 102, 103, 198) for tries in (1, 3)]
_SET_UP = [
    ("AR/CR + 200-203", code, error, "E", tries, True, "parked misfit")
    for code in ("AR", "CR")
    for error in (200, 201, 202, 203)
    for tries in (1, 3)
]
_BARE = [
    ("without ERR", code, None, "", tries, retry, "retry" if retry else "parked")
    for code in ("AE", "AR", "CE", "CR")
    for tries in (1, 9)
    for retry in (False, True)
]
_OTHER = [
    ("any other refusal", code, error, severity, tries, True, "parked")
    for code, error, severity in (
        ("CE", 204, "E"),
        ("CE", 205, "E"),
        ("CE", 101, "E"),
        ("AR", 101, "E"),
        ("CR", 101, "E"),
        ("CR", 204, "E"),
        ("CR", 205, "E"),
        ("CR", 206, "E"),
        ("CR", 207, "E"),
        ("CR", 101, "F"),
        ("AE", 208, "E"),
        ("AE", 999, "E"),
        ("AE", 0, "E"),
    )
    for tries in (1, 9)
]
_TABLE: list[Row] = [
    *(("AA/CA", code, error, "E", 1, False, "accepted") for code in ("AA", "CA") for error in (None, 101, 206)),
    *_PASSING,
    *_INTERNAL,
    *_UNKNOWN,
    *_DUPLICATE,
    *_CONTENT,
    *_SET_UP,
    *_BARE,
    *_OTHER,
]


@pytest.mark.parametrize("row", _TABLE, ids=lambda row: " ".join(map(str, row)))
def test_8_every_class_of_answer_is_settled_by_its_row(row: Row) -> None:
    _, code, error, severity, tries, retry, becomes = row
    errors = () if error is None else (AnswerError(error, severity, ""),)
    settled = settle(Answer(code, "D1", errors, b""), attempts=tries, nack_default="retry" if retry else "park")
    assert settled.outcome + (" misfit" if settled.misfit else "") == becomes
    assert settled.locked == (becomes == "retry" and (error == 206 or severity == "F"))


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_8_205_of_a_copy_that_is_sent_again_is_accepted_at_once(code: str) -> None:
    answer = Answer(code, "D9", (AnswerError(205, "E", ""),), b"")
    assert settle(answer, attempts=1, nack_default="park", sent_before=True).outcome == "accepted"
