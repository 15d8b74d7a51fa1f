"""Whatever a header says, its answer is one well-formed message that others can read, and MSA-2 is the MSH-10 that came.

Input: the answer's code, its mode, its errors; then the bytes that are answered.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import hl7

from ophl7.errors import Unreadable
from ophl7.hl7v2 import ack, answer, batch
from ophl7.hl7v2.charset import encode
from ophl7.hl7v2.codes import CODES, TABLE_0357, Severity
from ophl7.hl7v2.delimiters import Delimiters
from ophl7.hl7v2.header import Answerable, read_header
from ophl7.hl7v2.message import Message
from ophl7.mllp.framing import frame
from tests.fuzz.seeds import messages

HEAD = 3
BUDGET_SECONDS = 1.0
TOKENS = (
    b"|2.1|",
    b"|2.2|",
    b"|2.3|",
    b"|2.4|",
    b"|2.5|",
    b"|2.7|",
    b"|2.9.1|",
    b"|3|",
    b"|AL|NE",
    b"|NE|AL",
    b"|||",
    b"\x00",
    b"\x7f",
    b"\x85",
)
CODES_OF_ORIGINAL: tuple[ack.AckCode, ...] = ("AA", "AE", "AR")
MODES: tuple[ack.AckMode, ...] = ("auto", "original", "accept", "auto")
WHEN = datetime(2024, 7, 4, 14, 30, 15, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")


def seeds() -> list[bytes]:
    """Every fifth published message in three ways."""
    return [prefix + raw for prefix in (b"\0\0\0", b"\1\2\5", b"\2\0\7") for raw in messages(b"", 5)]


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    head, raw = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    code, mode = CODES_OF_ORIGINAL[head[0] % 3], MODES[head[1] % 4]
    errors = faults(head[2], code)
    header = read_header(raw)
    answered(header, code, mode, errors)
    answered(header, code, mode, ())
    try:
        message = Message.parse(raw)
    except Unreadable:
        pass
    else:
        answered(message, code, mode, errors)
    found = batch.split(raw)
    joined = ack.batch(raw[slice(*found.head)], [b"MSH|^~\\&|\rMSA|AA|1\r"], "B-1", WHEN, ZONE)
    frame(joined)
    assert joined.endswith(b"\r")


def faults(choice: int, code: ack.AckCode) -> tuple[ack.AckError, ...]:
    """Up to three errors or warnings with texts and places that need escaping."""
    severity: Severity = "W" if code == "AA" else "E"
    ours = ["", *sorted(name for name, one in CODES.items() if one.severity == severity)]
    codes = sorted(TABLE_0357)
    places = (None, ack.Location("PID", 1, 3, 2, 1), ack.Location("Z|^", 2), ack.Location("FT1", 1, choice % 30))
    texts = ("", "a|b^c~d\\e&f\r\n", "ü 山 %#!", "x" * 300)
    return tuple(
        ack.AckError(codes[(choice + n) % len(codes)], severity, places[(choice + n) % 4], ours[choice % len(ours)], texts[n])
        for n in range(choice % 4)
    )


def answered(header: Answerable | None, code: ack.AckCode, mode: ack.AckMode, errors: tuple[ack.AckError, ...]) -> None:
    """Builds one answer and reads it: as we would, and as python-hl7 does."""
    said = ack.in_mode(code, mode, header)
    assert said is not None
    built = ack.build(header, said, "OUR-1", WHEN, ZONE, errors=errors)
    frame(built)  # neither VT nor FS
    assert b"\n" not in built
    assert built.endswith(b"\r")
    lines = built.split(b"\r")[:-1]
    assert lines[0].startswith(b"MSH")
    marks = header.delimiters if header is not None else None
    separator = lines[0][3:4]
    assert [line.split(separator)[0] for line in lines] == [b"MSH", b"MSA", *[b"ERR"] * (len(lines) - 2)]
    msa = lines[1].split(separator)
    assert msa[1] == said.encode()
    assert msa[2] == (echoed(header) if header is not None else b"")
    read = answer.read(built, None if header is None else header.encoding)
    assert read.code == said
    assert len(batch.split(built).members) == 1
    if marks is None or marks.standard:
        other = hl7.parse(built.decode("latin-1"))
        assert len(other) == len(lines)
        assert str(other.segment("MSA")[1]) == said


def echoed(header: Answerable) -> bytes:
    """MSH-10 as it came, without what would break the frame."""
    sent = header.reply_fields[4]
    marks: Delimiters = header.delimiters
    assert marks.field not in sent
    return encode("".join(character for character in sent if character >= " " and character != "\x7f"), header.encoding)
