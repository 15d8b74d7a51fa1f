"""Our answers in every version that hl7apy knows, checked by its parser and validator: an opinion that is not ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from ophl7.hl7v2 import ack
from ophl7.hl7v2.ack import AckError, Location
from ophl7.hl7v2.codes import CODES
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.structures import VERSIONS

WHEN = datetime(2024, 7, 4, tzinfo=UTC)
PLACE = Location("PID", 1, 5, 2, 1)
ANSWERS: dict[str, tuple[ack.AckCode, tuple[AckError, ...]]] = {
    "taken": ("AA", ()),
    "taken with a warning": ("AA", (AckError(0, "W", None, "", "sent from the future"),)),
    "refused by its header": ("AR", (AckError(201, "E", Location("MSH", 1, 9, 0, 2), "", "no such event"),)),
    "refused twice": ("AE", (AckError(207, "E", PLACE, "P02", "not yours"), AckError(101, "E", None, "C01", "no amount"))),
    **{f"with {code.code}": (code.msa, (AckError(code.hl7, code.severity, PLACE, code.code),)) for code in CODES.values()},
}

# What hl7apy says against its own standard: before 2.3.1 a structure is not named in MSH-9 (the one below is for its parser),
# 2.1's times need no degree of precision, and table 0396 lists HL7nnnn and what else is agreed upon.
SLIPS = re.compile(r"MSH_9|TS_2|HL70396")


def faults(raw: bytes, version: str, folder: Path) -> list[str]:
    text = raw.decode()
    kind = "ACK^A08^ACK"
    if version < "2.4":
        text = re.sub(r"\|ACK(\^A08)?\|", f"|{kind}|", text, count=1)
    report = folder / "report"
    tree = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
    try:
        Validator.validate(tree, report_file=str(report))
    except HL7apyException:
        assert report.exists()
    return [line for line in report.read_text().splitlines() if line and not SLIPS.search(line)]


@pytest.mark.parametrize("family", ["A", "C"])
@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_conforms_to_the_version_of_the_sender(version: str, case: str, family: str, tmp_path: Path) -> None:
    code, errors = ANSWERS[case]
    raw = f"MSH|^~\\&|PM|F|E|H|20240101||ADT^A08|ID-1|P|{version}|||{'AL' if family == 'C' else ''}\r".encode()
    message = Message.parse(raw)
    said = ack.in_mode(code, "auto", message)
    assert said == family + code[1]
    found = faults(ack.build(message, said, "OUR-1", WHEN, UTC, errors=errors), version, tmp_path)
    # 2.1 ends with MSA-5, and knows no code of an error; decisions 10 puts it where 2.2 has it.
    one_field_more = version == "2.1" and any(error.severity == "E" for error in errors)
    assert found == (["Error: Invalid children detected for <Segment MSA>: [None]"] if one_field_more else [])


def test_the_check_would_see_a_fault(tmp_path: Path) -> None:
    message = Message.parse(b"MSH|^~\\&|PM|F|E|H|20240101||ADT^A08|ID-1|P|2.5\r")
    good = ack.build(message, "AA", "OUR-1", WHEN, UTC)
    assert faults(good, "2.5", tmp_path) == []
    assert faults(good.replace(b"MSA|AA", b"MSA|"), "2.5", tmp_path) != []
    assert faults(good.replace(b"MSA|AA", b"MSA|YES"), "2.5", tmp_path) != []
    assert faults(good + b"ERR|||207\r", "2.5", tmp_path) != []
