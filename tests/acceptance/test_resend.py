"""An EMR that was restored from a backup gets everything again since then, from the API to its socket (decisions 8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7.engine.resending import DecideResend, StartResend
from ophl7.testing.peers import Client, ScriptedPeer, accept, close, refuse, silence
from tests.acceptance.messages import FEE, RUTH, adt, control_id_of, dft
from tests.acceptance.practice import PM_OWNS, Ledger, Opening, Practice, until
from tests.acceptance.process import served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)

EVERYTHING = {"since": "2020-01-01", "send": True, "reason": "the EMR was restored"}


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> httpx.Response:
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"} | ({"Idempotency-Key": key} if key else {})
        return await client.request(method, path, json=body, headers=headers)


def bodies(payloads: list[bytes]) -> list[bytes]:
    """What was sent, but for our MSH-10."""
    return [payload.replace(control_id_of(payload).encode(), b"ID", 1) for payload in payloads]


def people(count: int) -> list[Any]:
    return [replace(RUTH, id=str(9000 + number)) for number in range(count)]


async def registered(opened: Opening, count: int) -> Practice:
    """So many people, each registered and changed once, all of it accepted by the EMR."""
    practice = await opened(PM_OWNS)
    for number, one in enumerate(people(count)):
        await practice.accepted("pm", adt(f"REG{number}", "A28", one, sender="pm"))
        await practice.accepted("pm", adt(f"UPD{number}", "A08", one, sender="pm"))
    await practice.until(lambda: len(practice.rows("SELECT id FROM delivery WHERE state = 'accepted'")) == 2 * count)
    return practice


async def test_a_look_says_what_would_be_sent_again_and_sends_nothing(opened: Opening) -> None:
    practice = await registered(opened, 3)
    plan = (await ask(practice, "POST", "/links/emr/resend", {"since": "2020-01-01", "reason": "a look"})).json()
    (record,) = plan["streams"]
    assert (record["stream"], record["chosen"], record["deliveries"], record["lanes"], record["gone"]) == (
        "record",
        True,
        6,
        3,
        0,
    )
    assert plan["run"] is None
    assert practice.count("resend") == 0
    assert len(practice.desk["emr"].payloads) == 6


async def test_everything_is_sent_again_with_equal_bytes_new_ids_and_in_each_lanes_order(opened: Opening) -> None:
    practice = await registered(opened, 3)
    answer = await ask(practice, "POST", "/links/emr/resend", EVERYTHING)
    assert answer.status_code == 200, answer.text
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "done"}])
    sent = practice.desk["emr"].payloads
    assert sorted(bodies(sent[6:])) == sorted(bodies(sent[:6]))
    assert len({control_id_of(one) for one in sent}) == 12
    rows = practice.rows("SELECT * FROM delivery WHERE resend_of IS NOT NULL ORDER BY changed_at, id")
    for lane in {row["lane"] for row in rows}:
        of_lane = [row["resend_of"] for row in rows if row["lane"] == lane]
        assert of_lane == sorted(of_lane)
    (run,) = (await ask(practice, "GET", "/resends")).json()["items"]
    assert (run["state"], run["made"], run["accepted"], run["refused"]) == ("done", 6, 6, 0)
    (row,) = practice.rows("SELECT * FROM audit WHERE action = 'resend'")
    assert row["target"] == f"run {run['id']} to the EMR"


async def test_what_waits_goes_behind_what_is_sent_again(opened: Opening) -> None:
    practice = await registered(opened, 1)
    why = {"reason": "it is being restored"}
    assert (await ask(practice, "POST", "/links/emr/pause", why)).status_code == 200
    await practice.accepted("pm", adt("NEW", "A08", replace(people(1)[0], street="2 New Street"), sender="pm"))
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING)).status_code == 200
    await practice.until(lambda: practice.rows("SELECT made FROM resend") == [{"made": 2}])
    assert (await ask(practice, "POST", "/links/emr/resume", why)).status_code == 200
    await practice.until(lambda: len(practice.desk["emr"].payloads) == 5)
    waited = practice.deliveries("NEW")[0]["control_id"]
    assert control_id_of(practice.desk["emr"].payloads[-1]) == waited


async def test_what_may_have_arrived_already_is_sent_again_behind_what_is_older(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_ACK_TIMEOUT="300ms", EMR_RETRY="50ms..100ms")
    (one,), why = people(1), {"reason": "it is being restored"}
    await practice.accepted("pm", adt("REG", "A28", one, sender="pm"))
    await practice.until(lambda: practice.deliveries("REG")[0]["state"] == "accepted")
    practice.desk["emr"].script.append(silence)
    await practice.accepted("pm", adt("NEW", "A08", replace(one, street="2 New Street"), sender="pm"))
    await practice.desk["emr"].received(2)
    assert (await ask(practice, "POST", "/links/emr/pause", why)).status_code == 200
    await practice.until(lambda: practice.deliveries("NEW")[0]["attempts"] == 1)
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING)).status_code == 200
    await practice.until(lambda: practice.rows("SELECT made FROM resend") == [{"made": 2}])
    assert (await ask(practice, "POST", "/links/emr/resume", why)).status_code == 200
    older, newer, *sent = bodies(await practice.desk["emr"].received(5))
    assert sent == [older, newer, newer]  # the old state, sent again, is not the last word
    assert len({control_id_of(payload) for payload in practice.desk["emr"].payloads}) == 4


async def test_the_same_key_sends_once_and_another_run_must_wait(opened: Opening) -> None:
    practice = await registered(opened, 1)
    assert (await ask(practice, "POST", "/links/emr/pause", {"reason": "first"})).status_code == 200
    first = (await ask(practice, "POST", "/links/emr/resend", EVERYTHING, key="K1")).json()["run"]
    again = (await ask(practice, "POST", "/links/emr/resend", EVERYTHING, key="K1")).json()["run"]
    assert first["id"] == again["id"]
    other = await ask(practice, "POST", "/links/emr/resend", EVERYTHING, key="K2")
    assert other.status_code == 409
    assert "wait for it" in other.json()["detail"]
    assert (await ask(practice, "POST", "/links/emr/resume", {"reason": "go"})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "done"}])
    last = (await ask(practice, "POST", "/links/emr/resend", EVERYTHING, key="K1")).json()["run"]
    assert (last["id"], last["state"]) == (first["id"], "done")
    assert len(practice.desk["emr"].payloads) == 4
    assert len(practice.rows("SELECT * FROM audit WHERE action = 'resend'")) == 1


async def test_after_so_many_refusals_nothing_more_of_it_leaves_until_a_person_goes_on(opened: Opening) -> None:
    practice = await registered(opened, 5)
    practice.desk["emr"].script += [refuse("AE", 103)] * 2
    order = EVERYTHING | {"stop_after": 2}
    assert (await ask(practice, "POST", "/links/emr/resend", order)).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "stopped"}])
    await practice.until(lambda: len(practice.rows("SELECT id FROM delivery WHERE last_answer LIKE 'withheld%'")) == 3)
    assert len(practice.desk["emr"].payloads) == 12
    (run,) = (await ask(practice, "GET", "/resends")).json()["items"]
    assert (run["refused"], run["withheld"], run["accepted"]) == (2, 3, 0)
    done = await ask(practice, "POST", f"/resends/{run['id']}/continue", {"reason": "mended"})
    assert done.status_code == 200, done.text
    await practice.until(lambda: len(practice.desk["emr"].payloads) == 18)
    for row in practice.rows("SELECT id FROM delivery WHERE state = 'parked'"):
        assert (await ask(practice, "POST", f"/deliveries/{row['id']}/retry", {"reason": "mended"})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "done"}])


async def test_a_run_that_is_dropped_frees_its_lanes_and_dropping_again_changes_nothing(opened: Opening) -> None:
    practice = await registered(opened, 3)
    practice.desk["emr"].script.append(refuse("AE", 103))
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING | {"stop_after": 1})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "stopped"}])
    (run,) = (await ask(practice, "GET", "/resends")).json()["items"]
    for _ in range(2):
        done = await ask(practice, "POST", f"/resends/{run['id']}/drop", {"reason": "wrong EMR"})
        assert (done.status_code, done.json()["state"]) == (200, "dropped")
    assert len(practice.rows("SELECT * FROM audit WHERE action = 'drop-resend'")) == 1
    (parked,) = practice.rows("SELECT id FROM delivery WHERE state = 'parked'")
    assert (await ask(practice, "POST", f"/deliveries/{parked['id']}/skip", {"reason": "let go"})).status_code == 200
    await practice.accepted("pm", adt("NEW", "A08", people(1)[0], sender="pm"))
    await practice.until(lambda: practice.deliveries("NEW")[0]["state"] == "accepted")


async def test_a_run_that_is_dropped_while_it_makes_copies_sends_none_of_them(opened: Opening) -> None:
    practice = await registered(opened, 3)
    assert (await ask(practice, "POST", "/links/emr/pause", {"reason": "first"})).status_code == 200
    engine, runs = practice.broker.engine, practice.broker._resends._resends
    order = StartResend("emr", 0.0, 4e9, ("record",), 5, "anna", "the EMR was restored")
    drop = DecideResend("drop", 1, "anna", "wrong EMR")
    await asyncio.gather(
        *(engine.perform(one) for one in (partial(runs.start, order=order), runs.step, partial(runs.decide, order=drop)))
    )
    assert (await ask(practice, "POST", "/links/emr/resume", {"reason": "go"})).status_code == 200
    await practice.accepted("pm", *(adt(f"NEW{number}", "A08", one, sender="pm") for number, one in enumerate(people(3))))
    await practice.until(lambda: len(practice.rows("SELECT id FROM delivery WHERE state = 'accepted'")) >= 9)
    assert len(practice.desk["emr"].payloads) == 9
    assert practice.rows("SELECT state, made FROM resend") == [{"state": "dropped", "made": 0}]


async def test_what_was_refused_of_a_run_that_was_dropped_leaves_when_a_person_says_so(opened: Opening) -> None:
    practice = await registered(opened, 3)
    practice.desk["emr"].script.append(refuse("AE", 103))
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING | {"stop_after": 1})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "stopped"}])
    assert (await ask(practice, "POST", "/resends/1/drop", {"reason": "wrong EMR"})).status_code == 200
    (parked,) = practice.rows("SELECT id FROM delivery WHERE state = 'parked'")
    assert (await ask(practice, "POST", f"/deliveries/{parked['id']}/retry", {"reason": "mended"})).status_code == 200
    await practice.until(
        lambda: practice.rows("SELECT state FROM delivery WHERE id = ?", parked["id"]) == [{"state": "accepted"}]
    )


async def test_copies_without_an_answer_stop_a_run_as_refusals_do(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_ON_TIMEOUT="review")
    for number, one in enumerate(people(6)):
        await practice.accepted("pm", adt(f"REG{number}", "A28", one, sender="pm"))
    await practice.until(lambda: len(practice.rows("SELECT id FROM delivery WHERE state = 'accepted'")) == 6)
    assert (await ask(practice, "POST", "/links/emr/pause", {"reason": "first"})).status_code == 200
    practice.desk["emr"].script += [close] * 2
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING | {"stop_after": 2})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT made FROM resend") == [{"made": 6}])
    assert (await ask(practice, "POST", "/links/emr/resume", {"reason": "go"})).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "stopped"}])
    await practice.until(lambda: len(practice.rows("SELECT id FROM delivery WHERE last_answer LIKE 'withheld%'")) == 4)


async def test_8_what_is_a_duplicate_counts_as_accepted_when_it_is_sent_again(opened: Opening) -> None:
    practice = await registered(opened, 1)
    practice.desk["emr"].script += [refuse("AE", 205)] * 2
    assert (await ask(practice, "POST", "/links/emr/resend", EVERYTHING)).status_code == 200
    await practice.until(lambda: practice.rows("SELECT state FROM resend") == [{"state": "done"}])
    assert (await ask(practice, "GET", "/resends")).json()["items"][0]["accepted"] == 2


async def test_charges_are_sent_again_only_when_they_are_asked_for(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("REG", "A28", RUTH, sender="pm"))
    await practice.accepted("emr", dft("D1", [replace(FEE, id="T-1")]))
    await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "accepted")
    plan = (await ask(practice, "POST", "/links/pm/resend", {"since": "2020-01-01", "reason": "a look"})).json()
    assert [(one["stream"], one["chosen"]) for one in plan["streams"]] == [("charges", False)]
    plan = (
        await ask(practice, "POST", "/links/pm/resend", {"since": "2020-01-01", "reason": "a look", "streams": "charges"})
    ).json()
    assert "twice" in plan["warnings"][0]
    assert (await ask(practice, "POST", "/links/pm/resend", EVERYTHING | {"streams": "charges"})).status_code == 200
    await practice.until(lambda: len(practice.desk["pm"].payloads) == 2)


async def test_a_kill_in_the_middle_of_a_run_neither_loses_nor_doubles_a_copy(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    count = 8
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        async with served(database, PM_OWNS, pm.url, emr.url, API_TOKEN="a-token-for-tests") as broker:
            async with Client(*broker.addresses["pm"]) as line:
                for number, one in enumerate(people(count)):
                    assert read_reply(await line.send(adt(f"REG{number}", "A28", one, sender="pm"))).code == "AA"
            await until(lambda: len(Ledger(database).rows("SELECT id FROM delivery WHERE state = 'accepted'")) == count)
            emr.script += [accept, accept, silence]
            await over_http(broker.output, EVERYTHING)
            await emr.received(count + 3)
            await broker.kill()
        async with served(database, PM_OWNS, pm.url, emr.url):
            await until(lambda: Ledger(database).rows("SELECT state FROM resend") == [{"state": "done"}])
    assert len({control_id_of(one) for one in emr.payloads}) == 2 * count
    roots = Ledger(database).rows("SELECT resend_of FROM delivery WHERE resend_of IS NOT NULL")
    assert len({row["resend_of"] for row in roots}) == len(roots) == count


async def over_http(output: str, body: dict[str, Any]) -> None:
    place = next(word for line in output.splitlines() for word in line.split() if word.startswith("http://127.0.0.1"))
    async with httpx.AsyncClient(base_url=place.partition("/?")[0].rstrip("/"), trust_env=False) as client:
        headers = {"Authorization": "Bearer a-token-for-tests"}
        answer = await client.post("/api/v1/links/emr/resend", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    await asyncio.sleep(0)
