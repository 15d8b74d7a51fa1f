"""One segment, split when somebody looks."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Literal

from ophl7.hl7v2.charset import readable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters
from ophl7.hl7v2.escapes import transcode, unescape
from ophl7.hl7v2.paths import FieldPath, field_path

if TYPE_CHECKING:
    from ophl7.hl7v2.message import Message


class Null(Enum):
    """The delete indicator: a field of exactly two double quotes (HL7 v2.5.1, 2.5.3.2)."""

    NULL = '""'


NULL = Null.NULL
Value = str | Literal[Null.NULL] | None
"""A value, the delete indicator, or None: empty or not there. Empty says nothing, it never deletes (decisions P5)."""

_QUOTES = '""'
_STRUCTURED = re.compile(r'[\\^~&"]')  # without any of these a field in the standard delimiters is its own first leaf
_SECURITY = 8  # MSH-8 may hold a password; it is forwarded, never shown (contract 7)


class Segment:
    """One line of a message, never changed.

    name; index: position in the message, from 0; raw: its text as sent, without terminator and without MSH-8. Where the
    message is damaged, raw texts hold lone surrogates (charset.readable makes them storable); values never do.
    """

    __slots__ = ("_fields", "_marks", "index", "message", "name", "raw")

    def __init__(self, message: Message, index: int, raw: str) -> None:
        self.message = message
        self.index = index
        self.raw = raw
        self._marks = marks = message.delimiters
        self._fields = fields = raw.split(marks.field)
        self.name = fields[0]
        if fields[0] == "MSH":
            fields.insert(1, marks.field)  # MSH-1 is the separator itself
            if len(fields) > _SECURITY and fields[_SECURITY]:
                fields[_SECURITY] = ""
                self.raw = marks.field.join([fields[0], *fields[2:]])

    def __repr__(self) -> str:
        return f"<Segment {self.name if self.name.isalnum() else '?'} {self.index}>"

    def __len__(self) -> int:
        """The number of the last field that is there, empty or not."""
        return len(self._fields) - 1

    def __bool__(self) -> bool:
        """True: a segment without fields is there all the same."""
        return True

    def field(self, number: int) -> str:
        """The raw text of field `number` with all its repetitions; "" when absent. MSH-8 is never shown."""
        fields = self._fields
        return fields[number] if 0 < number < len(fields) else ""

    def canonical(self, number: int) -> str:
        """Field `number` rewritten in the standard delimiters; the same object where the message uses them already."""
        text = self.field(number)
        if not text or self._marks is STANDARD:
            return text
        if self.name == "MSH" and number <= 2:
            return STANDARD.field if number == 1 else STANDARD.encoding_characters
        return transcode(text, self._marks, STANDARD)

    @property
    def canonical_fields(self) -> list[str]:
        """Every field from 1 on in the standard delimiters, at the cost of a slice where the message uses them already."""
        if self._marks is STANDARD and self.name != "MSH":
            return self._fields[1:]
        return [self.canonical(number) for number in range(1, len(self._fields))]

    @property
    def canonical_line(self) -> str:
        """The whole segment in the standard delimiters."""
        if self.name != "MSH":
            return transcode(self.raw, self._marks, STANDARD)
        rest = [self.canonical(number) for number in range(3, len(self._fields))]
        return STANDARD.field.join([self.name, STANDARD.encoding_characters, *rest])

    def repetitions(self, number: int) -> list[str]:
        """The raw repetitions of field `number`; [] when absent."""
        text = self.field(number)
        if not text:
            return []
        mark = self._marks.repetition
        return text.split(mark) if mark and not (self.name == "MSH" and number <= 2) else [text]

    def components(self, text: str) -> list[str]:
        """The raw components of a repetition."""
        mark = self._marks.component
        return text.split(mark) if mark else [text]

    def subcomponents(self, text: str) -> list[str]:
        """The raw subcomponents of a component."""
        mark = self._marks.subcomponent
        return text.split(mark) if mark else [text]

    def value(self, path: str) -> Value:
        """What stands at `path`, e.g. `5.1`, `3[2].4.1`; without a repetition the first.

        A leaf is its unescaped text; a node with children its raw text. The delete indicator counts for all that it
        covers: `""` in PID-5 deletes PID-5.1 too. Raises AuthorError for a path that is none.
        """
        return self.at(field_path(path))

    def text(self, path: str) -> str:
        """As `value`, with "" for the delete indicator and for what is absent."""
        found = self.at(field_path(path))
        return found if isinstance(found, str) else ""

    def lead(self, number: int) -> str:
        """The first leaf of field `number`, as `text("N.1.1")` reads it: what most fields are read for, and cheaper."""
        fields = self._fields
        if number >= len(fields):
            return ""
        text = fields[number]
        if not text or (self._marks is STANDARD and not self.message.damaged and not _STRUCTURED.search(text)):
            return text
        found = self.at(FieldPath(number, 1, 1, 1))
        return found if isinstance(found, str) else ""

    def at(self, path: FieldPath) -> Value:
        """As `value`, for a path that is parsed already."""
        number, repetition, component, subcomponent = path
        fields = self._fields
        if number >= len(fields):
            return None
        text = fields[number]
        if not text:
            return None
        marks = self._marks
        if number <= 2 and self.name == "MSH":  # the delimiters themselves have no structure
            if repetition > 1 or component > 1 or subcomponent > 1:
                return None
            return readable(text) if self.message.damaged else text
        if text != _QUOTES:
            if repetition > 1 or marks.repetition in text:
                text = _part(text, marks.repetition, repetition)
            if component and text != _QUOTES:
                text = _part(text, marks.component, component)
                if subcomponent and text != _QUOTES:
                    text = _part(text, marks.subcomponent, subcomponent)
        if not text:
            return None
        if text == _QUOTES:
            return NULL
        if marks.escape in text and not _has_children(text, marks):
            text = unescape(text, marks)
        return readable(text) if self.message.damaged else text


def _part(text: str, mark: str, number: int) -> str:
    """Part `number` (from 1) of `text`; what has no parts is its own first."""
    if mark and mark in text:
        parts = text.split(mark)
        return parts[number - 1] if number <= len(parts) else ""
    return text if number == 1 else ""


def _has_children(text: str, marks: Delimiters) -> bool:
    return marks.component in text or bool(marks.subcomponent and marks.subcomponent in text)
