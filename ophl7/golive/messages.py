"""A file of HL7 messages, cut into its messages: bare, in MLLP blocks or in FHS/BHS batches, with any line ends. Pure.

As on a line, a message begins where a segment begins that is called MSH (decisions 7). Nobody is there to send it again, so
what cannot be read is a record with a fault, and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ophl7.golive.records import Fault, Line, Record

# What people's programs leave in front of a segment: the rest of a line end, block marks, NUL, a byte order mark.
_BEFORE = rb"[\r\n\x00\x0b\x1c ]*(?:\xef\xbb\xbf)?"
_HEADER = re.compile(_BEFORE + rb"(?P<name>MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")
_START = re.compile(_BEFORE + rb"(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
_AROUND = b"\r\n\x00\x0b\x1c "
_BLOCK_MARKS = re.compile(rb"[\x0b\x1c]")


def holds_messages(head: bytes) -> bool:
    """Whether a file that begins so holds HL7 messages, and not a table."""
    return _START.match(head) is not None


def segment_end(head: bytes) -> bytes:
    """The byte behind each segment: CR by the standard (2.6.3), also where LF follows it; LF where that comes first."""
    start = len(head) - len(head.lstrip(_AROUND))
    cr, lf = head.find(b"\r", start), head.find(b"\n", start)
    return b"\n" if lf >= 0 and (cr < 0 or lf < cr) else b"\r"


def messages(segments: Iterable[Line], end: bytes, place: int, longest: int) -> Iterator[Record]:
    """The messages out of the segments of a file. end: the byte behind a segment; place: messages done already.

    A message of more than `longest` bytes is a fault (#91), and so is text that belongs to no message (#90).
    """
    piece = _Piece(longest)
    for line in segments:
        header = _HEADER.match(line.body)
        if header is not None:
            if piece.found:
                place += 1
                yield piece.record(place, end)
            piece = _Piece(longest)
            if header["name"] != b"MSH":  # an envelope: what it says is not needed here
                piece.end = line.end
                continue
        piece.add(line)
    if piece.found:
        yield piece.record(place + 1, end)


class _Piece:
    """The segments of one message so far."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._segments: list[bytes] = []
        self._size = 0
        self.found = False
        self.end = 0

    def add(self, line: Line) -> None:
        self.end = line.end
        self.found = self.found or bool(line.body.strip(_AROUND))
        self._size += len(line.body) + line.cut * self._longest
        if self._size <= self._longest:
            self._segments.append(line.body)

    def record(self, place: int, end: bytes) -> Record:
        if self._size > self._longest:
            return Record(place, place, self.end, None, Fault("#91", f"the message is longer than {self._longest} bytes"))
        body = b"".join(self._segments).strip(_AROUND)
        if _BLOCK_MARKS.search(body):
            return Record(place, place, self.end, None, Fault("#90b", "a mark of an MLLP block stands inside the message"))
        return Record(place, place, self.end, body + end)
