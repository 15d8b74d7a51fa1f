"""The books on the command line: tables for people, the API's own documents for programs, files that only one may read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ophl7.cli.exits import Exit
from ophl7.engine.roll_ups import NoteRollUp, NotNoted, TakeBack
from tests.integration.admin.practice import ANNA, Desk, Practice, bar, dft
from tests.integration.cli.conftest import Command

DAY = ("--date", "2026-11-23")


@pytest.fixture
async def filled(practice: Practice) -> None:
    anna = practice.patient(ANNA)
    number = practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03", subject=anna.subject)
    practice.charge(number, anna.subject, "sent", practice.delivery(number, "accepted", "pm"), line=0, amount="")
    waiting = practice.message(dft("7050", "C2"), peer="emr", event="DFT^P03", state="held", subject=anna.subject)
    practice.charge(waiting, anna.subject, "held", line=0, amount="")
    practice.hold(waiting)
    practice.message(bar("P01", "C3"), peer="emr", event="BAR^P01", state="rejected", row="#56")
    await practice.commit()


@pytest.mark.usefixtures("filled")
async def test_the_day_report_is_a_page_of_100_columns(ophl7: Command) -> None:
    said = await ophl7("charges", "reconcile", *DAY)
    assert (said.status, said.err) == (Exit.OK, "")
    assert "The charges add up." in said.lines
    assert "Messages: 3 received = 1 accepted, 1 held, 1 rejected, 0 ignored, 0 stale, 0 error." in said.lines
    assert all(len(line) <= 100 for line in said.lines), said.out
    received = next(line.split() for line in said.lines if line.startswith("received"))
    assert received[1:4] == ["2", "0", "2"]
    assert json.loads((await ophl7("charges", "reconcile", *DAY, "--json")).out)["adds_up"] is True


async def test_a_day_that_does_not_add_up_says_so_and_is_no_success(practice: Practice, ophl7: Command) -> None:
    practice.message(dft("7050", "C1"), peer="emr", event="DFT^P03")
    await practice.commit()
    said = await ophl7("charges", "reconcile", *DAY)
    assert said.status == Exit.REFUSED
    assert "THE CHARGES DO NOT ADD UP" in said.out
    assert "the ledger does not have it" in said.out


@pytest.mark.usefixtures("filled")
async def test_what_is_current_and_who_sends_superbills_are_tables(ophl7: Command) -> None:
    (_, row) = (await ophl7("charges", "current")).lines
    assert row.split() == ["PM:7050", "V1", "2026-11-23", "1", "0", "1", "1"]
    (_, row) = (await ophl7("superbills")).lines
    assert row.split()[:5] == ["BELL", "Bell,", "Bea", "EMR", "1"]
    assert (await ophl7("charges", "current", "--patient", "7099")).err == "Nothing to roll up.\n"
    assert (await ophl7("charges", "missing", *DAY)).err == "No visit without a charge.\n"


@pytest.mark.usefixtures("filled")
async def test_a_roll_up_is_noted_and_taken_back(desk: Desk, ophl7: Command) -> None:
    said = await ophl7("charges", "roll-up", "1", "--claim", "C-7", "--note", "as agreed")
    assert said.out == "Roll-up 1 is noted: claim C-1, charges 1, 2.\n"
    await ophl7("charges", "roll-up", "--patient", "7050", "--visit", "V1", "--claim", "C-8")
    assert desk.noted == [
        NoteRollUp((1,), "C-7", "as agreed", "api 127.0.0.1"),
        NoteRollUp((1,), "C-8", "", "api 127.0.0.1"),
    ]
    desk.roll_up = NotNoted("it stands in roll-up 3 already", (1,))
    said = await ophl7("charges", "roll-up", "1", "--claim", "C-7")
    assert said.status == Exit.REFUSED
    assert "it stands in roll-up 3 already" in said.err
    assert (await ophl7("charges", "take-back", "9", "--reason", "x")).status == Exit.REFUSED
    assert not any(isinstance(one, TakeBack) for one in desk.noted)
    assert (await ophl7("charges", "roll-ups")).err == "No roll-up was noted.\n"


@pytest.mark.usefixtures("filled")
async def test_an_export_goes_into_a_new_file_that_only_its_owner_reads(desk: Desk, ophl7: Command, tmp_path: Path) -> None:
    file = tmp_path / "charges.csv"
    said = await ophl7("charges", "export", "--state", "open", "--output", str(file))
    assert (said.status, said.out) == (Exit.OK, "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().splitlines()[1].split(",")[2:6] == ["held", "PM:7050", "", ""]
    again = await ophl7("charges", "export", "--output", str(file))
    assert again.status == Exit.USAGE
    assert "name a new file" in again.err
    lines = await ophl7("charges", "export", "--state", "held", "--format", "jsonl")
    assert json.loads(lines.out)["state"] == "held"
    assert [action for _, action, _, _ in desk.audited] == ["export-charges"] * 3
    refused = await ophl7("charges", "export", "--date", "2026-11-23", "--since", "2026-11-23")
    assert refused.status == Exit.REFUSED
