"""What people decide about held messages, from socket to socket: over HTTP into the broker, out to the other system."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7 import doorkey
from ophl7.testing.peers import Client, ScriptedPeer
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, adt, dft, merged, segments, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Ledger, Opening, Practice, other
from tests.acceptance.process import HERE, Served, served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)

SWAPPED = replace(RUTH, given="BEA", birth="20180101")
STRANGER = replace(RUTH, family="LAKE", given="CY", birth="20100101")


async def ask(practice: Practice, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """One call of the broker's API."""
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(base_url=f"{base}/api/v1", trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}"}
        return await client.request(method, path, json=body, headers=headers)


async def decide(practice: Practice, verb: str, which: str | int, reason: str = "the mother was called") -> dict[str, Any]:
    """Releases or discards a hold: that number, or the only open one with that key."""
    number = which
    if isinstance(which, str):
        ((number,),) = [row.values() for row in practice.rows("SELECT id FROM hold WHERE key = ? AND closed_at IS NULL", which)]
    answer = await ask(practice, "POST", f"/holds/{number}/{verb}", {"reason": reason})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def registered(opened: Opening, setup: str = PM_OWNS, **more: str) -> Practice:
    practice = await opened(setup, **more)
    await practice.accepted(
        practice.patients, *[adt(f"R{who.id}", "A28", who, sender=practice.patients) for who in (RUTH, OSCAR)]
    )
    return practice


# -- release ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_7_a_person_releases_an_overwritten_chart_and_the_other_system_gets_the_copy(
    opened: Opening, setup: str
) -> None:
    practice = await registered(opened, setup)
    owner = practice.patients
    update = adt("A7", "A08", SWAPPED, sender=owner)
    behind = adt("A8", "A08", replace(SWAPPED, street="9 NEW RD"), sender=owner, sent="20260105090000")
    await practice.accepted(owner, update, behind)
    practice.assert_kept_back(update, behind)
    answer = await decide(practice, "release", 1)
    assert (answer["closed_how"], answer["state"], answer["released"]) == ("accepted", "accepted", 1)
    await practice.assert_relayed(update, other(owner))
    await practice.assert_relayed(behind, other(owner))
    assert practice.field("7050", "PID-7") == "20180101"
    assert practice.holds() == []
    (row,) = practice.rows("SELECT * FROM audit")
    assert (row["action"], row["target"], row["reason"]) == ("release-hold", "hold 1 of message 3", "the mother was called")
    assert (row["actor"], answer["closed_by"]) == ("api 127.0.0.1", "api 127.0.0.1")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_16_a_charge_under_another_name_and_birth_date_is_released(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    sent = dft("D16", who=STRANGER)
    await practice.accepted("emr", sent)
    assert practice.holds() == ["identity:PM:7050"]
    assert (await decide(practice, "release", "identity:PM:7050"))["state"] == "accepted"
    assert segments(await practice.copy_of(sent, "pm"), b"FT1") == segments(sent, b"FT1")
    assert practice.charges() == [("T-1", "sent")]


async def test_row_33_an_appointment_goes_over_to_the_other_patient(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("pm", siu("S1", "S12"), siu("S2", "S13", who=OSCAR, sent="20260105090000"))
    assert practice.holds() == ["appointment:PM:" + VISIT.filler]
    await decide(practice, "release", "appointment:PM:" + VISIT.filler)
    row, oscar = practice.appointment(VISIT.filler), practice.patient("7051")
    assert row is not None
    assert oscar is not None
    assert row["patient"] == oscar["id"]
    await practice.copy_of(siu("S2", "S13", who=OSCAR), "emr")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_49_a_changed_charge_goes_to_the_pm(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    changed = dft("D49", [replace(FEE, amount="150.00")])
    await practice.accepted("emr", dft("D48"), changed)
    assert practice.holds() == ["charge:T-1"]
    assert (await decide(practice, "release", "charge:T-1"))["state"] == "accepted"
    await practice.copy_of(changed, "pm")
    charges = (await ask(practice, "GET", "/charges?patient=7050")).json()["items"]
    assert [(one["amount"], one["state"]) for one in charges] == [("150.00", "accepted"), ("125.00", "accepted")]


async def test_a_release_invents_no_patient_and_says_what_to_do(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("emr", dft("D43"))
    answer = await ask(practice, "POST", "/holds/1/release", {"reason": "so"})
    assert answer.status_code == 409
    assert "register the patient" in answer.json()["detail"]
    assert practice.holds() == ["patient:PM:7050"]
    assert practice.count("audit") == 0
    await practice.accepted("pm", adt("R1", "A28"))
    assert practice.state("D43") == "accepted"


async def test_row_10_two_patients_are_settled_by_a_merge_not_by_a_release(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D10", who=replace(RUTH, ids="7050^^^PM^MR~7051^^^PM^MR")))
    answer = await ask(practice, "POST", "/holds/1/release", {"reason": "so"})
    assert (answer.status_code, "merge the two" in answer.json()["detail"]) == (409, True)
    await practice.accepted("pm", merged("M1", (OSCAR, RUTH)))
    assert practice.state("D10") == "accepted"


async def test_what_a_person_accepted_stays_accepted_over_a_restart(opened: Opening, tmp_path: Path) -> None:
    practice = await opened()
    sent = dft("D52", [replace(FEE, kind="PY")])
    await practice.accepted("emr", sent)
    assert practice.holds() == ["patient:PM:7050", "payment:T-1"]
    assert (await decide(practice, "release", "payment:T-1"))["waits_for"] == ["patient:PM:7050"]
    await practice.broker.stop()
    async with Practice(tmp_path / "ophl7.db", PM_OWNS) as later:
        await later.accepted("pm", adt("R1", "A28"))
        assert later.state("D52") == "accepted"
        await later.copy_of(sent, "pm")


# -- discard ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_a_discarded_charge_is_cancelled_and_never_leaves(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    sent = dft("D43", [FEE, Fee("T-2", "90460", "30.00")])
    await practice.accepted("emr", sent)
    answer = await decide(practice, "discard", "patient:PM:7050", "entered twice")
    assert (answer["closed_how"], answer["closed_reason"], answer["state"]) == ("discarded", "entered twice", "ignored")
    assert practice.charges() == [("T-1", "cancelled"), ("T-2", "cancelled")]
    await practice.accepted(practice.patients, adt("R1", "A28", sender=practice.patients))
    practice.assert_kept_back(sent)
    assert practice.decided("D43")[0] == "ignored"
    charges = (await ask(practice, "GET", "/charges?state=cancelled")).json()["items"]
    assert len(charges) == 2
    timeline = (await ask(practice, "GET", "/messages/1/timeline")).json()["items"]
    ended = "No longer waits for the patient's registration: the message was discarded by api 127.0.0.1"
    assert ended in [step["text"] for step in timeline]


async def test_what_waited_behind_a_discarded_update_goes_on(opened: Opening) -> None:
    practice = await registered(opened)
    behind = adt("A8", "A08", replace(RUTH, street="9 NEW RD"), sent="20260105090000")
    await practice.accepted("pm", adt("A7", "A08", SWAPPED), behind)
    practice.assert_kept_back(behind)
    answer = await ask(practice, "POST", "/holds/1/discard", {"reason": "the wrong chart"})
    assert answer.json()["released"] == 1
    await practice.assert_relayed(behind, "emr")
    assert practice.field("7050", "PID-7") == RUTH.birth


async def test_a_second_decision_answers_what_became_of_the_first(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("emr", dft("D43"))
    await decide(practice, "discard", "patient:PM:7050", "entered twice")
    for verb in ("discard", "release"):
        answer = await ask(practice, "POST", f"/holds/1/{verb}", {"reason": "again"})
        assert answer.status_code == 409
        assert answer.json()["hold"]["closed_reason"] == "entered twice"
    assert practice.count("audit") == 1


async def test_while_the_database_is_away_nothing_is_decided(opened: Opening) -> None:
    practice = await opened()
    await practice.accepted("emr", dft("D43"))
    away = practice.database.with_name("elsewhere.db")
    practice.database.rename(away)
    answer = await ask(practice, "POST", "/holds/1/release", {"reason": "so"})
    assert answer.status_code == 503
    away.rename(practice.database)
    await practice.until(lambda: not practice.broker.engine.closed_for)
    assert (await decide(practice, "discard", "patient:PM:7050"))["state"] == "ignored"


# -- the real process ---------------------------------------------------------------------------------------------------


def link_of(broker: Served) -> tuple[str, str]:
    """Address and token out of the link that it printed."""
    found = re.search(r"Status page: (http://\S+)/\?token=(\S+)", broker.output)
    assert found is not None
    return found[1], found[2]


async def test_kill_9_between_a_decision_and_its_answer_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ophl7.db")
    count = 24
    async with ScriptedPeer() as pm, served(ledger.database, PM_OWNS, pm.url, "", HTTP_LISTEN="127.0.0.1:0") as broker:
        async with Client(*broker.addresses["pm"]) as line:
            assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
        async with Client(*broker.addresses["emr"]) as line:
            for number in range(count):
                sent = dft(f"D{number}", [replace(FEE, id=f"T-{number}", kind="PY")])
                assert read_reply(await line.send(sent)).code == "AA"
        base, token = link_of(broker)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=f"{base}/api/v1", headers=headers, trust_env=False, timeout=10) as client:
            holds = [row["id"] for row in ledger.rows("SELECT id FROM hold ORDER BY id")]
            answered: list[int] = []

            async def decide_one(number: int) -> None:
                verb = "release" if number % 2 else "discard"
                try:
                    answer = await client.post(f"/holds/{number}/{verb}", json={"reason": "so"})
                except httpx.TransportError:
                    return  # the broker is gone
                assert answer.status_code == 200, answer.text
                answered.append(number)
                if len(answered) == count // 3:
                    await broker.kill()

            await asyncio.gather(*(decide_one(number) for number in holds))
        assert len(answered) >= count // 3
    ended = ledger.rows("SELECT h.*, j.state, j.control_id AS theirs FROM hold h JOIN journal j ON j.id = h.message")
    audited = {row["target"] for row in ledger.rows("SELECT target FROM audit")}
    for row in ended:
        decided = row["closed_at"] is not None
        released = bool(row["id"] % 2)
        state, charge = ("accepted", "sent") if released else ("ignored", "cancelled")
        assert row["state"] == (state if decided else "held")
        assert (f"hold {row['id']} of message {row['message']}" in audited) == decided
        (kept,) = ledger.rows("SELECT state FROM charge WHERE message = ?", row["message"])
        assert kept["state"] == (charge if decided else "held")
        assert len(ledger.deliveries(row["theirs"])) == (1 if decided and released else 0)
        assert row["id"] not in answered or decided, "what was answered is on disk"


async def command(database: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    """`ophl7 ...` as an operator types it on the same machine: status and both outputs."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    environ |= {"OPHL7_DATABASE_URL": f"sqlite:///{database}"} | {f"OPHL7_{name}": value for name, value in more.items()}
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ophl7", *arguments, cwd=HERE, env=environ, stdout=pipe, stderr=pipe
    )
    out, err = await child.communicate()
    return child.returncode or 0, out.decode(), err.decode()


async def test_an_operator_on_the_same_machine_needs_no_token_and_a_killed_broker_leaves_none_that_opens_anything(
    tmp_path: Path,
) -> None:
    database = tmp_path / "ophl7.db"
    place = doorkey.place_of(database)
    async with served(database, PM_OWNS, "", "") as broker:
        async with Client(*broker.addresses["emr"]) as line:
            await line.send(dft("D43"))
        assert place.stat().st_mode & 0o777 == 0o600
        status, out, err = await command(database, "holds", "list", "--json")
        assert (status, err) == (0, "")
        assert [item["key"] for item in json.loads(out)["items"]] == ["patient:PM:7050"]
        status, out, err = await command(database, "holds", "discard", "1", "--reason", "entered twice")
        assert (status, out, err) == (0, "Hold 1 is closed (discarded). Message 1 is ignored now.\n", "")
        await broker.kill()
    stale = doorkey.find(database)
    assert stale is not None
    status, out, err = await command(database, "holds", "list")
    assert (status, out, len(err.splitlines())) == (3, "", 1)
    assert "is it running?" in err
    async with served(database, PM_OWNS, "", "") as broker:
        fresh = doorkey.find(database)
        assert fresh is not None
        assert fresh.token != stale.token
        assert (await command(database, "holds", "list"))[0] == 0
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    assert not place.exists()


async def test_a_token_that_somebody_has_set_is_left_nowhere(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    doorkey.leave(database, doorkey.DoorKey("http://127.0.0.1:1", "of a broker that was killed"))
    async with served(database, PM_OWNS, "", "", API_TOKEN="set-by-somebody") as broker:
        assert not doorkey.place_of(database).exists()
        found = re.search(r"Status page: (http://\S+?)/", broker.output)
        assert found is not None
        asked = ["merges", "list", "--url", found[1]]
        assert (await command(database, *asked, API_TOKEN="set-by-somebody"))[0] == 0
        status, _, err = await command(database, *asked)
        assert (status, "wants a token" in err) == (4, True)


async def test_neither_a_reason_nor_a_person_s_address_beyond_the_audit_is_logged_or_counted(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with served(database, PM_OWNS, "", "", LOG_LEVEL="debug") as broker:
        async with Client(*broker.addresses["emr"]) as line:
            await line.send(dft("D43"))
            await line.send(dft("D44", who=OSCAR))
        for number in ("1", "2"):
            status, _, err = await command(database, "holds", "discard", number, "--reason", "SECRETREASON of SECRETFAMILY")
            assert (status, err) == (0, "")
        assert (await command(database, "holds", "release", "1", "--reason", "SECRETREASON"))[0] == 4
        key = doorkey.find(database)
        assert key is not None
        async with httpx.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"{key.url}/metrics")).text
        assert "SECRET" not in broker.output + metrics
        (logged, _) = [line for line in broker.output.splitlines() if "hold_decided" in line]
        said = json.loads(logged)
        assert (said["hold_id"], said["message_id"], said["kind"], said["outcome"]) == (1, 1, "discarded", "ignored")
        broker.tell_to_stop()
        await broker.stopped()
    ledger = Ledger(database)
    assert [row["reason"] for row in ledger.rows("SELECT reason FROM audit")] == ["SECRETREASON of SECRETFAMILY"] * 2
    assert "SECRET" not in str(ledger.rows("SELECT reason, detail FROM journal"))
