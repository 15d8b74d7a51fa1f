"""Codes that the two systems call differently: where they stand in a message, and the fields as the other system reads them.

Tables are a profile's (`CodeTable`); what a person has added to them stands in the database and goes over the profile's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from ophl7.domain.profile import CodeTable
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.paths import FieldPath, message_path

MAPPING = "mapping"
"""The kind of a hold that waits for a code: its key is `mapping:TABLE:CODE` (#46)."""


class CodePlace(NamedTuple):
    """One code in a message. segment: from 0, as in Segment.index; all others from 1."""

    segment: int
    field: int
    repetition: int
    component: int


def mapping_key(table: str, code: str) -> str:
    """The key of a hold that waits for this code."""
    return f"{MAPPING}:{table}:{code}"


def code_of_key(key: str) -> tuple[str, str] | None:
    """Table and code of such a key; None for another one. Names of tables hold no colon, codes may."""
    kind, _, rest = key.partition(":")
    table, found, code = rest.partition(":")
    return (table, code) if kind == MAPPING and found else None


@lru_cache(maxsize=1024)
def _place(path: str) -> tuple[str, int, int]:
    """Segment, field and component of a table's field: the first component where none is named."""
    found = message_path(path)
    return found.segment, found.inside.field, found.inside.component or 1


def table_of(tables: Mapping[str, CodeTable], path: str) -> str | None:
    """The name of the table that maps this place (`AIP-3.1`), None for none."""
    place = _place(path)
    return next((name for name, table in tables.items() if place in map(_place, table.fields)), None)


def codes_in(message: Message, tables: Mapping[str, CodeTable]) -> dict[tuple[str, str], list[CodePlace]]:
    """(table, code) -> every place where it stands, in the tables' order. Empty and deleted fields hold no code."""
    found: dict[tuple[str, str], list[CodePlace]] = {}
    for name, table in tables.items():
        for path in table.fields:
            segment_name, field, component = _place(path)
            for segment in message.all(segment_name):
                for repetition in range(1, len(segment.repetitions(field)) + 1):
                    code = segment.at(FieldPath(field, repetition, component, 1))
                    if isinstance(code, str) and code.strip():
                        found.setdefault((name, code.strip()), []).append(
                            CodePlace(segment.index, field, repetition, component)
                        )
    return found


def recoded(message: Message, codes: Iterable[tuple[CodePlace, str]]) -> dict[tuple[int, int], str]:
    """(segment, field) -> its text in the standard delimiters with these codes in their places; all else of it stays."""
    fields: dict[tuple[int, int], list[list[str]]] = {}
    for place, code in codes:
        where = (place.segment, place.field)
        if where not in fields:
            segment = message.at(place.segment)
            text = segment.canonical(place.field) if segment is not None else ""
            fields[where] = [one.split(STANDARD.component) for one in text.split(STANDARD.repetition)]
        components = fields[where][place.repetition - 1]
        _, mark, rest = components[place.component - 1].partition(STANDARD.subcomponent)
        components[place.component - 1] = escape(code, STANDARD) + mark + rest
    return {
        where: STANDARD.repetition.join(STANDARD.component.join(one) for one in repetitions)
        for where, repetitions in fields.items()
    }
