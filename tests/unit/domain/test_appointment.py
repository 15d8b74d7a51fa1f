"""Appointments: what a SIU says, the status model, and what counts as a difference (decisions 4)."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from ophl7.domain.appointment import (
    Appointment,
    Booking,
    Resource,
    Status,
    differences,
    resources_after,
    starts_at,
    status_after,
    status_raw_after,
    whole_resources,
)
from ophl7.domain.booking import read_booking
from ophl7.domain.status_words import GENERIC_WORDS, meaning
from ophl7.hl7v2.message import Message
from tests.unit.engine.desk import siu
from tests.unit.store.records import appointment

ZONE = ZoneInfo("America/New_York")


def booking(raw: bytes) -> Booking:
    found = read_booking(Message.parse(raw))
    assert found is not None
    return found


def known(raw: bytes, patient: int | None = 1) -> Appointment:
    """The appointment that this SIU made."""
    said = booking(raw)
    return appointment(
        1,
        said.filler,
        said.placer,
        patient=patient,
        start=said.start,
        starts_at=starts_at(said.start, ZONE),
        duration=said.duration,
        status=said.status,
        status_raw=said.status_raw,
        resources=said.resources,
    )


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Pending", "pending"),
        ("BOOKED", "booked"),
        ("confirmed", "confirmed"),
        ("Arrived", "arrived"),
        ("Checked In", "checked_in"),
        ("checked-in", "checked_in"),
        ("Roomed", "roomed"),
        ("Started", "seen"),
        ("Seen", "seen"),
        ("Complete", "checked_out"),
        ("Checked Out", "checked_out"),
        ("Noshow", "no_show"),
        ("No Show", "no_show"),
        ("Cancelled", "cancelled"),
        ("Discontinued", "discontinued"),
        ("Deleted", "entered_in_error"),
        ("Teleported", None),
        ("", None),
    ],
)
def test_a_status_is_read_from_its_code_or_its_text_in_any_case(word: str, status: str | None) -> None:
    assert meaning(GENERIC_WORDS, word, "") == status
    assert meaning(GENERIC_WORDS, "", word) == status
    assert meaning(GENERIC_WORDS, "local-17", word) == status


@pytest.mark.parametrize(
    ("event", "status"), [("S15", "cancelled"), ("S16", "discontinued"), ("S17", "entered_in_error"), ("S26", "no_show")]
)
def test_an_event_that_says_the_status_wins_over_sch_25(event: str, status: str) -> None:
    said = booking(siu("C1", event=event, status="Booked"))
    assert said.status == status
    assert not said.unknown_status


def test_a_code_that_is_not_known_is_kept_raw_and_told() -> None:
    said = booking(siu("C1", status="Teleported"))
    assert (said.status, said.status_raw, said.unknown_status) == (None, "Teleported", True)
    silent = booking(siu("C1", status=""))
    assert (silent.status, silent.unknown_status) == (None, False)


def test_the_reference_is_sch_2_else_sch_1() -> None:
    assert booking(siu("C1", "F1", placer="P1")).reference == "F1"
    assert booking(siu("C1", "", placer="P1")).reference == "P1"
    assert read_booking(Message.parse(siu("C1", ""))) is None
    assert read_booking(Message.parse(siu("C1").replace(b"SCH|", b"ZCH|"))) is None


@pytest.mark.parametrize(
    ("segment", "start"),
    [
        ("TQ1|1||||||202403050900", "202403050900"),
        ("AIS|1||C^Check|202403051000", "202403051000"),
        ("AIG|1||G||||X|202403051100", "202403051100"),
        ("AIL|1||R1|||202403051200", "202403051200"),
        ("AIP|1||D1|||202403051300", "202403051300"),
    ],
)
def test_the_start_stands_in_one_of_several_places(segment: str, start: str) -> None:
    raw = f"MSH|^~\\&|A|B|C|D|20240301||SIU^S12|C1|P|2.5\rSCH||F1\r{segment}\r".encode()
    assert booking(raw).start == start


def test_resources_are_known_by_kind_and_code() -> None:
    raw = b"MSH|^~\\&|A|B|C|D|2024||SIU^S12|C1|P|2.5\rSCH||F1\rAIP|1||D1^Doe\rAIL|1||R1\rAIP|2||\rAIS|1||C^Check\r"
    assert booking(raw).resources == (Resource("AIS", "C", "Check"), Resource("AIL", "R1", ""), Resource("AIP", "D1", "Doe"))


# -- differences (#26, #28, #37) --------------------------------------------------------------------------------------


def test_an_echo_is_no_difference() -> None:
    raw = siu("C1")
    assert differences(known(raw), booking(raw), 1, ZONE) == frozenset()
    assert differences(known(raw), booking(raw), None, ZONE) == frozenset()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"filler": "F2"}, "filler"),
        ({"start": "20240305093000"}, "start"),
        ({"start": "not a time"}, "start"),
        ({"status": "Arrived"}, "status"),
        ({"status": "Teleported"}, "status"),
    ],
)
def test_each_thing_that_differs_is_named(change: dict[str, str], named: str) -> None:
    assert differences(known(siu("C1")), booking(siu("C2", **change)), 1, ZONE) == {named}


def test_another_patient_another_length_and_other_resources_differ() -> None:
    raw = siu("C1")
    assert differences(known(raw), booking(raw), 2, ZONE) == {"patient"}
    assert differences(known(raw), booking(raw.replace(b"|30|min|", b"|45|min|")), 1, ZONE) == {"duration"}
    assert differences(known(raw), booking(raw.replace(b"D1^Doe^Jo", b"D2^Doe^Jo")), 1, ZONE) == {"resources"}
    assert differences(known(raw), booking(raw.replace(b"D1^Doe^Jo", b"D1^DOE^J")), 1, ZONE) == frozenset()


def test_what_is_not_said_or_only_written_otherwise_is_no_difference() -> None:
    raw = siu("C1", placer="P1")
    shorter = b"MSH|^~\\&|A|B|C|D|2024||SIU^S13|C2|P|2.5\rSCH||F1\r"
    assert differences(known(raw), booking(shorter), 1, ZONE) == frozenset()
    assert differences(known(raw), booking(siu("C2", placer="P2")), 1, ZONE) == frozenset()
    same_moment = siu("C2", placer="P1", start="20240305140000+0000")
    assert differences(known(raw), booking(same_moment), 1, ZONE) == frozenset()


def test_a_start_without_a_zone_is_in_the_practices() -> None:
    assert starts_at("20240305090000", ZONE) == starts_at("20240305140000+0000", ZONE)
    assert starts_at("tomorrow", ZONE) is None
    assert starts_at("", ZONE) is None


# -- what a message makes of an appointment (#20, #21, #24, #34, #35) -------------------------------------------------------


def said(trigger: str, status: str = "", resources: str = "AIP|1||D1^Doe\r") -> Booking:
    raw = f"MSH|^~\\&|A|B|C|D|2024||SIU^{trigger}|C2|P|2.5\rSCH||F1{'|' * 23}{status}\rPID|1||7050\r{resources}"
    return booking(raw.encode())


@pytest.mark.parametrize(
    ("old", "trigger", "word", "new"),
    [
        ("cancelled", "S12", "", "booked"),
        ("no_show", "S13", "", "booked"),
        ("entered_in_error", "S13", "", "booked"),
        ("checked_out", "S13", "", "checked_out"),
        ("arrived", "S13", "", "arrived"),
        ("cancelled", "S14", "", "cancelled"),
        ("cancelled", "S12", "XYZZY", "cancelled"),
        ("seen", "S14", "Arrived", "arrived"),
        ("arrived", "S15", "Arrived", "cancelled"),
    ],
)
def test_the_newest_word_counts_and_only_a_booking_revives_without_one(old: Status, trigger: str, word: str, new: str) -> None:
    there = replace(known(siu("C1")), status=old)
    assert status_after(there, said(trigger, word), "booked") == new


def test_a_raw_code_never_stands_beside_a_status_that_it_did_not_give() -> None:
    there = known(siu("C1", status="Arrived"))
    assert status_raw_after(None, said("S12", "Booked")) == "Booked"
    assert status_raw_after(there, said("S14", "XYZZY")) == "XYZZY"
    assert status_raw_after(there, said("S14")) == "Arrived"
    assert status_raw_after(there, said("S15")) == ""


def test_each_kind_of_resource_is_a_list_of_its_own() -> None:
    there = (Resource("AIL", "R1", ""), Resource("AIP", "D1", ""), Resource("AIP", "D2", ""))
    assert resources_after(there, said("S14", resources="")) == there
    assert [one.id for one in resources_after(there, said("S14", resources="AIP|1||D9\r"))] == ["R1", "D9"]
    assert [one.id for one in resources_after(there, said("S14", resources="AIP|1|D|D1\r"))] == ["R1"]
    assert not whole_resources(there, said("S18", resources="AIP|1||D9\r"))
    assert not whole_resources(there, said("S18", resources=""))
    assert whole_resources(there, said("S18", resources="AIP|1||D9\rAIL|1||R1\r"))
    assert whole_resources((), said("S18", resources="AIP|1||D9\r"))


@pytest.mark.parametrize(("owners_word", "same"), [(None, True), ("arrived", True), ("seen", False)])
def test_the_owners_own_code_that_comes_back_is_an_echo(owners_word: Status | None, same: bool) -> None:
    there = replace(known(siu("C1", status="Arrived")), status_raw="17")
    assert (differences(there, said("S14", "17"), 1, ZONE, owners_word=owners_word) == frozenset()) is same
    assert differences(there, said("S14", "18"), 1, ZONE, owners_word=owners_word) == {"status"}
