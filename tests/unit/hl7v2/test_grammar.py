"""Segments against a structure: what is missing, what occurs too often, what has no place."""

from __future__ import annotations

import pytest

from ophl7.hl7v2.grammar import Misfit, Part, misfits


def part(name: str, least: int = 1, most: int = 1, *inner: Part, choice: bool = False) -> Part:
    return Part(name, least, most, inner or None, choice)


# MSH { [PID] } SCH [NTE] { RGS [{AIS [NTE]}] [{AIL}] }, as a booking has it in small.
BOOKING = (
    part("MSH"),
    part("PATIENT", 0, -1, part("PID"), part("PV1", 0)),
    part("SCH"),
    part("NTE", 0),
    part(
        "RESOURCES",
        1,
        -1,
        part("RGS"),
        part("SERVICE", 0, -1, part("AIS"), part("NTE", 0, -1)),
        part("AIL", 0, -1),
    ),
)
CHOICE = (part("MSH"), part("EITHER", 1, 1, part("OBR"), part("ODS"), choice=True), part("NTE", 0))


def found(text: str, structure: tuple[Part, ...] = BOOKING) -> list[str]:
    return [f"{one.kind} {one.name} {one.position}" for one in misfits(text.split(), structure)]


@pytest.mark.parametrize(
    "text",
    [
        "MSH SCH RGS",
        "MSH PID PV1 SCH NTE RGS AIS NTE NTE AIS AIL AIL",
        "MSH PID PID PV1 SCH RGS AIL RGS AIS RGS",
    ],
)
def test_what_fits_has_no_misfit(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SCH RGS", ["missing MSH 0"]),
        ("MSH RGS", ["missing SCH 1"]),
        ("MSH SCH", ["missing RGS 2"]),  # a group is missed by the segment that begins it
        ("MSH SCH AIS", ["missing RGS 2"]),  # and is that group without it
        ("MSH SCH RGS AIS RGS NTE", ["missing AIS 5"]),  # the same one level further down
        ("", ["missing MSH 0", "missing SCH 0", "missing RGS 0"]),
    ],
)
def test_what_is_missing_is_told_where_it_is_missed(text: str, expected: list[str]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MSH SCH SCH RGS", ["often SCH 2"]),
        ("MSH SCH NTE NTE RGS", ["often NTE 3"]),
        ("MSH DG1 SCH RGS", ["place DG1 1"]),
        ("MSH SCH RGS PID", ["place PID 3"]),
        ("MSH SCH RGS AIL AIS", ["missing RGS 4"]),  # out of order: only in a group of its own it would be right
        ("MSH SCH RGS DG1 DG1 AIL", ["place DG1 3", "place DG1 4"]),
    ],
)
def test_what_is_too_much_is_told_and_the_rest_is_read_on(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_a_choice_takes_one_of_its_parts() -> None:
    assert found("MSH ODS NTE", CHOICE) == found("MSH OBR", CHOICE) == []
    assert found("MSH OBR ODS", CHOICE) == ["often ODS 2"]
    assert found("MSH NTE", CHOICE) == ["missing OBR or ODS 1"]


def test_a_message_of_many_segments_is_read_in_one_go() -> None:
    names = ["MSH", "SCH", *["RGS", "AIS", "NTE", "DG1"] * 20_000]
    assert len(misfits(names, BOOKING)) == 20_000
    assert misfits(names, BOOKING)[0] == Misfit("place", "DG1", 5)
