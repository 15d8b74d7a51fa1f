"""One row of a table as the HL7 message that its system would have sent: an ADT^A31, judged like any other. Pure.

An update (A31) and not a registration: the rules then create a patient only from a row that has key id, name, birth date and
sex (#3). Without MSH-7 and EVN-2: a table does not say when it was true, so it is neither older nor newer than what was sent
(#87, #88).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Side
from ophl7.golive import values
from ophl7.golive.columns import Header
from ophl7.hl7v2.charset import UTF8_BOM
from ophl7.hl7v2.escapes import escape

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_DELETE: Final = '""'


@dataclass(frozen=True, slots=True)
class Setup:
    """What a row alone does not say. authorities: of both sides; processing_id: an MSH-11 that the practice takes."""

    peer: Side
    authorities: dict[Side, str]
    processing_id: str
    today: date


class WrongRow(Exception):
    """A row that cannot become a message; the text says which column and what to write instead, never what is in it."""


def message_of(cells: Sequence[str], header: Header, place: int, setup: Setup) -> bytes:
    """The ADT^A31 of one row, in UTF-8. place: its line in the file. Raises WrongRow."""
    row = _Row(cells, header)
    pid = {
        3: "~".join(_cx(one) for one in _identifiers(row, setup)),
        5: _joined(
            "^", row.text("last_name"), row.text("first_name"), row.text("middle_name"), row.text("suffix"), row.text("prefix")
        ),
        6: row.text("mother_maiden_name"),
        7: row.read("birth_date", lambda cell: values.day(cell, setup.today)),
        8: row.read("sex", values.sex),
        10: row.text("race"),
        11: _joined("^", *(row.text(name) for name in ("street", "street2", "city", "state", "zip", "country"))),
        13: _joined(
            "~", _phone(row.text("phone"), "^PRN^PH"), _phone(row.text("mobile"), "^PRN^CP"), _email(row.text("email"))
        ),
        14: _phone(row.text("work_phone"), "^WPN^PH"),
        15: row.text("language"),
        18: row.text("account"),
        19: row.text("ssn"),
        22: row.text("ethnicity"),
        29: row.read("death_date", lambda cell: values.day(cell, setup.today)),
        30: row.read("deceased", values.yes_no),
    }
    segments = (
        f"MSH|^~\\&|LIST|{setup.peer.upper()}|||||ADT^A31^ADT_A05|LINE{place}|{setup.processing_id}|2.5.1||||||UNICODE UTF-8",
        "EVN|A31",
        "PID|" + "|".join(pid.get(number, "") for number in range(1, max(pid) + 1)).rstrip("|"),
    )
    text = "\r".join(segments) + "\r"
    # A byte order mark decides over OPHL7_<PEER>_ENCODING, which is about that system's own messages.
    return text.encode() if text.isascii() else UTF8_BOM + text.encode()


class _Row:
    """The cells of a row by column."""

    def __init__(self, cells: Sequence[str], header: Header) -> None:
        self._cells = cells
        self._places = header.places

    def raw(self, column: str) -> str:
        """The cell as it was written, on one line; "" where there is none. Raises WrongRow for what no message may carry."""
        place = self._places.get(column)
        cell = self._cells[place] if place is not None else ""
        if not cell:
            return ""
        if cell == _DELETE:
            raise WrongRow(f"{column} holds two quotation marks; a list cannot delete a value, leave the cell empty")
        if _CONTROL.search(cell):
            raise WrongRow(f"{column} holds a character that was damaged on its way; export the list as UTF-8")
        return " ".join(cell.split())  # a line break in an address, blanks between names

    def text(self, column: str) -> str:
        """The cell as data of a message."""
        return escape(self.raw(column))

    def read(self, column: str, reader: Callable[[str], str]) -> str:
        """The cell as `reader` understands it."""
        cell = self.raw(column)
        try:
            return reader(cell) if cell else ""
        except ValueError as error:
            raise WrongRow(f"{column} {error}") from None


def _identifiers(row: _Row, setup: Setup) -> list[Identifier]:
    """The patient's own id first: it is the one that names him."""
    known = frozenset(setup.authorities.values())
    found: list[Identifier] = []

    def read(column: str, reader: Callable[[str], list[Identifier]]) -> None:
        cell = row.raw(column)
        try:
            found.extend(reader(cell) if cell else ())
        except ValueError as error:
            raise WrongRow(f"{column} {error}") from None

    authority = row.read("authority", values.authority) or setup.authorities[setup.peer]
    read("id", lambda cell: [values.own_id(cell, authority, known)])
    if not found:
        raise WrongRow("id is empty")
    read("pm_id", lambda cell: [values.own_id(cell, setup.authorities["pm"], known)])
    read("emr_id", lambda cell: [values.own_id(cell, setup.authorities["emr"], known)])
    read("other_id", values.other_ids)
    return list(dict.fromkeys(found))


def _cx(identifier: Identifier) -> str:
    return f"{escape(identifier.value)}^^^{escape(identifier.authority)}^{identifier.type}"


def _joined(mark: str, *parts: str) -> str:
    """The parts with `mark` between them, without a tail of marks; between repetitions empty ones are left out."""
    return mark.join(part for part in parts if part) if mark == "~" else mark.join(parts).rstrip(mark)


def _phone(number: str, use: str) -> str:
    return f"{number}{use}" if number else ""


def _email(address: str) -> str:
    return f"^NET^Internet^{address}" if address else ""
