"""Every message of tests/corpus and tests/malformed, through a real broker: one answer a frame, and not a byte changed."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from ophl7.testing.peers import Client
from tests.acceptance.messages import RUTH, Side, message, pid
from tests.acceptance.practice import PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(60)

SIDES: tuple[Side, Side] = ("pm", "emr")
TESTS = Path(__file__).parents[1]
CORPUS = sorted((TESTS / "corpus").glob("*.hl7"))
MALFORMED = sorted((TESTS / "malformed").glob("*.hl7"))


def payload_of(path: Path) -> bytes:
    """Two were collected with marks of a block around or behind them: those are the wire's and cannot travel inside of one."""
    raw = path.read_bytes()
    return raw.removeprefix(b"\x0b").partition(b"\x0b")[0].removesuffix(b"\x1c\r")


def is_ack(raw: bytes) -> bool:
    """Read in the plainest way: one message with ordinary separators, whose MSH-9 begins with ACK."""
    header = raw.replace(b"\n", b"\r").split(b"\r")[0]
    fields = header.split(b"|")
    return header.startswith(b"MSH|^~") and len(fields) > 8 and fields[8].split(b"^")[0] == b"ACK"


async def exchange(practice: Practice, line: Client, side: Side, raw: bytes, number: int) -> tuple[list[bytes], bool]:
    """Everything that answers this frame, and whether the line is still open: what comes before the next message's answer."""
    last = message("ADT^A24", f"PROBE{number}", "PID|1||7050^^^PM^MR", sender=side)
    await line.send_raw(b"\x0b" + raw + b"\x1c\r\x0b" + last + b"\x1c\r")
    answers: list[bytes] = []
    mark = f"|PROBE{number}".encode()
    while True:
        try:
            answer = await line.read_answer()
        except EOFError:
            return answers, False
        if mark in answer:
            return answers, True
        answers.append(answer)


@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_every_message_of_the_corpus_gets_one_answer_and_is_kept_as_it_came(opened: Opening, side: Side) -> None:
    practice = await opened(PM_OWNS, PROCESSING_ID="any")
    line = await practice.line(side)
    wrong: list[str] = []
    last = 0
    for number, path in enumerate(CORPUS):
        raw = payload_of(path)
        answers, still_open = await exchange(practice, line, side, raw, number)
        if len(answers) != (0 if is_ack(raw) else 1) or not still_open:
            wrong.append(f"{path.name}: {len(answers)} answers, open: {still_open}")
        rows = practice.rows("SELECT id, raw, state FROM journal WHERE id > ? AND control_id <> ?", last, f"PROBE{number}")
        if not rows or any(row["raw"] != raw or row["state"] == "error" for row in rows):
            wrong.append(f"{path.name}: stored {[(row['state'], row['raw'] == raw) for row in rows]}")
        last = practice.rows("SELECT max(id) AS id FROM journal")[0]["id"]
    assert wrong == []
    assert all(not key.startswith("handler:") for key in practice.holds())


@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_every_broken_message_is_answered_or_its_line_closed_and_the_broker_goes_on(opened: Opening, side: Side) -> None:
    practice = await opened(PM_OWNS, PROCESSING_ID="any")
    wrong: list[str] = []
    for number, path in enumerate(MALFORMED):
        raw = payload_of(path)
        async with Client(*practice.address(side)) as line:
            answers, still_open = await exchange(practice, line, side, raw, number)
        framed = b"\x0b" not in raw and b"\x1c" not in raw
        if framed and (len(answers) != (0 if is_ack(raw) else 1) or not still_open):
            wrong.append(f"{path.name}: {len(answers)} answers, open: {still_open}")
        if any(b"MSA|A" not in answer and b"MSA" not in answer and b"BTS" not in answer for answer in answers):
            wrong.append(f"{path.name}: an answer that is none")
        kept = practice.rows("SELECT raw FROM journal WHERE raw = ?", raw)
        if framed and not kept:
            wrong.append(f"{path.name}: not kept")
    assert wrong == []
    assert all(not key.startswith("handler:") for key in practice.holds())
    assert practice.broker.health.readiness().ready


async def test_after_all_of_them_again_and_again_the_broker_works_and_holds_no_more_memory(opened: Opening) -> None:
    """Objects that the collector knows are counted: a list or a table that grew with the messages would show."""
    practice = await opened(PM_OWNS, PROCESSING_ID="any")
    payloads = [payload_of(path) for path in (*CORPUS, *MALFORMED)]
    number = 10_000
    objects: list[int] = []
    for _ in range(3):
        for side in SIDES:
            left = list(payloads)
            while left:
                async with Client(*practice.address(side)) as line:
                    still_open = True
                    while left and still_open:
                        number += 1
                        _, still_open = await exchange(practice, line, side, left.pop(), number)
        await practice.quiet()
        for peer in practice.desk.values():  # what the scripted destinations keep is theirs
            peer.messages.clear()
        gc.collect()
        objects.append(len(gc.get_objects()))
    assert objects[2] - objects[1] < len(payloads) / 2, objects
    assert practice.broker.health.readiness().ready
    await practice.accepted("pm", message("ADT^A28", "LAST", "EVN|A28", pid(RUTH), sender="pm"))
