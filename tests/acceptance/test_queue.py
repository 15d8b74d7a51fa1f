"""What people do with deliveries and links, from the API to the other system's socket, over restarts (decisions 8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7.testing.peers import Client, ScriptedPeer, accept, close, refuse
from tests.acceptance.messages import FEE, RUTH, adt, control_id_of, dft
from tests.acceptance.practice import PM_OWNS, Ledger, Opening, Practice, until
from tests.acceptance.process import served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)

WHY = {"reason": "the PM's support was called"}


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"}
        return await client.request(method, path, json=body, headers=headers)


async def refused_charge(opened: Opening) -> tuple[Practice, int]:
    """The PM has refused Ruth's charge; another one waits behind it."""
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    practice.desk["pm"].script.append(refuse("AE", 103))
    await practice.accepted("emr", dft("D1"))
    await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "parked")
    return practice, int(practice.deliveries("D1")[0]["id"])


async def test_a_parked_charge_that_is_sent_again_is_accepted_and_audited(opened: Opening) -> None:
    practice, number = await refused_charge(opened)
    answer = await ask(practice, "POST", f"/deliveries/{number}/retry", WHY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["decided_by"]
    await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "accepted")
    first, second = practice.desk["pm"].payloads
    assert first == second
    (charge,) = (await ask(practice, "GET", "/charges")).json()["items"]
    assert charge["state"] == "accepted"
    (row,) = practice.rows("SELECT * FROM audit WHERE action = 'retry-delivery'")
    assert (row["target"], row["reason"]) == (f"delivery {number}", WHY["reason"])


@pytest.mark.parametrize(("verb", "state"), [("skip", "skipped"), ("close", "rejected")])
async def test_a_charge_that_is_let_go_says_so_and_frees_its_lane(opened: Opening, verb: str, state: str) -> None:
    practice, number = await refused_charge(opened)
    await practice.accepted("emr", dft("D2", [replace(FEE, id="T-2")]))
    assert (await ask(practice, "POST", f"/deliveries/{number}/{verb}", WHY)).status_code == 200
    again = await ask(practice, "POST", f"/deliveries/{number}/{verb}", WHY)
    assert again.status_code == 409
    assert "does not wait any more" in again.json()["detail"]
    states = {one["delivery"]: one["state"] for one in (await ask(practice, "GET", "/charges")).json()["items"]}
    assert states[number] == state
    assert practice.deliveries("D1")[0]["state"] == state
    await practice.until(lambda: practice.deliveries("D2")[0]["state"] == "accepted")
    assert len(practice.desk["pm"].payloads) == 2


async def test_a_paused_link_stays_paused_over_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN="a-token-for-tests") as broker:
            await switch(broker.output, "emr", "pause")
            async with Client(*broker.addresses["pm"]) as line:
                assert read_reply(await line.send(adt("REG", "A28", RUTH, sender="pm"))).code == "AA"
            await broker.kill()
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN="a-token-for-tests") as broker:
            assert emr.payloads == []
            assert Ledger(database).deliveries("REG")[0]["state"] == "queued"
            await switch(broker.output, "emr", "resume")
            await emr.received(1)


async def switch(output: str, peer: str, verb: str) -> None:
    """Over HTTP, where the broker has said that its page is."""
    place = next(word for line in output.splitlines() for word in line.split() if word.startswith("http://127.0.0.1"))
    async with httpx.AsyncClient(base_url=place.partition("/?")[0].rstrip("/"), trust_env=False) as client:
        headers = {"Authorization": "Bearer a-token-for-tests"}
        answer = await client.post(f"/api/v1/links/{peer}/{verb}", json=WHY, headers=headers)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["destination"]["state"] == "paused") == (verb == "pause")


async def test_with_review_a_delivery_without_an_answer_is_never_sent_twice_unasked(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer() as pm, ScriptedPeer(close, then=accept) as emr:
        async with (
            served(database, PM_OWNS, pm.url, emr.url, EMR_ON_TIMEOUT="review") as broker,
            Client(*broker.addresses["pm"]) as line,
        ):
            assert read_reply(await line.send(adt("REG", "A28", RUTH, sender="pm"))).code == "AA"
            await until(lambda: Ledger(database).deliveries("REG")[0]["state"] == "unknown")
            assert read_reply(await line.send(adt("UPD", "A08", RUTH, sender="pm"))).code == "AA"
            await broker.kill()
        async with served(database, PM_OWNS, pm.url, emr.url, EMR_ON_TIMEOUT="review"):
            assert Ledger(database).deliveries("REG")[0]["state"] == "unknown"
            assert Ledger(database).deliveries("UPD")[0]["state"] == "queued", "its lane waits for a person"
    (copy,) = emr.payloads
    assert control_id_of(copy) == Ledger(database).deliveries("REG")[0]["control_id"]
