"""`ophl7 patients load` on a real database: what a practice does in the days before it goes live."""

from __future__ import annotations

import asyncio
import csv
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.cli.exits import Exit
from tests.acceptance.messages import OSCAR, RUTH, Fee, adt, dft, merged, segments, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Practice
from tests.integration.golive.lists import HEADER, Office, announcement, charts_table, people, registry, table

MANY = range(1200)  # more than two commits


def test_the_pms_list_then_the_emrs_gives_one_registry_and_sends_nothing(office: Office) -> None:
    pm, emr = table(office.folder / "pm.csv", people(MANY)), charts_table(office.folder / "emr.csv", MANY)
    assert office.one("pm", pm) == {"created": 1200}
    assert office.one("emr", emr) == {"linked": 1200, "differences": 172}
    assert office.rows("SELECT count(*) FROM patient") == [(1200,)]
    assert office.rows("SELECT count(*) FROM alias WHERE authority = 'EMR'") == [(1200,)]
    assert office.rows("SELECT count(*), max(answer), max(ack_code) FROM journal") == [(2400, None, "")]
    for nothing in ("delivery", "hold", "appointment", "charge"):
        assert office.rows(f"SELECT count(*) FROM {nothing}") == [(0,)]
    assert office.rows("SELECT field, offered, kept FROM drift ORDER BY id LIMIT 1") == [
        ("PID-11", "9 OAK AVE", "0 ELM ST"),
    ]
    said = [reason for (reason,) in office.rows("SELECT reason FROM audit WHERE action = 'load-patients' ORDER BY id")]
    assert [line.split(": ")[1] for line in said] == [
        "1200 created, 0 linked, 0 changed, 0 not taken",
        "0 created, 1200 linked, 0 changed, 0 not taken",
    ]


def test_a_list_leaves_the_registry_as_the_same_messages_on_the_line_would(office: Office, tmp_path: Path) -> None:
    sent = [announcement(f"A{number}", row) for number, row in enumerate(people(range(30)))]
    (office.folder / "pm.hl7").write_bytes(b"".join(sent))

    async def announce() -> None:
        async with Practice(tmp_path / "live.db", PM_OWNS) as practice:
            await practice.accepted("pm", *sent)
            await practice.quiet()

    asyncio.run(announce())
    assert office.one("pm", office.folder / "pm.hl7") == {"created": 30}
    live, loaded = registry(tmp_path / "live.db"), registry(office.database)
    assert loaded["patients"] == live["patients"]
    assert loaded["aliases"] == live["aliases"]
    assert len(live["deliveries"]) == 30
    assert loaded["deliveries"] == []


def test_where_the_emr_owns_its_list_creates_and_the_pms_links(office: Office) -> None:
    office.setup(EMR_OWNS)
    pm = table(office.folder / "pm.csv", [(*row, f"E-{n}") for n, row in enumerate(people(range(9)))], (*HEADER, "emr_id"))
    emr = charts_table(office.folder / "emr.csv", range(8))
    assert office.one("pm", pm) == {"not_taken": 9}
    assert office.one("emr", emr) == {"created": 8}
    assert office.one("pm", pm, "--again") == {"unchanged": 8, "not_taken": 1, "differences": 2}


def test_the_emrs_list_first_creates_nobody_and_says_what_to_do(office: Office) -> None:
    emr = charts_table(office.folder / "emr.csv", range(9))
    assert office.type("patients", "load", "--peer", "emr", emr) == Exit.OK
    assert "9 x #6 P01 patients are created by the other system only" in office.output
    assert "only the list of the PM creates patients. Load that one first" in office.output
    assert "column pm_id or other_id" in office.output
    assert office.rows("SELECT count(*) FROM patient") == [(0,)]
    assert office.rows("SELECT count(*) FROM journal") == [(0,)]


def test_the_same_list_again_does_nothing_but_say_when_it_was_loaded(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(9)))
    office.one("pm", pm)
    before = registry(office.database)
    pm.rename(office.folder / "renamed.csv")
    assert office.type("patients", "load", "--peer", "pm", office.folder / "renamed.csv") == Exit.OK
    assert "loaded already on 2" in office.output
    assert "(--again loads it once more)" in office.output
    assert registry(office.database) == before


def test_again_judges_all_of_it_and_changes_nothing(office: Office) -> None:
    pm, emr = table(office.folder / "pm.csv", people(MANY)), charts_table(office.folder / "emr.csv", MANY)
    office.one("pm", pm)
    office.one("emr", emr)
    before = registry(office.database)
    assert office.one("pm", pm, "--again") == {"unchanged": 1200}
    assert office.one("emr", emr, "--again") == {"unchanged": 1200}
    after = registry(office.database)
    assert {name for name in after if after[name] != before[name]} == {"lists", "audit"}


def test_a_newer_list_changes_what_is_different_in_it(office: Office) -> None:
    old, new = people(range(9)), people(range(10))
    new[3] = (*new[3][:5], "77 NEW ST")
    office.one("pm", table(office.folder / "old.csv", old))
    assert office.one("pm", table(office.folder / "new.csv", new)) == {"created": 1, "changed": 1, "unchanged": 8}
    assert "77 NEW ST" in office.rows("SELECT fields FROM patient WHERE id = 4")[0][0]


def test_a_dry_run_says_what_would_be_and_writes_nothing(office: Office) -> None:
    pm, emr = table(office.folder / "pm.csv", people(range(9))), charts_table(office.folder / "emr.csv", range(9))
    assert office.one("pm", pm, "--dry-run") == {"created": 9}
    assert sorted(path.name for path in office.folder.iterdir()) == ["emr.csv", "pm.csv"]
    office.one("pm", pm)
    before = registry(office.database)
    assert office.one("emr", emr, "--dry-run") == {"linked": 9, "differences": 2}
    assert registry(office.database) == before
    assert office.type("patients", "load", "--peer", "emr", "--dry-run", emr) == Exit.OK
    assert f"Into a copy of the database {office.database}" in office.said
    assert "9 patients would be loaded (dry run, nothing was written)" in office.output


def test_what_is_not_taken_is_told_by_its_place_and_reason_without_a_word_of_the_patient(office: Office) -> None:
    rows = people(range(30))
    rows[2] = ("7002", "EVERYWOMAN", "EVE", "5/13/18", "F", "1 ELM ST")
    rows[4] = ("7004", "EVERYWOMAN", "", "5/13/2018", "", "1 ELM ST")
    rows[6] = ("7000", "EVERYWOMAN", "EVE", "5/13/2019", "F", "1 ELM ST")
    rows[8] = ("7008", "EVERYWOMAN", "EVE", "5/13/2018", "F")
    pm, report = table(office.folder / "pm.csv", rows), office.folder / "report.csv"
    assert office.one("pm", pm, "--report", report) == {"created": 26, "not_taken": 3, "held": 1}
    with report.open(newline="") as file:
        told = list(csv.DictReader(file))
    assert [(row["place"], row["number"], row["outcome"], row["row"]) for row in told] == [
        ("line", "4", "not taken", "go-live"),
        ("line", "6", "not taken", "#3"),
        ("line", "8", "for a person", "#7"),
        ("line", "10", "not taken", "go-live"),
    ]
    assert told[0]["list"] == str(pm)
    assert told[1]["reason"].startswith("the update does not say enough to create the patient")
    assert office.type("patients", "load", "--peer", "pm", pm) == Exit.OK, "told again although it was loaded already"
    assert "line 6: #3 the update does not say enough" in office.output
    assert office.rows("SELECT count(*) FROM hold") == [(0,)]
    everything = report.read_text() + office.output + office.said
    everything += str(office.rows("SELECT * FROM patient_list_refusal")) + str(office.rows("SELECT * FROM audit"))
    for patient_data in ("EVERYWOMAN", "EVE", "7002", "7004", "7008", "5/13"):
        assert patient_data not in everything


def test_a_report_has_all_that_is_not_taken_where_the_screen_has_the_first(office: Office) -> None:
    emr, report = charts_table(office.folder / "emr.csv", range(2100)), office.folder / "report.csv"
    assert office.type("patients", "load", "--peer", "emr", emr, "--report", report) == Exit.OK
    assert "... and 2080 more; --report FILE writes all of them" in office.output
    assert len(report.read_text().splitlines()) == 2101


def test_columns_that_are_not_known_are_told_once_and_left_out(office: Office) -> None:
    rows = [(*row, "12.50", "x") for row in people(range(3))]
    pm = table(office.folder / "pm.csv", rows, (*HEADER, "Balance", "Adress"))
    assert office.one("pm", pm) == {"created": 3}
    assert office.said.count("columns that are not known are left out: Balance, Adress (did you mean street?)") == 1


def test_every_list_is_looked_at_before_the_first_is_loaded(office: Office) -> None:
    pm, wrong = table(office.folder / "pm.csv", people(range(3))), office.folder / "wrong.csv"
    wrong.write_text("7050,EVERYWOMAN,EVE\n")
    assert office.type("patients", "load", "--peer", "pm", pm, wrong) == Exit.CONFIGURATION
    assert f"OPHL7-E310 {wrong} has no header" in office.said
    assert "EVERYWOMAN" not in office.said
    assert not office.database.exists()


def test_a_report_over_one_of_the_lists_is_refused_before_it_is_emptied(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(3)))
    before = pm.read_bytes()
    assert office.type("patients", "load", "--peer", "pm", pm, "--report", pm) == Exit.USAGE
    assert "this is one of the lists" in office.said
    assert pm.read_bytes() == before
    assert office.type("patients", "load", "--peer", "pm", pm, "--report", office.folder / "no" / "r.csv") == Exit.USAGE


async def test_what_waited_leaves_when_the_broker_runs_and_the_list_does_not(office: Office) -> None:
    office.setup(PM_URL="mllp://127.0.0.1:1", EMR_URL="mllp://127.0.0.1:1")
    async with Practice(office.database, PM_OWNS) as practice:
        await practice.accepted("emr", dft("D1"), dft("D2", [Fee("T2")]))
        await practice.accepted("pm", siu("S1", "S12", who=replace(RUTH, birth="")))  # too little to be known by (#30)
        assert len(practice.holds()) == 3
    row = (RUTH.id, RUTH.family, RUTH.given, "4/12/2018", RUTH.sex, RUTH.street)
    pm = table(office.folder / "pm.csv", [*people(range(100, 103)), row])
    loaded = await asyncio.to_thread(office.one, "pm", pm)
    assert loaded == {"created": 4, "released": 3}
    async with Practice(office.database, PM_OWNS) as practice:
        assert practice.holds() == []
        received = await practice.quiet()
        assert [payload.split(b"|")[8] for payload in received["pm"]] == [b"DFT^P03", b"DFT^P03"]
        assert [payload.split(b"|")[8] for payload in received["emr"]] == [b"SIU^S12"]
        assert [state for _, state in practice.charges()] == ["sent", "sent"]
        # The day goes on: what the PM says of a loaded patient is news for the EMR, also word for word what the list said.
        news = announcement("A1", people([100])[0])
        await practice.accepted("pm", news)
        await practice.assert_relayed(news, "emr")


@pytest.mark.parametrize("reached", [False, True], ids=["nothing was on its way", "the head may have been tried"])
async def test_a_merge_that_waited_for_its_target_redirects_what_is_queued_as_on_the_line(
    office: Office, tmp_path: Path, reached: bool
) -> None:
    """Queued charges of the retired chart leave under the survivor; bytes that may have been tried stay as they are."""
    async with Practice(office.database, PM_OWNS, PM_URL="", EMR_URL="") as practice:
        await practice.accepted("pm", adt("A1", "A04"))
        await practice.accepted("emr", dft("D1"), dft("D2", [Fee("T2")]))
        await practice.accepted("pm", merged("M1", (RUTH, OSCAR)))
        assert practice.holds() == ["target:PM:7051"]
    if reached:
        with closing(sqlite3.connect(office.database)) as connection, connection:
            connection.execute("DELETE FROM meta WHERE name LIKE 'link%'")
    row = (OSCAR.id, OSCAR.family, OSCAR.given, "9/30/2015", OSCAR.sex, OSCAR.street)
    loaded = await asyncio.to_thread(office.one, "pm", table(office.folder / "pm.csv", [row]))
    assert loaded == {"created": 1, "released": 1}
    async with Practice(office.database, PM_OWNS) as practice:
        received = await practice.quiet()
        ids = [segments(payload, b"PID")[0].split(b"|")[3].split(b"^")[0] for payload in received["pm"]]
        assert ids == ([b"7050", b"7051"] if reached else [b"7051", b"7051"])
        assert practice.holds() == []


def test_the_other_sides_list_teaches_nobody_new_also_while_the_practice_learns_from_messages(office: Office) -> None:
    office.setup(LEARN_UNTIL="2199-12-31")
    emr = charts_table(office.folder / "emr.csv", range(3))
    assert office.one("emr", emr) == {"not_taken": 3}


async def test_while_the_broker_runs_a_load_says_to_stop_it_and_a_dry_run_goes_on(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(9)))
    async with Practice(office.database, PM_OWNS) as practice:
        await practice.accepted("pm", adt("A1", "A04"))
        assert await asyncio.to_thread(office.type, "patients", "load", "--peer", "pm", pm) == Exit.CONFIGURATION
        assert "OPHL7-E303 another ophl7 (process " in office.said
        assert "Lists are loaded while it is stopped, before go-live or in the evening" in office.said
        assert "Broken off" not in office.said
        assert await asyncio.to_thread(office.one, "pm", pm, "--dry-run") == {"created": 9}
        await practice.accepted("pm", adt("A2", "A08"))
        assert practice.count("patient") == 1


def test_a_disk_past_its_mark_stops_the_load_before_it_is_full(office: Office) -> None:
    pm = table(office.folder / "pm.csv", people(range(9)))
    office.setup(DISK_RESERVE="1024GiB")
    assert office.type("patients", "load", "--peer", "pm", pm) == Exit.CONFIGURATION
    assert "MiB are free where the database is; make room, then give the command again" in office.said
    assert "Broken off. What was loaded stays" in office.said
    office.setup(DISK_RESERVE="0")
    assert office.one("pm", pm) == {"created": 9}


def test_lists_of_messages_say_their_number_and_skip_what_is_no_patient(office: Office) -> None:
    sent = [announcement("A1", people([1])[0]), siu("S1", "S12"), announcement("A2", people([2])[0], "A40"), b"rubbish\r"]
    hl7 = office.folder / "pm.hl7"
    hl7.write_bytes(b"".join(b"\x0b" + one + b"\x1c\r" for one in sent) + announcement("A3", people([3])[0]))
    assert office.type("patients", "load", "--peer", "pm", hl7) == Exit.OK
    assert "4 patients loaded" in office.output
    assert "message 2: go-live this is no registration or update of a patient" in office.output
    assert office.rows("SELECT count(*) FROM patient") == [(2,)]


@pytest.mark.parametrize("more", [[], ["--peer", "lab"], ["--peer", "pm"]])
def test_a_wrong_command_is_a_usage_error(office: Office, more: list[str]) -> None:
    arguments = ["patients", "load", *more, "nowhere.csv"]
    assert office.type(*arguments) == Exit.USAGE
    assert office.type("patients", "load", "--peer", "pm") == Exit.USAGE
