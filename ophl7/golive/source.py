"""One list as it lies there: a file that can be read twice and taken up in the middle, or a stream that cannot."""

from __future__ import annotations

import csv
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from ophl7.domain.patient import Side
from ophl7.errors import ListUnusable
from ophl7.golive.columns import BREAKABLE, Header, read_header, recognised
from ophl7.golive.messages import holds_messages, messages, segment_end
from ophl7.golive.records import Fault, Record, lines
from ophl7.golive.rows import Setup, WrongRow, message_of
from ophl7.golive.tables import DELIMITERS, LONGEST_LINE, Shape, decode, line_end, named_delimiter, rows, split_row

STANDARD_INPUT: Final = "-"

_CHUNK: Final = 256 * 1024
_HEAD: Final = 64 * 1024  # what is looked at to tell what a file is
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Source:
    """A list that was looked at. name: for people. size in bytes and digest: None and "" for a stream.

    places: what the place of a record counts. unknown: columns that are left out.
    """

    name: str
    size: int | None
    digest: str
    places: str
    unknown: tuple[str, ...]
    _file: BinaryIO
    _head: bytes
    _stamp: tuple[int, int]
    _table: _Table | None
    _setup: Setup
    _longest: int

    @property
    def is_table(self) -> bool:
        """Whether its records are rows, of which we make the messages."""
        return self._table is not None

    @property
    def can_resume(self) -> bool:
        """Whether a load of it that was broken off can go on where it was."""
        return bool(self.digest)

    def records(self, offset: int, place: int) -> Iterator[Record]:
        """The records behind `offset`, which is behind record `place`; a stream is read from where it is."""
        if self.can_resume:
            self._file.seek(offset)
            chunks = self._chunks()
        else:
            chunks = chain([self._head], self._chunks())
        if self._table is None:
            end = segment_end(self._head)
            return messages(lines(chunks, end, offset, self._longest), end, place, self._longest)
        return self._rows(self._table, chunks, offset, place)

    def changed(self) -> bool:
        """Whether the file is another one than when it was looked at: then its offsets mean nothing any more."""
        return self.can_resume and _stamp(self._file) != self._stamp

    def close(self) -> None:
        """Closes the file; standard input stays open."""
        if self._file is not sys.stdin.buffer:
            self._file.close()

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._file.read(_CHUNK):
            yield chunk

    def _rows(self, table: _Table, chunks: Iterator[bytes], offset: int, place: int) -> Iterator[Record]:
        physical = lines(chunks, table.end, offset, LONGEST_LINE)
        for _ in range(max(0, table.lines - place)):  # the header, when it was not passed before
            next(physical, None)
        for row in rows(physical, max(place, table.lines), table.shape):
            yield self._record(row.line, row.last, row.end, row.cells, row.fault, table.header)

    def _record(self, line: int, last: int, end: int, cells: tuple[str, ...], fault: Fault | None, header: Header) -> Record:
        if fault is not None:
            return Record(line, last, end, None, fault)
        try:
            return Record(line, last, end, message_of(cells, header, line, self._setup))
        except WrongRow as wrong:
            return Record(line, last, end, None, Fault("go-live", str(wrong)))


@dataclass(frozen=True, slots=True)
class _Table:
    """How a table is written. end: the byte behind a line; lines: how many stand before the first row."""

    end: bytes
    shape: Shape
    header: Header
    lines: int


def look_at(path: str, setup: Setup, *, owner: bool, longest: int) -> Source:
    """Opens a list and looks what it is. path: `-` for standard input. longest: bytes of the longest message.

    Raises ListUnusable, saying what to change, when nothing of it could be loaded.
    """
    file: BinaryIO = sys.stdin.buffer if path == STANDARD_INPUT else _open(path)
    try:
        return _look(file, path, setup, owner=owner, longest=longest)
    except BaseException:
        if path != STANDARD_INPUT:
            file.close()
        raise


def _open(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ListUnusable(f"{path} cannot be read: {error.strerror}") from error


def _look(file: BinaryIO, path: str, setup: Setup, *, owner: bool, longest: int) -> Source:
    name = "standard input" if path == STANDARD_INPUT else path
    twice = path != STANDARD_INPUT and stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    stamp = _stamp(file) if twice else (0, 0)
    digest = _digest(file) if twice else ""
    head = _read(file, _HEAD)
    try:
        table = None if holds_messages(head) else _table(head, setup.peer, owner=owner)
    except ValueError as error:
        raise ListUnusable(f"{name} {error}") from None
    places, unknown = ("message", ()) if table is None else ("line", table.header.unknown)
    return Source(name, stamp[0] if twice else None, digest, places, unknown, file, head, stamp, table, setup, longest)


def _table(head: bytes, peer: Side, *, owner: bool) -> _Table:
    """Raises ValueError for what is no table that can be used."""
    if head.startswith(_WIDE):
        raise ValueError("is in UTF-16; save it as CSV in UTF-8")
    if b"\x00" in head:
        raise ValueError("is neither HL7 messages nor CSV; save the spreadsheet as CSV in UTF-8")
    end, given = line_end(head), None
    for number, line in enumerate(lines([head], end, 0, LONGEST_LINE), 1):
        text = decode(line.body) or ""
        given = given or named_delimiter(text)
        if text.strip() and named_delimiter(text) is None:
            readings = {delimiter: _cells(text, delimiter) for delimiter in ([given] if given is not None else DELIMITERS)}
            delimiter = max(readings, key=lambda one: recognised(readings[one]))
            header = read_header(readings[delimiter], peer, owner=owner)
            breakable = frozenset(range(header.width)) - {
                place for column, place in header.places.items() if column not in BREAKABLE
            }
            return _Table(end, Shape(delimiter, header.width, breakable), header, number)
    raise ValueError("is empty")


def _cells(text: str, delimiter: str) -> tuple[str, ...]:
    try:
        return split_row(text, delimiter)
    except csv.Error:
        return ()


def _digest(file: BinaryIO) -> str:
    """SHA-256 of all of it; the file is at its beginning afterwards."""
    found = sha256()
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()


def _read(file: BinaryIO, size: int) -> bytes:
    """That many bytes, fewer only at the end; a pipe gives what it has."""
    found = b""
    while len(found) < size and (chunk := file.read(size - len(found))):
        found += chunk
    return found


def _stamp(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
