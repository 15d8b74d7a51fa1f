"""Messages in files as people keep them: one or many, with any line ends, bare or in MLLP blocks. Pure."""

from __future__ import annotations

import re

from ophl7.mllp.framing import Damaged, Frame, Framer

_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"(?:\A|(?<=\r))(?=(?:MSH|FHS|BHS)[^A-Za-z0-9\s])")


def read_messages(data: bytes) -> list[bytes]:
    """The messages of a file, each ready to be framed.

    MLLP blocks (a VT anywhere) are taken as they are. Else each MSH at the start of a line begins a message, and a file that
    begins with FHS or BHS is one batch. Line ends LF and CRLF become CR, the only one that HL7 knows; a file that has bare CR
    already keeps its bytes. Raises ValueError when there is no message, or a block is damaged.
    """
    if b"\x0b" in data:
        return _blocks(data)
    body = data.removeprefix(_BOM)
    if b"\r" not in body.replace(b"\r\n", b""):
        body = body.replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    starts = [found.start() for found in _HEADER.finditer(body)]
    if not starts:
        raise ValueError("holds no HL7 message: no line begins with MSH, FHS or BHS")
    if body[: starts[0]].strip():
        raise ValueError("does not begin with a message: text stands before the first MSH")
    if not body.startswith(b"MSH", starts[0]):
        return [body[starts[0] :].rstrip(b"\r\n") + b"\r"]
    return [body[start:end].rstrip(b"\r\n") + b"\r" for start, end in zip(starts, [*starts[1:], len(body)], strict=True)]


def _blocks(data: bytes) -> list[bytes]:
    framer = Framer(max_bytes=len(data))
    framer.receive(data)
    framer.eof()
    found: list[bytes] = []
    while (block := framer.next()) is not None:
        match block:
            case Frame(payload):
                found.append(payload)
            case Damaged(reason):
                raise ValueError(f"holds a damaged MLLP block (number {len(found) + 1}: {reason})")
    return found
