"""The peer's answer to something that we sent (decisions 8): MSA and both forms of ERR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ophl7.errors import Unreadable
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.segment import Segment

_NO_WORDS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ReadError:
    """One fault that the peer names. code: table 0357, 0 when there is none; severity: E, W, I, F or ""."""

    code: int
    severity: str
    application_code: str


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """code: MSA-1. control_id: MSA-2 exactly as sent. The peer's texts are left out: they may hold patient data."""

    code: str
    control_id: str
    errors: tuple[ReadError, ...]


def read(raw: bytes, forced_encoding: str | None = None, words: Mapping[str, int] = _NO_WORDS) -> ReadAnswer:
    """Reads an answer. Raises Unreadable for what is none: no header, no MSA, an empty MSA-1.

    words: what the peer says in place of a code of table 0357, see domain.profile.AnswerRules; only the code is kept of it.
    """
    message = Message.parse_lenient(raw, forced_encoding)
    msa = message.first("MSA")
    if msa is None:
        raise Unreadable("the answer has no MSA segment", error=100, segment="MSA")
    code = msa.text("1").strip()
    if not code:
        raise Unreadable("the answer's MSA-1 is empty", error=101, segment="MSA", field=1)
    errors = tuple(error for segment in message.all("ERR") for error in _errors(segment))
    if not errors and msa.text("6.1"):
        errors = (ReadError(_number(msa.text("6.1")), "", ""),)  # 2.1 to 2.4 without an ERR segment
    if words and all(error.code == 0 for error in errors):
        errors = _in_words(msa.text("3"), errors, {said.casefold(): number for said, number in words.items()})
    return ReadAnswer(code, msa.field(2), errors)


def _in_words(text: str, errors: tuple[ReadError, ...], words: Mapping[str, int]) -> tuple[ReadError, ...]:
    """The same with the codes that are meant: of ERR-5, else of the whole MSA-3, else of what stands within it."""
    meant = tuple(
        ReadError(words.get(one.application_code.casefold(), 0), one.severity, one.application_code) for one in errors
    )
    if any(one.code for one in meant):
        return meant
    said = text.strip().casefold()
    found = words[said] if said in words else next((words[one] for one in words if one in said), 0)
    if not found:
        return errors
    return tuple(ReadError(found, one.severity, one.application_code) for one in errors) or (ReadError(found, "", ""),)


def _errors(err: Segment) -> list[ReadError]:
    if err.text("3.1") or err.text("4") or err.text("5.1"):  # 2.5 and later
        return [ReadError(_number(err.text("3.1")), err.text("4").strip(), err.text("5.1").strip())]
    found: list[ReadError] = []
    for number, repetition in enumerate(err.repetitions(1), start=1):
        if repetition:
            found.append(ReadError(_number(err.text(f"1[{number}].4.1")), "", ""))
    return found


def _number(text: str) -> int:
    digits = text.strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 10 else 0
