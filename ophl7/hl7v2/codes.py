"""Our application codes (decisions 10) and the words of HL7 table 0357."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Severity = Literal["E", "W", "I", "F"]


@dataclass(frozen=True, slots=True)
class Code:
    """code: ERR-5 from 2.5 on. msa: MSA-1. hl7: ERR-3, the first of `choices` unless the case names another.

    hl7_before_25: the code of ERR-1 before 2.5; None = the same; a warning is not written there at all.
    """

    code: str
    msa: Literal["AA", "AE", "AR"]
    hl7: int
    hl7_before_25: int | None
    severity: Severity
    meaning: str
    choices: tuple[int, ...] = ()


_ROWS = (
    Code("P01", "AE", 207, 204, "E", "patient may not be created from this side"),
    Code("P02", "AE", 207, 207, "E", "field not owned by the sender"),
    Code("P03", "AE", 207, 207, "E", "patient may not be deleted from this side"),
    Code("S01", "AE", 207, 207, "E", "schedule may not be changed from this side"),
    Code("S02", "AE", 207, 207, "E", "status write-back is not enabled"),
    Code("C01", "AE", 101, None, "E", "charge incomplete", (100, 101, 102)),
    Code("C02", "AR", 200, None, "E", "no charges from this side", (200, 201)),
    Code("C03", "AR", 200, None, "E", "claims and superbills are not accepted", (200, 201)),
    Code("M01", "AE", 205, None, "E", "merge source is the merge target"),
    Code("M02", "AE", 101, None, "E", "merge ids missing"),
    Code("W01", "AA", 0, None, "W", "fields not taken"),
    Code("W02", "AA", 0, None, "W", "redirected to the surviving record"),
    Code("W03", "AA", 0, None, "W", "unknown status code"),
    Code("W04", "AA", 0, None, "W", "control id reused"),
)

CODES: Mapping[str, Code] = MappingProxyType({row.code: row for row in _ROWS})

TABLE_0357: Mapping[int, str] = MappingProxyType(
    {
        0: "Message accepted",
        100: "Segment sequence error",
        101: "Required field missing",
        102: "Data type error",
        103: "Table value not found",
        104: "Value too long",
        198: "Non-conformant cardinality",
        199: "Other HL7 error",
        200: "Unsupported message type",
        201: "Unsupported event code",
        202: "Unsupported processing id",
        203: "Unsupported version id",
        204: "Unknown key identifier",
        205: "Duplicate key identifier",
        206: "Application record locked",
        207: "Application error",
    }
)
