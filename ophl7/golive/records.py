"""What a file is cut into: records, each with its place, so that a load can stop behind any of them and go on there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """One physical line with its end mark. end: the file's offset behind it. cut: it is too long, and this is its head."""

    body: bytes
    end: int
    cut: bool


class Fault(NamedTuple):
    """Why a record cannot even be judged. row: of decisions.md, or `go-live`; reason: one sentence without patient data."""

    row: str
    reason: str


class Record(NamedTuple):
    """One patient of a list. place: its line (CSV) or its number among the messages (HL7), from 1.

    last, end: the last line or message, and the offset, up to which the file is done with this record. body: the HL7 message;
    None with a fault.
    """

    place: int
    last: int
    end: int
    body: bytes | None
    fault: Fault | None = None


def lines(chunks: Iterable[bytes], mark: bytes, offset: int, longest: int) -> Iterator[Line]:
    """Cuts a stream of bytes at `mark` (one byte). offset: where the stream begins in its file.

    However it is cut into chunks, the lines are the same. Of a line longer than `longest` bytes only the head is kept.
    """
    pending = bytearray()
    searched = 0  # no mark before this
    dropped = 0  # bytes of an overlong line that were thrown away
    for chunk in chunks:
        pending += chunk
        start = 0
        while (found := pending.find(mark, max(start, searched))) >= 0:
            body = bytes(pending[start : found + 1])
            offset += len(body) + dropped
            yield Line(body[:longest], offset, bool(dropped) or len(body) > longest)
            start, dropped = found + 1, 0
        del pending[:start]
        if len(pending) > longest:
            dropped += len(pending) - longest
            del pending[longest:]
        searched = len(pending)
    if pending or dropped:
        yield Line(bytes(pending), offset + len(pending) + dropped, bool(dropped))
