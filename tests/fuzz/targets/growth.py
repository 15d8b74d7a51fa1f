"""No 64 KB, whatever is repeated in them, keep any reader or the intake busy for seconds.

Input: which reader; then what stands in front, what is repeated until there are 64 KB, and what stands
behind, with a GS between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ophl7.errors import PeerFault
from ophl7.hl7v2 import ack, answer, batch, timestamps
from ophl7.hl7v2.charset import choose
from ophl7.hl7v2.conformance import check as conforms
from ophl7.hl7v2.delimiters import STANDARD, Delimiters
from ophl7.hl7v2.escapes import escape, transcode, unescape
from ophl7.hl7v2.header import read_header
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.redact import outline
from ophl7.hl7v2.rewrite import with_control_id
from ophl7.mllp.framing import Framer
from tests.fuzz.seeds import PRACTICE
from tests.fuzz.targets import intake

HEAD = 1
BUDGET_SECONDS = 2.0  # for 64 KB and, with atheris counting edges, about a tenth of what it would be without
LENGTH = 64 * 1024
TOKENS = (
    b"\x1d",
    b"\x1d\x1d",
    b"\r\n",
    b"\n\r",
    b"\rMSH",
    b"\nMSH|",
    b"\rBHS|^~\\&",
    b"\\",
    b"\\X",
    b"\\X41",
    b"~",
    b"&",
    b"\x0b",
    b"\x1c",
    b" ",
    b"\x00",
)
_OTHER = Delimiters("!", "+", "*", "%", ";")
_ZONE = ZoneInfo("UTC")
_WHEN = datetime(2024, 7, 4, tzinfo=UTC)


def _read(raw: bytes) -> None:
    message = Message.parse(raw)
    for segment in message.segments:
        segment.canonical_line  # noqa: B018 - the work is what counts
        segment.value("3[2].1")
    message.digest()
    outline(message)


def _rewrite(raw: bytes) -> None:
    with_control_id(raw, "N1X9")


def _frames(raw: bytes) -> None:
    for size in (LENGTH, 4096, 61):
        framer = Framer(LENGTH * 2)
        for start in range(0, len(raw), size):
            framer.receive(raw[start : start + size])
            while framer.next() is not None:
                pass


def _escapes(raw: bytes) -> None:
    text = raw.decode("latin-1")
    unescape(text)
    unescape(escape(text))
    transcode(text, STANDARD, _OTHER)


def _members(raw: bytes) -> None:
    found = batch.split(raw)
    ack.batch(raw[slice(*found.head)], [], "B1", _WHEN, _ZONE)


def _header(raw: bytes) -> None:
    ack.build(read_header(raw), "AR", "A1", _WHEN, _ZONE)


def _charset(raw: bytes) -> None:
    for name in (b"", b"ISO IR87", b"BIG-5", b"UNICODE UTF-8"):
        choose(raw, None, name)
    timestamps.parse(raw[:LENGTH].decode("latin-1"), _ZONE)


def _answer(raw: bytes) -> None:
    answer.read(raw)


def _conformance(raw: bytes) -> None:
    conforms(raw)


def _intake(raw: bytes) -> None:
    plain = raw.replace(b"\x0b", b"").replace(b"\x1c", b"").replace(b"\x1d", b"")
    intake.check(b"\0\1" + intake.stretch("p", plain) + intake.stretch("e", plain))


READERS: tuple[Callable[[bytes], None], ...] = (
    *(_read, _rewrite, _frames, _escapes, _members, _header, _charset, _answer, _conformance),
    *(_intake, _intake, _intake),
)


def seeds() -> list[bytes]:
    """One line of each kind again and again, and pieces that a careless expression would look at twice."""
    pieces = [
        b"\r\n",
        b"\r",
        b" ",
        b"\x00",
        b"\\",
        b"\\X41",
        b"~",
        b"&",
        b"^",
        b"|",
        b"\rMSH|^~\\&|",
        b"\rBHS|^~\\&",
        b"\x0b",
        b"\x1c",
        b'""',
        b"\xff",
    ]
    header, _, rest = PRACTICE["emr"][0].partition(b"\r")
    lines = [line + b"\r" for line in rest.split(b"\r")[:-1]]
    inputs = [header + b"\r\x1d" + piece + b"\x1d" for piece in (*pieces, *lines)]
    inputs += [b"\x1d" + piece + b"\x1d" + PRACTICE["pm"][0] for piece in pieces]
    read = [bytes((number % len(READERS),)) + one for number, one in enumerate(inputs)]
    ours = [raw for some in PRACTICE.values() for raw in some]
    repeated = {raw + b"\x1d" + line + b"\r\x1d": None for raw in ours for line in raw.split(b"\r")[1:] if line}
    return [*read, *(b"\x09" + one for one in repeated), *(b"\x09\x1d" + raw + b"\x1d" for raw in ours)]


def check(data: bytes) -> None:
    """Does the work; who calls measures the time. Raises what a reader raises that it should not."""
    reader = READERS[data[0] % len(READERS)] if data else _read
    front, _, rest = data[1:].partition(b"\x1d")
    unit, _, tail = rest.partition(b"\x1d")
    room = max(0, LENGTH - len(front) - len(tail))
    raw = front + (unit or b"A") * (room // len(unit or b"A")) + tail
    with contextlib.suppress(PeerFault):
        reader(raw)
