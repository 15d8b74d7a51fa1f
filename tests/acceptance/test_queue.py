"""What people do with deliveries and links, from the API to the other system's socket, over restarts (decisions 8)."""

from __future__ import annotations

from collections import deque
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


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> httpx.Response:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"} | ({"Idempotency-Key": key} if key else {})
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
    assert (again.status_code, again.json()["state"]) == (200, state), "the same again is told as it stands"
    assert len(practice.rows("SELECT * FROM audit WHERE action = ?", f"{verb}-delivery")) == 1
    other = await ask(practice, "POST", f"/deliveries/{number}/retry", WHY)
    assert other.status_code == 409
    assert "does not wait any more" in other.json()["detail"]
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
    answer = await over_http(output, f"/links/{peer}/{verb}")
    assert (answer.json()["destination"]["state"] == "paused") == (verb == "pause")


async def over_http(output: str, path: str) -> httpx.Response:
    """Where the broker has said that its page is."""
    place = next(word for line in output.splitlines() for word in line.split() if word.startswith("http://127.0.0.1"))
    async with httpx.AsyncClient(base_url=place.partition("/?")[0].rstrip("/"), trust_env=False) as client:
        headers = {"Authorization": "Bearer a-token-for-tests"}
        answer = await client.post(f"/api/v1{path}", json=WHY, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer


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


@pytest.mark.parametrize("verb", ["retry", "renew"])
async def test_the_same_key_sends_once_however_often_the_answer_was_lost(opened: Opening, verb: str) -> None:
    practice, number = await refused_charge(opened)
    first = await ask(practice, "POST", f"/deliveries/{number}/{verb}", WHY, key="K1")
    await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "accepted")
    again = await ask(practice, "POST", f"/deliveries/{number}/{verb}", WHY, key="K1")
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.json()["decided_at"] == first.json()["decided_at"]
    assert again.json()["state"] == "accepted"
    assert len(practice.desk["pm"].payloads) == 2
    assert len(practice.rows("SELECT * FROM audit WHERE action = ?", f"{verb}-delivery")) == 1
    other = await ask(practice, "POST", f"/deliveries/{number}/skip", WHY, key="K1")
    assert (other.status_code, "used for something else" in other.json()["detail"]) == (409, True)


async def test_an_id_that_a_person_had_made_anew_is_given_to_nothing_else_after_a_restart(tmp_path: Path) -> None:
    """Its number is a delivery's that has no row: a receiver that tells copies apart by MSH-10 would drop the other message."""
    database = tmp_path / "ophl7.db"
    async with ScriptedPeer(refuse("AE", 103), then=accept) as pm, ScriptedPeer() as emr:
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN="a-token-for-tests") as broker:
            async with Client(*broker.addresses["pm"]) as line:
                assert read_reply(await line.send(adt("REG", "A28", RUTH, sender="pm"))).code == "AA"
            async with Client(*broker.addresses["emr"]) as line:
                assert read_reply(await line.send(dft("D1"))).code == "AA"
            await until(lambda: Ledger(database).deliveries("D1")[0]["state"] == "parked")
            number = Ledger(database).deliveries("D1")[0]["id"]
            await over_http(broker.output, f"/deliveries/{number}/renew")
            await pm.received(2)
            await broker.kill()
        async with (
            served(database, PM_OWNS, pm.url, emr.url) as broker,
            Client(*broker.addresses["emr"]) as line,
        ):
            assert read_reply(await line.send(dft("D2", [replace(FEE, id="T-2")]))).code == "AA"
            await until(lambda: Ledger(database).deliveries("D2")[0]["state"] == "accepted")
    ids = [control_id_of(one) for one in pm.payloads]
    assert len(set(ids)) == 3


async def test_a_link_that_is_paused_twice_is_paused_once(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    for verb, state in (("pause", "paused"), ("pause", "paused"), ("resume", "up"), ("resume", "up")):
        answer = await ask(practice, "POST", f"/links/emr/{verb}", WHY)
        assert (answer.status_code, answer.json()["destination"]["state"]) == (200, state)
    actions = [row["action"] for row in practice.rows("SELECT action FROM audit WHERE action LIKE '%-link' ORDER BY id")]
    assert actions == ["pause-link", "resume-link"]


async def test_8_since_when_a_record_is_open_at_the_desk_is_on_disk_until_it_is_taken(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    hour = slow_down(practice)
    await practice.accepted("emr", dft("D1"))
    await practice.until(lambda: practice.deliveries("D1")[0]["attempts"] >= 3)
    locked = practice.deliveries("D1")[0]
    assert locked["refused_since"] is not None
    assert locked["last_answer"] == "AE 206"
    hour.clear()
    await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "accepted")
    assert practice.deliveries("D1")[0]["refused_since"] is None


def slow_down(practice: Practice) -> deque[Any]:
    """The PM answers 206 until the list is emptied."""
    script = practice.desk["pm"].script
    script.extend([refuse("AE", 206)] * 500)
    return script
