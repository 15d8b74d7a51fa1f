"""#73 from socket to socket: a person takes a merge apart over HTTP and on the command line, and traffic follows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ophl7.testing.peers import slow
from tests.acceptance.messages import RUTH, Fee, Side, adt, dft, merged, segments
from tests.acceptance.practice import PM_OWNS, SETUPS, Opening, Practice

pytestmark = pytest.mark.timeout(60)

TWIN = replace(RUTH, id="7051")


def both(who: Any) -> Any:  # noqa: ANN401 - a Person
    return replace(who, ids=f"{who.id}^^^PM^MR~{who.id.replace('70', 'E-')}^^^EMR^MR")


def in_words_of(side: Side, who: Any) -> Any:  # noqa: ANN401 - a Person
    return who if side == "pm" else replace(who, ids=f"{who.id.replace('70', 'E-')}^^^EMR^MR")


async def merged_practice(opened: Opening, setup: str, side: Side) -> Practice:
    practice = await opened(setup)
    for number, who in enumerate((RUTH, TWIN)):
        await practice.accepted(practice.patients, adt(f"REG{number}", "A28", both(who), sender=practice.patients))
    await practice.quiet()
    await practice.accepted(side, merged("M1", (in_words_of(side, TWIN), in_words_of(side, RUTH)), sender=side))
    return practice


def client(practice: Practice) -> httpx.AsyncClient:
    address = practice.broker.web_address.partition("/?")[0].rstrip("/")
    headers = {"Authorization": f"Bearer {practice.broker.token}"}
    return httpx.AsyncClient(base_url=f"{address}/api/v1", headers=headers)


def command(practice: Practice, *arguments: str) -> subprocess.CompletedProcess[str]:
    address = practice.broker.web_address.partition("/?")[0].rstrip("/")
    token = practice.database.with_name("token")
    token.write_text(practice.broker.token)
    line = [sys.executable, "-m", "ophl7", *arguments, "--url", address, "--token-file", str(token)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_73_the_plan_is_shown_and_carried_out__any(opened: Opening, setup: str, side: Side) -> None:
    practice = await merged_practice(opened, setup, side)
    async with client(practice) as http:
        plan = (await http.get("/merges/1/unmerge", params={"side": side})).json()
        assert (plan["merge"], plan["side"], plan["done_at"]) == (1, side, None)
        assert practice.merged_into("7051", side) == "7050"
        said = {"side": side, "reason": "they are two children", "plan": plan["plan"]}
        done = (await http.post("/merges/1/unmerge", json=said)).json()
        assert done["done_at"] is not None
        assert practice.merged_into("7051", side) is None
        (item,) = (await http.get("/merges")).json()["items"]
        assert (item["state"], item["waiting_for"], item["task"]) == ("unmerged", None, None)
        assert [(one["side"], one["reason"]) for one in item["unmerged"]] == [(side, "they are two children")]
        again = await http.post("/merges/1/unmerge", json=said)
        assert again.status_code == 409
        (audited,) = (await http.get("/audit", params={"action": "unmerge"})).json()["items"]
        assert audited["target"] == f"merge 1 on the side of the {side.upper()}"
        assert (await http.get("/audit/verify")).json()["ok"]


async def test_row_73_what_waits_leaves_for_its_own_chart_and_what_is_on_its_way_stays__pm_owns(opened: Opening) -> None:
    practice = await merged_practice(opened, PM_OWNS, "pm")
    gate = asyncio.Event()
    practice.desk["pm"].script.append(slow(gate))
    charges = [dft(f"C{number}", [Fee(f"T{number}")], TWIN) for number in range(3)]
    await practice.accepted("emr", *charges)
    await practice.desk["pm"].received(1)
    async with client(practice) as http:
        plan = (await http.get("/merges/1/unmerge", params={"side": "pm"})).json()
        assert ([one["state"] for one in plan["stays"]], len(plan["moves"])) == (["sending"], 2)
        said = {"side": "pm", "reason": "two children", "plan": plan["plan"]}
        assert (await http.post("/merges/1/unmerge", json=said)).status_code == 200
    gate.set()
    sent = (await practice.quiet())["pm"]
    ids = [segments(one, b"PID")[0].split(b"|")[3].split(b"^")[0] for one in sent if b"DFT" in one]
    assert ids == [b"7050", b"7051", b"7051"]
    await practice.accepted("emr", dft("C9", [Fee("T9")], TWIN), dft("C8", [Fee("T8")], RUTH))
    last = (await practice.quiet())["pm"][-2:]
    assert {segments(one, b"PID")[0].split(b"|")[3].split(b"^")[0] for one in last} == {b"7050", b"7051"}


async def test_row_73_on_the_command_line__pm_owns(opened: Opening) -> None:
    practice = await merged_practice(opened, PM_OWNS, "pm")
    await practice.accepted("emr", dft("C1", [Fee("T1")], TWIN))
    await practice.quiet()
    listed = await asyncio.to_thread(command, practice, "merges", "list")
    assert "In the EMR: merge chart EMR:E-51 into EMR:E-50" in " ".join(listed.stdout.split())
    looked = await asyncio.to_thread(command, practice, "merges", "unmerge", "1", "--side", "pm")
    assert looked.returncode == 0, looked.stderr
    assert "PM:7051 is a chart of its own again, apart from PM:7050" in looked.stdout
    assert "DFT^P03  accepted by the PM" in looked.stdout
    assert "Nothing was changed" in looked.stdout
    assert practice.merged_into("7051", "pm") == "7050"
    said = ("merges", "unmerge", "1", "--side", "pm", "--reason", "two children", "--yes")
    done = await asyncio.to_thread(command, practice, *said)
    assert (done.returncode, practice.merged_into("7051", "pm")) == (0, None), done.stderr
    again = await asyncio.to_thread(command, practice, *said)
    assert again.returncode == 4
    assert "does not hold these two for one chart" in again.stderr
    audited = json.loads((await asyncio.to_thread(command, practice, "audit", "list", "--json")).stdout)["items"]
    assert [one["action"] for one in audited] == ["unmerge"]
    whole = await asyncio.to_thread(command, practice, "audit", "verify")
    assert (whole.returncode, whole.stdout) == (0, "The audit is whole: 1 rows, each as it was written.\n")
