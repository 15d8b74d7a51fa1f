"""Messages against the structures of their version: the place of every fault, and never a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.errors import Unreadable
from ophl7.hl7v2 import batch
from ophl7.hl7v2.conformance import MOST_FINDINGS, Finding, Report, check
from ophl7.hl7v2.structures import VERSIONS, grammar_of, segment_of, structure_of, table_of

GOOD = (
    b"MSH|^~\\&|PM|F|E|H|20240101120000||ADT^A08^ADT_A01|1|P|2.5\rEVN||20240101120000\r"
    b"PID|||7050^^^PM^MR||DOE^JANE||19800102|F\rPV1||O\r"
)


def changed(*changes: tuple[str, str], raw: bytes = GOOD) -> bytes:
    text = raw.decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def said(raw: bytes) -> list[str]:
    """Severity, place and problem of everything that was found."""
    return [f"{one.severity} {one.place}: {one.problem}" for one in check(raw).findings]


def test_a_conforming_message_has_no_findings() -> None:
    assert check(GOOD) == Report("ADT^A08", "2.5", "ADT_A01", ())
    assert check(GOOD).conforms


# -- segments -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("PV1||O\r", "")], "error PV1: is required in ADT_A01 and missing here"),
        ([("PV1||O\r", "PV1||O\rPV1||O\r")], "error PV1[2]: occurs more often here than ADT_A01 allows"),
        ([("PV1||O\r", "PV1||O\rFT1|||||\r")], "error FT1: has no place here in ADT_A01"),
        ([("PV1||O\r", "PV1||O\rPRT||\r")], "error PRT: is no segment of 2.5"),
        ([("PV1||O\r", "PV1||O\rZPV|1\r")], "note Z??: is a local segment: its content was not checked"),
    ],
)
def test_segments_are_checked_against_the_structure_of_the_event(changes: list[tuple[str, str]], expected: str) -> None:
    assert expected in said(changed(*changes))


@pytest.mark.parametrize("line", ["DOE^JANE|1", "DOE|JANE", "SMITH^ADAM", "J", "lee|1"])
def test_a_line_that_begins_with_a_name_is_told_by_its_number_only(line: str) -> None:
    found = said(GOOD + f"{line}\r".encode())
    assert found == ["error ???: segment 5 of the message does not begin with the name of a segment"]


def test_a_local_segment_alone_does_not_make_a_message_wrong() -> None:
    assert check(GOOD + b"ZPI|1\rZPJ|1\r").conforms


def test_the_findings_follow_the_message() -> None:
    raw = changed(("|20240101120000||ADT", "|yesterday||ADT"), ("19800102", "1980-01-02"), ("PV1||O\r", "FT1|\r"))
    places = [one.place for one in check(raw).findings if one.severity == "error"]
    assert places == ["MSH-7.1", "PID-7.1", "FT1", "FT1-4", "FT1-6", "FT1-7", "PV1"]


# -- which structure, which version ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "event", "named", "structure"),
    [
        ("2.1", "ADT^A08", "", "ADT_A08"),
        ("2.3", "ADT^A28", "", "ADT_A01"),
        ("2.3.1", "ADT^A31", "", "ADT_A01"),
        ("2.3.1", "ADT^A40", "", "ADT_A39"),
        ("2.4", "ADT^A31", "", "ADT_A05"),
        ("2.5.1", "ADT^A04", "", "ADT_A01"),
        ("2.5.1", "SIU^S14", "", "SIU_S14"),
        ("2.3", "SIU^S14", "", "SIU_S12"),
        ("2.5.1", "DFT^P03", "", "DFT_P03"),
        ("2.8", "ADT^A47", "", "ADT_A44"),
        ("2.3", "ACK^A08", "", "ACK"),
        ("2.5", "ADT^A08", "ADT_A05", "ADT_A05"),  # what the sender says, where it exists
        ("2.5", "ADT^A08", "ADT_A08", "ADT_A01"),
        ("2.5", "XYZ^Q99", "", ""),
        ("2.3", "DFT^P11", "", ""),
    ],
)
def test_the_structure_is_the_one_of_the_version(version: str, event: str, named: str, structure: str) -> None:
    kind, _, trigger = event.partition("^")
    assert structure_of(version, kind, trigger, named) == structure


def test_the_structure_need_not_be_named() -> None:
    assert said(changed(("^ADT_A01", ""))) == []
    old = changed(("^ADT_A01", ""), ("|2.5\r", "|2.3.1\r"), ("EVN|", "EVN|A08"), ("PID|||", "PID|1||"), ("PV1|", "PV1|1"))
    assert said(old) == []


def test_a_structure_that_the_version_does_not_have_is_told() -> None:
    assert said(changed(("ADT_A01", "ADT_A08")))[0] == "error MSH-9.3: names a message structure that 2.5 does not have"


@pytest.mark.parametrize(("event", "severity"), [("XYZ^Q99", "error"), ("ADT^Z99", "note"), ("ZAD^A01", "note")])
def test_an_event_without_a_structure_has_its_segments_checked(event: str, severity: str) -> None:
    raw = changed(("ADT^A08^ADT_A01", event), ("19800102", "1980-01-02"))
    text = "2.5 has no structure for this event: only the single segments were checked"
    assert f"{severity} MSH-9: {text}" in said(raw)
    assert any("PID-7.1" in one for one in said(raw))


@pytest.mark.parametrize("version", ["2.99", "3.0", "DOE^JANE", "1.0"])
def test_a_version_that_nobody_knows_is_one_finding(version: str) -> None:
    report = check(changed(("|2.5\r", f"|{version}\r")))
    assert report.findings == (Finding("error", "names no version that can be checked (2.1 to 2.8.2)", "MSH", 1, 12),)
    assert report.version == ""


@pytest.mark.parametrize(("version", "nearest"), [("2.9", "2.8.2"), ("2.7.1", "2.7")])
def test_a_version_without_tables_is_checked_as_the_nearest(version: str, nearest: str) -> None:
    report = check(changed(("|2.5\r", f"|{version}\r")))
    assert report.version == nearest
    assert f"note MSH-12: checked as {nearest}, the nearest version that is known here" in said(
        changed(("|2.5\r", f"|{version}\r"))
    )


def test_a_blank_version_counts_as_2_3_and_is_missed() -> None:
    raw = changed(("|2.5\r", "|\r"))
    assert check(raw).version == "2.3"
    assert "error MSH-12: is required and empty" in said(raw)


# -- fields ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([("||DOE^JANE||", "||||")], ["error PID-5: is required and empty"]),
        ([("||DOE^JANE||", '||""||')], []),  # the delete indicator is a value
        ([("|F\r", "|F~M\r")], ["error PID-8: occurs 2 times and may not repeat"]),
        (
            [("7050^^^PM^MR", "7050^^^PM^MR~^^^EMR^MR"), ("|2.5\r", "|2.8\r")],
            ["error PID-3[2].1: is required in the type CX and empty"],
        ),
        ([("7050^^^PM^MR", "7050^^^PM&1.2&ISO&x^MR")], ["error PID-3.4.4: its type HD has 3 subcomponents only"]),
        ([("7050^^^PM^MR", "7050^^^PM^MR^^^^^^^^")], []),  # nothing behind the last component
        ([("7050^^^PM^MR", "7050^^^PM^MR^^^^^^9")], ["error PID-3.11: its type CX has 10 components only"]),
        ([("7050^^^PM^MR", "7050^^^PM^NONE")], ["note PID-3.5: holds a code that HL7 table 0203 does not list"]),
        ([("|F\r", "|F^x\r")], ["error PID-8: has components, and its type IS has none"]),
        ([("7050^^^PM^MR", "7050&x^^^PM^MR")], ["error PID-3.1: has subcomponents, and its type ST has none"]),
        ([("19800102|F", "1980-01-02|F")], ["error PID-7.1: is no time (YYYYMMDDHHMMSS, as far as it is known)"]),
        ([("19800102|F", "19801301|F")], ["error PID-7.1: is no time (YYYYMMDDHHMMSS, as far as it is known)"]),
        ([("19800102|F", "1980|F")], []),
        ([("PID|||", "PID|one||")], ["error PID-1: is no sequence number (up to 4 digits)"]),
        ([("PV1||O\r", "PV1||O" + "|" * 51 + "x\r")], ["error PV1-53: 2.5 has no such field: PV1 ends with PV1-52"]),
    ],
)
def test_fields_are_checked_down_to_their_parts(changes: list[tuple[str, str]], expected: list[str]) -> None:
    assert said(changed(*changes)) == expected


CHARGE = changed(("ADT^A08^ADT_A01", "DFT^P03^DFT_P03"), ("PV1||O\r", "FT1|1|||20240101||CG|99213|||1\r"))


@pytest.mark.parametrize("value", ["2.5", "-1", "+.5", "1."])
def test_a_number_may_have_a_sign_and_a_point(value: str) -> None:
    assert said(changed(("|||1\r", f"|||{value}\r"), raw=CHARGE)) == []


@pytest.mark.parametrize("value", ["1,5", "NaN", "1_0", "\u0663", "1e5", "one"])
def test_a_number_is_nothing_else(value: str) -> None:
    assert said(changed(("|||1\r", f"|||{value}\r"), raw=CHARGE)) == ["error FT1-10: is no number"]


TIMED = changed(("ADT^A08^ADT_A01", "OMG^O19^OMG_O19"), ("EVN||20240101120000\r", ""), ("PV1||O\r", "")) + (
    b"ORC|NW\rTQ1|1|||0930\rOBR||||80061^LIPIDS^C4\r"
)


@pytest.mark.parametrize(
    ("value", "good"), [("09", True), ("0930", True), ("093000.5+0100", True), ("9:30", False), ("2460", False)]
)
def test_a_time_of_day_is_one(value: str, good: bool) -> None:
    expected = [] if good else ["error TQ1-4: is no time of day (HHMMSS, as far as it is known)"]
    assert said(changed(("|||0930\r", f"|||{value}\r"), raw=TIMED)) == expected


@pytest.mark.parametrize(("value", "good"), [("2024", True), ("20240131", True), ("202401311200", False), ("20240231", False)])
def test_a_date_has_no_time(value: str, good: bool) -> None:
    raw = changed(("PV1||O\r", f"PV1||O\rPV2||||||||||||||{value}\r"))
    assert said(raw) == ([] if good else ["error PV2-14: is no date (YYYYMMDD, as far as it is known)"])


def test_what_a_version_has_withdrawn_must_be_empty() -> None:
    raw = changed(("|2.5\r", "|2.8\r"), ("PID|||7050", "PID||12|7050"), ("DOE^JANE", "DOE^JANE^^^^MD"))
    assert said(raw) == [
        "error PID-2: was withdrawn before 2.8 and must be empty",
        "error PID-5.6: was withdrawn before 2.8 and must be empty",
    ]


def test_occurrences_and_repetitions_are_counted() -> None:
    raw = GOOD + b"OBX|1|ST|1^A^L||x||||||F\rOBX|2|ST|||x||||||F\rOBX|3|ST|1^A^L||x||||||F~C\r"
    assert said(raw) == ["error OBX[2]-3: is required and empty", "error OBX[3]-11: occurs 2 times and may not repeat"]


def test_other_delimiters_are_the_senders_right() -> None:
    raw = GOOD.translate(bytes.maketrans(b"|^~&", b"#*!$"))
    assert said(raw) == []


def test_bytes_of_another_charset_are_told() -> None:
    raw = changed(("|2.5\r", "|2.5||||||UNICODE UTF-8\r")).replace(b"JANE", b"J\xc3\xa4N\xff")
    assert said(raw) == ["error MSH-18: some bytes are not of the character set that is named here or assumed"]


# -- what must never happen -----------------------------------------------------------------------------------------------


def test_findings_are_bounded_and_the_rest_is_counted() -> None:
    findings = check(GOOD + b"PV1||O|x^y^z^1^2^3^4^5^6^7^8^9^a\r" * 3000).findings
    assert len(findings) == MOST_FINDINGS + 1
    assert findings[-1].problem.endswith("more findings are left out")


def test_what_is_no_message_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        check(b"PID|1\r")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_table_of_every_version_can_be_used(version: str) -> None:
    """hl7apy's tables hold slips; none of them may break a check or blame a sender."""
    from hl7apy import load_library

    library = load_library(version)
    for name in library.messages.MESSAGES:
        parts = grammar_of(version, name)
        assert parts is None or parts[0].name in {"MSH", "FHS", "BHS"}, name
    for name in library.segments.SEGMENTS:
        for field in segment_of(version, name) or ():
            assert field.number > 0
            for part in field.parts:
                assert table_of(version, part.table) is not None


def test_every_message_of_the_public_collection_gets_a_report() -> None:
    folder = Path(__file__).parents[2] / "corpus"
    conforming = 0
    for path in sorted(folder.glob("*.hl7")):
        raw = path.read_bytes()
        for start, end in batch.split(raw).members:
            conforming += check(raw[start:end]).conforms
    assert conforming > 100
