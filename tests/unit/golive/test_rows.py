"""A row becomes the message that its system would have sent."""

from __future__ import annotations

from datetime import date

import pytest

from ophl7.domain.identifiers import Identifier, Naming, named_patient
from ophl7.domain.patient import complete, read_fields
from ophl7.golive.columns import read_header
from ophl7.golive.rows import Setup, WrongRow, message_of
from ophl7.hl7v2.message import Message

SETUP = Setup("pm", {"pm": "PM", "emr": "EMR"}, "P", date(2026, 3, 1))
NEEDED = {"id": "7050", "last_name": "ADAMSKI", "first_name": "RUTH", "birth_date": "4/12/2018", "sex": "female"}


def made(setup: Setup = SETUP, /, **cells: str) -> Message:
    row = NEEDED | cells
    return Message.parse(message_of(list(row.values()), read_header(list(row), "pm", owner=False), 17, setup))


def test_a_row_is_an_update_that_says_who_it_is_and_not_when_it_was_said() -> None:
    message = made()
    assert (message.event, message.version, message.processing_id) == ("ADT^A31", "2.5.1", "P")
    assert (message.sent_at_text, message.text("EVN-2"), message.control_id) == ("", "", "LINE17")
    named = named_patient(message.first("PID"), Naming("OTHER"))
    assert named.keys == (Identifier("PM", "7050", "MR"),)
    fields = read_fields(message)
    assert fields == {"PID-5": "ADAMSKI^RUTH", "PID-7": "20180412", "PID-8": "F"}
    assert complete(named.keys, fields)


def test_every_column_has_its_place() -> None:
    message = made(
        middle_name="B", suffix="Jr", prefix="Ms", mother_maiden_name="ROY", race="2106-3", ethnicity="N", language="en",
        street="1 ELM ST", street2="APT 4", city="SPRINGFIELD", state="NY", zip="12345", country="USA", phone="555-0100",
        mobile="555-0101", work_phone="555-0102", email="ruth@example.org", account="A-9", ssn="000-00-0000",
        death_date="2020-01-02", deceased="yes",
    )  # fmt: skip
    assert read_fields(message) == {
        "PID-5": "ADAMSKI^RUTH^B^Jr^Ms",
        "PID-6": "ROY",
        "PID-7": "20180412",
        "PID-8": "F",
        "PID-10": "2106-3",
        "PID-11": "1 ELM ST^APT 4^SPRINGFIELD^NY^12345^USA",
        "PID-13": "555-0100^PRN^PH~555-0101^PRN^CP~^NET^Internet^ruth@example.org",
        "PID-14": "555-0102^WPN^PH",
        "PID-15": "en",
        "PID-18": "A-9",
        "PID-19": "000-00-0000",
        "PID-22": "N",
        "PID-29": "20200102",
        "PID-30": "Y",
    }


def test_an_empty_cell_says_nothing_about_its_field() -> None:
    message = made(street="", phone="", zip="12345", birth_date="", sex="")
    assert read_fields(message) == {"PID-5": "ADAMSKI^RUTH", "PID-11": "^^^^12345"}


def test_the_patients_own_id_stands_first_and_each_once() -> None:
    message = made(other_id="EMR:E-50;LAB:1", emr_id="E-50", pm_id="7050")
    assert [str(one) for one in named_patient(message.first("PID"), Naming("X")).keys] == ["PM:7050", "EMR:E-50", "LAB:1"]
    assert [str(one) for one in named_patient(made(authority="OLD").first("PID"), Naming("X")).keys] == ["OLD:7050"]


def test_a_delimiter_in_a_cell_is_data_and_a_line_break_a_blank() -> None:
    message = made(last_name=r"O|H^A~R&A\F", street="1 ELM ST\r\n  APT 4", id="7|0^5")
    assert message.text("PID-5.1") == r"O|H^A~R&A\F"
    assert message.text("PID-5.2") == "RUTH"
    assert message.text("PID-11.1") == "1 ELM ST APT 4"
    assert str(named_patient(message.first("PID"), Naming("X")).keys[0]) == "PM:7|0^5"
    assert len(message.segments) == 3


def test_accents_arrive_whatever_charset_is_forced_for_the_systems_own_messages() -> None:
    row = NEEDED | {"last_name": "MÜLLER-ŁÓDŹ"}
    raw = message_of(list(row.values()), read_header(list(row), "pm", owner=True), 2, SETUP)
    for forced in (None, "cp1252", "shift_jis"):
        assert Message.parse(raw, forced).text("PID-5.1") == "MÜLLER-ŁÓDŹ"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"birth_date": "4/12/18"}, "birth_date has a year of two digits"),
        ({"sex": "q"}, "sex is not"),
        ({"id": ""}, "id is empty"),
        ({"id": "1.2E+05"}, "id was rounded"),
        ({"other_id": "E-51"}, "other_id is not AUTHORITY:id"),
        ({"authority": "a b"}, "authority is no assigning authority"),
        ({"street": '""'}, "street holds two quotation marks"),
        ({"street": "1 \x0bELM"}, "street holds a character that was damaged"),
        ({"last_name": "M\ufffdLLER"}, "last_name holds a character that was damaged"),
        ({"deceased": "?"}, "deceased is neither"),
    ],
)
def test_a_wrong_cell_names_its_column_and_not_what_is_in_it(cells: dict[str, str], why: str) -> None:
    with pytest.raises(WrongRow, match=why) as wrong:
        made(**cells)
    assert not any(cell and cell != '""' and cell in str(wrong.value) for cell in cells.values())


def test_the_processing_id_is_one_that_the_practice_takes() -> None:
    assert made(Setup("pm", SETUP.authorities, "T", SETUP.today)).processing_id == "T"
