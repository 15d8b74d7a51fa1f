"""What stands in a cell, as HL7 writes it. Pure.

Every function takes the trimmed text of a cell that is not blank and raises ValueError with a sentence that says what to write
instead. The sentence never quotes the cell: it ends up in a report.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from ophl7 import units
from ophl7.domain.identifiers import Identifier

_TIME = r"(?:[ T]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?(?:[AaPp]\.?[Mm]\.?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ISO = re.compile(rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}}){_TIME}", re.ASCII)
_US = re.compile(rf"(?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})[-/](?P<year>\d{{4}}){_TIME}", re.ASCII)
_HL7 = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?:\d{4}(?:\d{2}(?:\.\d{1,4})?)?(?:[+-]\d{4})?)?", re.ASCII)
_SHORT_YEAR = re.compile(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}(?!\d).*", re.ASCII)

# HL7 table 0001. What a system calls neither male nor female is O; N and A are the table's own.
_SEXES: Final = {
    **dict.fromkeys(("m", "male", "boy", "man"), "M"),
    **dict.fromkeys(("f", "female", "girl", "woman"), "F"),
    **dict.fromkeys(("o", "other", "x", "nonbinary", "non-binary"), "O"),
    **dict.fromkeys(("u", "unk", "unknown", "undetermined"), "U"),
    "n": "N",
    "a": "A",
}
_YES, _NO = frozenset({"y", "yes", "true", "t", "1"}), frozenset({"n", "no", "false", "f", "0"})

_ROUNDED = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d+", re.ASCII)
EARLIEST_YEAR: Final = 1880


def day(text: str, today: date) -> str:
    """`2018-04-12`, `4/12/2018` (month first), `20180412`, each with or without a time behind it, as YYYYMMDD."""
    found = _ISO.fullmatch(text) or _US.fullmatch(text) or _HL7.fullmatch(text)
    if found is None:
        if _SHORT_YEAR.fullmatch(text):
            raise ValueError("has a year of two digits, which may be of either century; write 2018-04-12 or 4/12/2018")
        raise ValueError("is no date; write 2018-04-12, 4/12/2018 (month first) or 20180412")
    try:
        read = date(int(found["year"]), int(found["month"]), int(found["day"]))
    except ValueError:
        raise ValueError("is no day of the calendar; dates with slashes begin with the month") from None
    if read > today:
        raise ValueError("is in the future")
    if read.year < EARLIEST_YEAR:
        raise ValueError(f"is before {EARLIEST_YEAR}")
    return f"{read:%Y%m%d}"


def sex(text: str) -> str:
    """M, F, O, U, A, N or a word for it, in any case."""
    found = _SEXES.get(text.casefold())
    if found is None:
        raise ValueError("is not M, F, O or U, nor male, female, other or unknown")
    return found


def yes_no(text: str) -> str:
    """Y or N (HL7 table 0136)."""
    if text.casefold() in _YES:
        return "Y"
    if text.casefold() in _NO:
        return "N"
    raise ValueError("is neither yes nor no")


def own_id(text: str, authority: str, known: frozenset[str]) -> Identifier:
    """An id of the authority's own; `AUTHORITY:id` where that authority is one of the `known`."""
    said, colon, value = text.partition(":")
    if colon and said.strip() in known:
        return Identifier(said.strip(), checked(value.strip()), "MR")
    return Identifier(authority, checked(text), "MR")


def other_ids(text: str) -> list[Identifier]:
    """`AUTHORITY:id`, several of them between semicolons."""
    found: list[Identifier] = []
    for item in filter(None, (part.strip() for part in text.split(";"))):
        said, colon, value = item.partition(":")
        if not colon or not value.strip():
            raise ValueError("is not AUTHORITY:id; write for example EMR:E-50, several between semicolons")
        found.append(Identifier(authority(said.strip()), checked(value.strip()), "MR"))
    return found


def authority(text: str) -> str:
    """An assigning authority."""
    return units.namespace(text)


def checked(value: str) -> str:
    """An id that can be one."""
    if not value or value == '""':
        raise ValueError("names no id behind its colon")
    if _ROUNDED.fullmatch(value):
        raise ValueError("was rounded by a spreadsheet (1.23E+05); format the column as text and export again")
    return value
