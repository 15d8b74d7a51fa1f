"""However a stream is cut, it gives what a reader of single bytes gives, one event a block, and no more is kept than the limit.

Input: the longest payload, the most junk, where it is cut, where nothing follows for 50 ms; then the stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from ophl7.mllp.framing import CR, FS, VT, Damaged, Frame, Framer
from tests.fuzz.seeds import framed_messages

HEAD = 4
BUDGET_SECONDS = 2.0
TOKENS = (
    b"\x0b",
    b"\x1c\r",
    b"\x1c",
    b"\x0b\x0b",
    b"\x1c\x1c\r",
    b"\x1cx",
    b"\r",
    b"\n",
    b"\x00",
    b" ",
    b"MSH|^~\\&|",
    b"junk",
)
_SIZES = (0, 1, 2, 7, 40, 200, 1000, 70_000)
_JUNK = (0, 1, 5, 64, 1000, 65_536)
_COMPACTED = 64 * 1024  # so many bytes that are done with may still lie in front


def seeds() -> list[bytes]:
    """Whole frames, and the deviations that are known from the field (domain 4)."""
    message = b"MSH|^~\\&|PM|P|EMR|E|20260101||ADT^A08|1|P|2.5\rPID|1||7001\r"
    streams = [
        b"\x0b" + message + b"\x1c\r" + b"\x0b" + message + b"\x1c\r",
        b"\x0b" + message + b"\x1c" + b"\x0b" + message + b"\x1c\x0b",
        b"\x0b" + message[:30] + b"\x0b" + message + b"\x1c\n\r\n",
        b"\x0b" + message + b"\x1c" + message + b"\x1c\r",
        b"junk\r\n\x00 " + b"\x0b\x0b" + message + b"\x1c",
        message,
    ]
    return [bytes((size, 4, cuts, 3)) + stream for stream in streams for size, cuts in ((7, 1), (4, 7))] + framed_messages(
        bytes((7, 5, 9, 0)), 12
    )


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    head, stream = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    most, junk = _SIZES[head[0] % len(_SIZES)], _JUNK[head[1] % len(_JUNK)]
    pieces = cut(stream, head[2])
    quiet = quiet_places(pieces, head[3])
    ended = head[3] % 2 == 1
    wanted = Slow(most, junk)
    wanted.read(stream, quiet, ended=ended)
    for way in (
        pieces,
        cut_at(stream, quiet),
        cut_at(stream, set(range(0, len(stream), 1 if len(stream) < 600 else 97)) | quiet),
    ):
        found = by_framer(way, quiet, most, junk, ended=ended)
        assert found.events == wanted.events
        assert found.flooded == wanted.flooded
        if not found.closed_early:
            assert (found.junk, found.filler) == (wanted.junk, wanted.filler)


def cut(stream: bytes, how: int) -> list[bytes]:
    """Pieces whose lengths follow from one byte."""
    if how == 0 or not stream:
        return [stream]
    sizes = [1 + (how * step) % 61 for step in range(1, 8)]
    pieces, at, number = [], 0, 0
    while at < len(stream):
        size = sizes[number % len(sizes)]
        pieces.append(stream[at : at + size])
        at, number = at + size, number + 1
    return pieces


def quiet_places(pieces: list[bytes], how: int) -> set[int]:
    """Places in the stream behind which nothing comes for 50 ms: between two pieces only."""
    found, at = set(), 0
    for number, piece in enumerate(pieces):
        at += len(piece)
        if how > 1 and number % (how // 2) == 0:
            found.add(at)
    return found


def cut_at(stream: bytes, places: set[int]) -> list[bytes]:
    """The stream cut at these places."""
    edges = sorted({0, len(stream), *(place for place in places if place <= len(stream))})
    return [stream[start:end] for start, end in pairwise(edges)]


@dataclass
class Read:
    """What came out."""

    events: list[Frame | Damaged] = field(default_factory=list)
    junk: int = 0
    filler: int = 0
    flooded: bool = False
    closed_early: bool = False


def by_framer(pieces: list[bytes], quiet: set[int], most: int, junk: int, *, ended: bool) -> Read:
    """Feeds our framer and watches what it keeps."""
    framer, found, at = Framer(most, junk), Read(), 0

    def take() -> None:
        while (block := framer.next()) is not None:
            found.events.append(block)
        assert framer.partial <= most + 2  # VT, payload and an FS that may end it
        kept = len(framer._buffer)
        assert kept <= _COMPACTED + most + 2 + 2 * longest

    longest = max(map(len, pieces), default=0)
    for piece in pieces:
        framer.receive(piece)
        take()
        at += len(piece)
        if at in quiet and framer.waiting:
            framer.quiet()
            take()
    if ended:
        framer.eof()
        take()
    found.junk, found.filler, found.flooded = framer.junk, framer.filler, framer.flooded
    found.closed_early = framer.flooded or any(isinstance(block, Damaged) and block.close for block in found.events)
    return found


class Slow(Read):
    """The rules of #90b and #91 for one byte after another: slow, and plain enough to be believed."""

    def __init__(self, most: int, most_junk: int) -> None:
        super().__init__()
        self.most = most
        self.most_junk = most_junk
        self.payload: bytearray | None = None  # of the block that has begun
        self.damaged = False
        self.pending = False  # the last byte was an FS, and what follows it decides
        self.after = False  # the last byte was an FS that ended its block: a CR belongs to it
        self.run = 0
        self.closed = False

    def read(self, stream: bytes, quiet: set[int], *, ended: bool) -> None:
        """All of it."""
        for at, byte in enumerate(stream, start=1):
            self.byte(byte)
            if self.closed:
                return
            if at in quiet and self.pending:
                self.finish()
        if not ended:
            return
        if self.pending:
            self.finish()
        elif self.payload:
            reason = "fs_inside" if self.damaged else "cut_off"
            self.events.append(Damaged(reason, bytes(self.payload), answer=False, close=True))
        elif self.payload is not None:
            self.junk += 1

    def byte(self, byte: int) -> None:
        """One byte."""
        if self.pending:
            if byte in ((CR, VT) if self.damaged else (CR, 0x0A, 0x00, 0x20, VT)):
                self.finish()
                if byte == CR:
                    return
            else:
                self.pending, self.damaged = False, True
                self.add(FS)
        if self.closed:
            return
        if self.payload is None:
            self.outside(byte)
        elif byte == VT:
            self.begin_again()
        elif byte == FS:
            self.pending = True
            self.too_big(len(self.payload))
        else:
            self.add(byte)

    def outside(self, byte: int) -> None:
        """Between two blocks."""
        if byte == VT:
            self.payload, self.damaged = bytearray(), False
        elif byte in b"\r\n\x00 ":
            self.filler += 1
        else:
            self.skip()

    def skip(self) -> None:
        """A byte that belongs to nothing."""
        self.junk += 1
        self.run += 1
        if self.run > self.most_junk:
            self.flooded = self.closed = True

    def begin_again(self) -> None:
        """A VT inside a block."""
        payload, damaged = bytes(self.payload or b""), self.damaged
        self.payload, self.damaged = bytearray(), False
        if damaged:
            self.events.append(Damaged("fs_inside", payload, answer=True, close=False))
        elif payload:
            self.events.append(Damaged("cut_off", payload, answer=False, close=False))
        else:
            self.skip()

    def add(self, byte: int) -> None:
        """One more byte of the block."""
        assert self.payload is not None
        self.payload.append(byte)
        self.too_big(len(self.payload))

    def too_big(self, size: int) -> None:
        """Closes when the block has more bytes than it may."""
        if size <= self.most or self.payload is None:
            return
        head = bytes(self.payload[: min(64 * 1024, self.most)])
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        answer = text.startswith(b"MSH") or b"\rMSH" in head or b"\nMSH" in head
        self.events.append(Damaged("too_big", head, answer=answer, close=True))
        self.closed, self.payload = True, None

    def finish(self) -> None:
        """The FS before this ended the block."""
        assert self.payload is not None
        payload = bytes(self.payload)
        if self.damaged:
            self.events.append(Damaged("fs_inside", payload, answer=True, close=False))
        else:
            self.run = 0
            self.events.append(Frame(payload))
        self.payload, self.pending = None, False
