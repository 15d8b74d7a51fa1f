"""Whatever bytes come from either peer, each block is settled once and kept as it came, nothing fails, no log line quotes it.

Input: the set-up; whether a patient, a booking and a charge are known; then stretches of bytes, each behind a GS and a letter
that says whose they are (p: the PM's, e: the EMR's), and in capitals that the connection ends after them; q and r: the same
two, and then nothing for a while.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import ophl7
from ophl7.engine.ports import Envelope
from ophl7.engine.rows import JournalRow
from ophl7.errors import Unreadable
from ophl7.hl7v2 import answer, batch
from ophl7.hl7v2.message import Header, Message, read_header
from ophl7.mllp.framing import Frame, Framer, frame
from tests.fuzz.desk import Answered, FuzzDesk, Wire, loop, run
from tests.fuzz.seeds import PRACTICE, published
from tests.fuzz.setups import policies

HEAD = 2
BUDGET_SECONDS = 4.0
TOKENS = (
    *(b"\x1d" + letter for letter in (b"p", b"e", b"q", b"r", b"P", b"E")),
    b"\x1c\r\x0b",
    b"\x1c\r",
    b"\x0b",
    b"\x1c",
    b"\x16\x03",
)
_SPLIT = b"\x1d"
_HOW = {
    "p": ("pm", "on"),
    "e": ("emr", "on"),
    "q": ("pm", "quiet"),
    "r": ("emr", "quiet"),
    "P": ("pm", "end"),
    "E": ("emr", "end"),
}
_WORD = re.compile(r"[A-Za-z0-9]{6,}")
_OF_THE_HEADER = ("control_id", "message_type", "trigger")  # contract 7 lets these out where they look like codes
SILENT = frozenset({"cut_off"})


def stretch(how: str, *payloads: bytes) -> bytes:
    """A stretch of whole blocks."""
    return _SPLIT + how.encode() + b"".join(b"\x0b%b\x1c\r" % payload for payload in payloads)


def seeds() -> list[bytes]:
    """A practice's messages one by one and all together in every set-up; each tenth published one from either side."""
    ours = {"p": PRACTICE["pm"], "e": PRACTICE["emr"]}
    alone = [b"\0\1" + stretch(how, raw) for how, some in ours.items() for raw in some]
    together = [
        bytes((setup, 0))
        + b"".join(stretch(how, *some[start : start + 4]) for start in (0, 4, 8) for how, some in ours.items())
        for setup in range(len(policies()))
    ]
    twice = [b"\0\1" + stretch("q", raw, raw) + stretch("P", raw) for raw in PRACTICE["pm"][:3]]
    broken = [b"\0\1\x1dq\x0b" + raw[:40] + b"\x1c" + raw[40:] + b"\x1c\x1de\x0b" + raw for raw in PRACTICE["pm"][:2]]
    others = [b"\0\1" + stretch(how, raw) for raw in published()[::10] for how in "pe"]
    return [*alone, *together, *twice, *broken, *others]


def check(data: bytes) -> None:
    """Raises AssertionError where the sentence above does not hold."""
    head, body = data[:HEAD].ljust(HEAD, b"\0"), data[HEAD:]
    chosen = policies()[head[0] % len(policies())]
    parts = [part for part in body.split(_SPLIT) if part]
    if head[1] % 2:
        known = [stretch("p", PRACTICE["pm"][0], PRACTICE["pm"][3]), stretch("e", PRACTICE["emr"][0])]
        parts = [one[1:] for one in known] + parts
    desk = FuzzDesk(chosen)
    loop().failed.clear()
    run(lambda: played(desk, parts))
    assert loop().failed == []


async def played(desk: FuzzDesk, parts: Sequence[bytes]) -> None:
    """Every stretch, then the end of both connections; then all that must hold."""
    await desk.start()
    lines: list[tuple[Answered, Wire, bytearray]] = []
    open_now: dict[str, tuple[Answered, Wire, bytearray]] = {}
    for part in parts:
        letter = chr(part[0])
        peer, how = _HOW[letter] if letter in _HOW else list(_HOW.values())[part[0] % len(_HOW)]
        if peer not in open_now:
            session, wire = desk.connect(peer)
            open_now[peer] = (session, wire, bytearray())
            lines.append(open_now[peer])
        session, wire, came = open_now[peer]
        if not wire.closing and not wire.ended:
            came += part[1:]
            session.data_received(part[1:])
        if how == "quiet":
            await loop().pass_time(1.0)
            await loop().pass_time(1.0)
            await desk.settled()
        elif how == "end":
            await hung_up(desk, session, wire)
            del open_now[peer]
    for session, wire, _ in open_now.values():
        await hung_up(desk, session, wire)
    await desk.stop()
    for session, wire, came in lines:
        answered(session, wire)
        assert session.unanswered == 0 or session.abandoned or b"".join([bytes(came[:2])]) == b"\x16\x03"
    kept(desk)
    told(desk, b"".join(bytes(came) for _, _, came in lines))


async def hung_up(desk: FuzzDesk, session: Answered, wire: Wire) -> None:
    """The peer closes its half, waits for its answers, and is gone."""
    if not wire.closing:
        session.eof_received()
    await desk.settled()
    await loop().pass_time(0.0)
    session.connection_lost(None)
    await desk.settled()


def answered(session: Answered, wire: Wire) -> None:
    """What was written is the answers in their order, each a block that is read as one."""
    given = [payload for payload in session.settled if payload is not None]
    assert bytes(wire.written) == b"".join(frame(payload) for payload in given)
    framer, blocks = Framer(1 << 24), []
    framer.receive(bytes(wire.written))
    while (block := framer.next()) is not None:
        blocks.append(block)
    assert blocks == [Frame(payload) for payload in given]
    assert b"" not in given


def kept(desk: FuzzDesk) -> None:
    """Each block is in the journal with equal bytes, as often as it has members, and has the answer that is stored."""
    rows = [row for _, row in sorted(desk.store.journal.items())]
    assert not [row.row for row in rows if row.row.startswith("handler:")]
    assert not [row.key for row in desk.store.holds.values() if row.key.startswith("handler:")]
    sessions = {one.session for one in desk.intake.offered}
    for session in sessions:  # order is kept on a connection; between two peers fairness decides
        assert isinstance(session, Answered)
        own = [row for row in rows if row.connection == session.number]
        one_connection(desk, session, [one for one in desk.intake.offered if one.session is session], own)
    assert {row.connection for row in rows} == {session.number for session in sessions}


def one_connection(desk: FuzzDesk, session: Answered, offered: Sequence[Envelope], rows: Sequence[JournalRow]) -> None:
    """Its blocks, its rows and its answers are the same, in the same order."""
    assert len(session.settled) == len(offered)
    at = 0
    for envelope, said in zip(offered, session.settled, strict=True):
        first = rows[at]
        assert (first.peer, first.raw) == (envelope.peer, envelope.payload)
        count = 1
        while at + count < len(rows) and first.end < len(first.raw) and _same_frame(rows[at + count - 1], rows[at + count]):
            count += 1
        one_answer(desk, rows[at : at + count], said)
        at += count
    assert at == len(rows)


def _same_frame(before: JournalRow, row: JournalRow) -> bool:
    return row.raw is before.raw and row.start >= before.end


def one_answer(desk: FuzzDesk, rows: Sequence[JournalRow], said: bytes | None) -> None:
    """An answer, or silence where the decisions ask for it: acknowledgments, `none`, a block that another one cut off."""
    row = rows[0]
    if said is None:
        silent = desk.policy.peers[row.peer].ack_mode == "none" or row.answer is None
        assert silent
        if desk.policy.peers[row.peer].ack_mode != "none":
            assert all(one.answer is None for one in rows)
            assert all(one.event.partition("^")[0] == "ACK" or one.state == "error" for one in rows)
        return
    if said[:3] in {b"FHS", b"BHS"}:
        assert len(batch.split(said).members) == sum(one.answer is not None for one in rows)
        return
    assert said == b"".join(one.answer or b"" for one in rows) or len(rows) == 1
    for one in rows:
        if one.answer is not None and one.state != "duplicate":
            echoed(one)


def echoed(row: JournalRow) -> None:
    """MSA-1 is what the journal says, MSA-2 the MSH-10 that came."""
    assert row.answer is not None
    read = answer.read(row.answer)
    assert read.code == row.ack_code
    body = row.raw[row.start : row.end]
    header: Message | Header | None = read_header(body)  # of what is quarantined only what can be read counts (#90)
    if row.state != "error":
        with contextlib.suppress(Unreadable):
            header = Message.parse(body)
    if header is not None and header.control_id.isascii() and header.control_id.isprintable():
        assert header.encoding == "iso2022_jp" or read.control_id == header.control_id


@lru_cache(maxsize=1)
def _our_words() -> frozenset[str]:
    """Every word of our own sources: a payload may hold them too."""
    root = Path(ophl7.__file__).parents[1]
    sources = [path for folder in ("ophl7", "handlers", "plugins") for path in (root / folder).rglob("*.py")]
    return frozenset(word for path in sources for word in _WORD.findall(path.read_text("utf-8")))


def told(desk: FuzzDesk, came: bytes) -> None:
    """No word of what came stands in a log line, but what contract 7 lets out of a header."""
    said: set[str] = set()
    for line in desk.lines.getvalue().splitlines():
        fields = json.loads(line)
        assert fields.get("alarm") not in {"message_kept", "handler", "store"}
        said.update(_WORD.findall(" ".join(str(value) for name, value in fields.items() if name not in _OF_THE_HEADER)))
    assert not (said & set(_WORD.findall(came.decode("latin-1")))) - _our_words()
