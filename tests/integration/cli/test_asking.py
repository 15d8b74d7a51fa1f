"""The verbs that ask the running broker: tables for people, the API's own documents for programs."""

from __future__ import annotations

import json
import shlex

import pytest

from ophl7.cli.exits import Exit
from ophl7.engine.acts import Act, Done, NotDone
from ophl7.engine.code_entries import Entered
from ophl7.errors import StoreAway
from tests.integration.admin.practice import ANNA, BOB, NOON, Desk, Practice, adt, dft, verdicts
from tests.integration.cli.conftest import Command

LONG = "a reason that goes on and on, word after word, until no terminal of a usual width could show it in one line"


@pytest.fixture
async def filled(practice: Practice) -> None:
    """Something in every list, some of it long."""
    anna, bob = practice.patient(ANNA), practice.patient(BOB)
    detail = verdicts(["patient.field", "PID-11", "strip", "#5", "W01", LONG], warnings=[["#5", "W01", "not taken"]])
    practice.message(adt(), subject=anna.subject, detail=detail, reason=LONG)
    practice.message(dft("7051", "C2"), peer="emr", event="DFT^P03", control_id="C" * 60, state="held", subject=bob.subject)
    practice.charge(1, anna.subject)
    practice.charge(2, bob.subject, "held")
    practice.close_hold(practice.hold(1), "released", None, None)
    practice.hold(2, "charge:" + "X" * 90)
    practice.merge(bob, anna, "one_sided", pm=NOON)
    practice.hold(2, "mapping:provider:DRS")
    practice.code("DRS")
    practice.code("DR'S", "1'0")
    practice.delivery(1, "accepted")
    practice.delivery(2, "parked", "pm")
    await practice.commit()


LISTS = {
    "messages list": "/messages",
    "holds list": "/holds",
    "charges list": "/charges",
    "merges list": "/merges",
    "maps tasks": "/maps/tasks",
    "queue list --state all": "/deliveries",
}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("command", LISTS)
async def test_a_list_is_a_table_of_100_columns_with_the_newest_first(ophl7: Command, command: str) -> None:
    said = await ophl7(*command.split())
    assert (said.status, said.err) == (Exit.OK, "")
    assert said.lines[0].split()[0] == "ID"
    assert all(len(line) <= 100 for line in said.lines), said.out
    numbers = [int(line.split()[0]) for line in said.lines[1:] if line.split()[0].isdecimal()]
    assert numbers == sorted(numbers, reverse=True) != []


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(("command", "path"), LISTS.items())
async def test_with_json_a_list_is_the_document_of_the_api(desk: Desk, ophl7: Command, command: str, path: str) -> None:
    said = await ophl7(*command.split(), "--json")
    assert said.out.isascii()
    assert json.loads(said.out) == (await desk.get(f"/api/v1{path}")).json()


@pytest.mark.usefixtures("filled")
async def test_times_are_the_practice_s_and_long_reasons_are_told_to_their_end(ophl7: Command) -> None:
    said = await ophl7("messages", "list", "--peer", "pm")
    assert "2026-11-23 12:00:00" in said.out
    assert " ".join(" ".join(line[-60:] for line in said.lines).split()).count("in one line") == 1


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("command", "numbers"),
    [
        ("messages list --peer emr", [2]),
        ("messages list --type ADT", [1]),
        ("messages list --type DFT^P03 --state held", [2]),
        ("messages list --control-id C1", [1]),
        ("messages list --patient 7050", [1]),
        ("messages list --since 2026-11-23 --until 2026-11-23", [2, 1]),
        ("messages list --until 2026-11-22", []),
        ("holds list --peer pm", []),
        ("holds list --message 2", [3, 2]),
        ("maps tasks --peer emr --table provider", [1]),
        ("maps tasks --peer pm", []),
        ("charges list --state held", [2]),
        ("charges list --patient PM:7050 --date 2026-11-23", [1]),
        ("queue list", [2]),
        ("queue list --state accepted", [1]),
        ("queue list --state all --destination emr", [1]),
        ("queue list --message 1", []),
        ("merges list --state one_sided --patient 7051", [1]),
        ("merges list --state conflict", []),
    ],
)
async def test_filters_are_those_of_the_api(ophl7: Command, command: str, numbers: list[int]) -> None:
    said = await ophl7(*shlex.split(command), "--json")
    assert [item["id"] for item in json.loads(said.out)["items"]] == numbers


async def test_nothing_to_list_is_said_beside_the_data(practice: Practice, ophl7: Command) -> None:
    practice.audit("start")
    await practice.commit()
    for command in LISTS:
        said = await ophl7(*command.split())
        assert (said.status, said.out) == (Exit.OK, "")
        assert said.err


async def test_a_list_goes_on_where_the_one_before_ended(practice: Practice, ophl7: Command) -> None:
    for _ in range(5):
        practice.message(adt())
    await practice.commit()
    first = await ophl7("messages", "list", "--limit", "2")
    assert first.err == "There are more: add --cursor 4\n"
    rest = await ophl7("messages", "list", "--limit", "3", "--cursor", "4")
    assert rest.err == ""
    found = [int(line.split()[0]) for line in (*first.lines[1:], *rest.lines[1:])]
    assert found == [5, 4, 3, 2, 1]


async def test_more_than_a_page_of_the_api_is_fetched_page_by_page(practice: Practice, ophl7: Command) -> None:
    for _ in range(603):
        practice.message(adt())
    await practice.commit()
    found = json.loads((await ophl7("messages", "list", "--limit", "601", "--json")).out)
    assert ([item["id"] for item in found["items"]], found["next"]) == (list(range(603, 2, -1)), "3")
    found = json.loads((await ophl7("messages", "list", "--limit", "9999", "--json")).out)
    assert (len(found["items"]), found["next"]) == (603, None)


# -- one message --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
async def test_a_message_is_shown_with_its_segments_verdicts_and_way_and_that_is_audited(desk: Desk, ophl7: Command) -> None:
    said = await ophl7("messages", "show", "1")
    assert said.status == Exit.OK
    for words in (
        "Message 1",
        "PID-5    Specimen^Anna^B^Jr^Ms",
        "PID-11",
        "strip",
        "Warning W01 not taken",
        "Received ADT^A08",
    ):
        assert words in said.out
    assert "Specimen" in said.out
    assert "HUSH" not in said.out
    assert all(len(line) <= 100 for line in said.lines)
    assert desk.audited == [("api 127.0.0.1", "view-message", "message 1", "")]


@pytest.mark.usefixtures("filled")
async def test_with_json_a_message_and_its_way_are_one_value(desk: Desk, ophl7: Command) -> None:
    shown = json.loads((await ophl7("messages", "show", "2", "--json")).out)
    assert shown["message"]["waits_for"] == ["charge:" + "X" * 90, "mapping:provider:DRS"]
    assert shown["timeline"] == (await desk.get("/api/v1/messages/2/timeline")).json()["items"]


async def test_what_cannot_be_parsed_says_where_its_bytes_are(practice: Practice, ophl7: Command) -> None:
    practice.message(b"no HL7", event="", control_id="", state="error", ack="", answer=None)
    await practice.commit()
    said = await ophl7("messages", "show", "1")
    assert "raw has its bytes" in said.out
    assert "none was given" in said.out


async def test_nothing_that_came_over_a_wire_steers_the_terminal(practice: Practice, ophl7: Command) -> None:
    evil = "\x1b[2J\x9b\u202e"
    practice.message(adt().replace(b"Specimen", evil.encode()), reason=evil, control_id=evil, event=evil)
    await practice.commit()
    for command in ("messages list", "messages show 1", "messages list --json"):
        out = (await ophl7(*command.split())).out
        assert not set(evil) - set("[2J") & set(out)


# -- decisions ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
async def test_a_release_says_what_became_of_hold_and_message(desk: Desk, ophl7: Command) -> None:
    said = await ophl7("holds", "release", "2", "--reason", "the mother was called")
    assert (said.status, said.err) == (Exit.OK, "")
    assert said.lines == [
        "Hold 2 is closed (accepted). Message 2 is accepted now.",
        "Other messages that went on with it: 2",
    ]
    assert desk.acts == [Act("release", 2, 2, "api 127.0.0.1", "the mother was called")]


@pytest.mark.usefixtures("filled")
async def test_a_message_that_waits_on_says_for_what(desk: Desk, ophl7: Command) -> None:
    desk.outcome = Done(NOON, "accepted", "held", ("patient:PM:7051",))
    said = await ophl7("holds", "release", "2", "--reason", "so")
    assert said.lines == [
        "Hold 2 is closed (accepted). Message 2 is held now.",
        "It waits still for: patient:PM:7051",
    ]


@pytest.mark.usefixtures("filled")
async def test_a_discard_with_json_is_the_answer_of_the_api(desk: Desk, ophl7: Command) -> None:
    desk.outcome = Done(NOON, "discarded", "ignored")
    said = json.loads((await ophl7("holds", "discard", "2", "--reason", "sent twice", "--json")).out)
    assert (said["id"], said["closed_how"], said["closed_reason"], said["state"]) == (2, "discarded", "sent twice", "ignored")
    assert [act.verb for act in desk.acts] == ["discard"]


@pytest.mark.usefixtures("filled")
async def test_a_refusal_of_the_broker_is_its_own_sentence_and_status_4(desk: Desk, ophl7: Command) -> None:
    desk.outcome = NotDone(still_open=True, reason="register the patient in the PM")
    said = await ophl7("holds", "release", "2", "--reason", "so")
    assert (said.status, said.out, said.err) == (Exit.REFUSED, "", "OPHL7-E500 register the patient in the PM\n")
    said = await ophl7("holds", "release", "1", "--reason", "so")
    assert (said.status, "its condition has cleared" in said.err) == (Exit.REFUSED, True)
    said = await ophl7("holds", "release", "77", "--reason", "so")
    assert (said.status, said.err) == (Exit.REFUSED, "OPHL7-E500 no hold has this number\n")
    said = await ophl7("holds", "release", "2", "--reason", "x" * 501)
    assert (said.status, said.err) == (Exit.REFUSED, "OPHL7-E500 reason: at most 500 characters\n")
    desk.outcome = StoreAway()
    assert (await ophl7("holds", "release", "2", "--reason", "so")).status == Exit.REFUSED
    said = await ophl7("messages", "list", "--since", "yesterday")
    assert (said.status, "since: a time like" in said.err) == (Exit.REFUSED, True)


@pytest.mark.parametrize(
    "command",
    ["holds release 2", "holds release x --reason so", "holds burn 2", "messages list --state maybe", "charges list --limit 0"],
)
async def test_a_usage_error_asks_nobody(desk: Desk, ophl7: Command, command: str) -> None:
    assert (await ophl7(*command.split())).status == Exit.USAGE
    assert desk.acts == []


# -- codes --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
async def test_codes_are_a_table_that_says_who_said_so(desk: Desk, ophl7: Command) -> None:
    said = await ophl7("maps", "list", "--peer", "emr")
    assert (said.status, said.err) == (Exit.OK, "")
    assert [line.split()[:4] for line in said.lines[1:]] == [
        ["EMR", "provider", "DR'S", "1'0"],
        ["EMR", "provider", "JHS", "102"],
    ]
    assert "they share a desk" in said.lines[1]
    assert "the profile" in said.lines[2]
    document = json.loads((await ophl7("maps", "list", "--json")).out)
    assert document == (await desk.get("/api/v1/maps")).json()
    assert (await ophl7("maps", "list", "--table", "room")).err == "No table has an entry.\n"


@pytest.mark.usefixtures("filled")
async def test_an_export_is_the_toml_of_the_api(desk: Desk, ophl7: Command) -> None:
    said = await ophl7("maps", "export", "--peer", "emr")
    assert said.out == (await desk.get("/api/v1/maps/export", peer="emr")).text
    assert json.loads((await ophl7("maps", "export", "--peer", "emr", "--json")).out) == {"peer": "emr", "toml": said.out}


@pytest.mark.usefixtures("filled")
async def test_an_entry_is_made_and_taken_back(desk: Desk, ophl7: Command) -> None:
    whose = ("--peer", "emr", "--table", "provider", "--reason", "new doctor")
    said = await ophl7("maps", "add", *whose, "D-9", "103")
    assert said.lines == ["'D-9' of the table provider of the EMR is '103' from now on.", "Messages that went on: 3"]
    desk.entered = Entered(NOON, 0)
    said = await ophl7("maps", "remove", *whose, "D-9")
    assert said.lines == ["The entry for 'D-9' of the table provider of the EMR is taken back."]
    assert [(entry.code, entry.to, entry.reason) for entry in desk.entries] == [
        ("D-9", "103", "new doctor"),
        ("D-9", None, "new doctor"),
    ]
    desk.entered = NotDone(still_open=True, reason="nobody has made this entry")
    said = await ophl7("maps", "remove", *whose, "D-9")
    assert (said.status, said.err) == (Exit.REFUSED, "OPHL7-E500 nobody has made this entry\n")


@pytest.mark.usefixtures("filled")
async def test_a_hold_is_mapped_and_what_it_waits_for_still_is_said(desk: Desk, ophl7: Command) -> None:
    desk.entered = Entered(NOON, 1, "held", ("patient:PM:7051",))
    said = await ophl7("holds", "map", "3", "--to", "103", "--reason", "asked her")
    assert said.lines == [
        "'DRS' of the table provider of the EMR is '103' from now on. Messages that went on: 1",
        "Message 2 waits still for: patient:PM:7051",
    ]
    (entry,) = desk.entries
    assert (entry.hold, entry.message, entry.code, entry.to, entry.actor) == (3, 2, "DRS", "103", "api 127.0.0.1")
    said = await ophl7("holds", "map", "2", "--to", "103", "--reason", "x")
    assert (said.status, "does not wait for a code" in said.err) == (Exit.REFUSED, True)


# -- the token ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("filled")
async def test_a_token_that_is_not_taken_is_told_by_where_it_came_from_and_never_shown(
    ophl7: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPHL7_API_TOKEN", "s3cret-but-wrong")
    said = await ophl7("holds", "list")
    assert said.status == Exit.REFUSED
    assert "does not take this token. It came from: OPHL7_API_TOKEN\n" in said.err
    assert "s3cret" not in said.err
    monkeypatch.delenv("OPHL7_API_TOKEN")
    said = await ophl7("holds", "list")
    assert said.status == Exit.REFUSED
    assert "wants a token, and there is none: OPHL7_API_TOKEN is not set" in said.err
