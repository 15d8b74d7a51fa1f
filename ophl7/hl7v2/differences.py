"""What was changed in a copy of a message, field by field. Pure."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

from ophl7.hl7v2.charset import readable
from ophl7.hl7v2.message import Message

_CONTROL_ID = ("MSH", 10)


class Difference(NamedTuple):
    """One field, or a whole segment where field is 0. before, after: as they stand in the bytes; "" where nothing does.

    number: which segment of its name, from 1.
    """

    segment: str
    number: int
    field: int
    before: str
    after: str

    @property
    def path(self) -> str:
        """`PID-11`, `IN1[2]`."""
        place = self.segment if self.number == 1 else f"{self.segment}[{self.number}]"
        return f"{place}-{self.field}" if self.field else place


def differences(before: bytes, after: bytes, encoding: str | None = None) -> list[Difference]:
    """Everything but MSH-10 that differs, in message order. Raises Unreadable."""
    one, two = (Message.parse_lenient(raw, encoding) for raw in (before, after))
    found: list[Difference] = []
    for kind, first, last, begin, end in SequenceMatcher(None, one.lines, two.lines, autojunk=False).get_opcodes():
        if kind != "equal":
            for old, new in _paired(range(first, last), range(begin, end), one, two):
                found += _in_segment(one, two, old, new)
    return found


def _paired(old: range, new: range, one: Message, two: Message) -> list[tuple[int | None, int | None]]:
    """The segments of a stretch side by side, as far as they have the same name."""
    pairs = [(left, right) for left, right in zip_longest(old, new)]
    found: list[tuple[int | None, int | None]] = []
    for left, right in pairs:
        if left is not None and right is not None and one.lines[left][:3] != two.lines[right][:3]:
            found += [(left, None), (None, right)]
        else:
            found.append((left, right))
    return found


def _in_segment(one: Message, two: Message, old: int | None, new: int | None) -> list[Difference]:
    left = one.at(old) if old is not None else None
    right = two.at(new) if new is not None else None
    if left is None or right is None:
        place = _place(one, old) if old is not None else _place(two, new or 0)
        return [Difference(*place, 0, _text(left.raw if left else ""), _text(right.raw if right else ""))]
    name, number = _place(two, new or 0)
    found: list[Difference] = []
    for field in range(1, max(len(left), len(right)) + 1):
        before, after = left.field(field), right.field(field)
        if before != after and (name, field) != _CONTROL_ID:
            found.append(Difference(name, number, field, _text(before), _text(after)))
    return found


def _place(message: Message, index: int) -> tuple[str, int]:
    name = message.lines[index][:3]
    return name, sum(line[:3] == name for line in message.lines[: index + 1])


def _text(raw: str) -> str:
    return readable(raw)
