"""Alarms of a real broker: opened, shown, acknowledged, and not rung again by a restart."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from ophl7.testing.peers import Client, ScriptedPeer, refuse
from tests.acceptance.messages import OSCAR, RUTH, adt, dft
from tests.acceptance.practice import PM_OWNS, Ledger, Opening, until
from tests.acceptance.process import served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)


async def test_a_refused_charge_opens_an_alarm_that_a_person_acknowledges_once(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    practice.desk["pm"].script.append(refuse("AE", 103))
    await practice.accepted("emr", dft("D1"))
    await practice.until(lambda: bool(practice.rows("SELECT * FROM alarm")))
    base = practice.broker.web_address.partition("/?")[0]
    headers = {"Authorization": f"Bearer {practice.broker.token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        (alarm,) = (await client.get("/api/v1/alarms?state=open")).json()["items"]
        assert (alarm["kind"], alarm["about"], alarm["count"]) == ("delivery_stopped", "pm", 1)
        assert "ophl7 queue list" in alarm["todo"]
        page = (await client.get("/")).text
        assert "Somebody must look" in page
        assert alarm["reason"] in page
        for reason in ("I call them", "again"):
            answer = await client.post(f"/api/v1/alarms/{alarm['id']}/acknowledge", json={"reason": reason})
            assert answer.status_code == 200, answer.text
            assert answer.json()["acknowledged_at"]
            assert answer.json()["resolved_at"] is None
        assert (await client.post("/api/v1/alarms/99/acknowledge", json={"reason": "x"})).status_code == 404
        assert 'ophl7_alarm{kind="delivery_stopped"} 1.0' in (await client.get("/metrics")).text
    (row,) = practice.rows("SELECT * FROM audit WHERE action = 'acknowledge-alarm'")
    assert row["reason"] == "I call them"


async def test_an_alarm_that_is_open_is_not_rung_again_after_a_kill(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        emr.script.append(refuse("AE", 103))
        async with served(database, PM_OWNS, pm.url, emr.url) as broker:
            async with Client(*broker.addresses["pm"]) as line:
                assert read_reply(await line.send(adt("REG", "A28", RUTH, sender="pm"))).code == "AA"
            await until(lambda: bool(Ledger(database).rows("SELECT * FROM alarm")))
            await broker.kill()
        emr.script.append(refuse("AE", 103))
        async with served(database, PM_OWNS, pm.url, emr.url) as broker:
            async with Client(*broker.addresses["pm"]) as line:
                other = adt("REG2", "A28", OSCAR, sender="pm")
                assert read_reply(await line.send(other)).code == "AA"
            await until(lambda: Ledger(database).rows("SELECT * FROM alarm WHERE times > 1") != [])
            await broker.kill()
            said = [json.loads(line) for line in broker.output.splitlines() if line.startswith("{")]
        assert [one for one in said if one["event"] == "alarm_opened"] == []
    assert len(Ledger(database).rows("SELECT * FROM alarm")) == 1


async def test_a_port_that_a_failing_part_had_closed_is_open_after_a_restart_and_its_alarm_ends(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        async with served(database, PM_OWNS, pm.url, emr.url) as broker:
            await broker.kill()
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(
                "INSERT INTO alarm (id, kind, about, reason, opened_at, times)"
                " VALUES (1, 'listener_closed', 'pm', 'it is closed', 1.0, 1)"
            )
        async with served(database, PM_OWNS, pm.url, emr.url) as broker:
            await until(lambda: Ledger(database).rows("SELECT * FROM alarm WHERE how = 'cause_gone'") != [])
            await broker.kill()
            said = [json.loads(line) for line in broker.output.splitlines() if line.startswith("{")]
        assert [one["alarm"] for one in said if one["event"] == "alarm_resolved"] == ["listener_closed"]


async def test_a_broker_that_is_stopped_says_of_no_part_that_it_broke(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    broken = practice.broker._tasks._broken
    assert broken is not None
    await practice.broker.stop()
    assert broken.cancelled(), "one with an error in it would be told by whoever collects it"
