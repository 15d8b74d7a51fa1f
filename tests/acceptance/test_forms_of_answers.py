"""Every code of decisions 10, from socket to socket, in the form of five versions; read by python-hl7 and hl7apy, not by us."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hl7
import pytest
from hl7apy.parser import parse_message

from tests.acceptance.messages import OSCAR, RUTH, VISIT, Fee, Side, adt, dft, merged, message, pid, siu
from tests.acceptance.practice import PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(30)

VERSIONS = ("2.2", "2.3.1", "2.4", "2.5.1", "2.8")

STRANGER = replace(RUTH, id="7099")
MOVED = replace(RUTH, street="9 NEW RD")


@dataclass(frozen=True, slots=True)
class Case:
    """One code. number: ERR-3 from 2.5 on; before: the number of older versions. place: ERR-2 or the head of ERR-1."""

    side: Side
    sent: Callable[[str], bytes]
    answer: str
    number: int
    before: int
    place: str = ""
    settings: tuple[tuple[str, str], ...] = ()


def charge(version: str, *fees: Fee) -> bytes:
    return dft("X", fees, version=version)


CASES = {
    "P01": Case("emr", lambda version: adt("X", "A28", STRANGER, sender="emr", version=version), "AE", 207, 204),
    "P02": Case(
        "emr", lambda version: adt("X", "A08", MOVED, sender="emr", version=version), "AE", 207, 207,
        "PID^1^11", settings=(("FOREIGN_FIELDS", "reject"),),
    ),
    "P03": Case("emr", lambda version: adt("X", "A29", sender="emr", version=version), "AE", 207, 207),
    "S01": Case("emr", lambda version: siu("X", "S15", sender="emr", version=version), "AE", 207, 207),
    "S02": Case(
        "emr", lambda version: siu("X", "S14", replace(VISIT, status="Roomed"), sender="emr", version=version), "AE", 207, 207
    ),
    "C01": Case("emr", lambda version: charge(version, Fee(amount="abc")), "AE", 102, 102, "FT1^1^11"),
    "C02": Case("pm", lambda version: dft("X", sender="pm", version=version), "AR", 200, 200, "MSH^1^9"),
    "C03": Case(
        "pm", lambda version: message("BAR^P01", "X", pid(RUTH), sender="pm", version=version), "AR", 201, 201, "MSH^1^9"
    ),
    "M01": Case("pm", lambda version: merged("X", (RUTH, RUTH), version=version), "AE", 205, 205, "MRG^1^1"),
    "M02": Case(
        "pm", lambda version: message("ADT^A40", "X", "EVN|A40", pid(RUTH), "MRG|", sender="pm", version=version),
        "AE", 101, 101, "MRG^1^1",
    ),
}  # fmt: skip

WARNINGS: dict[str, tuple[Side, Callable[[str], bytes]]] = {
    "W01": ("emr", lambda version: adt("X", "A08", MOVED, sender="emr", version=version)),
    "W02": ("emr", lambda version: dft("X", [Fee("T-9")], OSCAR, version=version)),
    "W03": ("pm", lambda version: siu("X", "S14", replace(VISIT, status="Teleported"), version=version)),
    "W04": ("pm", lambda version: siu("R1", "S12", replace(VISIT, filler="S-200"), version=version)),
}


async def practised(opened: Opening, *settings: tuple[str, str]) -> Practice:
    """Two children, an appointment, and a merge of Oscar's chart in the PM."""
    practice = await opened(PM_OWNS, **dict(settings))
    await practice.accepted("pm", adt("R1", "A28"), adt("R2", "A28", OSCAR), siu("B1", "S12"), merged("M1", (OSCAR, RUTH)))
    return practice


async def answered(practice: Practice, side: Side, sent: bytes) -> str:
    return (await (await practice.line(side)).send(sent)).decode()


def fields(answer: hl7.Message, name: str) -> list[list[str]]:
    """The segments of that name, their fields as python-hl7 writes them, from number 1 on."""
    return [[str(field) for field in line][1:] for line in answer if str(line[0]) == name]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ours", CASES)
async def test_a_refusal_says_its_code_in_the_form_of_the_version(opened: Opening, ours: str, version: str) -> None:
    case = CASES[ours]
    practice = await practised(opened, *case.settings)
    text = await answered(practice, case.side, case.sent(version))
    answer = hl7.parse(text)
    (msa,) = fields(answer, "MSA")
    assert msa[:2] == [case.answer, "X"]
    said = msa[2] if len(msa) > 2 else ""
    errors = fields(answer, "ERR")
    if version >= "2.7":
        assert said == ""  # MSA-3 was withdrawn; ERR-8 has the words
        assert errors[0][7]
    else:
        assert said.startswith(f"{ours} "), "whoever shows MSA-3 alone shows the code"
        assert len(said) <= 80
    if version < "2.3":
        assert errors == []
        assert msa[3:5] == ["", ""]
        assert msa[5].split("^")[0::2] == [str(case.before), "HL70357"]
    elif version < "2.5":
        ((condition,),) = errors
        *place, coded = condition.split("^")
        number, words, table = coded.split("&")
        assert (number, table) == (str(case.before), "HL70357")
        assert words
        assert "^".join(place).rstrip("^") == case.place
        assert len(place) == 3
    else:
        (err,) = errors
        assert err[0] == ""
        assert err[1] == case.place
        assert err[2].split("^")[0::2] == [str(case.number), "HL70357"]
        assert err[3] == "E"
        assert err[4].split("^")[0::2] == [ours, "OPHL7"]
    for word in ("ADAMSKI", "BERGER", "7050", "7051", "7099", "ELM", "NEW RD"):
        assert word not in text
    assert_hl7apy_reads(text, case, ours, version)


def assert_hl7apy_reads(text: str, case: Case, ours: str, version: str) -> None:
    """A second opinion on the same answer."""
    read: Any = parse_message(for_hl7apy(text, version))
    assert (read.msa.msa_1.value, read.msa.msa_2.value) == (case.answer, "X")
    if version < "2.3":
        assert read.msa.msa_6.value.split("^")[0] == str(case.before)
    elif version < "2.5":
        assert read.err.err_1.err_1_4.value.split("&")[0] == str(case.before)
    else:
        assert read.err.err_3.err_3_1.value == str(case.number)
        assert read.err.err_4.value == "E"
        assert (read.err.err_5.err_5_1.value, read.err.err_5.err_5_3.value) == (ours, "OPHL7")


def for_hl7apy(text: str, version: str) -> str:
    """Before 2.4 it wants the structure in MSH-9 all the same, to know how to read on."""
    if version >= "2.4":
        return text
    header, end, rest = text.partition("\r")
    parts = header.split("|")
    parts[8] = "ACK^A08^ACK"
    return "|".join(parts) + end + rest


@pytest.mark.parametrize("version", VERSIONS)
async def test_several_faults_are_repetitions_of_one_err_before_2_5_and_segments_from_then_on(
    opened: Opening, version: str
) -> None:
    practice = await practised(opened)
    sent = charge(version, Fee("T-1", amount="abc"), Fee("T-2"), Fee("T-3", date="nonsense"))
    answer = hl7.parse(await answered(practice, "emr", sent))
    (msa,) = fields(answer, "MSA")
    assert msa[0] == "AE"
    errors = fields(answer, "ERR")
    if version < "2.3":
        assert errors == []
        assert msa[5].startswith("102^")
    elif version < "2.5":
        ((condition,),) = errors
        assert [one.split("^")[:3] for one in condition.split("~")] == [["FT1", "1", "11"], ["FT1", "3", "4"]]
        assert [one.split("^")[3].split("&")[0] for one in condition.split("~")] == ["102", "102"]
    else:
        assert [err[1] for err in errors] == ["FT1^1^11", "FT1^3^4"]
        assert [err[4].split("^")[0] for err in errors] == ["C01", "C01"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ours", WARNINGS)
async def test_a_warning_is_in_the_audit_and_from_2_5_on_in_the_answer_too(opened: Opening, ours: str, version: str) -> None:
    side, sent = WARNINGS[ours]
    practice = await practised(opened)
    answer = hl7.parse(await answered(practice, side, sent(version)))
    (msa,) = fields(answer, "MSA")
    control_id = "R1" if ours == "W04" else "X"
    assert msa[:2] == ["AA", control_id]
    errors = fields(answer, "ERR")
    if version < "2.5":
        assert errors == []
        assert not "".join(msa[2:]), "a warning beside an acceptance would read as a fault"
    else:
        assert [err[2].split("^")[0::2] for err in errors] == [["0", "HL70357"]]
        assert errors[0][3] == "W"
        assert errors[0][4].split("^")[0::2] == [ours, "OPHL7"]
    assert f'"{ours}"' in practice.journal(control_id)["detail"]
