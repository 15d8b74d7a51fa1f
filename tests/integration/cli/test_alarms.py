"""`ophl7 alarms`: what a person reads of what rings, and says of it."""

from __future__ import annotations

import json

import pytest

from ophl7.cli.exits import Exit
from ophl7.engine.alarm_rows import AlarmRow
from tests.integration.admin.practice import NOON, Desk, Practice
from tests.integration.cli.conftest import Command

SILENT = AlarmRow(1, "silent", "pm", "nothing has come from the PM", NOON)
OVER = AlarmRow(2, "queue_depth", "emr", "more messages wait for the EMR", NOON, resolved_at=NOON + 60, how="cause_gone")
SEEN = SILENT._replace(acknowledged_at=NOON + 5, acknowledged_by="api 127.0.0.1", acknowledged_reason="I call them")


@pytest.fixture
async def rung(practice: Practice) -> None:
    practice.rows.alarms.update({1: SILENT, 2: OVER})
    await practice.commit()


@pytest.mark.usefixtures("rung")
async def test_open_ones_are_listed_with_what_to_do_and_those_that_are_over_when_asked_for(ophl7: Command) -> None:
    said = await ophl7("alarms", "list")
    assert (said.status, said.err) == (Exit.OK, "")
    head, row, *_ = said.lines
    assert head.split()[:4] == ["ID", "KIND", "ABOUT", "SINCE"]
    assert row.split()[:3] == ["1", "silent", "pm"]
    assert "switched on" in " ".join(said.out.split())
    assert "queue_depth" not in said.out
    assert "queue_depth" in (await ophl7("alarms", "list", "--state", "resolved")).out
    found = json.loads((await ophl7("alarms", "list", "--state", "all", "--json")).out)
    assert [one["id"] for one in found["items"]] == [2, 1]


async def test_a_quiet_practice_says_so(ophl7: Command, practice: Practice) -> None:
    await practice.commit()
    said = await ophl7("alarms", "list")
    assert (said.status, said.out, said.err) == (Exit.OK, "", "No alarm is open.\n")


@pytest.mark.usefixtures("rung")
async def test_who_has_seen_one_is_told_whether_it_goes_on(ophl7: Command, desk: Desk) -> None:
    desk.acknowledging = SEEN
    said = await ophl7("alarms", "acknowledge", "1", "--reason", "I call them")
    assert (said.status, said.err) == (Exit.OK, "")
    assert said.out == "Alarm 1 (silent) was seen by api 127.0.0.1; it goes on until its cause is gone.\n"
    desk.acknowledging = SEEN._replace(resolved_at=NOON + 6, how="acknowledged")
    assert (await ophl7("alarms", "acknowledge", "1", "--reason", "I call them")).out.endswith("; it is over.\n")
    assert desk.acknowledged[-1][2] == "I call them"


@pytest.mark.usefixtures("rung")
async def test_one_that_is_over_by_itself_or_was_never_there_cannot_be_acknowledged(ophl7: Command, desk: Desk) -> None:
    desk.acknowledging = None
    over = await ophl7("alarms", "acknowledge", "2", "--reason", "late")
    assert over.status != Exit.OK
    assert "this alarm is over already" in over.err
    nobody = await ophl7("alarms", "acknowledge", "77", "--reason", "late")
    assert nobody.status != Exit.OK
    assert "no alarm has this number" in nobody.err
