"""A peer that a person drains keeps its messages; what waits for it still leaves; over a kill too (decision record 0059)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import RUTH, adt
from tests.acceptance.practice import PM_OWNS, Opening, Practice, until
from tests.acceptance.process import Served, served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(120)

WHY = {"reason": "the server is moved tonight"}
TOKEN = "a-token-for-tests"


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        return await client.request(method, path, json=body, headers={"Authorization": f"Bearer {practice.broker.token}"})


async def test_a_drained_peer_is_closed_politely_and_opened_again_while_the_other_goes_on(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    for _ in range(2):  # again is no fault
        answer = await ask(practice, "POST", "/links/pm/drain", WHY)
        assert answer.status_code == 200, answer.text
        assert answer.json()["listener"]["drained_because"] == WHY["reason"]
    listeners = practice.broker.listeners
    await practice.until(lambda: practice.broker.links()[0]["listener"]["state"] == "drained")
    assert not listeners["pm"].accepting
    readiness = practice.broker.health.readiness()
    assert not readiness.ready
    assert "drained the PM" in str(readiness.reasons["draining"])
    assert readiness.reasons["listeners"] is None
    assert listeners["emr"].accepting
    with pytest.raises(OSError, match=r"."):
        await Client(*listeners["pm"].address).__aenter__()
    assert (await ask(practice, "POST", "/links/pm/resume", WHY)).json()["listener"]["drained_because"] is None
    await practice.until(lambda: listeners["pm"].accepting)
    async with Client(*listeners["pm"].address) as line:
        assert read_reply(await line.send(adt("UPD", "A08", RUTH, sender="pm"))).code == "AA"
    assert practice.broker.health.readiness().reasons["draining"] is None
    actions = [row["action"] for row in practice.rows("SELECT action FROM audit WHERE action LIKE '%-link' ORDER BY id")]
    assert actions == ["drain-link", "resume-link"]


async def on_link(broker: Served, verb: str, key: str = "") -> httpx.Response:
    place = next(word for line in broker.output.splitlines() for word in line.split() if word.startswith("http://127.0.0.1"))
    headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Idempotency-Key": key} if key else {})
    async with httpx.AsyncClient(base_url=place.partition("/?")[0].rstrip("/"), trust_env=False) as client:
        return await client.post(f"/api/v1/links/pm/{verb}", json=WHY, headers=headers)


async def test_a_drained_peer_stays_drained_over_a_kill_and_the_same_key_does_it_once(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN=TOKEN) as broker:
            first = await on_link(broker, "drain", "K1")
            assert first.status_code == 200, first.text
            await broker.kill()
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN=TOKEN) as broker:
            again = await on_link(broker, "drain", "K1")
            assert again.json()["listener"]["state"] == "drained"
            assert again.json()["decided_at"] == first.json()["decided_at"]
            assert (await on_link(broker, "resume", "K2")).status_code == 200
            late = await on_link(broker, "drain", "K1")
            assert late.json()["listener"]["drained_because"] is None, "an answer that was lost does not drain it once more"
            await until(lambda: "link_taken_up" in broker.output)
