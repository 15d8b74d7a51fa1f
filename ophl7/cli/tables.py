"""Lists for people: a table that fits the terminal, what came over a wire made fit to be shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from ophl7.cli.text import visible

WIDTH = 100  # characters, where the terminal is not wider
_GAP = "  "
_NARROWEST = 8
_READABLE = 24  # where words are wrapped
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Column:
    """cell: the text of an item. Where the table gets too wide: cut: it may be cut; wraps: it goes on in the next line.

    right: numbers. Only the last column may wrap.
    """

    title: str
    cell: Callable[[dict[str, Any]], object]
    cut: bool = False
    wraps: bool = False
    right: bool = False


def table(columns: Sequence[Column], items: Iterable[dict[str, Any]], width: int | None = None) -> list[str]:
    """The lines, headings first. width: None = that of the terminal, at least 100."""
    rows = [[_text(column.cell(item)) for column in columns] for item in items]
    widths = _fitted(columns, rows, width or max(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns))
    found: list[str] = []
    for row in [[column.title for column in columns], *rows]:
        *cells, last = row
        *sizes, size = widths
        begin = "".join(
            (_cut(cell, to).rjust(to) if column.right else _cut(cell, to).ljust(to)) + _GAP
            for column, cell, to in zip(columns, cells, sizes, strict=False)
        )
        pieces = wrap(last, size) if columns[-1].wraps else [_cut(last, size).rjust(size if columns[-1].right else 0)]
        found += [(begin if number == 0 else " " * len(begin)) + piece for number, piece in enumerate(pieces)]
    return [line.rstrip() for line in found]


def at(text: str | None) -> str:
    """A time of the API, which is in the practice's zone: `2026-11-23 08:30:00`."""
    return text[:19].replace("T", " ") if text else ""


def joined(texts: Iterable[str]) -> str:
    """Several codes in one cell."""
    return " ".join(texts)


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Each column as wide as it needs; the others give way, the widest first."""
    widths = [max([len(column.title), *(len(row[at]) for row in rows)]) for at, column in enumerate(columns)]
    excess = sum(widths) + len(_GAP) * (len(columns) - 1) - width
    while excess > 0:
        yielding = [at for at, column in enumerate(columns) if widths[at] > _narrowest(column)]
        if not yielding:
            return widths  # rather too wide than without what somebody needs to copy
        widest = max(yielding, key=lambda at: widths[at])
        widths[widest] -= 1
        excess -= 1
    return widths


def _narrowest(column: Column) -> int:
    """How far it may give way."""
    if column.wraps:
        return _READABLE
    return max(_NARROWEST, len(column.title)) if column.cut else _LONGEST


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def _text(value: object) -> str:
    return "-" if value is None or value == "" else visible(str(value))
