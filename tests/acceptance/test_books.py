"""The books, from socket to socket: the day report, what is current, roll-ups, exports, visits without a charge, superbills."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ophl7.testing.peers import accept, refuse
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, Side, adt, dft, merged, message, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening, Practice
from tests.acceptance.test_people import ask, decide, registered

pytestmark = pytest.mark.timeout(60)

STRANGER = replace(RUTH, id="7099", given="CY")


async def get(practice: Practice, path: str) -> dict[str, Any]:
    answer = await ask(practice, "GET", path)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def post(practice: Practice, path: str, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await ask(practice, "POST", path, body)
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


def sums(report: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """What is not nothing, in counts and amounts."""
    names = ("received", "accepted", "held", "rejected", "parked", "pending", "cancelled", "skipped")
    return {name: (report[name]["count"], report[name]["amount"]) for name in names if report[name]["count"]}


def damage(practice: Practice, sql: str) -> None:
    """Somebody works in the database by hand."""
    with closing(sqlite3.connect(practice.database, timeout=5)) as connection, connection:
        assert connection.execute(sql).rowcount == 1


async def settled(practice: Practice) -> None:
    await practice.until(lambda: not practice.rows("SELECT 1 FROM delivery WHERE state IN ('queued', 'sending')"))


@pytest.mark.parametrize("setup", SETUPS)
async def test_every_charge_of_a_day_stands_somewhere_and_the_day_adds_up(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    practice.desk["pm"].script.extend([accept, refuse("AE", 103)] if setup != EMR_OWNS else [])
    await practice.accepted("emr", dft("D1", [FEE, Fee("T-2", amount="0.10"), Fee("T-3", amount="")]))
    await practice.accepted("emr", dft("D2", [Fee("T-4", amount="17.5")], OSCAR))
    broken = dft("D3", [Fee("T-5", amount="30.00"), Fee("T-6", amount="x")])
    assert (await practice.send("emr", broken)).code == "AE"
    assert (await practice.send("emr", broken)).code == "AE"  # counted once (#84b)
    await practice.accepted("emr", dft("D4", [Fee("T-7", amount="1.01")], STRANGER))
    await practice.accepted("emr", dft("D5", [Fee("P-1", kind="PY", amount="-20.00")], OSCAR))
    await decide(practice, "discard", "payment:P-1")
    await practice.accepted("emr", dft("D1", [FEE, Fee("T-2", amount="0.10"), Fee("T-3", amount="")]))  # a copy (#84)
    await practice.accepted("emr", dft("D6", [FEE]))  # known (#48): not a charge
    await settled(practice)
    report = await get(practice, "/reconciliation")
    assert report["adds_up"], report["does_not_add_up"]
    found = sums(report)
    assert found["received"] == (8, "153.61")
    assert report["received"]["without_amount"] == 2
    assert found["rejected"] == (2, "30.00")
    assert found["held"] == (1, "1.01")
    assert found["cancelled"] == (1, "-20.00")
    taken = [found.get("accepted", (0, "0")), found.get("parked", (0, "0"))]
    assert sum(count for count, _ in taken) == 4
    said = report["messages"]
    assert said["adds_up"]
    assert (said["received"], said["accepted"], said["held"], said["rejected"], said["ignored"]) == (8, 4, 1, 1, 2)
    assert (said["duplicates"], said["sent_again"]) == (1, 1)
    assert [hold["key"] for hold in report["holds"]] == ["patient:PM:7099"]
    assert [(one["provider"], one["received"]["count"]) for one in report["providers"]] == [("D-7", 8)]


DAMAGE = {
    "a ledger row is gone": (
        "DELETE FROM charge WHERE transaction_id = 'T-2'",
        "the message brought this charge, the ledger does not have it",
    ),
    "an amount was changed": (
        "UPDATE charge SET amount = '1250.00' WHERE transaction_id = 'T-1'",
        "the ledger has another amount than the message",
    ),
    "a state was changed": (
        "UPDATE charge SET state = 'cancelled' WHERE transaction_id = 'T-1'",
        "the message is accepted, its charge in the ledger is cancelled",
    ),
    "a charge names no copy": (
        "UPDATE charge SET delivery = NULL WHERE transaction_id = 'T-1'",
        "the charge was taken, and no copy of it for the PM is there",
    ),
    "a charge names another message's copy": (
        "UPDATE charge SET delivery = (SELECT min(id) FROM delivery) WHERE transaction_id = 'T-1'",
        "the copy that is named for this charge is one of message 1",
    ),
    "a line was counted twice": (
        """INSERT INTO charge SELECT 99, message, 7, subject, 'T-9', kind, date, procedure, modifiers, units, diagnoses, amount,
        visit, content, state, delivery, verb, same_set FROM charge WHERE transaction_id = 'T-1'""",
        "the ledger has this charge, its message does not bring it",
    ),
    "a message is gone": (
        "DELETE FROM journal WHERE control_id = 'D1'",
        "the ledger has this charge, the journal has no DFT that brought it",
    ),
    "a message says that it was ignored": (
        "UPDATE journal SET state = 'ignored' WHERE control_id = 'D1'",
        "the ledger has this charge, its message does not bring it",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
async def test_what_is_on_one_side_only_is_named(opened: Opening, case: str) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1", [FEE, Fee("T-2", amount="2.50")]))
    await settled(practice)
    assert (await get(practice, "/reconciliation"))["adds_up"]
    number = practice.journal("D1")["id"]
    sql, problem = DAMAGE[case]
    damage(practice, sql)
    report = await get(practice, "/reconciliation")
    assert not report["adds_up"]
    assert problem in {one["problem"] for one in report["does_not_add_up"]}
    assert {one["message"] for one in report["does_not_add_up"]} == {number}


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_43_a_charge_of_somebody_unknown_is_listed_under_his_id_and_moves_on_with_him(
    opened: Opening, setup: str
) -> None:
    practice = await registered(opened, setup)
    await practice.accepted("emr", dft("D1", [Fee("T-7", amount="1.01")], STRANGER))
    (held,) = (await get(practice, "/charges?patient=7099"))["items"]
    assert (held["state"], held["patient"], held["delivery"]) == ("held", "PM:7099", None)
    wanted = {"transaction_id", "patient", "visit", "date", "procedure", "modifiers", "units", "diagnoses", "amount"}
    assert set(held) >= wanted | {"state", "message", "delivery"}
    assert sums(await get(practice, "/reconciliation")) == {"received": (1, "1.01"), "held": (1, "1.01")}
    await practice.accepted(practice.patients, adt("R99", "A28", STRANGER, sender=practice.patients))
    await settled(practice)
    (sent,) = (await get(practice, "/charges?patient=7099&state=accepted&date=2026-01-05"))["items"]
    assert (sent["id"], sent["patient"]) == (held["id"], "PM:7099")
    report = await get(practice, "/reconciliation")
    assert report["adds_up"]
    assert sums(report) == {"received": (1, "1.01"), "accepted": (1, "1.01")}


async def test_a_charge_that_left_again_for_the_survivor_is_listed_as_sent_more_than_once(opened: Opening) -> None:
    practice = await registered(opened)
    practice.desk["pm"].script.extend([refuse("AE", 204)])
    await practice.accepted("emr", dft("D1"))
    await practice.until(lambda: bool(practice.rows("SELECT 1 FROM delivery WHERE state = 'held'")))
    assert sums(await get(practice, "/reconciliation"))["held"] == (1, "125.00")
    await practice.accepted("pm", merged("M1", (RUTH, OSCAR)))
    await settled(practice)
    report = await get(practice, "/reconciliation")
    assert report["adds_up"]
    (twice,) = report["sent_more_than_once"]
    assert twice["message"] == practice.journal("D1")["id"]
    assert "once more as another message" in twice["how"]


async def test_row_50_a_charge_that_was_sent_again_after_its_credit_is_listed_as_sent_more_than_once(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1"), dft("D2", [replace(FEE, kind="CD")]), dft("D3"))
    if practice.holds():
        await decide(practice, "release", practice.holds()[0])
    await settled(practice)
    report = await get(practice, "/reconciliation")
    assert report["adds_up"]
    if report["accepted"]["count"] == 3:
        assert [(one["message"], one["other_message"]) for one in report["sent_more_than_once"]] == [
            (practice.journal("D3")["id"], practice.journal("D1")["id"])
        ]


# -- current, roll-ups ------------------------------------------------------------------------------------------------------


def visits(found: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {one["patient"]: (one["count"], one["amount"]) for one in found["items"]}


async def test_what_the_pm_has_accepted_is_current_until_a_roll_up_is_noted_and_again_when_that_is_taken_back(
    opened: Opening,
) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1", [FEE, Fee("T-2", amount="2.50")]), dft("D2", [Fee("T-3", amount="9")], OSCAR))
    await settled(practice)
    assert visits(await get(practice, "/charges/current")) == {"PM:7050": (2, "127.50"), "PM:7051": (1, "9")}
    (ruth,) = (await get(practice, "/charges/current?patient=7050"))["items"]
    assert (ruth["oldest"], ruth["visit"], ruth["without_amount"]) == ("2026-01-05", None, 0)
    sent = practice.count("delivery")
    noted = await post(
        practice, "/charges/roll-ups", {"patient": "7050", "visit": None, "claim": "C-1001", "note": "as agreed"}
    )
    assert noted["charges"] == [one["id"] for one in ruth["charges"]]
    assert visits(await get(practice, "/charges/current")) == {"PM:7051": (1, "9")}
    assert practice.count("delivery") == sent  # a note, never an act
    refused = await post(practice, "/charges/roll-ups", {"charges": noted["charges"], "claim": "C-1002"}, 409)
    assert refused["charges"] == noted["charges"]
    assert practice.rows("SELECT claim FROM roll_up") == [{"claim": "C-1001"}]
    taken = await post(practice, f"/charges/roll-ups/{noted['id']}/take-back", {"reason": "wrong child"})
    assert (taken["taken_back_reason"], taken["taken_back_by"]) == ("wrong child", "api 127.0.0.1")
    assert visits(await get(practice, "/charges/current")) == {"PM:7050": (2, "127.50"), "PM:7051": (1, "9")}
    await post(practice, f"/charges/roll-ups/{noted['id']}/take-back", {"reason": "once more"}, 409)
    again = await post(practice, "/charges/roll-ups", {"charges": noted["charges"], "claim": "C-1003"})
    listed = (await get(practice, "/charges/roll-ups"))["items"]
    assert [(one["id"], one["taken_back_at"] is None) for one in listed] == [(again["id"], True), (noted["id"], False)]
    assert (await get(practice, "/charges/roll-ups?patient=7051"))["items"] == []
    assert [row["action"] for row in practice.rows("SELECT action FROM audit ORDER BY id")] == [
        "note-roll-up", "take-back-roll-up", "note-roll-up",
    ]  # fmt: skip


async def test_two_who_note_the_same_charge_at_once_do_not_both_have_it(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1"))
    await settled(practice)
    body = {"charges": [1], "claim": "C-1"}
    answers = await asyncio.gather(*(ask(practice, "POST", "/charges/roll-ups", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert practice.count("roll_up") == 1


async def test_what_the_pm_has_not_accepted_is_in_no_claim(opened: Opening) -> None:
    practice = await registered(opened)
    practice.desk["pm"].script.extend([refuse("AE", 103)])
    await practice.accepted("emr", dft("D1"))
    await practice.until(lambda: bool(practice.rows("SELECT 1 FROM delivery WHERE state = 'parked'")))
    assert (await get(practice, "/charges/current"))["items"] == []
    said = await post(practice, "/charges/roll-ups", {"charges": [1], "claim": "C-1"}, 409)
    assert "not accepted" in said["detail"]
    assert "no such charge" in (await post(practice, "/charges/roll-ups", {"charges": [77], "claim": "C-1"}, 409))["detail"]
    assert (await post(practice, "/charges/roll-ups", {"patient": "7050", "visit": "V1", "claim": "C-1"}, 409))["charges"] == []
    for wrong in ({"claim": "C-1"}, {"charges": [], "claim": "C"}, {"charges": [True], "claim": "C"}, {"charges": [1]}):
        await post(practice, "/charges/roll-ups", wrong, 422)
    assert practice.count("roll_up") == practice.count("audit") == 0


@pytest.mark.parametrize(("amount", "left"), [("125.00", {}), ("-125.00", {}), ("25.00", {"PM:7050": (1, "100.00")})])
async def test_row_50_a_credit_takes_its_charge_off_what_is_current(
    opened: Opening, amount: str, left: dict[str, tuple[int, str]]
) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1"), dft("D2", [replace(FEE, kind="CD", amount=amount)]))
    await settled(practice)
    assert visits(await get(practice, "/charges/current")) == left


async def test_row_50_a_credit_after_the_roll_up_shows_what_was_corrected(opened: Opening) -> None:
    practice = await registered(opened)
    await practice.accepted("emr", dft("D1"))
    await settled(practice)
    noted = await post(practice, "/charges/roll-ups", {"charges": [1], "claim": "C-1001"})
    await practice.accepted("emr", dft("D2", [replace(FEE, kind="CD")]))
    await settled(practice)
    (visit,) = (await get(practice, "/charges/current"))["items"]
    (credit,) = visit["charges"]
    assert (credit["kind"], credit["net"], visit["amount"]) == ("CD", "-125.00", "-125.00")
    assert credit["corrects"] == {"charge": 1, "roll_up": noted["id"], "claim": "C-1001", "amount": "125.00"}


# -- export -----------------------------------------------------------------------------------------------------------------


async def test_on_the_day_when_the_pm_is_down_its_charges_are_a_file(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_URL="")
    await practice.accepted("emr", dft("D1", [replace(FEE, id="=HYPERLINK(1)", amount="-5.00")]), dft("D2", who=STRANGER))
    answer = await ask(practice, "GET", "/charges/export")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = list(csv.DictReader(io.StringIO(answer.text)))
    assert (row["patient"], row["family"], row["procedure"], row["amount"]) == ("PM:7050", "ADAMSKI", "99213", "-5.00")
    assert row["transaction_id"] == "'=HYPERLINK(1)"  # no formula to a spreadsheet
    lines = (await ask(practice, "GET", "/charges/export?format=jsonl&state=open")).text.splitlines()
    assert [(one["patient"], one["state"]) for one in map(json.loads, lines)] == [("PM:7050", "pending"), ("PM:7099", "held")]
    assert len((await ask(practice, "GET", "/charges/export?date=2001-01-01")).text.splitlines()) == 1
    assert (await ask(practice, "GET", "/charges/export?date=2026-01-05&since=2026-01-05")).status_code == 400
    assert {row["action"] for row in practice.rows("SELECT action FROM audit")} == {"export-charges"}
    base = practice.broker.web_address.partition("/?")[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"Authorization": f"Bearer {practice.broker.token}", "Accept": "application/jsonl"}
        assert json.loads((await client.get(f"{base}/api/v1/charges/export", headers=headers)).text)["state"] == "pending"


# -- visits without a charge --------------------------------------------------------------------------------------------------


async def test_a_visit_that_came_to_an_end_without_a_charge_is_named(opened: Opening) -> None:
    practice = await registered(opened)
    statuses = {"S-1": "Checked Out", "S-2": "Seen", "S-3": "Noshow", "S-4": "Booked", "S-5": "Checked Out"}
    for number, (filler, status) in enumerate(statuses.items()):
        who = OSCAR if filler == "S-5" else replace(RUTH, id=f"80{number}", family=f"F{number}")
        if who is not OSCAR:
            await practice.accepted("pm", adt(f"R{number}", "A28", who))
        await practice.accepted("pm", siu(f"S{number}", "S12", replace(VISIT, filler=filler, status=status), who))
    await practice.accepted("pm", siu("BLOCK", "S23", replace(VISIT, filler="S-6", status="Checked Out"), None))
    await practice.accepted("emr", dft("D1", [Fee("T-1", date="20260105")], OSCAR))
    found = (await get(practice, "/charges/missing?date=2026-01-05"))["items"]
    assert [(one["filler_id"], one["patient"]) for one in found] == [("S-2", "PM:801"), ("S-1", "PM:800")]
    assert (await get(practice, "/charges/missing?date=2026-01-06"))["items"] == []
    report = await get(practice, "/reconciliation?date=2026-01-05")
    assert [one["id"] for one in report["missing_charges"]] == [one["id"] for one in found]


# -- superbills ---------------------------------------------------------------------------------------------------------------

CLAIMS = ("BAR^P01", "BAR^P02", "BAR^P05", "BAR^P06", "BAR^P10", "BAR^P12", "EHC^E01")


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_56_who_still_has_the_form_on_is_counted_and_nothing_ever_leaves(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    await practice.quiet()
    before = {side: len(peer.payloads) for side, peer in practice.desk.items()}
    sides: tuple[Side, Side] = ("pm", "emr")
    for side in sides:
        for number, event in enumerate(CLAIMS):
            who = f"EVN|{event[4:]}|20260105|||BELL{number % 2}^Bell^Bea" if number else "FT1|1"
            sent = message(event, f"X{side}{number}", who, "PID|1||7050^^^PM^MR", sender=side)
            assert (await practice.send(side, sent)).code == "AR"
            assert practice.decided(f"X{side}{number}") == ("rejected", "#56")
            practice.assert_kept_back(sent)
    again = message(CLAIMS[1], "Xemr1", f"EVN|{CLAIMS[1][4:]}|20260105|||BELL1^Bell^Bea", "PID|1||7050^^^PM^MR", sender="emr")
    await practice.send("emr", again)  # counted once (#84b)
    found = (await get(practice, "/superbills"))["items"]
    assert [(one["peer"], one["user"], one["count"], one["place"]) for one in found] == [
        ("emr", "BELL0", 3, "EVN-5"), ("emr", "BELL1", 3, "EVN-5"), ("pm", "BELL0", 3, "EVN-5"), ("pm", "BELL1", 3, "EVN-5"),
        ("emr", "EMR", 1, "MSH-3"), ("pm", "PM", 1, "MSH-3"),
    ]  # fmt: skip
    assert found[0]["name"] == "Bell, Bea"
    assert found[0]["messages"] == sorted(found[0]["messages"], reverse=True)
    assert {side: len(peer.payloads) for side, peer in practice.desk.items()} == before
    assert practice.charges() == []


async def test_row_56_a_profile_names_more_events_and_the_place_of_the_user(opened: Opening, tmp_path: Path) -> None:
    profile = tmp_path / "own.toml"
    profile.write_text('name = "own"\n[superbill]\nevents = ["ZSB^Z01"]\nuser_field = "ZSB-2"\n')
    practice = await registered(opened, EMR_PROFILE=str(profile))
    assert (await practice.send("emr", message("ZSB^Z01", "X1", "ZSB|1|NURSE", sender="emr"))).code == "AR"
    assert (await practice.send("pm", message("ZSB^Z01", "X2", "ZSB|1|NURSE", sender="pm"))).code == "AR"
    assert (practice.decided("X1"), practice.decided("X2")[1]) == (("rejected", "#56"), "#80")
    (one,) = (await get(practice, "/superbills"))["items"]
    assert (one["user"], one["place"], one["events"]) == ("NURSE", "ZSB-2", ["ZSB^Z01"])


async def test_what_is_judged_again_counts_once_and_the_day_adds_up(opened: Opening) -> None:
    practice = await registered(opened)
    broken = dft("D1", [Fee("T-5", amount="30.00"), Fee("T-6", amount="x")])
    assert (await practice.send("emr", broken)).code == "AE"
    await practice.accepted("emr", dft("D2", [Fee("T-7", amount="7.00")]))
    await settled(practice)
    for control_id in ("D1", "D1", "D2"):
        number = practice.rows("SELECT id FROM journal WHERE control_id = ? AND replay_of IS NULL", control_id)[0]["id"]
        await post(practice, f"/messages/{number}/replay", {"reason": "the code table was mended"})
    report = await get(practice, "/reconciliation")
    assert report["adds_up"], report["does_not_add_up"]
    assert sums(report) == {"received": (3, "37.00"), "accepted": (1, "7.00"), "rejected": (2, "30.00")}
    assert report["messages"]["received"] == 2 + len(practice.rows("SELECT 1 FROM journal WHERE event LIKE 'ADT%'"))
