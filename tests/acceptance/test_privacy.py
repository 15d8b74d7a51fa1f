"""Nothing of a patient leaves by a side door: log lines at every level, metrics, readiness (contract 7)."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, ScriptedPeer, answering, refuse
from tests.acceptance.messages import Fee, Person, adt, dft, message, pid, siu
from tests.acceptance.practice import PM_OWNS, Ledger, until
from tests.acceptance.process import served

pytestmark = pytest.mark.timeout(60)

SECRET = Person("SECRETID77", "SECRETFAMILY", "SECRETGIVEN", "19991231", "F", "77 SECRETSTREET")
PASSWORD = "SECRETPASSWORD"
FOREIGN = b"MSH|^~\\&|||||||ACK||P|2.3\rMSA|AE|other|SECRETFAMILY is unknown\r"
MARKS = ("SECRET", "19991231", "555^0100")

# A handler of somebody's that fails with the patient in its exception's text.
FAILING = """
from ophl7.kit import Change, Context, Handlers, Segment

handlers = Handlers("leaky")


@handlers.on("ADT^A31", segment="PID")
async def leak(pid: Segment, ctx: Context) -> list[Change]:
    raise RuntimeError(f"cannot deal with {pid.text('5.1')}")
"""


def with_password(payload: bytes) -> bytes:
    """The same with something in MSH-8."""
    fields = payload.split(b"|")
    fields[7] = PASSWORD.encode()
    return b"|".join(fields)


def called(payload: bytes) -> bytes:
    """The same with names in MSH-3 and MSH-4 that are not the link's (#83), and with a wish that is none in MSH-15."""
    fields = payload.split(b"|", 4)
    fields[2:4] = [b"SECRETSENDER^SECRET", b"SECRETPLACE"]
    header, end, rest = b"|".join(fields).partition(b"\r")
    return header + b"|||SECRETWISH" + end + rest


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:  # loopback, and only what needs no token
        text: str = answer.read().decode()
    return text


async def test_a_day_with_refusals_failures_and_damage_leaves_no_patient_in_logs_metrics_or_readiness(tmp_path: Path) -> None:
    drop_in = tmp_path / "handlers"
    drop_in.mkdir(mode=0o755)
    (drop_in / "leaky.py").write_text(FAILING, encoding="utf-8")
    ledger = Ledger(tmp_path / "ophl7.db")
    refused = refuse("AE", 207)
    async with (
        ScriptedPeer(answering(lambda _payload: FOREIGN), refused) as emr,
        served(
            ledger.database,
            PM_OWNS,
            "",
            emr.url,
            LOG_LEVEL="debug",
            HANDLERS_PATH=str(drop_in),
            HTTP_LISTEN="127.0.0.1:0",
            PM_NAMES="PM",
        ) as broker,
        Client(*broker.addresses["pm"]) as pm,
        Client(*broker.addresses["emr"]) as clinic,
    ):
        await pm.send(called(with_password(adt("A1", "A28", SECRET))))
        await pm.send(adt("A2", "A31", SECRET))
        await pm.send(adt("A3", "A08", replace(SECRET, birth="20000101", given="OTHER")))
        await pm.send(siu("S1", "S12", who=replace(SECRET, id="SECRETID78")))
        await clinic.send(adt("E1", "A28", replace(SECRET, id="SECRETID79"), sender="emr"))
        await clinic.send(dft("C1", [Fee("SECRET-T")], SECRET))
        await clinic.send(dft("C2", [Fee("T", code="")], SECRET))
        await pm.send(message("SECRETFAMILY^SECRET", "X9", pid(SECRET), sender="pm"))
        await pm.send(b"no header but SECRETFAMILY")
        await pm.send_raw(b"SECRETJUNK" + frame(adt("A4", "A08", SECRET)))
        await pm.read_answer()
        await until(lambda: len(ledger.rows("SELECT 1 FROM delivery WHERE attempts > 0")) > 0)
        web = broker.output.partition("Status page: ")[2].partition("?")[0].strip()
        seen = page(web + "metrics") + page(web + "readyz")
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    said = broker.output + seen
    assert "message_committed" in said
    assert "handler_errors" in said
    assert "#83" in [row["decision_row"] for row in ledger.rows("SELECT decision_row FROM journal")]
    assert [mark for mark in MARKS if mark in said] == []
