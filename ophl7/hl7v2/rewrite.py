"""What leaves: the received bytes, with as little changed as can be (contract 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ophl7.errors import AuthorError, Unwritable
from ophl7.hl7v2.charset import encode
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import transcode
from ophl7.hl7v2.lines import split_lines
from ophl7.hl7v2.message import Message

_CONTROL_ID = re.compile(r"[A-Za-z0-9._-]{1,199}")
_BREAKS = re.compile("[\r\x0b\x1c]")


@dataclass(frozen=True, slots=True)
class SetField:
    """Field `field` becomes `text`, written in the standard delimiters. segment_index: from 0, as in Segment.index."""

    segment_index: int
    field: int
    text: str


@dataclass(frozen=True, slots=True)
class DropSegment:
    """The segment does not leave."""

    segment_index: int


@dataclass(frozen=True, slots=True)
class InsertAfter:
    """A new segment behind this one (dropped or not), written in the standard delimiters."""

    segment_index: int
    line: str


Edit = SetField | DropSegment | InsertAfter


def with_control_id(raw: bytes, control_id: str, forced_encoding: str | None = None) -> bytes:
    """`raw` with another MSH-10; terminators become CR, all other bytes stay, the last segment ends with CR too.

    A BOM and white space before MSH are left out. Raises Unreadable for what is no message, AuthorError for a control id that
    is not made of letters, digits, `.`, `_` and `-`.
    """
    end = raw.find(b"\r")
    header = raw[:end]
    # The short way: CR only, the usual delimiters, an ASCII header with MSH-10 in it (and no ESC, which switches Japanese
    # charsets). Everything else takes the road through the text.
    plain = header.startswith(b"MSH|^~\\&|") and header.isascii() and b"\x1b" not in header
    if end > 0 and plain and b"\n" not in raw and _CONTROL_ID.fullmatch(control_id):
        fields = header.split(b"|", 10)
        if len(fields) > 9:
            fields[9] = control_id.encode("ascii")
            body = b"|".join(fields) + raw[end:]
            if b"\r\r" not in body and not body.removesuffix(b"\r").endswith((b"\x00", b"\x0b", b"\x1c")):
                return body if body.endswith(b"\r") else body + b"\r"
    return rewrite(Message.parse_lenient(raw, forced_encoding), control_id, ())


def rewrite(message: Message, control_id: str, edits: Iterable[Edit] = ()) -> bytes:
    """The message with this MSH-10 and these edits, in its own delimiters and charset; it ends with CR.

    Segments that no edit names leave byte for byte; of the others the fields that no edit names do. Edits of one segment are
    applied in their order. Raises Unwritable where a text needs a delimiter or a character that the message does not have;
    AuthorError for an edit of what is not there, of MSH-1 or MSH-2, or for dropping MSH.
    """
    if not _CONTROL_ID.fullmatch(control_id):
        raise AuthorError("a control id of ours holds letters, digits, '.', '_' and '-' only")
    lines = message.lines
    pieces = _byte_lines(message)
    fields: dict[int, list[SetField]] = {0: [SetField(0, 10, control_id)]}
    dropped: set[int] = set()
    inserted: dict[int, list[bytes]] = {}
    for edit in edits:
        if not 0 <= edit.segment_index < len(lines):
            raise AuthorError(f"there is no segment {edit.segment_index} in this message")
        match edit:
            case SetField():
                fields.setdefault(edit.segment_index, []).append(edit)
            case DropSegment():
                dropped.add(edit.segment_index)
            case InsertAfter():
                inserted.setdefault(edit.segment_index, []).append(_inserted(message, edit.line))
    if 0 in dropped:
        raise AuthorError("MSH cannot be dropped")
    for index, changes in fields.items():
        pieces[index] = encode(_edited(message, lines[index], changes), message.encoding)
    leaving: list[bytes] = []
    for index, piece in enumerate(pieces):
        if index not in dropped:
            leaving.append(piece)
        leaving += inserted.get(index, ())
    leaving.append(b"")
    return b"\r".join(leaving)


def _byte_lines(message: Message) -> list[bytes]:
    """The segments as they came. CR and LF are bytes of their own in every charset that we read (hl7v2.charset)."""
    text = message.raw[message.raw.find(b"MSH") :].decode("latin-1")
    return [line.encode("latin-1") for line in split_lines(text, message.terminator)]


def _edited(message: Message, line: str, changes: Sequence[SetField]) -> str:
    marks = message.delimiters
    fields = line.split(marks.field)
    shift = 1 if fields[0] == "MSH" else 0  # MSH-1 is the separator itself, not a field between two of them
    for change in changes:
        if change.field < 1 + 2 * shift:
            raise AuthorError(f"field {change.field} of segment {change.segment_index} cannot be set")
        _check(change.text)
        if STANDARD.field in change.text:
            raise Unwritable("a field's text holds a field separator; escape it as \\F\\")
        position = change.field - shift
        fields += [""] * (position + 1 - len(fields))
        fields[position] = transcode(change.text, STANDARD, marks)
    return marks.field.join(fields)


def _inserted(message: Message, line: str) -> bytes:
    _check(line)
    if not re.match(r"[A-Z][A-Z0-9]{2}(?:\||\Z)", line) or line.startswith("MSH"):
        raise AuthorError("an inserted segment starts with its name and a field separator, and is no MSH")
    return encode(transcode(line, STANDARD, message.delimiters), message.encoding)


def _check(text: str) -> None:
    if _BREAKS.search(text):
        raise Unwritable("a text holds a CR, VT or FS, which would end the segment or the frame; escape it")
