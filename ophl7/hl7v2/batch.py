"""One frame, several messages: FHS/BHS envelopes and bare MSH one after another (HL7 v2.5.1, 2.10.3; decisions 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ophl7.hl7v2.lines import terminator

MOST_MEMBERS = 1000

_AFTER_CR = re.compile(r"(?:\A(?:\xef\xbb\xbf|[\s\x00])*|\r\n*)(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")
_AFTER_LF = re.compile(r"(?:\A(?:\xef\xbb\xbf|[\s\x00])*|\n\r*)(MSH|FHS|BHS|BTS|FTS)(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Batch:
    """members: start and end of each message in the frame. envelope: its outermost header. head: start and end of the headers.

    problems: what is wrong with the envelope itself, for the audit; too_many: more than 1,000 members, to be refused (AE 199).
    """

    members: list[tuple[int, int]]
    envelope: Literal["none", "bhs", "fhs"] = "none"
    problems: tuple[str, ...] = ()
    head: tuple[int, int] = (0, 0)
    too_many: bool = False


def split(raw: bytes) -> Batch:
    """Where the messages of a frame are. What has no MSH at all is one member: its reader says what is wrong. Never raises.

    A segment's name counts only where a segment begins, so a message that is quoted inside a field stays data.
    """
    # One message, nearly always: neither a second MSH nor the HS of FHS and BHS. (A trailer alone changes nothing.)
    if raw.find(b"HS") < 0 and raw.find(b"MSH", 3) < 0:
        return Batch([(0, len(raw))])
    text = raw.decode("latin-1")  # one character a byte: positions are those of the bytes
    pattern = _AFTER_LF if terminator(text) == "\n" else _AFTER_CR
    marks = [(found[1], found.start(1)) for found in pattern.finditer(text)]
    if not any(name != "MSH" for name, _ in marks) and len(marks) < 2:
        return Batch([(0, len(raw))])
    ends = [start for _, start in marks[1:]] + [len(raw)]
    members = [(start, end) for (name, start), end in zip(marks, ends, strict=True) if name == "MSH"]
    names = [name for name, _ in marks]
    if not members and "FHS" not in names and "BHS" not in names:
        return Batch([(0, len(raw))])
    envelope: Literal["none", "bhs", "fhs"] = "fhs" if names[0] == "FHS" else "bhs" if names[0] == "BHS" else "none"
    head = (marks[0][1], members[0][0] if members else len(raw)) if envelope != "none" else (0, 0)
    pieces = [(name, text[start:end]) for (name, start), end in zip(marks, ends, strict=True)]
    problems = _problems(pieces, text[: marks[0][1]], len(members))
    return Batch(members, envelope, problems, head, len(members) > MOST_MEMBERS)


def _problems(pieces: list[tuple[str, str]], before: str, members: int) -> tuple[str, ...]:
    names = {name for name, _ in pieces}
    found: list[str] = []
    if before.strip("\xef\xbb\xbf \t\r\n\x00"):
        found.append("text stands before the first header")
    if members > MOST_MEMBERS:
        found.append(f"{members} messages in one frame; at most {MOST_MEMBERS} are taken")
    if not members:
        found.append("the batch holds no message")
    batches = in_batch = 0
    for name, piece in pieces:
        if name == "MSH":
            in_batch += 1
        elif name == "BHS":
            batches, in_batch = batches + 1, 0
        elif name in {"BTS", "FTS"}:
            opened = ("BHS" if name == "BTS" else "FHS") in names
            if not opened:
                found.append(f"{name} without {'BHS' if name == 'BTS' else 'FHS'}")
            # Messages that stand in a file without a BHS are a batch all the same (2.10.3).
            _compare(name, piece, in_batch if name == "BTS" else batches or min(members, 1), found)
        if name != "MSH" and len(piece.split()) and re.search(r"[\r\n]+[A-Z][A-Z0-9]{2}[^A-Za-z0-9\s]", piece):
            found.append(f"segments after {name} belong to no message")
    return tuple(found)


def _compare(name: str, piece: str, counted: int, found: list[str]) -> None:
    """BTS-1 counts messages, FTS-1 batches; an empty count says nothing."""
    count = piece[4:].strip().split(piece[3:4] or "|")[0].strip() if len(piece) > 4 else ""
    if count.isdecimal() and int(count[:9]) != counted:
        found.append(f"{name}-1 says {int(count[:9])}, {counted} came")
