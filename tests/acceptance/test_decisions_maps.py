"""Codes, names and what leaves: #36, #42, #46, #83 and contract 4, from socket to socket."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, Side, adt, dft, relayed, segments, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening, Practice, other
from tests.acceptance.replies import VERSIONS, assert_refused
from tests.acceptance.test_people import ask

pytestmark = pytest.mark.timeout(60)

TABLES = """
[maps.provider]
fields = ["FT1-20", "AIP-3", "PV1-7"]
codes = { "D-1" = "101" }

[maps.room]
fields = ["AIL-3"]
codes = { "ROOM1" = "EXAM^1" }
"""


@pytest.fixture
def tables(tmp_path: Path) -> str:
    """A profile whose provider table knows D-1 and not D-7."""
    file = tmp_path / "tables.toml"
    file.write_text(TABLES, encoding="utf-8")
    return str(file)


async def registered(opened: Opening, setup: str, profile: str, **more: str) -> Practice:
    practice = await opened(setup, PM_PROFILE=profile, EMR_PROFILE=profile, **more)
    people = [adt(f"REG{who.id}", "A28", who, sender=practice.patients) for who in (RUTH, OSCAR)]
    await practice.accepted(practice.patients, *people)
    return practice


async def enter(practice: Practice, code: str, to: str | None, peer: Side = "emr", table: str = "provider") -> dict[str, Any]:
    """A person's entry over the API."""
    body = {"peer": peer, "table": table, "code": code, "to": to, "reason": "they call her so"}
    answer = await ask(practice, "POST", "/maps", body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def map_hold(practice: Practice, key: str, to: str) -> dict[str, Any]:
    """Map and release from the oldest hold with that key."""
    number = practice.rows("SELECT min(id) AS id FROM hold WHERE key = ? AND closed_at IS NULL", key)[0]["id"]
    answer = await ask(practice, "POST", f"/holds/{number}/map", {"to": to, "reason": "asked the doctor"})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def items(practice: Practice, path: str) -> list[dict[str, Any]]:
    answer = await ask(practice, "GET", path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def by(doctor: str, fee: Fee = FEE, number: int = 1) -> str:
    """The FT1 of a charge of that doctor's."""
    return fee.ft1(number).replace("D-7^", f"{doctor}^")


def charged(control_id: str, *lines: str, **more: Any) -> bytes:  # noqa: ANN401 - as messages.dft
    """A DFT with these FT1."""
    whole = dft(control_id, [replace(FEE, id="GONE")], **more)
    return whole.replace(f"{replace(FEE, id='GONE').ft1(1)}\r".encode(), "".join(f"{line}\r" for line in lines).encode())


def performers(payload: bytes) -> list[bytes]:
    """FT1-20 of each charge."""
    return [line.split(b"|")[20] for line in segments(payload, b"FT1")]


# -- 46, 42 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_46_a_code_of_the_table_leaves_as_the_other_system_calls_it_and_nothing_else_changes__any(
    opened: Opening, setup: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    sent = charged("C46", by("D-1", replace(FEE, id="T-1")), by("D-1~D-1&x^WINTER^A", Fee("T-2"), 2))
    reply = await practice.accepted("emr", sent)
    assert reply.faults == ()
    payload = await practice.copy_of(sent, "pm")
    assert performers(payload) == [b"101^WINTER^A", b"101~101&x^WINTER^A^WINTER^A"]
    control_id = practice.deliveries("C46")[0]["control_id"]
    assert payload == relayed(sent, control_id).replace(b"|D-1", b"|101").replace(b"~D-1", b"~101")
    assert practice.decided("C46") == ("accepted", "#40")


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_46_a_code_that_the_table_lacks_holds_the_charge_until_somebody_maps_it__any(
    opened: Opening, setup: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    first, second = charged("C46", by("D-7")), charged("C47", by("D-7", Fee("T-2")), who=OSCAR)
    await practice.accepted("emr", first, second)
    assert practice.decided("C46") == ("held", "#46")
    assert practice.holds() == ["mapping:provider:D-7"] * 2
    assert practice.charges() == [("T-1", "held"), ("T-2", "held")]
    practice.assert_kept_back(first, second)
    assert [(one["code"], one["count"], one["peer"]) for one in await items(practice, "/maps/tasks")] == [("D-7", 2, "emr")]
    done = await map_hold(practice, "mapping:provider:D-7", "107")
    assert (done["released"], done["state"], done["waits_for"], done["closed_how"]) == (2, "accepted", [], "released")
    assert (done["peer"], done["table"], done["code"], done["to"]) == ("emr", "provider", "D-7", "107")
    for sent in (first, second):
        assert performers(await practice.copy_of(sent, "pm")) == [b"107^WINTER^A"]
    assert practice.holds() == []
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent")]
    assert await items(practice, "/maps/tasks") == []
    (row,) = practice.rows("SELECT * FROM audit")
    assert (row["action"], row["actor"], row["reason"]) == ("map-code", "api 127.0.0.1", "asked the doctor")
    assert row["target"] == "code D-7 of the table provider of the EMR to 107, hold 1 of message 3"
    third = charged("C48", by("D-7", Fee("T-3")))
    await practice.accepted("emr", third)
    assert performers(await practice.copy_of(third, "pm")) == [b"107^WINTER^A"]


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_42_one_charge_of_several_that_needs_a_map_holds_the_whole_dft_with_all_reasons_at_once__any(
    opened: Opening, setup: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    stranger = replace(RUTH, id="7099")
    lines = (by("D-1"), by("D-7", Fee("T-2"), 2), by("D-8", Fee("T-3"), 3), by("D-7", Fee("T-4"), 4))
    sent = charged("C42", *lines, who=stranger)
    simple = charged("C43", by("D-8", Fee("T-9")))
    await practice.accepted("emr", sent, simple)
    assert sorted(practice.holds()) == ["mapping:provider:D-7"] + ["mapping:provider:D-8"] * 2 + ["patient:PM:7099"]
    assert {state for _, state in practice.charges()} == {"held"}
    # Who waits for others, too, stays; who waits for just this goes on.
    done = await map_hold(practice, "mapping:provider:D-8", "108")
    assert (done["state"], done["released"]) == ("held", 1)
    assert sorted(done["waits_for"]) == ["mapping:provider:D-7", "patient:PM:7099"]
    assert performers(await practice.copy_of(simple, "pm")) == [b"108^WINTER^A"]
    practice.assert_kept_back(sent)
    assert (await map_hold(practice, "mapping:provider:D-7", "107"))["waits_for"] == ["patient:PM:7099"]
    practice.assert_kept_back(sent)
    await practice.accepted(practice.patients, adt("REG99", "A28", stranger, sender=practice.patients))
    assert performers(await practice.copy_of(sent, "pm")) == [
        b"101^WINTER^A",
        b"107^WINTER^A",
        b"108^WINTER^A",
        b"107^WINTER^A",
    ]
    assert practice.holds() == []


async def test_row_46_a_later_charge_with_the_same_id_waits_behind_and_is_not_sent_twice__any(
    opened: Opening, tables: str
) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    first, again, credit = charged("C1", by("D-7")), charged("C2", by("D-7")), charged("C3", by("D-1", replace(FEE, kind="CD")))
    other_charge = charged("C4", by("D-1", Fee("T-2")), who=OSCAR)
    await practice.accepted("emr", first, again, credit, other_charge)
    await practice.copy_of(other_charge, "pm")  # somebody else's does not wait
    practice.assert_kept_back(first, again, credit)
    assert (await map_hold(practice, "mapping:provider:D-7", "107"))["released"] == 3
    assert practice.decided("C2") == ("ignored", "#48")
    assert practice.holds() == []
    for sent in (first, credit):
        await practice.copy_of(sent, "pm")
    kinds = [line.split(b"|")[6] for payload in practice.desk["pm"].payloads for line in segments(payload, b"FT1")]
    assert kinds[1:] == [b"CG", b"CD"]  # the credit strictly after its charge (#50)


async def test_row_46_a_person_releases_it_with_the_code_as_it_came__any(opened: Opening, tables: str) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    sent, waits = charged("C46", by("D-7")), charged("C47", by("D-7", Fee("T-2")))
    await practice.accepted("emr", sent, waits)
    answer = await ask(practice, "POST", "/holds/1/release", {"reason": "the PM will ask"})
    assert answer.json()["state"] == "accepted"
    await practice.assert_relayed(sent, "pm")
    assert practice.holds() == ["mapping:provider:D-7"]
    assert [one["count"] for one in await items(practice, "/maps/tasks")] == [2]


async def test_row_46_a_charge_that_is_known_needs_no_map_any_more__any(opened: Opening, tables: str) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    await enter(practice, "D-7", "107")
    await practice.accepted("emr", charged("C1", by("D-7")))
    await enter(practice, "D-7", None)
    await practice.accepted("emr", charged("C2", by("D-7")))
    assert practice.decided("C2") == ("ignored", "#48")
    mixed = charged("C3", by("D-7"), by("D-1", Fee("T-2"), 2))
    await practice.accepted("emr", mixed)
    assert performers(await practice.copy_of(mixed, "pm")) == [b"101^WINTER^A"]


async def test_row_46_a_table_that_no_profile_defines_passes_codes_through__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS, "generic")
    sent = charged("C46", by("D-7"))
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")
    answer = await ask(practice, "POST", "/maps", {"peer": "emr", "table": "provider", "code": "A", "to": "B", "reason": "x"})
    assert answer.status_code == 409
    assert "no table provider" in answer.json()["detail"]


# -- 36 ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_36_a_booking_with_a_code_that_the_table_lacks_is_taken_and_is_a_task__owner(
    opened: Opening, setup: str, version: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    owner, receiver = practice.schedule, other(practice.schedule)
    sent = siu("S36", "S12", sender=owner, version=version)
    reply = await practice.accepted(owner, sent)
    assert [fault.severity for fault in reply.faults] == (["W"] if version >= "2.5" else [])
    assert practice.decided("S36") == ("accepted", "#36")
    payload = await practice.copy_of(sent, receiver)
    assert segments(payload, b"AIP") == [b"AIP|1||D-7^WINTER^A"]  # the raw code
    assert segments(payload, b"AIL") == [b"AIL|1||EXAM\\S\\1"]  # and the one that the other table knows
    await practice.accepted(owner, siu("S37", "S14", replace(VISIT, room="ROOM9"), sender=owner))
    found = await items(practice, "/maps/tasks")
    assert [(one["table"], one["code"], one["peer"], one["count"]) for one in found] == [
        ("room", "ROOM9", owner, 1),
        ("provider", "D-7", owner, 2),
    ]
    assert (found[1]["first_message"], found[1]["last_message"]) == (3, 4)
    assert (await enter(practice, "D-7", "107", peer=owner))["released"] == 0
    assert [one["code"] for one in await items(practice, "/maps/tasks")] == ["ROOM9"]
    again = siu("S38", "S13", replace(VISIT, start="20260105113000"), sender=owner)
    assert (await practice.accepted(owner, again)).faults == ()
    assert segments(await practice.copy_of(again, receiver), b"AIP") == [b"AIP|1||107^WINTER^A"]


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_36_an_update_of_a_patient_is_taken_with_the_code_as_it_came__owner(
    opened: Opening, setup: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    owner = practice.patients
    sent = adt("A36", "A08", replace(RUTH, street="9 NEW RD"), "PV1|1|O|||||D-7^WINTER~D-1", sender=owner)
    await practice.accepted(owner, sent)
    assert practice.decided("A36") == ("accepted", "#36")
    assert segments(await practice.copy_of(sent, other(owner)), b"PV1") == [b"PV1|1|O|||||D-7^WINTER~101"]


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_37_an_echo_under_the_other_systems_codes_changes_nothing__other(
    opened: Opening, setup: str, tables: str
) -> None:
    practice = await registered(opened, setup, tables)
    owner, receiver = practice.schedule, other(practice.schedule)
    await enter(practice, "D-7", "107", peer=owner)
    sent = siu("S1", "S12", replace(VISIT, doctor="D-1"), RUTH, "AIP|2||D-7^WINTER^A", "AIP|3||D-99", sender=owner)
    await practice.accepted(owner, sent)
    copy = await practice.copy_of(sent, receiver)
    assert [line.split(b"|")[3] for line in segments(copy, b"AIP")] == [b"101^WINTER^A", b"107^WINTER^A", b"D-99"]
    await practice.accepted(receiver, copy)
    assert practice.decided(practice.deliveries("S1")[0]["control_id"]) == ("ignored", "#37")
    moved = copy.replace(b"|107^", b"|101^")
    assert (await practice.send(receiver, moved)).code == "AE"


# -- what people enter --------------------------------------------------------------------------------------------------------


async def test_a_persons_entry_goes_over_the_profiles_and_is_listed_exported_and_taken_back(
    opened: Opening, tables: str
) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    await enter(practice, "D-1", "201")
    await enter(practice, 'D"9', "209 é")
    sent = charged("C1", by("D-1"))
    await practice.accepted("emr", sent)
    assert performers(await practice.copy_of(sent, "pm")) == [b"201^WINTER^A"]
    found = {one["code"]: one for one in await items(practice, "/maps?peer=emr&table=provider")}
    assert (found["D-1"]["to"], found["D-1"]["origin"], found["D-1"]["of_profile"]) == ("201", "person", "101")
    assert (found["D-1"]["by"], found["D-1"]["reason"]) == ("api 127.0.0.1", "they call her so")
    assert found["D-1"]["at"]
    exported = await ask(practice, "GET", "/maps/export?peer=emr")
    assert exported.headers["content-type"].startswith("application/toml")
    pasted = tomllib.loads(exported.text)["maps"]
    assert pasted["provider"] == {"fields": ["FT1-20", "AIP-3", "PV1-7"], "codes": {"D-1": "201", 'D"9': "209 é"}}
    await enter(practice, "D-1", None)
    sent = charged("C2", by("D-1", Fee("T-2")))
    await practice.accepted("emr", sent)
    assert performers(await practice.copy_of(sent, "pm")) == [b"101^WINTER^A"]
    answer = await ask(
        practice, "POST", "/maps", {"peer": "emr", "table": "provider", "code": "D-1", "to": None, "reason": "x"}
    )
    assert answer.status_code == 409
    assert [row["action"] for row in practice.rows("SELECT action FROM audit ORDER BY id")] == [
        "map-code",
        "map-code",
        "unmap-code",
    ]


async def test_an_entry_holds_after_a_restart_and_what_waits_in_the_queue_stays_as_it_was_made(
    tmp_path: Path, tables: str
) -> None:
    database = tmp_path / "ophl7.db"
    async with Practice(database, PM_OWNS, EMR_PROFILE=tables, PM_URL="") as practice:
        await practice.accepted("pm", adt("REG", "A28"))
        await enter(practice, "D-7", "107")
        await practice.accepted("emr", charged("C1", by("D-7")))
        await enter(practice, "D-7", "207")
    async with Practice(database, PM_OWNS, EMR_PROFILE=tables) as practice:
        await practice.accepted("emr", charged("C2", by("D-7", Fee("T-2"))))
        arrived = (await practice.quiet("pm"))["pm"]
        assert [performers(payload) for payload in arrived] == [[b"107^WINTER^A"], [b"207^WINTER^A"]]


async def test_a_hold_that_waits_for_no_code_takes_no_map(opened: Opening, tables: str) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    await practice.accepted("emr", charged("C1", by("D-1"), who=replace(RUTH, id="7099")))
    answer = await ask(practice, "POST", "/holds/1/map", {"to": "107", "reason": "x"})
    assert (answer.status_code, practice.holds()) == (409, ["patient:PM:7099"])
    answer = await ask(practice, "POST", "/holds/77/map", {"to": "107", "reason": "x"})
    assert answer.status_code == 404


async def test_a_hold_is_mapped_once(opened: Opening, tables: str) -> None:
    practice = await registered(opened, PM_OWNS, tables)
    await practice.accepted("emr", charged("C1", by("D-7")))
    await map_hold(practice, "mapping:provider:D-7", "107")
    answer = await ask(practice, "POST", "/holds/1/map", {"to": "999", "reason": "x"})
    assert (answer.status_code, practice.count("audit")) == (409, 1)
    assert [row["target"] for row in practice.rows("SELECT target FROM code_entry")] == ["107"]


# -- what leaves says of itself (contract 4) --------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_what_leaves_has_the_version_and_the_names_that_the_receivers_profile_wants(
    opened: Opening, tmp_path: Path, setup: str
) -> None:
    file = tmp_path / "old.toml"
    file.write_text(
        '[outbound]\nversion = "2.3"\nsending_application = "HUB^1.2.3^ISO"\nreceiving_facility = "MAIN"\n', encoding="utf-8"
    )
    practice = await registered(opened, setup, "generic")
    await practice.broker.stop()
    practice = await opened(setup, PM_PROFILE=str(file))
    sent = dft("C1", version="2.5.1^USA")
    await practice.accepted("emr", sent)
    payload = await practice.copy_of(sent, "pm")
    header = payload.split(b"\r")[0].split(b"|")
    assert header[2:6] == [b"HUB^1.2.3^ISO", b"CLINIC", b"PM", b"MAIN"]
    assert header[8] == b"DFT^P03"
    assert header[11] == b"2.3^USA"
    assert payload.split(b"\r")[1:] == sent.split(b"\r")[1:]  # only MSH is another


async def test_a_copy_that_says_already_what_the_receiver_wants_is_stored_once(opened: Opening, tmp_path: Path) -> None:
    file = tmp_path / "same.toml"
    file.write_text('[outbound]\nversion = "2.3.1"\nsending_application = "EMR"\n', encoding="utf-8")
    practice = await registered(opened, PM_OWNS, str(file))
    sent = dft("C1")
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")
    assert practice.rows("SELECT body FROM delivery WHERE destination = 'pm'") == [{"body": None}]


# -- 83 ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_83_names_of_another_link_are_refused_where_the_profile_is_strict__any(
    opened: Opening, tmp_path: Path, setup: str, version: str
) -> None:
    file = tmp_path / "strict.toml"
    file.write_text("[messages]\nstrict = true\n", encoding="utf-8")
    practice = await opened(setup, PM_PROFILE=str(file), PM_NAMES="PM|DESK", EMR_PROFILE=str(file), EMR_NAMES="EMR")
    owner = practice.patients
    await practice.accepted(owner, adt("A1", "A28", sender=owner, version=version))
    named = owner.upper().encode()
    strange = adt("A2", "A28", OSCAR, sender=owner, version=version).replace(b"|" + named + b"|", b"|LAB|", 1)
    reply = await practice.send(owner, strange)
    assert_refused(reply, "AR", "", 207)
    assert reply.faults[0].place[::2] == ("MSH", "3")
    assert practice.decided("A2") == ("rejected", "#83")
    practice.assert_kept_back(strange)
    assert practice.patient("7051") is None
