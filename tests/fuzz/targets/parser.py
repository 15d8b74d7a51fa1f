"""Any bytes are a message or unreadable; every byte of one comes back, any path reads, and python-hl7 sees the same fields.

Input: which charset is forced; then the bytes.
"""

from __future__ import annotations

import contextlib

import hl7

from ophl7.errors import AuthorError, Unreadable
from ophl7.hl7v2 import answer, batch
from ophl7.hl7v2.charset import UTF8_BOM, encode
from ophl7.hl7v2.message import NULL, Message, Segment
from ophl7.hl7v2.redact import outline
from tests.fuzz.seeds import messages

HEAD = 1
BUDGET_SECONDS = 2.0
FORCED = (None, None, None, None, "utf-8", "8859/1", "8859/7", "GB 18030-2000", "ISO IR87", "BIG-5")
TOKENS = (
    b"PID-3[2].4.1",
    b"OBX[2]-5",
    b"\r\n",
    b"\n",
    b"\r\r",
    b"\n\r",
    b"FHS|^~\\&",
    b"MSH|^~\\&|",
    b"MSH#%$@!#",
    b"MSH|^~&|",
    b'|""|',
)
PATHS = ("PID-3", "PID-3[2].4.1", "PID-5.1", "OBX[2]-5", "MSH-1", "MSH-2", "MSH-2.1.1", "MSH-9.3", "MSH-8", "ZZZ-1", "MSH[2]-3")
_MOST_FOR_PYTHON_HL7 = 1500  # it is slow


def seeds() -> list[bytes]:
    """Every third published message, with all kinds of our own."""
    return messages(b"\x00", 3)


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    forced, raw = FORCED[data[0] % len(FORCED)] if data else None, data[1:]
    found = batch.split(raw)
    assert all(0 <= start < end <= len(raw) for start, end in found.members) or not raw
    with contextlib.suppress(Unreadable):
        answer.read(raw, forced)
    try:
        message = Message.parse(raw, forced)
    except Unreadable:
        return
    start = raw.find(b"MSH")
    assert encode(message.decoded, message.encoding).removeprefix(UTF8_BOM) == raw[start:]
    assert len(message.digest()) == len(message.digest(with_time=True)) == 16
    "".join((message.type, message.trigger, message.structure, message.control_id, message.version, *message.sending)).encode()
    outline(message)
    for path in (*PATHS, message.control_id[:40], message.decoded[-20:]):
        with contextlib.suppress(AuthorError):
            storable(message.value(path))
    for segment in message.segments:
        fields(segment)
        assert message.all(segment.name)
    if len(raw) <= _MOST_FOR_PYTHON_HL7 and message.delimiters.standard:
        as_python_hl7(message)


def storable(value: object) -> None:
    """A value is absent, deleted, or text that any database takes."""
    assert value is None or value is NULL or (isinstance(value, str) and value.encode())


def fields(segment: Segment) -> None:
    """Each field read the quick and the thorough way; the whole in the standard delimiters."""
    assert segment.canonical_line.startswith(segment.name) or not segment.message.delimiters.standard
    for number in range(1, min(len(segment), 60) + 1):
        storable(segment.value(str(number)))
        storable(segment.value(f"{number}[2].2.2"))
        assert segment.lead(number) == segment.text(f"{number}.1.1")
        assert segment.message.delimiters.field not in segment.field(number) or (segment.name == "MSH" and number == 1)


def as_python_hl7(message: Message) -> None:
    """A second opinion on where segments and fields are, and what a plain field says."""
    lines = [segment.raw for segment in message.segments]
    text = "\r".join(lines) + "\r"
    if text.strip() != text[:-1] or any(line != line.strip() or not line for line in lines):
        return  # python-hl7 strips white space
    if any(line[3:4] != "|" or line[:3] in {"BHS", "FHS"} for line in lines) or text.count("MSH|") > 1:
        return  # it takes each of these for a header, wherever it stands
    other = hl7.parse(text)
    assert len(other) == len(lines)
    for segment, theirs in zip(message.segments, other, strict=True):
        for number in range(3 if segment.name == "MSH" else 1, len(segment) + 1):
            assert str(theirs[number]) == segment.field(number)
