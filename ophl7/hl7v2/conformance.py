"""An opt-in check against the structures of the HL7 version, by hl7apy: about 20 ms a message, so never on the road of one."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ophl7.hl7v2.message import Message


@dataclass(frozen=True, slots=True)
class Finding:
    """where: an element of the standard (`ADT_A01.PV1`, `PID.PID_3`), "" for the message. problem: without any value."""

    where: str
    problem: str


_ELEMENT = r"[A-Z][A-Z0-9_]*(?:\.[A-Z][A-Z0-9_]*)*"
# hl7apy's sentences quote values; only these parts of them are taken over.
_SENTENCES = (
    (re.compile(rf"Missing required child ({_ELEMENT})"), "is required and missing"),
    (re.compile(rf"Child limit exceeded ({_ELEMENT})"), "occurs too often"),
    (re.compile(rf"Value .* not in table \S+ in element ({_ELEMENT})", re.DOTALL), "holds a code that is not in its table"),
    (re.compile(rf"Exceeded max length \(\d+\) of ({_ELEMENT})"), "is too long"),
    (re.compile(rf"Datatype \S+ is not correct for ({_ELEMENT})"), "has the wrong data type"),
    (re.compile(rf"Invalid children detected for <\w+ ({_ELEMENT})"), "holds elements that do not belong there"),
    (re.compile(r"Unknown element found: (None)\.<Message"), "names no message structure of its version"),
    (re.compile(rf"Unknown element found: .*<\w+ ({_ELEMENT})"), "is not known to the version"),
)
# HL7 v2.5.1, table 0354, for what passes between a PM and an EMR.
_STRUCTURES = {
    **{f"ADT^A{number:02}": "ADT_A01" for number in (1, 4, 8, 13)},
    **{f"ADT^A{number:02}": "ADT_A05" for number in (5, 14, 28, 31)},
    **{f"ADT^A{number:02}": "ADT_A06" for number in (6, 7)},
    **{f"ADT^A{number:02}": "ADT_A09" for number in (9, 10, 11)},
    **{f"ADT^A{number:02}": "ADT_A21" for number in (21, 22, 23, 25, 26, 27, 29, 32, 33)},
    **{f"ADT^A{number:02}": "ADT_A30" for number in (30, 34, 35, 36, 46, 47, 48, 49)},
    **{f"ADT^A{number:02}": "ADT_A39" for number in (39, 40, 41, 42)},
    **{f"ADT^A{number:02}": "ADT_A43" for number in (43, 44)},
    "ADT^A02": "ADT_A02",
    "ADT^A03": "ADT_A03",
    "ADT^A18": "ADT_A18",
    "ADT^A24": "ADT_A24",
    "ADT^A37": "ADT_A37",
    **{f"SIU^S{number:02}": "SIU_S12" for number in (*range(12, 25), 26)},
    "DFT^P03": "DFT_P03",
    "DFT^P11": "DFT_P11",
}


def check(raw: bytes, forced_encoding: str | None = None) -> list[Finding]:
    """What does not conform, in hl7apy's order; [] when all does. Raises Unreadable for what is no message.

    hl7apy's grouping of repeated segments (FT1, IN1) is not exact, so a finding is a hint for the sender's staff and never a
    reason to refuse.
    """
    message = Message.parse(raw, forced_encoding)
    from hl7apy.consts import VALIDATION_LEVEL  # noqa: PLC0415  # half a second of imports, for those who ask
    from hl7apy.exceptions import HL7apyException, ValidationError  # noqa: PLC0415
    from hl7apy.parser import parse_message  # noqa: PLC0415
    from hl7apy.validation import Validator  # noqa: PLC0415

    try:
        tree = parse_message(_with_structure(message), validation_level=VALIDATION_LEVEL.TOLERANT)
    except (HL7apyException, AttributeError, KeyError, IndexError, ValueError) as error:
        # hl7apy lets its own slips through on unusual input; the class says enough, its text may quote values.
        return [Finding("", f"cannot be read by the conformance check ({type(error).__name__})")]
    # It reports all findings to a file only. The folder is readable by nobody else and gone at once.
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        try:
            Validator.validate(tree, report_file=str(report))
        except ValidationError:
            pass  # the first of the findings that the report lists
        except (HL7apyException, AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
            return [Finding("", f"cannot be checked ({type(error).__name__})")]
        found = _findings(report.read_text(encoding="utf-8", errors="replace"))
    # 2.3 knows no MSH-9.3; the one that we supplied is not the sender's fault.
    return found if message.structure else [finding for finding in found if not finding.where.startswith("MSH_9")]


def _with_structure(message: Message) -> str:
    """The text, with MSH-9.3 supplied where the sender leaves it out: hl7apy finds the structure by it alone."""
    lines = list(message.lines)
    structure = _STRUCTURES.get(message.event)
    if structure and not message.structure and message.version not in {"2.1", "2.2"}:  # those go by the event
        marks = message.delimiters
        fields = lines[0].split(marks.field)
        fields[8] = marks.component.join([message.type, message.trigger, structure])
        lines[0] = marks.field.join(fields)
    return "\r".join(lines)


def _findings(report: str) -> list[Finding]:
    found: list[Finding] = []
    for entry in re.split(r"^(?:Error|Warning): ", report, flags=re.MULTILINE)[1:]:
        for sentence, problem in _SENTENCES:
            matched = sentence.match(entry)
            if matched:
                found.append(Finding("MSH-9" if matched[1] == "None" else matched[1], problem))
                break
        else:
            found.append(Finding("", "does not conform in a way that has no name here"))
    return list(dict.fromkeys(found))
