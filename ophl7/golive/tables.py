"""A table as practices export it (CSV, RFC 4180 and its cousins): lines in, rows of cells out. Pure.

A row that is damaged costs that row: a quotation mark that nobody closes would swallow the rest of the file, so what does not
become a whole row within a few lines is one wrong line, and reading goes on behind it.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ophl7.golive.records import Fault, Line

DELIMITERS: Final = (",", ";", "\t")

# An address may have a line break of its own, and another; what runs on for longer is a quotation mark that was not closed.
MOST_LINES: Final = 10
LONGEST_LINE: Final = 256 * 1024

_SEPARATOR_LINE = re.compile(r"sep=(.)[\r\n]*", re.IGNORECASE)  # what Excel reads and writes in front of the header
_DAMAGED = "the row is damaged: a quotation mark is not closed or stands inside a cell, or a line break stands outside of them"
_UNREADABLE = "it holds bytes that are neither UTF-8 nor Windows-1252"


class Row(NamedTuple):
    """One row: its first and last physical line, the file's offset behind it, its cells as written, trimmed.

    fault: why it is none; its cells are empty then.
    """

    line: int
    last: int
    end: int
    cells: tuple[str, ...]
    fault: Fault | None = None


def line_end(head: bytes) -> bytes:
    """The byte behind each line: LF, also where CR stands before it; CR only where there is no LF at all."""
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"


def named_delimiter(first: str) -> str | None:
    """The delimiter that a first line `sep=;` names; None for any other line."""
    found = _SEPARATOR_LINE.fullmatch(first)
    return found[1] if found is not None and found[1] in DELIMITERS else None


def split_row(text: str, delimiter: str) -> tuple[str, ...]:
    """The cells of one row. Raises csv.Error when it is damaged, or not whole yet."""
    found = csv.reader([text], delimiter=delimiter, skipinitialspace=True, strict=True)
    return tuple(cell.strip() for row in found for cell in row)


def decode(body: bytes) -> str | None:
    """A line's text: UTF-8 strictly, else Windows-1252 (as on a line, decisions 7); None when it is neither."""
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class Shape:
    """How the rows of a table look. width: cells of a row; breakable: those (from 0) in which a line break is data."""

    delimiter: str
    width: int
    breakable: frozenset[int] = frozenset()


def rows(physical: Iterable[Line], line: int, shape: Shape) -> Iterator[Row]:
    """The rows of a table, blank ones left out. line: lines before the first one given."""
    source = _Lines(physical, line)
    while (first := source.take()) is not None:
        yield from _row(source, first, shape)


class _Lines:
    """Physical lines, numbered, some of which may be given back."""

    def __init__(self, physical: Iterable[Line], number: int) -> None:
        self._physical = iter(physical)
        self._back: deque[tuple[int, Line]] = deque()
        self._number = number

    def take(self) -> tuple[int, Line] | None:
        if self._back:
            return self._back.popleft()
        found = next(self._physical, None)
        if found is None:
            return None
        self._number += 1
        return self._number, found

    def give_back(self, taken: list[tuple[int, Line]]) -> None:
        self._back.extendleft(reversed(taken))


def _row(source: _Lines, first: tuple[int, Line], shape: Shape) -> Iterator[Row]:
    """The row that begins with `first`; none for a blank one."""
    number, line = first
    taken, text = [first], decode(line.body)
    if line.cut or text is None:
        yield _wrong(first, "the line is too long for a row" if line.cut else _UNREADABLE)
        return
    while True:
        try:
            cells = split_row(text, shape.delimiter)
        except csv.Error as error:
            more = source.take() if len(taken) < MOST_LINES and _is_open(error) else None
            further = None if more is None or more[1].cut else decode(more[1].body)
            if more is not None:
                taken.append(more)
            if further is not None:
                text += further
                continue
            reason = _DAMAGED
            break
        reason = _fault(cells, shape)
        if not reason:
            if any(cells):
                last, end = taken[-1][0], taken[-1][1].end
                yield Row(number, last, end, cells[: shape.width])
            return
        break
    source.give_back(taken[1:])  # it is this line that is wrong: those behind it are rows of their own
    yield _wrong(first, reason)


def _wrong(first: tuple[int, Line], reason: str) -> Row:
    number, line = first
    return Row(number, number, line.end, (), Fault("go-live", reason))


def _is_open(error: csv.Error) -> bool:
    """Whether the text ended inside a quoted cell."""
    return str(error) == "unexpected end of data"


def _fault(cells: tuple[str, ...], shape: Shape) -> str:
    """What is wrong with whole cells, "" when nothing is. Blank rows are no rows.

    A cell too many or too few means that the others may stand in the wrong columns. A line break or half a pair of quotation
    marks in a name or an id comes from a mark that another row closes: two patients would become one.
    """
    if not any(cells):
        return ""
    if len(cells) < shape.width or any(cells[shape.width :]):
        return f"the row has {len(cells)} cells, the header has {shape.width}"
    exact = (cell for place, cell in enumerate(cells) if place not in shape.breakable)
    return _DAMAGED if any(len(cell.splitlines()) > 1 or cell.count('"') % 2 for cell in exact) else ""
