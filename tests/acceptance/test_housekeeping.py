"""Retention, the disk's mark and the write-ahead log on a running broker with real sockets and a real database."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7 import cli
from ophl7.cli.exits import Exit
from ophl7.engine.chain_walk import verify_chain
from ophl7.observe.logs import make_log
from ophl7.store.care import DirectChain, faults, looking
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from ophl7.testing.peers import Client
from ophl7.wal import WalWatch, size_of
from tests.acceptance.messages import RUTH, adt
from tests.acceptance.practice import PM_OWNS, Ledger, Opening, Practice, until

pytestmark = pytest.mark.timeout(90)

MIB = 1024 * 1024
WHY = {"reason": "the yearly look"}


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"}
        return await client.request(method, path, json=body, headers=headers)


def age(database: Path, years: float) -> None:
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute("UPDATE journal SET received_at = received_at - ?", (years * 365.25 * 86400,))
        connection.execute("UPDATE audit SET at = at")


async def practice_of_a_year_ago(opened: Opening) -> Practice:
    """Ruth was registered and the EMR has it; her second message waits for an EMR that is paused."""
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    await practice.until(lambda: practice.deliveries("REG")[0]["state"] == "accepted")
    assert (await ask(practice, "POST", "/api/v1/links/emr/pause", WHY)).status_code == 200
    await practice.accepted("pm", adt("UPD", "A08", RUTH, sender="pm"))
    age(practice.database, 1.0)
    return practice


async def purged(practice: Practice) -> None:
    assert (await ask(practice, "POST", "/api/v1/retention/run", WHY)).status_code == 200

    await practice.until(lambda: practice.broker.retention.status()["at"] is not None)
    found = (await ask(practice, "GET", "/api/v1/retention")).json()
    assert (found["bodies"], found["running"]) == (1, False)


async def test_a_body_that_is_gone_is_told_with_its_date_and_what_waits_is_delivered_later(opened: Opening) -> None:
    practice = await practice_of_a_year_ago(opened)
    before = practice.broker.log
    lines = StringIO()
    practice.broker.retention._log = make_log("info", "json", stream=lines, strict=True)
    await purged(practice)
    assert before is practice.broker.log
    first, second = practice.journal("REG"), practice.journal("UPD")
    assert first["raw"] is None
    assert second["raw"] is not None
    gone = await ask(practice, "GET", f"/api/v1/messages/{first['id']}/raw")
    assert gone.status_code == 410
    assert gone.json()["detail"].startswith("the body of this message was removed on 20")
    opened_one = (await ask(practice, "GET", f"/api/v1/messages/{first['id']}")).json()
    assert opened_one["body_removed_at"] is not None
    assert opened_one["patient"] == "PM:7050"
    steps = (await ask(practice, "GET", f"/api/v1/messages/{first['id']}/timeline")).json()["items"]
    assert [one["step"] for one in steps].count("body_removed") == 1
    replayed = await ask(practice, "POST", f"/api/v1/messages/{first['id']}/replay", WHY)
    assert (replayed.status_code, replayed.json()["detail"]) == (409, "its bytes were removed when its retention was over")
    assert (await ask(practice, "GET", "/api/v1/messages")).status_code == 200
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(one["event"], one["bodies"], one["rows"], one["audit"], one["kept"]) for one in said] == [
        ("retention", 1, 0, 0, 1)
    ]
    assert 'ophl7_retention_removed_total{kind="bodies"} 1' in (await ask(practice, "GET", "/metrics")).text
    assert (await ask(practice, "POST", "/api/v1/links/emr/resume", WHY)).status_code == 200
    await practice.until(lambda: practice.deliveries("UPD")[0]["state"] == "accepted")


async def test_84_a_copy_that_comes_after_the_bytes_are_gone_is_judged_like_any_message(opened: Opening) -> None:
    practice = await practice_of_a_year_ago(opened)
    await purged(practice)
    assert (await practice.send("pm", adt("REG", "A28", RUTH, sender="pm"))).code == "AA"


async def test_the_audit_and_the_database_are_whole_behind_it(opened: Opening) -> None:
    practice = await practice_of_a_year_ago(opened)
    await purged(practice)
    with looking(practice.database) as connection:
        assert faults(connection) == []
        assert (await verify_chain(DirectChain(connection))).fault is None


async def test_94_below_the_mark_connections_close_without_an_answer_and_it_does_not_flap(opened: Opening) -> None:
    practice = await practice_of_a_year_ago(opened)
    watch, reserve = practice.broker.disk, practice.broker.settings.disk_reserve
    room = {"free": reserve - 1}
    watch._free = lambda _folder: room["free"]
    watch.look()
    ready = await ask(practice, "GET", "/readyz")
    assert (ready.status_code, ready.json()["checks"]["disk"]["ok"]) == (503, False)
    async with Client(*practice.address("pm")) as client:
        with pytest.raises((EOFError, ConnectionError)):
            await client.send(adt("LATER", "A08", RUTH, sender="pm"))
    # What was taken is still delivered, and that is written.
    assert (await ask(practice, "POST", "/api/v1/links/emr/resume", WHY)).status_code == 200
    await practice.until(lambda: practice.deliveries("UPD")[0]["state"] == "accepted")
    room["free"] = reserve + 1
    watch.look()
    assert (await ask(practice, "GET", "/readyz")).status_code == 503
    room["free"] = reserve * 2
    watch.look()
    assert (await ask(practice, "GET", "/readyz")).status_code == 200
    async with Client(*practice.address("pm")) as client:
        assert b"MSA|AA|LATER" in await client.send(adt("LATER", "A08", RUTH, sender="pm"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("a small file system is mounted by root alone")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("this system lets nobody mount a file system")
    yield place
    subprocess.run([umount, "-l", str(place)], check=True)


async def test_94_a_disk_that_fills_up_closes_the_intake_while_marks_can_still_be_written(small_disk: Path) -> None:
    async with Practice(small_disk / "ophl7.db", PM_OWNS, DISK_RESERVE="4MiB") as practice:
        await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
        taken = 1
        with suppress(EOFError, ConnectionError):
            async with Client(*practice.address("pm")) as client:
                for number in range(200):
                    practice.broker.disk.look()
                    padded = adt(f"N{number}", "A08", RUTH, sender="pm") + b"NTE|1||" + b"x" * 100_000 + b"\r"
                    assert b"MSA|AA|" in await client.send(padded)
                    taken += 1
        assert practice.broker.engine.closed_for == {"disk"}
        assert 10 < taken < 150
        count = "SELECT count(*) AS found FROM delivery WHERE state = 'accepted'"
        await practice.until(lambda: practice.rows(count)[0]["found"] == taken)
    with looking(small_disk / "ophl7.db") as connection:
        assert faults(connection) == []


async def test_the_log_stays_bounded_while_reports_run_without_a_pause(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    store, database = practice.broker.store, practice.database
    assert isinstance(store, SqliteStore)
    reader = SqliteReader(database)
    watch = WalWatch(database, store, practice.broker.engine, reader.quiet, practice.broker.alarms, most=2 * MIB)
    sizes: list[int] = []
    stopped = False

    async def report() -> None:
        while not stopped:
            await reader.read("SELECT count(*), max(length(raw)) FROM journal, (SELECT 1 UNION SELECT 2)", ())

    async def keep() -> None:
        while not stopped:
            await watch.look()
            sizes.append(size_of(database))
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(report()), asyncio.create_task(report()), asyncio.create_task(keep())]
    async with Client(*practice.address("pm")) as client:
        for number in range(150):
            padded = adt(f"N{number}", "A08", RUTH, sender="pm") + b"NTE|1||" + b"x" * 100_000 + b"\r"
            assert b"MSA|A" in await client.send(padded)
    stopped = True
    await asyncio.gather(*tasks)
    await reader.close()
    assert max(sizes) < 8 * MIB  # 15 MiB were written, and copies
    assert await watch.look()


# -- on the command line --------------------------------------------------------------------------------------------------


def test_a_database_is_copied_checked_and_purged_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, copy = tmp_path / "ophl7.db", tmp_path / "copy.db"
    asyncio.run(_a_day(database))
    age(database, 1.0)
    monkeypatch.setenv("OPHL7_DATABASE_URL", f"sqlite:///{database}")
    assert cli.run(["db", "backup", str(copy)]) == Exit.OK
    assert cli.run(["db", "verify"]) == Exit.OK
    assert cli.run(["db", "purge", "--dry-run"]) == Exit.OK
    assert "1 to 2 years old" in capsys.readouterr().out
    assert cli.run(["db", "purge", "--dry-run", "--json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["bodies"] == [{"years": 1, "messages": 1}]
    assert Ledger(database).journal("REG")["raw"] is not None
    assert cli.run(["db", "purge"]) == Exit.OK
    assert "the bodies of 1 messages" in capsys.readouterr().out
    assert Ledger(database).journal("REG")["raw"] is None
    assert Ledger(copy).journal("REG")["raw"] is not None
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO meta (name, value) VALUES ('audit anchor', '7 00')")
    assert cli.run(["db", "verify"]) == Exit.REFUSED
    assert "audit" in capsys.readouterr().out


async def test_a_purge_beside_a_running_broker_is_done_by_the_broker(
    opened: Opening, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    practice = await practice_of_a_year_ago(opened)
    monkeypatch.setenv("OPHL7_DATABASE_URL", f"sqlite:///{practice.database}")
    assert await asyncio.to_thread(cli.run, ["db", "purge"]) == Exit.OK
    assert "has begun" in capsys.readouterr().out
    await practice.until(lambda: practice.journal("REG")["raw"] is None)
    assert await asyncio.to_thread(cli.run, ["db", "verify"]) == Exit.OK
    asked = practice.rows("SELECT action, reason FROM audit ORDER BY id DESC LIMIT 1")[0]
    assert (asked["action"], asked["reason"]) == ("run-retention", "ophl7 db purge")


async def _a_day(database: Path) -> None:
    async with Practice(database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
        await until(lambda: practice.deliveries("REG")[0]["state"] == "accepted")
