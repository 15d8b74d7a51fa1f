"""MLLP framing without I/O: bytes in, frames and damages out.

The rules are decisions #90b and #91 and the table of the MLLP transport (HL7 v2 Implementation Guide, appendix C: a block is
VT, data, FS, CR). What they are for: bytes of one message can never become part of another one. So a frame ends early or is
called damaged, but two messages are never joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VT: Final = 0x0B
FS: Final = 0x1C
CR: Final = 0x0D

HEAD_BYTES: Final = 64 * 1024  # what is kept of a frame that is too big (#91)
QUIET_SECONDS: Final = 0.050  # how long nothing must follow an FS until it ends the frame (#90b)

_FILLER: Final = b"\r\n\x00 "  # harmless between frames, and after an FS proof that the frame had ended
_ENDERS: Final = _FILLER + bytes((VT,))
_COMPACT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole block. payload: the bytes between VT and FS, exactly as they came; may be empty."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """A block that cannot be read as one message.

    reason: `cut_off` (a VT, or the end of the connection, inside it), `fs_inside` (an FS before another byte), `too_big`.
    payload: what there was of it, or its first 64 KiB when it is too big. answer: whether the sender gets an AR. close: whether
    nothing more is read of this connection.
    """

    reason: str
    payload: bytes
    answer: bool
    close: bool


def frame(payload: bytes) -> bytes:
    """`payload` as one block. Raises ValueError when it holds a VT or FS: the receiver would read something else."""
    if b"\x0b" in payload or b"\x1c" in payload:
        raise ValueError("a message with a VT (0x0B) or FS (0x1C) byte inside cannot travel in an MLLP block")
    return b"\x0b%b\x1c\r" % payload


class Framer:
    """Cuts a stream of bytes into frames. Every byte is looked at a fixed number of times, however it is cut.

    Use: `receive(data)`, then `next()` until it gives None. If `waiting` is then True, start a clock of QUIET_SECONDS and call
    `quiet()` unless bytes arrive before; at the end of the stream call `eof()`; after both call `next()` again.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_damaged",
        "_ended",
        "_fs",
        "_inside",
        "_max_bytes",
        "_max_junk",
        "_quiet",
        "_run",
        "_scan",
        "closed",
        "filler",
        "flooded",
        "junk",
        "waiting",
    )

    def __init__(self, max_bytes: int, max_junk: int = 64 * 1024) -> None:
        """max_bytes: the longest payload that is accepted. max_junk: bytes in a row outside of frames until `flooded`."""
        self._max_bytes = max_bytes
        self._max_junk = max_junk
        self._buffer = bytearray()
        self._at = 0  # everything before is done with; inside a frame it is the frame's VT
        self._scan = 0  # inside a frame: no VT and no deciding FS before this
        self._fs = 0  # no FS in [_scan, _fs): remembered, or many VT before one FS would cost a search each
        self._inside = False
        self._damaged = False  # an FS stood before another byte: only FS CR or VT ends this one
        self._quiet = False
        self._ended = False
        self._run = 0
        self.junk = 0  # bytes skipped outside of frames that have no business there
        self.filler = 0  # CR, LF, NUL and space between frames: seen in the field, harmless
        self.waiting = False  # the buffer ends right after an FS, so what follows decides (#90b)
        self.flooded = False  # more than max_junk bytes in a row were no frame: close
        self.closed = False  # nothing more comes out: too big, flooded or ended

    @property
    def partial(self) -> int:
        """Bytes of the frame that has begun and not ended, its VT counted; valid once `next()` has given None."""
        return len(self._buffer) - self._at if self._inside else 0

    def receive(self, data: bytes) -> None:
        """Takes more of the stream. Ignored once `closed`."""
        if self.closed:
            return
        self.waiting = self._quiet = False
        at = self._at
        if at == len(self._buffer):
            self._buffer.clear()
            self._at = self._scan = self._fs = 0
        elif at > _COMPACT_BYTES:
            del self._buffer[:at]
            self._at = 0
            self._scan -= at
            self._fs -= at
        self._buffer += data

    def quiet(self) -> None:
        """Nothing followed the FS for QUIET_SECONDS: it ends its frame. Without meaning unless `waiting`."""
        self._quiet = self.waiting

    def eof(self) -> None:
        """Nothing will follow: an FS at the end ends its frame, and a frame without one is cut off."""
        self._ended = True

    def next(self) -> Frame | Damaged | None:
        """The next block of what was received; None when more bytes, `quiet()` or `eof()` are needed, or once `closed`."""
        while not self.closed and (self._inside or self._enter()):
            buffer, start = self._buffer, self._at + 1
            limit = start + self._max_bytes + 1  # an end below this keeps the payload within max_bytes
            found = buffer.find(FS, max(self._fs, self._scan))
            self._fs = found if found >= 0 else len(buffer)
            upto = min(self._fs, limit)
            vt = buffer.find(VT, self._scan, upto)
            if vt >= 0:
                block = self._cut_by_vt(start, vt)
                if block is not None:
                    return block
            elif upto == limit and len(buffer) >= limit:
                return self._too_big(start)
            elif found < 0:
                self._scan = upto
                return self._cut_by_end(start) if self._ended else None
            elif found + 1 == len(buffer) and not (self._quiet or self._ended):
                self._scan = found
                self.waiting = True
                return None
            elif found + 1 == len(buffer) or buffer[found + 1] in (b"\r\x0b" if self._damaged else _ENDERS):
                return self._finish(start, found)
            else:
                self._damaged = True
                self._scan = found + 1
        return None

    def _enter(self) -> bool:
        """Skips to the next VT; False when there is none, or the stream is junk."""
        vt = self._buffer.find(VT, self._at)
        end = vt if vt >= 0 else len(self._buffer)
        if end > self._at:
            skipped = self._buffer[self._at : end]
            junk = len(skipped.translate(None, _FILLER))
            self.filler += len(skipped) - junk
            self._at = end
            self._count_junk(junk)
        if self.closed:
            return False
        if vt < 0:
            self.closed |= self._ended
            return False
        self._inside, self._damaged, self._scan = True, False, vt + 1
        return True

    def _count_junk(self, count: int) -> None:
        self.junk += count
        self._run += count
        if self._run > self._max_junk:
            self.flooded = self.closed = True
            self._inside = False  # the block behind the junk never begins: nothing of it is kept or counts as `partial`
            self._buffer.clear()
            self._at = 0

    def _finish(self, start: int, fs: int) -> Frame | Damaged:
        payload = bytes(memoryview(self._buffer)[start:fs])
        damaged = self._damaged
        after = self._buffer[fs + 1 : fs + 2]
        self._at = fs + 1 + (after == b"\r")
        self._inside = self._quiet = self.waiting = False
        if damaged:
            return Damaged("fs_inside", payload, answer=True, close=False)
        self._run = 0
        return Frame(payload)

    def _cut_by_vt(self, start: int, vt: int) -> Damaged | None:
        """The frame before `vt` is over and the next one begins; None for VT VT, where nothing was lost but a byte."""
        payload = bytes(memoryview(self._buffer)[start:vt])
        damaged = self._damaged
        self._at, self._scan, self._damaged = vt, vt + 1, False
        if damaged:
            return Damaged("fs_inside", payload, answer=True, close=False)
        if not payload:
            self._count_junk(1)
            return None
        # The sender gave up on this one and began anew: an answer here would be taken for the next one's (#90b).
        return Damaged("cut_off", payload, answer=False, close=False)

    def _cut_by_end(self, start: int) -> Damaged | None:
        payload = bytes(memoryview(self._buffer)[start:])
        self.closed, self._inside = True, False
        if not payload:
            self.junk += 1
            return None
        return Damaged("fs_inside" if self._damaged else "cut_off", payload, answer=False, close=True)

    def _too_big(self, start: int) -> Damaged:
        head = bytes(memoryview(self._buffer)[start : start + min(HEAD_BYTES, self._max_bytes)])
        self.closed, self._inside = True, False
        self._buffer.clear()
        self._at = 0
        return Damaged("too_big", head, answer=_has_header(head), close=True)


def _has_header(head: bytes) -> bool:
    """Whether an MSH was read, so that an answer can name what it answers (#91)."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"MSH") or b"\rMSH" in head or b"\nMSH" in head
