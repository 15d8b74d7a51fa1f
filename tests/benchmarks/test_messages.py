"""The load must look like a practice's traffic, or the figures say nothing about one."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from .messages import (
    LAST_SERIAL,
    MARK,
    PATIENTS,
    Templates,
    control_id,
    from_emr,
    from_pm,
    patients,
    stamp,
    templates,
)

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=ZoneInfo("America/New_York"))


@pytest.fixture(scope="module")
def prepared() -> Templates:
    return templates(patients(50, seed=1), NOW)


def fields(frame: bytes, segment: str) -> list[list[str]]:
    text = frame[1:-2].decode("ascii")
    return [line.split("|") for line in text.split("\r") if line.startswith(f"{segment}|")]


@pytest.mark.parametrize(
    ("kind", "smallest", "largest", "segments"),
    [("updates", 1000, 1200, 10), ("bookings", 1700, 1900, 13), ("charges", 2750, 3050, 12), ("registrations", 1000, 1200, 10)],
)
def test_every_message_has_the_size_and_the_segments_of_a_real_one(
    prepared: Templates, kind: str, smallest: int, largest: int, segments: int
) -> None:
    for frame in getattr(prepared, kind):
        assert smallest <= len(frame) <= largest
        assert frame.startswith(b"\x0bMSH|")
        assert frame.endswith(b"\r\x1c\r")
        assert frame[1:-2].count(b"\r") == segments


def test_the_same_seed_makes_the_same_children() -> None:
    assert patients(20, seed=4) == patients(20, seed=4)
    assert patients(20, seed=4) != patients(20, seed=5)


def test_a_child_keeps_name_birth_date_and_sex_in_every_message(prepared: Templates) -> None:
    for kinds in zip(prepared.registrations, prepared.updates, prepared.bookings, prepared.charges, strict=True):
        identities = {tuple(fields(frame, "PID")[0][position] for position in (3, 5, 7, 8)) for frame in kinds}
        assert len(identities) == 1
    assert fields(prepared.updates[0], "PID")[0][3] == "7050^^^PM^MR"


def test_no_two_messages_share_a_control_id_an_appointment_or_a_charge(prepared: Templates) -> None:
    seen: Counter[str] = Counter()
    for serial, frame in enumerate((prepared.bookings[0], prepared.bookings[0], prepared.charges[0], prepared.charges[0])):
        fresh = frame.replace(MARK, stamp(serial))
        assert MARK[:1] * 2 not in fresh
        assert fields(fresh, "MSH")[0][9] == control_id(serial).decode()
        seen[fields(fresh, "MSH")[0][9]] += 1
        seen.update(line[2] for line in fields(fresh, "SCH"))
        seen.update(line[2] for line in fields(fresh, "FT1"))
    assert set(seen.values()) == {1}
    assert len(seen) == 4 + 2 + 12


def test_an_update_brings_a_new_address_and_telephone(prepared: Templates) -> None:
    first, second = (fields(prepared.updates[0].replace(MARK, stamp(serial)), "PID")[0] for serial in (1, 2))
    assert [position for position in range(len(first)) if first[position] != second[position]] == [11, 13]


def test_every_charge_says_what_was_done_when_and_for_how_much(prepared: Templates) -> None:
    lines = fields(prepared.charges[0], "FT1")
    assert len(lines) == 6
    for line in lines:
        assert line[4].startswith("20260302")
        assert line[6] == "CG"
        assert line[7].split("^")[0] == line[25].split("^")[0]
        assert float(line[11]) > 0
        assert line[19].startswith("Z00.129^")


def test_the_pm_sends_three_updates_for_each_booking_and_the_emr_only_charges(prepared: Templates) -> None:
    dice = random.Random(7)
    kinds = Counter(fields(from_pm(prepared, dice), "MSH")[0][8][:7] for _ in range(4000))
    assert set(kinds) == {"ADT^A08", "SIU^S12"}
    assert kinds["ADT^A08"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert {fields(from_emr(prepared, dice), "MSH")[0][8] for _ in range(20)} == {"DFT^P03"}


def test_a_serial_number_that_no_longer_fits_is_refused() -> None:
    assert len(stamp(LAST_SERIAL)) == len(MARK)
    with pytest.raises(ValueError, match="seven digits"):
        stamp(LAST_SERIAL + 1)


def test_there_are_as_many_patients_as_a_practice_of_five_doctors_has() -> None:
    assert len({child.number for child in patients(PATIENTS, seed=1)}) == 5000
