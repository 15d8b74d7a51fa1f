"""A message: the header read at once, everything else when somebody looks. The bytes stay as they came."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, NoReturn

from ophl7.errors import Unreadable
from ophl7.hl7v2.charset import MULTIBYTE, UTF8_BOM, choose, codec, readable
from ophl7.hl7v2.delimiters import Delimiters, read_delimiters
from ophl7.hl7v2.header import Header, read_header
from ophl7.hl7v2.lines import split_lines, terminator
from ophl7.hl7v2.paths import message_path
from ophl7.hl7v2.segment import NULL, Null, Segment, Value

if TYPE_CHECKING:
    import hl7

__all__ = ["NULL", "Header", "Message", "Null", "Segment", "Value", "read_header"]

_START = re.compile(rb"(?:\xef\xbb\xbf|[\s\x00])*")
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"M\x00S\x00", b"\x00M\x00S")
_BLANK_FIELDS = [""] * 20
_NO_WISH = ("", "")


class Message:
    """A received message, never changed.

    raw: the bytes as they came. decoded: their text, from MSH on. encoding: a Python codec name. damaged: some bytes did not
    fit it. terminator: CR, CRLF or LF. type, trigger, structure: MSH-9. control_id: MSH-10 as sent, not unescaped. version:
    MSH-12.1. processing_id: MSH-11.1. sent_at_text: MSH-7. sending: MSH-3 to MSH-6. reply_fields: MSH-3 to MSH-6, -10, -11 and
    -12 exactly as sent, for the answer. wanted_answers: MSH-15 and MSH-16 as sent. MSH-8 is never exposed.
    """

    __slots__ = (
        "_digests",
        "_hl7",
        "_lines",
        "_names",
        "_segments",
        "control_id",
        "damaged",
        "decoded",
        "delimiters",
        "encoding",
        "processing_id",
        "raw",
        "reply_fields",
        "sending",
        "sent_at_text",
        "structure",
        "terminator",
        "trigger",
        "type",
        "version",
        "wanted_answers",
    )

    _digests: dict[bool, bytes]
    _hl7: hl7.Message | None
    _lines: list[str] | None
    _names: dict[str, list[int]] | None
    _segments: list[Segment | None]
    control_id: str
    damaged: bool
    decoded: str
    delimiters: Delimiters
    encoding: str
    processing_id: str
    raw: bytes
    reply_fields: tuple[str, str, str, str, str, str, str]
    sending: tuple[str, str, str, str]
    sent_at_text: str
    structure: str
    terminator: str
    trigger: str
    type: str
    version: str
    wanted_answers: tuple[str, str]

    @classmethod
    def parse(cls, raw: bytes, forced_encoding: str | None = None) -> Message:
        """Reads the header of `raw`. forced_encoding: the charset that a setting prescribes (`OPHL7_<PEER>_ENCODING`).

        Raises Unreadable: code 100 where no MSH is at the start (behind a BOM and white space), 102 where MSH-1, MSH-2 or
        MSH-9 cannot be used. Nothing else, whatever the bytes are.
        """
        message = cls.parse_lenient(raw, forced_encoding)
        if not message.type:
            raise Unreadable("MSH-9 names no message type", error=102, field=9)
        return message

    @classmethod
    def parse_lenient(cls, raw: bytes, forced_encoding: str | None = None) -> Message:
        """As `parse`, but MSH-9 may be empty: some receivers leave it out of their answers."""
        self = cls.__new__(cls)
        self.raw = raw
        body = raw
        if raw[:3] != b"MSH":
            body = raw[_START.match(raw).end() :]  # type: ignore[union-attr]  # it matches nothing at least
            if body[:3] != b"MSH":
                _refuse(raw)
        text, self.encoding, self.damaged = _decode(raw, body, forced_encoding)
        self.decoded = text
        self.terminator = mark = terminator(text)
        header_end = text.find(mark[0])
        fields = (text if header_end < 0 else text[:header_end]).split(text[3:4] or "|")
        self.delimiters = delimiters = read_delimiters(text[3:4], fields[1] if len(fields) > 1 else "")
        if len(fields) < 12:
            fields += _BLANK_FIELDS
        # Exactly as sent, for the answer. What others see holds no lone surrogate: no database takes one.
        self.reply_fields = (fields[2], fields[3], fields[4], fields[5], fields[9], fields[10], fields[11])
        if self.damaged:
            fields = [readable(field) for field in fields]
        component = delimiters.component
        kind = fields[8].split(component)
        self.type = kind[0].strip()
        self.trigger = kind[1].strip() if len(kind) > 1 else ""
        self.structure = kind[2].strip() if len(kind) > 2 else ""
        self.sending = (fields[2], fields[3], fields[4], fields[5])
        self.sent_at_text = fields[6]
        self.control_id = fields[9]
        self.processing_id = fields[10].split(component, 1)[0].strip()
        self.version = fields[11].split(component, 1)[0].strip()
        self.wanted_answers = (fields[14], fields[15] if len(fields) > 15 else "") if len(fields) > 14 else _NO_WISH
        self._lines = None
        self._names = None
        self._segments = []
        self._digests = {}
        self._hl7 = None
        return self

    def __repr__(self) -> str:
        return f"<Message {len(self.raw)} bytes>"  # nothing of the content: representations end up in logs

    @property
    def event(self) -> str:
        """`ADT^A08`, or `ACK` where MSH-9 names no trigger."""
        return f"{self.type}^{self.trigger}" if self.trigger else self.type

    @property
    def lines(self) -> list[str]:
        """The segments as raw text, in order."""
        if self._lines is None:
            self._lines = split_lines(self.decoded, self.terminator)
            self._segments = [None] * len(self._lines)
        return self._lines

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, in order, MSH first."""
        return tuple([self._segment(index) for index in range(len(self.lines))])

    def at(self, index: int) -> Segment | None:
        """The segment at a position, from 0; None behind the last one."""
        return self._segment(index) if 0 <= index < len(self.lines) else None

    def first(self, name: str) -> Segment | None:
        """The first segment called `name`."""
        names = self._names if self._names is not None else self._index()
        found = names.get(name)
        if found is None:
            return None
        segment = self._segments[found[0]]
        return segment if segment is not None else self._segment(found[0])

    def lines_of(self, name: str) -> list[str]:
        """The raw text of every segment called `name`, in order, without splitting them into fields."""
        names = self._names if self._names is not None else self._index()
        found = names.get(name)
        return [self.lines[index] for index in found] if found is not None else []

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment called `name`, in order."""
        names = self._names if self._names is not None else self._index()
        found = names.get(name)
        return tuple([self._segment(index) for index in found]) if found is not None else ()

    def value(self, path: str) -> Value:
        """What stands at `path`: `PID-3[2].4.1`, `OBX[2]-5` (see Segment.value). Without an occurrence the first segment.

        Raises AuthorError for a path that is none.
        """
        name, occurrence, inside = message_path(path)
        found = self._index().get(name)
        if found is None or occurrence > len(found):
            return None
        return self._segment(found[occurrence - 1]).at(inside)

    def text(self, path: str) -> str:
        """As `value`, with "" for the delete indicator and for what is absent."""
        found = self.value(path)
        return found if isinstance(found, str) else ""

    def digest(self, with_time: bool = False) -> bytes:
        """16 bytes that tell a copy from another message (decisions #84, #86).

        All of the raw bytes count but MSH-8, and but MSH-7 unless `with_time`.
        """
        known = self._digests.get(with_time)
        if known is None:
            raw = self.decoded.encode("utf-8", "surrogateescape") if self.encoding in MULTIBYTE else self.raw
            known = _digest(raw, self.delimiters.field.encode("ascii"), self.terminator[0].encode("ascii"), with_time)
            self._digests[with_time] = known
        return known

    @property
    def hl7(self) -> hl7.Message:
        """python-hl7's tree of this message, for authors who want all of it; slow (about 0.8 ms), made once."""
        if self._hl7 is None:
            import hl7  # noqa: PLC0415  # most processes never need it

            self._hl7 = hl7.parse("\r".join([self._segment(0).raw, *self.lines[1:]]) + "\r")
        return self._hl7

    def _index(self) -> dict[str, list[int]]:
        if self._names is None:
            separator = self.delimiters.field
            names: dict[str, list[int]] = {}
            for index, line in enumerate(self.lines):
                name = line.partition(separator)[0]
                if name in names:
                    names[name].append(index)
                else:
                    names[name] = [index]
            self._names = names
        return self._names

    def _segment(self, index: int) -> Segment:
        lines = self.lines  # first: it makes room for the segments
        segment = self._segments[index]
        if segment is None:
            segment = self._segments[index] = Segment(self, index, lines[index])
        return segment


def _refuse(raw: bytes) -> NoReturn:
    if raw.startswith(_WIDE):
        raise Unreadable("the message is in UTF-16; send it in UTF-8", error=102)
    raise Unreadable("the frame does not start with an MSH segment", error=100)


def _decode(raw: bytes, body: bytes, forced: str | None) -> tuple[str, str, bool]:
    """The text from MSH on, its charset, and whether some bytes did not fit."""
    msh18 = _charset_field(body)
    if not forced and not msh18 and body is raw and body.isascii():
        return body.decode("ascii"), "utf-8", False  # what `choose` would say, for nearly every message
    bom = UTF8_BOM if raw.startswith(UTF8_BOM) else b""
    decoded = choose(bom + body, forced, msh18)
    if not forced and decoded.encoding in MULTIBYTE and not _says(decoded.text.removeprefix("\ufeff"), decoded.encoding):
        # What was taken for MSH-18 among the bytes is another field of the text.
        decoded = choose(bom + body)
    return decoded.text.removeprefix("\ufeff"), decoded.encoding, decoded.damaged


def _says(text: str, encoding: str) -> bool:
    """Whether MSH-18 names the charset in which the text was read."""
    header = text.partition(terminator(text)[0])[0]
    fields = header.split(text[3:4] or "|", 18)
    return len(fields) > 17 and codec(fields[17]) == encoding


def _charset_field(body: bytes) -> bytes:
    """MSH-18, before anything is decoded."""
    end = body.find(b"\r")
    header = body if end < 0 else body[:end]
    if b"\n" in header:
        header = header[: header.find(b"\n")]
    separator = body[3:4]
    fields = header.split(separator) if separator else []
    if len(fields) <= 18 or (header.isascii() and b"\x1b" not in header):
        return fields[17] if len(fields) > 17 else b""
    # In East Asian charsets the second byte of a character may look like a separator; then MSH-18 stands further back.
    return next((field for field in fields[17:] if codec(field.decode("latin-1"))), b"")


def _digest(raw: bytes, separator: bytes, end: bytes, with_time: bool) -> bytes:
    start = raw.find(b"MSH")
    stop = raw.find(end, start)
    if stop < 0:
        stop = len(raw)
    fields = raw[start:stop].split(separator, 8)
    if len(fields) > 7:
        fields[7] = b""
    if len(fields) > 6 and not with_time:
        fields[6] = b""
    return blake2b(raw[:start] + separator.join(fields) + raw[stop:], digest_size=16).digest()
