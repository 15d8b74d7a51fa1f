"""What a SIU says of an appointment, under a profile; what an ADT says of its visit."""

from __future__ import annotations

import pytest

from ophl7.domain.appointment import Booking, Resource
from ophl7.domain.booking import read_booking, read_status, read_visit
from ophl7.domain.profile import ScheduleRules
from ophl7.domain.status_words import meaning, status_words
from ophl7.hl7v2.message import Message

HEAD = "MSH|^~\\&|A|B|C|D|20260105080000||{event}|C1|P|2.5\r"


def read(*segments: str, event: str = "SIU^S14", rules: ScheduleRules | None = None) -> Booking:
    raw = HEAD.format(event=event) + "".join(f"{line}\r" for line in segments)
    found = read_booking(Message.parse(raw.encode()), rules if rules is not None else ScheduleRules())
    assert found is not None
    return found


def test_the_profiles_words_are_over_the_generic_ones_in_any_case_and_without_blanks() -> None:
    words = status_words({"Checked In": "arrived", "C+": "confirmed", "C-": "pending", "*": "seen"}, generic=True)
    said = ("CHECKED-IN", "checkedin", "c+", "C-", "*", "Arrived")
    assert [meaning(words, word, "") for word in said] == ["arrived", "arrived", "confirmed", "pending", "seen", "arrived"]
    assert meaning(words, "C", "") is None, "it could be either"
    assert meaning(status_words({"X": "seen"}, generic=False), "Booked", "") is None


@pytest.mark.parametrize(
    ("codes", "why"), [({"ci": "arrived", "CI": "booked"}, "stands there twice"), ({" ": "arrived"}, "an empty code")]
)
def test_a_table_of_words_that_says_two_things_is_refused(codes: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ScheduleRules(status_codes=codes)  # type: ignore[arg-type]  # as a file would have it


def test_an_event_that_is_about_no_visit_cannot_say_progress() -> None:
    with pytest.raises(ValueError, match="'ADT\\^A31' is about no visit"):
        ScheduleRules(progress_events={"ADT^A31": "arrived"})


def test_the_first_place_with_a_known_word_counts_and_the_first_word_is_kept_when_none_is_known() -> None:
    rules = ScheduleRules(status_from=("SCH-25", "AIP-12"))
    known = read("SCH||F1", "AIP|1||D1|||||||||17", "AIP|2||D2|||||||||Seen", rules=rules)
    assert (known.status, known.status_raw, known.unknown_status) == ("seen", "Seen", False)
    unknown = read("SCH||F1" + "|" * 23 + "18^Later", "AIP|1||D1|||||||||17", rules=rules)
    assert (unknown.status, unknown.status_raw, unknown.unknown_status) == (None, "18", True)
    elsewhere = read("SCH||F1", "AIL|1||R1|||||||||Seen", rules=rules)
    assert (elsewhere.status, elsewhere.status_raw, elsewhere.unknown_status) == (None, "", False)


def test_blocked_is_a_word_for_time_without_a_patient_only() -> None:
    blocked = "SCH||F1" + "|" * 23 + "Blocked"
    assert not read(blocked, event="SIU^S12").unknown_status
    assert read(blocked, "PID|1||7050", event="SIU^S12").unknown_status


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        (("SCH||F1|||||||20|min|^^15^20260105",), "20"),
        (("SCH||F1|||||||||^^M15^20260105",), "15"),
        (("SCH||F1", "TQ1|1|||||0.5^h"), "30"),
        (("SCH||F1", "AIS|1||W||||15|min"), "15"),
        (("SCH||F1", "AIG|1||W||||||||900|s"), "15"),
        (("SCH||F1", "AIL|1||R", "AIL|2||R2||||||1|h^hour"), "60"),
        (("SCH||F1", "AIP|1||D||||||25|min"), "25"),
        (("SCH||F1|||||||||^^^20260105093000^20260105094500",), "15"),
        (("SCH||F1", "TQ1|1||||||20260105093000|20260105100000"), "30"),
        (("SCH||F1",), ""),
    ],
)
def test_the_duration_stands_in_one_of_several_places(segments: tuple[str, ...], said: str) -> None:
    assert read(*segments).duration == said


def test_the_start_may_stand_with_any_resource() -> None:
    assert read("SCH||F1", "AIP|1||D1", "AIP|2||D2|||202601050930").start == "202601050930"


def test_a_place_is_named_by_its_parts_and_people_may_share_a_segment() -> None:
    said = read("SCH||F1", "AIL|1||CLINIC^R1^^MAIN^^^^^Room one", "AIL|2||R2", "AIP|1||D1^Doe~^Nobody~D2^Roe", "AIL|3||^^")
    assert said.resources == (
        Resource("AIL", "CLINIC^R1^^MAIN", "Room one"),
        Resource("AIL", "R2", ""),
        Resource("AIP", "D1", "Doe"),
        Resource("AIP", "D2", "Roe"),
    )
    assert said.resource_kinds == {"AIL", "AIP"}


def test_what_is_taken_away_is_not_there_but_its_kind_is_said() -> None:
    said = read("SCH||F1", "AIP|1|D|D1", "AIL|1|U|R1")
    assert said.resources == (Resource("AIL", "R1", ""),)
    assert said.resource_kinds == {"AIL", "AIP"}


@pytest.mark.parametrize(
    ("path", "pv1", "visit"),
    [("PV1-19", "PV1|1|O" + "|" * 17 + "S-1^^^A", "S-1"), ("PV1-5.2", "PV1|1|O|||a^S-2", "S-2"), ("PV1-19", "PV1|1|O", "")],
)
def test_a_visit_is_read_where_the_profile_says_for_events_that_it_names(path: str, pv1: str, visit: str) -> None:
    rules = ScheduleRules(visit=path, progress_events={"ADT^A10": "arrived"})
    arrived = Message.parse((HEAD.format(event="ADT^A10") + f"{pv1}\r").encode())
    updated = Message.parse((HEAD.format(event="ADT^A08") + f"{pv1}\r").encode())
    assert (read_visit(arrived, rules), read_visit(updated, rules)) == (visit, "")
    assert read_status(arrived, rules) == (None, "")
