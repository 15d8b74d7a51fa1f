"""What would become of a message is what becomes of it, and asking changes nothing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.asking import asking
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, Side, adt, dft, merged, message, siu
from tests.acceptance.practice import SETUPS, Opening, Practice, environment

pytestmark = pytest.mark.timeout(60)

LATER = "20260105081000"
MAYBE = replace(RUTH, birth="20010101", given="EVE")

# A morning, with nearly everything that can become of a message.
DAY: Sequence[tuple[Side, bytes]] = (
    ("emr", dft("E1", [FEE, Fee("T-2")])),
    ("pm", adt("P1", "A28")),
    ("emr", adt("E2", "A28")),
    ("pm", adt("P2", "A28", OSCAR)),
    ("pm", siu("P3", "S12")),
    ("emr", adt("E3", "A08", replace(RUTH, street="9 EMR ST"), "AL1|1|DA|PCN", sender="emr", version="2.5.1")),
    ("emr", siu("E4", "S12", replace(VISIT, filler="E-1"), sender="emr")),
    ("pm", adt("P4", "A08", replace(RUTH, street="2 NEW ST"), sent=LATER)),
    ("pm", adt("P5", "A08", replace(RUTH, street="3 LATE ST"))),
    ("pm", adt("P4", "A08", replace(RUTH, street="2 NEW ST"), sent=LATER)),
    ("pm", adt("P6", "A08", MAYBE, sent=LATER)),
    ("pm", adt("P7", "A08", RUTH, sent=LATER)),
    ("pm", merged("P8", (OSCAR, RUTH), sent=LATER)),
    ("emr", dft("E5", [Fee("T-3")], OSCAR)),
    ("emr", dft("E6", [FEE])),
    ("emr", dft("E7", [Fee("T-4", amount="abc")])),
    ("pm", message("ORU^R01", "P9", sender="pm")),
    ("pm", dft("P10", sender="pm")),
    ("pm", message("ADT^A08", "", "PID|1||7050^^^PM^MR||ADAMSKI^RUTH||20180412|F", sender="pm", sent=LATER)),
    ("pm", b"MSH|^~\\&|PM\r"),
    ("pm", message("ACK^A08", "K1", "MSA|AA|1", sender="pm")),
)


def digest(database: Path) -> str:
    """Of every row of every table."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        dump = "\n".join(connection.iterdump())
    return sha256(dump.encode("utf-8", "surrogateescape")).hexdigest()


def outbox(practice: Practice) -> list[Any]:
    """How the links stand, and what each peer has received."""
    links = [{**one["destination"], "oldest_seconds": None} for one in practice.broker.links()]
    return [links, [list(peer.payloads) for peer in practice.desk.values()]]


def settled(practice: Practice) -> bool:
    """Whether the links know by now what the database says."""
    return all(one["destination"]["queued"] == 0 for one in practice.broker.links())


def arrived(practice: Practice, last: int) -> bool:
    return practice.count("journal") > last


async def explained(practice: Practice, side: Side, raw: bytes) -> list[dict[str, Any]]:
    async with asking(practice) as client:
        answer = await client.post("/explain", params={"peer": side}, content=raw)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize("setup", SETUPS)
async def test_what_is_explained_is_what_happens_and_asking_changes_nothing(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    for side, raw in DAY:
        await practice.quiet()
        await practice.until(partial(settled, practice))
        before = digest(practice.database), outbox(practice)
        holds = practice.rows("SELECT id FROM hold")
        (told,) = await explained(practice, side, raw)
        assert (digest(practice.database), outbox(practice)) == before
        line = await practice.line(side)
        last = practice.count("journal")
        if b"|ACK^" in raw:
            await line.send_raw(b"\x0b" + raw + b"\x1c\r")
            await practice.until(partial(arrived, practice, last))
            code = None
        else:
            answer = await line.send(raw)
            code = next(part for part in answer.split(b"\r") if part.startswith(b"MSA")).split(b"|")[1].decode()
        row = practice.rows("SELECT * FROM journal ORDER BY id DESC LIMIT 1")[0]
        assert (told["state"], told["row"], told["reason"]) == (
            row["state"],
            row["decision_row"] or None,
            row["reason"] or None,
        )
        assert (told["answer"] or {"code": None})["code"] == code
        assert told["repeats"] == row["repeats"]
        sent = practice.rows("SELECT destination, stream, message FROM delivery WHERE message = ?", row["id"])
        assert [(one["destination"], one["stream"]) for one in told["deliveries"] if one["own"]] == [
            (one["destination"], one["stream"]) for one in sent
        ]
        kept = practice.rows("SELECT key FROM hold WHERE message = ? ORDER BY id", row["id"])
        assert [one["key"] for one in told["holds"]] == [one["key"] for one in kept]
        assert len(practice.rows("SELECT id FROM hold")) == len(holds) + len(kept)
        drift = practice.rows("SELECT field, offered, kept FROM drift WHERE message = ? ORDER BY id", row["id"])
        assert told["stored"]["drift"] == drift
        for one in told["released"]:
            assert practice.rows("SELECT state FROM journal WHERE id = ?", one["message"])[0]["state"] == one["state"]


async def test_each_change_says_who_proposed_it_and_what_each_rule_said(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("pm", adt("P1", "A28"))
    edit = adt("E1", "A08", replace(RUTH, street="9 EMR ST"), "AL1|1|DA|PCN", sender="emr")
    (told,) = await explained(practice, "emr", edit)
    assert told["handlers"] == [{"name": "patient.record", "segment": "MSH"}]
    assert told["patient"] == "PM:7050"
    changes = {one["path"]: one for one in told["changes"]}
    street = changes["PID-11"]
    assert (street["handler"], street["taken"]) == ("patient.record", False)
    assert (street["offered"], street["current"]) == ("9 EMR ST^^SPRINGFIELD^NY^12345", "1 ELM ST^^SPRINGFIELD^NY^12345")
    assert street["verdicts"] == [
        {
            "rule": "patient_authority.ownership",
            "outcome": "strip",
            "row": "#5",
            "code": "W01",
            "text": "PID-11 is kept by the other system",
        }
    ]
    assert changes["AL1"]["taken"] is True
    assert told["stored"]["patients"] == [{"patient": "PM:7050", "new": False}]
    assert [one["code"] for one in told["warnings"]] == ["W01"]
    assert "EXPLAIN-" in told["answer"]["text"]


async def test_a_copy_tells_what_in_it_differs_from_what_came(opened: Opening) -> None:
    practice = await opened()
    other_chart = replace(RUTH, id="7052")
    await practice.accepted("pm", adt("P1", "A28"), adt("P2", "A28", other_chart), merged("M1", (other_chart, RUTH)))
    (told,) = await explained(practice, "emr", dft("E1", [FEE], other_chart))
    (copy,) = told["deliveries"]
    assert (copy["destination"], copy["stream"], copy["control_id"][:8]) == ("pm", "charges", "EXPLAIN-")
    assert copy["differences"] == [{"path": "PID-3", "before": "7052^^^PM^MR", "after": "7050^^^PM^MR"}]
    assert told["stored"]["charges"] == [
        {"transaction_id": "T-1", "procedure": "99213", "amount": "125.00", "state": "sent"}
    ]  # fmt: skip


async def test_what_would_be_released_is_told(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("emr", dft("E1"))
    (told,) = await explained(practice, "pm", adt("P1", "A28"))
    assert told["released"] == [{"message": 1, "state": "accepted", "reason": "released"}]
    assert [(one["destination"], one["own"]) for one in told["deliveries"]] == [("emr", True), ("pm", False)]
    assert practice.state("E1") == "held"


async def test_messages_of_one_frame_are_explained_singly_each_on_what_the_one_before_leaves(opened: Opening) -> None:
    practice = await opened()
    told = await explained(practice, "pm", adt("P1", "A28") + siu("P2", "S12") + message("ORU^R01", "P3", sender="pm"))
    assert [(one["control_id"], one["state"]) for one in told] == [("P1", "accepted"), ("P2", "accepted"), ("P3", "rejected")]
    assert practice.count("journal") == 0


async def test_a_question_without_a_peer_or_a_message_is_answered_with_what_is_missing(opened: Opening) -> None:
    practice = await opened()
    async with asking(practice) as client:
        assert (await client.post("/explain", content=b"MSH|")).status_code == 400
        assert (await client.post("/explain", params={"peer": "lab"}, content=b"MSH|")).status_code == 400
        assert (await client.post("/explain", params={"peer": "pm"})).status_code == 400
        assert (await client.post("/explain", params={"peer": "pm"}, content=b"x" * (5 * 2**20))).status_code == 413
        garbage = (await client.post("/explain", params={"peer": "pm"}, content=b"x")).json()["items"]
    assert [(one["state"], one["row"]) for one in garbage] == [("error", "#90")]


# -- the command ----------------------------------------------------------------------------------------------------------


def ask(path: Path, environ: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ophl7", "explain", str(path), "--peer", "emr", *more]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50, check=False)


def copies_left(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if "rehearsal" in one.name and one.is_dir()]


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
async def test_the_command_asks_the_broker_or_where_none_runs_tries_on_a_copy(
    opened: Opening, tmp_path: Path, running: bool
) -> None:
    practice = await opened()
    await practice.accepted("pm", adt("P1", "A28"))
    await practice.quiet()
    file = tmp_path / "edit.hl7"
    edit = adt("E1", "A08", replace(RUTH, street="9 EMR ST"), sender="emr") + dft("E2")
    file.write_bytes(edit.replace(b"\r", b"\n"))
    environ = environment(practice.database, "pm/pm", "", "")
    if not running:
        await practice.broker.stop()
    before = digest(practice.database)
    shown = await asyncio.to_thread(ask, file, environ, "--json")
    assert shown.returncode == 0, shown.stderr
    items = json.loads(shown.stdout)["items"]
    assert [(one["control_id"], one["state"], one["row"]) for one in items] == [
        ("E1", "accepted", "#5"),
        ("E2", "accepted", "#40"),
    ]
    assert ("No broker runs" in shown.stderr) is not running
    text = (await asyncio.to_thread(ask, file, environ)).stdout
    assert "Message 1: ADT^A08, control id E1" in text
    words = " ".join(text.split())
    assert "change patient.field PID-11 9 EMR ST^^SPRINGFIELD^NY^12345, known as 1 ELM ST^^SPRINGFIELD^NY^12345" in words
    assert "patient_authority.ownership: strip #5 (W01, PID-11 is kept by the other system)" in words
    assert "to the PM, byte for byte but for MSH-10" in text
    assert digest(practice.database) == before
    assert copies_left(tmp_path) == []


async def test_nothing_of_what_is_explained_is_logged(opened: Opening, capfd: pytest.CaptureFixture[str]) -> None:
    practice = await opened(LOG_LEVEL="debug")
    await explained(practice, "pm", adt("SECRETID", "A28"))
    out, err = capfd.readouterr()
    assert "ADAMSKI" not in out + err
    assert "SECRETID" not in out + err
