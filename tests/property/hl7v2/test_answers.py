"""Our answers in every version, read by python-hl7 and not by us (decisions 10, domain 3.1 to 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import hl7
from hypothesis import given
from hypothesis import strategies as st

from ophl7.hl7v2 import ack
from ophl7.hl7v2.codes import CODES, TABLE_0357
from ophl7.hl7v2.message import Message

WHEN = datetime(2024, 7, 4, 14, 30, 15, tzinfo=UTC)
VERSIONS = ["2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2", "2.9", "2.9.1"]
MODES: list[ack.AckMode] = ["auto", "original", "accept"]
ORIGINAL: list[ack.AckCode] = ["AA", "AE", "AR"]

# Texts of ours and of an author's, with everything in them that would tear a field apart.
texts = st.text(st.sampled_from("abc |^~\\&\r\nü"), max_size=30)
names = st.text(st.sampled_from("ABC 12"), max_size=6).map(str.strip)
places = st.builds(
    ack.Location,
    st.sampled_from(["MSH", "PID", "FT1"]),
    st.integers(1, 9),
    st.integers(0, 30),
    st.integers(0, 3),
    st.integers(0, 9),
)
faults = st.builds(
    ack.AckError,
    st.sampled_from(sorted(TABLE_0357)),
    st.just("E"),
    st.none() | places,
    st.sampled_from(["", *(code.code for code in CODES.values() if code.severity == "E")]),
    texts,
)
warnings = st.builds(ack.AckError, st.just(0), st.just("W"), st.none() | places, st.sampled_from(["", "W01", "W04"]), texts)


@dataclass(frozen=True)
class Case:
    version: str
    fields: tuple[str, str, str, str]
    control_id: str
    wish: str
    mode: ack.AckMode
    code: ack.AckCode
    errors: tuple[ack.AckError, ...]

    @property
    def number(self) -> float:
        """2.4 for 2.4, 2.8 for 2.8.1."""
        return float(self.version[:3])

    def answer(self) -> tuple[str, hl7.Message]:
        """MSA-1 as it must be, and the answer."""
        three, four, five, six = self.fields
        raw = f"MSH|^~\\&|{three}|{four}|{five}|{six}|20240101||ADT^A08|{self.control_id}|P|{self.version}|||{self.wish}|NE\r"
        message = Message.parse(raw.encode())
        said = ack.in_mode(self.code, self.mode, message)
        assert said is not None
        built = ack.build(message, said, "OUR-1", WHEN, UTC, errors=self.errors)
        family = "C" if self.mode == "accept" or (self.mode == "auto" and self.wish in {"AL", "SU", "ER"}) else "A"
        return family + self.code[1], hl7.parse(built.decode())


@st.composite
def cases(draw: st.DrawFn) -> Case:
    code = draw(st.sampled_from(ORIGINAL))
    errors = draw(st.lists(warnings, max_size=3) if code == "AA" else st.lists(faults, min_size=1, max_size=3))
    return Case(
        draw(st.sampled_from(VERSIONS)),
        (draw(names), draw(names), draw(names), draw(names)),
        draw(names),
        draw(st.sampled_from(["", "AL", "NE", "SU", "ER"])),
        draw(st.sampled_from(MODES)),
        code,
        tuple(errors),
    )


def fields(segment: hl7.Segment) -> list[str]:
    return [str(field) for field in segment]


@given(cases())
def test_the_header_goes_back_the_way_it_came(case: Case) -> None:
    code, answer = case.answer()
    msh = [*fields(answer.segment("MSH")), "", "", "", ""]
    three, four, five, six = case.fields
    assert msh[3:7] == [five, six, three, four]
    assert msh[7] == "20240704143015+0000"
    assert msh[9] == ("ACK" if case.number < 2.3 else "ACK^A08" if case.number < 2.4 else "ACK^A08^ACK")
    assert (msh[10], msh[11], msh[12]) == ("OUR-1", "P", case.version)
    enhanced = code.startswith("C") and case.version != "2.1"
    assert (msh[15], msh[16]) == (("NE", "NE") if enhanced else ("", ""))


@given(cases())
def test_msa_says_what_and_up_to_2_6_why(case: Case) -> None:
    code, answer = case.answer()
    msa = fields(answer.segment("MSA"))
    assert msa[1:3] == [code, case.control_id]
    told = case.errors if case.number >= 2.5 else tuple(error for error in case.errors if error.severity == "E")
    if case.number >= 2.7:
        assert len(msa) == 3  # MSA-3 and MSA-6 are withdrawn
    elif told and told[0].app_code:
        assert told[0].app_code in msa[3]
    if case.number < 2.3 and told:
        ours = CODES.get(told[0].app_code)
        before = told[0].code if ours is None or ours.hl7_before_25 is None else ours.hl7_before_25
        assert msa[6].split("^") == [str(before), TABLE_0357[before], "HL70357"]
    else:
        assert len(msa) <= 4


@given(cases())
def test_err_has_the_form_of_its_version(case: Case) -> None:
    _, answer = case.answer()
    segments = [segment for segment in answer if str(segment[0]) == "ERR"]
    assert len(answer) == 2 + len(segments)
    if case.number < 2.3:
        assert segments == []
        return
    if case.number < 2.5:
        told = [error for error in case.errors if error.severity == "E"]  # a warning is in the audit alone
        repetitions = str(segments[0][1]).split("~") if segments else []
        assert len(repetitions) == len(told)
        assert len(segments) == (1 if told else 0)
        for text, error in zip(repetitions, told, strict=True):
            *where, coded = text.split("^")
            place = error.location
            assert where == ([place.segment, str(place.sequence), str(place.field or "")] if place else ["", "", ""])
            ours = CODES.get(error.app_code)
            before = error.code if ours is None or ours.hl7_before_25 is None else ours.hl7_before_25
            assert coded.split("&") == [str(before), TABLE_0357[before], "HL70357"]
        return
    assert len(segments) == len(case.errors)
    for segment, error in zip(segments, case.errors, strict=True):
        err = [*fields(segment), "", "", "", "", ""]
        place = error.location
        assert err[1] == ""  # withdrawn in 2.7, and for older receivers before
        numbers = [place.sequence, place.field, place.repetition, place.component] if place else []
        while numbers and not numbers[-1]:
            numbers.pop()
        assert err[2] == ("^".join([place.segment, *map(str, numbers)]) if place else "")
        assert err[3].split("^") == [str(error.code), TABLE_0357[error.code], "HL70357"]
        assert err[4] == error.severity
        assert err[5].split("^")[0::2] == ([error.app_code, "OPHL7"] if error.app_code else [""])
        plain = error.text.replace("\r", " ").replace("\n", " ").encode("ascii", "replace").decode()
        assert answer.unescape(err[8]).strip() == plain.strip()
