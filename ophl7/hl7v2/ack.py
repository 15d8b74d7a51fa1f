"""Answers, in the form of the sender's version (decisions 10, domain 3.1 to 3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal

from ophl7.errors import Unwritable
from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.charset import encode
from ophl7.hl7v2.codes import CODES, TABLE_0357, Severity
from ophl7.hl7v2.delimiters import STANDARD, Delimiters
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.header import Answerable

AckCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
AckMode = Literal["auto", "original", "accept", "none"]

POSITIVE: Final = frozenset({"AA", "CA"})
"""MSA-1 of an answer that takes the message; all others refuse it (HL7 table 0008)."""

# Whoever fills MSH-15 or MSH-16 with one of these asks for that acknowledgment (table 0155; docs/decisions/0024).
_ASKS: Final = frozenset({"AL", "SU", "ER"})
_ACCEPT: Final[Mapping[AckCode, AckCode]] = MappingProxyType({"AA": "CA", "AE": "CE", "AR": "CR"})

_VERSIONS = {"2.1": 21, "2.2": 22, "2.3": 23, "2.3.1": 23, "2.4": 24, "2.5": 25, "2.5.1": 25, "2.6": 26, "2.7": 27, "2.7.1": 27}
_VERSIONS |= {"2.8": 28, "2.8.1": 28, "2.8.2": 28, "2.9": 29, "2.9.1": 29}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_MSA_3_LENGTH = 80  # ST(80), v2.5.1 2.15.8.3
_ERR_8_LENGTH = 250  # TX(250), v2.5.1 2.15.5.8


@dataclass(frozen=True, slots=True)
class Location:
    """Where a fault is: segment name, its occurrence, field, repetition, component; 0 = not more exactly known."""

    segment: str
    sequence: int = 1
    field: int = 0
    repetition: int = 0
    component: int = 0


@dataclass(frozen=True, slots=True)
class AckError:
    """One fault or warning.

    code: table 0357; of a code of ours that differs before 2.5 the one from 2.5 on. app_code: ours (decisions 10), or an
    author's own. text: for people, without patient data.
    """

    code: int
    severity: Severity
    location: Location | None
    app_code: str = ""
    text: str = ""


def in_mode(code: AckCode, mode: AckMode, header: Answerable | None) -> AckCode | None:
    """MSA-1 in the family that this sender is answered in; None where it gets no answer at all.

    code: the answer of original mode (AA, AE, AR). header: what of the message's header could be read; without one `auto` has
    nothing to go by and answers in original mode, as for a blank MSH-15 (domain 3.1).
    """
    if mode == "none":
        return None
    if mode == "accept" or (mode == "auto" and header is not None and _asks(header.wanted_answers[0])):
        return _ACCEPT.get(code, code)
    return code


def _asks(wish: str) -> bool:
    return bool(wish) and wish.strip().upper() in _ASKS


def known_version(version: str) -> bool:
    """Whether MSH-12.1 is one that we speak, 2.1 to 2.9 (decisions #82); blank counts as 2.3."""
    return not version or version in _VERSIONS


@dataclass(frozen=True, slots=True)
class _Form:
    """What answers to one sender within one second have in common."""

    marks: Delimiters
    version: int
    before_id: str
    after_id: str


# Thousands of answers share sender and second; nothing of a patient is in the key.
@lru_cache(maxsize=128)
def _form(  # lru_cache takes positional arguments fastest
    marks: Delimiters,
    sending: tuple[str, str, str, str],
    tail: tuple[str, str],
    trigger: str,
    version: str,
    second: str,
    enhanced: bool,
) -> _Form:
    number = _VERSIONS.get(version or "2.3", 25)
    written = tail[1] if version in _VERSIONS else ("2.5" if version else "2.3")
    event = trigger if trigger.isascii() and trigger.isalnum() else ""
    # MSH-9 grew with the versions: ACK, ACK^A08, from 2.4 on ACK^A08^ACK (domain 3.1).
    parts = ["ACK"] if number < 23 or not event else ["ACK", event] if number < 24 else ["ACK", event, "ACK"]
    kind = marks.component.join(parts)
    three, four, five, six, eleven, twelve = (_CONTROLS.sub("", field) for field in (*sending, tail[0], written))
    before = ["MSH", marks.encoding_characters, five, six, three, four, second, "", kind, ""]
    after = ["", eleven, twelve]
    if enhanced and number > 21:
        # Nobody acknowledges an acknowledgment, and enhanced mode says so: NE in MSH-15 and -16, which 2.1 does not have.
        after += ["", "", "NE", "NE"]
    return _Form(marks, number, marks.field.join(before), marks.field.join(after) + "\r")


def build(  # the engine calls it with all of them
    header: Answerable | None,
    code: AckCode,
    control_id: str,
    when: datetime,
    zone: tzinfo,
    text: str = "",
    errors: Sequence[AckError] = (),
) -> bytes:
    """The answer to the message with this header, ready to be framed; it ends with CR.

    code: see `in_mode`. control_id: the answer's own MSH-10. when: its MSH-7. text: MSA-3 up to 2.6; where it is empty, what
    the first error says. MSA-2 is the sender's MSH-10 byte for byte (but control characters, which would break the frame).
    Our own texts are written in ASCII. Never raises for what a sender wrote.
    """
    second = timestamps.format(when, zone)
    enhanced = code[0] == "C"
    if header is None:
        form, sent_id, encoding = _form(STANDARD, ("", "", "", ""), ("", "2.5"), "", "2.5", second, enhanced), "", "ascii"
    else:
        enhanced = enhanced or _asks(header.wanted_answers[1])
        three, four, five, six, sent_id, eleven, twelve = header.reply_fields
        sending, tail = (three, four, five, six), (eleven, twelve)
        form = _form(header.delimiters, sending, tail, header.trigger, header.version, second, enhanced)
        encoding = header.encoding
        if not sent_id.isprintable():
            sent_id = _CONTROLS.sub("", sent_id)
    separator = form.marks.field
    answer = f"{form.before_id}{control_id}{form.after_id}MSA{separator}{code}{separator}{sent_id}"
    if errors or text:
        answer += _explained(form, text, errors)
    answer += "\r"
    return answer.encode("ascii") if answer.isascii() else encode(answer, encoding)


def _explained(form: _Form, text: str, errors: Sequence[AckError]) -> str:
    """MSA from its third field on, and the ERR segments."""
    marks, version = form.marks, form.version
    if version < 25:
        # A warning beside an acceptance exists from 2.5 on only; before, it is in the audit alone.
        errors = [error for error in errors if error.severity in "EF"]
    summary = _words(_summary(text, errors), marks, _MSA_3_LENGTH)
    if version < 23:
        condition = _old_code(errors[0], marks, marks.component) if errors else ""
        parts = [summary, "", "", condition] if condition else [summary] if summary else []
        return "".join(marks.field + part for part in parts)
    answer = f"{marks.field}{summary}" if summary and version < 27 else ""
    if not errors:
        return answer
    if version >= 25:
        return answer + "".join(f"\rERR{marks.field}{_new_form(error, marks)}" for error in errors)
    forms = [_old_form(error, marks) for error in errors]
    return f"{answer}\rERR{marks.field}{marks.repetition.join(forms if marks.repetition else forms[:1])}"


def _summary(text: str, errors: Sequence[AckError]) -> str:
    """A sentence for engines that show their staff MSA-3 only; our code is in it (decisions 10)."""
    if not errors:
        return text
    first = errors[0]
    words = text or first.text or _meaning(first)
    return words if not first.app_code or first.app_code in words else f"{first.app_code} {words}"


def _meaning(error: AckError) -> str:
    ours = CODES.get(error.app_code)
    return ours.meaning if ours else TABLE_0357.get(error.code, "")


def _new_form(error: AckError, marks: Delimiters) -> str:
    """ERR-1 to ERR-8 of 2.5 and later; ERR-1 stays empty, it is there for older receivers only."""
    where = ""
    if error.location:
        place = error.location
        numbers = [place.sequence, place.field, place.repetition, place.component]
        while numbers and not numbers[-1]:
            numbers.pop()
        where = marks.component.join([_words(place.segment, marks), *map(str, numbers)])
    code = marks.component.join([str(error.code), _words(TABLE_0357.get(error.code, ""), marks), "HL70357"])
    ours = ""
    if error.app_code:
        ours = marks.component.join([_words(error.app_code, marks), _words(_meaning(error), marks), "OPHL7"])
    fields = ["", where, code, error.severity, ours, "", "", _words(error.text, marks, _ERR_8_LENGTH)]
    return marks.field.join(fields).rstrip(marks.field)


def _old_form(error: AckError, marks: Delimiters) -> str:
    """One repetition of ERR-1 of 2.3 to 2.4: segment^sequence^position^code&text&HL70357."""
    place = error.location
    where = [_words(place.segment, marks), str(place.sequence), str(place.field or "")] if place else ["", "", ""]
    return marks.component.join([*where, _old_code(error, marks, marks.subcomponent)])


def _old_code(error: AckError, marks: Delimiters, joint: str) -> str:
    ours = CODES.get(error.app_code)
    number = ours.hl7_before_25 if ours and ours.hl7_before_25 is not None else error.code
    if not joint:
        return str(number)
    return joint.join([str(number), _words(TABLE_0357.get(number, ""), marks), "HL70357"])


def _words(text: str, marks: Delimiters, limit: int = 200) -> str:
    """A text of ours as data: ASCII, one line, escaped."""
    plain = _CONTROLS.sub(" ", text)[:limit].encode("ascii", "replace").decode("ascii")
    try:
        return escape(plain, marks)
    except Unwritable:  # no escape character: a space in place of a delimiter loses nothing that matters here
        used = marks.field + marks.component + marks.repetition + marks.subcomponent
        return "".join(" " if character in used else character for character in plain)


def batch(envelope: bytes, acks: Sequence[bytes], control_id: str, when: datetime, zone: tzinfo) -> bytes:
    """The answer to an FHS/BHS frame: an envelope of the same kind, with the members' answers in it (decisions 7).

    envelope: what stood before the first member (`Batch.head`). acks: one answer a member, without those that get none.
    """
    second = timestamps.format(when, zone)
    opening, closing = "", ""
    for line in re.split("[\r\n]+", envelope.decode("latin-1")):
        name, separator = line[:3], line[3:4]
        if name not in {"FHS", "BHS"} or not separator or separator in "\x0b\x1c" or name in opening:
            continue
        fields = [_CONTROLS.sub("", field) for field in line.split(separator)] + [""] * 12
        answered = [name, fields[1], fields[4], fields[5], fields[2], fields[3], second, "", "", "", control_id, fields[10]]
        opening += separator.join(answered) + "\r"
        count = len(acks) if name == "BHS" else 1
        closing = f"{'BTS' if name == 'BHS' else 'FTS'}{separator}{count}\r" + closing
    return opening.encode("latin-1") + b"".join(acks) + closing.encode("latin-1")
