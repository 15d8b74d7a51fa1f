"""HL7 times (v2.5.1, 2.A.22)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ophl7.hl7v2 import timestamps

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("text", "instant", "precision"),
    [
        ("2024", datetime(2024, 1, 1, 5, tzinfo=UTC), "year"),
        ("202407", datetime(2024, 7, 1, 4, tzinfo=UTC), "month"),
        ("20240704", datetime(2024, 7, 4, 4, tzinfo=UTC), "day"),
        ("2024070410", datetime(2024, 7, 4, 14, tzinfo=UTC), "hour"),
        ("202407041030", datetime(2024, 7, 4, 14, 30, tzinfo=UTC), "minute"),
        ("20240704103015", datetime(2024, 7, 4, 14, 30, 15, tzinfo=UTC), "second"),
        ("20240704103015.25", datetime(2024, 7, 4, 14, 30, 15, 250000, tzinfo=UTC), "fraction"),
        ("20240704103015.1234567", datetime(2024, 7, 4, 14, 30, 15, 123456, tzinfo=UTC), "fraction"),
        (" 20240704 ", datetime(2024, 7, 4, 4, tzinfo=UTC), "day"),
    ],
)
def test_a_time_without_an_offset_is_in_the_zone_of_the_practice(text: str, instant: datetime, precision: str) -> None:
    found = timestamps.parse(text, NEW_YORK)
    assert found is not None
    assert (found.instant, found.precision, found.zoned, found.uncertain, found.text) == (
        instant,
        precision,
        False,
        False,
        text,
    )


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20240704103015+0200", datetime(2024, 7, 4, 8, 30, 15, tzinfo=UTC)),
        ("202407041030-0530", datetime(2024, 7, 4, 16, 0, tzinfo=UTC)),
        ("20240704103015.5+0000", datetime(2024, 7, 4, 10, 30, 15, 500000, tzinfo=UTC)),
        ("20240310023000+0000", datetime(2024, 3, 10, 2, 30, tzinfo=UTC)),
    ],
)
def test_a_written_offset_counts(text: str, instant: datetime) -> None:
    found = timestamps.parse(text, NEW_YORK)
    assert found is not None
    assert (found.instant, found.zoned, found.uncertain) == (instant, True, False)


def test_a_time_in_the_gap_of_spring_is_uncertain() -> None:
    found = timestamps.parse("20240310023000", NEW_YORK)
    assert found is not None
    assert found.uncertain


def test_a_time_in_the_overlap_of_autumn_is_uncertain_and_read_as_the_first() -> None:
    found = timestamps.parse("20241103013000", NEW_YORK)
    assert found is not None
    assert found.uncertain
    assert found.instant == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    after = timestamps.parse("20241103020000", NEW_YORK)
    assert after is not None
    assert not after.uncertain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "20240",
        "20241301",
        "20240230",
        "2024010124",
        "202401012360",
        "20240101120060",
        "0000",
        "2024-01-01",
        "20240101T12",
        "20240101120000.",
        "20240101120000+25",
        "20240101120000+1500",
        "20240101120000+0160",
        "9999123123+0000x",
        "99991231235959-1200",
        "0001010100+1400",
        '""',
        "٢٠٢٤",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert timestamps.parse(text, NEW_YORK) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("20240229", True),
        ("202402291200", True),
        ("20230229", False),
        ("2024", False),
        ("202402", False),
        ("", False),
        ("x", False),
    ],
)
def test_a_day_is_a_day_of_the_calendar(text: str, valid: bool) -> None:
    assert timestamps.is_valid_date(text) is valid


def test_an_instant_is_written_with_its_offset() -> None:
    summer = datetime(2024, 7, 4, 14, 30, 15, 999999, tzinfo=UTC)
    assert timestamps.format(summer, NEW_YORK) == "20240704103015-0400"
    assert timestamps.format(summer, UTC) == "20240704143015+0000"
    assert timestamps.format(summer.replace(month=1), NEW_YORK) == "20240104093015-0500"
