"""`ophl7 patients show`: the same answer whether the broker runs or not."""

from __future__ import annotations

import asyncio
import json

import httpx

from ophl7.cli.exits import Exit
from tests.acceptance.messages import RUTH, Person, adt
from tests.acceptance.practice import PM_OWNS, Practice
from tests.integration.golive.lists import Office


async def test_it_prints_the_document_of_the_api_while_the_broker_runs_and_while_it_does_not(office: Office) -> None:
    async with Practice(office.database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("A1", "A04", RUTH, "AL1|1||PEANUT\x1b[2J"))
        assert await asyncio.to_thread(office.type, "patients", "show", "PM:7050", "--json") == Exit.OK
        running = json.loads(office.output)
        host, port = practice.broker._web.address if practice.broker._web is not None else ("", 0)
        async with httpx.AsyncClient() as client:
            answer = await client.get(
                f"http://{host}:{port}/api/v1/patients/7050", headers={"Authorization": f"Bearer {practice.broker.token}"}
            )
        assert running == answer.json()
    assert await asyncio.to_thread(office.type, "patients", "show", "7050", "--json") == Exit.OK
    assert json.loads(office.output) == running


async def test_it_shows_people_what_is_known(office: Office) -> None:
    async with Practice(office.database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("A1", "A04", RUTH, "GT1|1||BERGER^ANN", "IN1|1|A\x1b[2J", "IN1|2|B"))
    assert await asyncio.to_thread(office.type, "patients", "show", "7050") == Exit.OK
    lines = office.output.splitlines()
    assert lines[0] == "identifiers   PM:7050 (MR)"
    assert lines[1:7] == [
        "name          ADAMSKI RUTH",
        "birth date    2018-04-12",
        "sex           F",
        "active        PM yes, EMR yes",
        "merged into   PM -, EMR -",
        "provisional   no",
    ]
    (street,) = [line for line in lines if line.startswith("PID-11")]
    assert street.startswith("PID-11        1 ELM ST^^SPRINGFIELD^NY^12345   (message 1, #1, ")
    insurance = [line.partition("   (message")[0] for line in lines if line.startswith("IN1")]
    assert insurance == ["IN1           IN1|1|A\ufffd[2J", "IN1           IN1|2|B"]


async def test_nobody_several_and_no_database_are_told(office: Office) -> None:
    assert await asyncio.to_thread(office.type, "patients", "show", "7050") == Exit.CONFIGURATION
    assert "OPHL7-E301 the database file is not there" in office.said
    async with Practice(office.database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("A1", "A04"), adt("A2", "A04", Person(ids="7050^^^LAB^MR")))
    assert await asyncio.to_thread(office.type, "patients", "show", "7051") == Exit.REFUSED
    assert "no patient has this identifier" in office.said
    assert await asyncio.to_thread(office.type, "patients", "show", "7050") == Exit.REFUSED
    assert "several patients have this id; ask for one of them: LAB:7050, PM:7050" in office.said
    assert await asyncio.to_thread(office.type, "patients", "show", "LAB:7050") == Exit.OK
