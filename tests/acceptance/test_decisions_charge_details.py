"""decisions 5, from socket to socket: what else becomes of charges (#41 to #45, #47, #53, #54), and how products write them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.acceptance.billing import charges_sent, decide, ledger, lines_sent, profile, registered
from tests.acceptance.messages import FEE, OSCAR, RUTH, VISIT, Fee, adt, dft, relayed, segments, siu
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SPLIT, Opening
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = (PM_OWNS, EMR_OWNS)
ZONE = ZoneInfo("America/New_York")


def of_visit(sent: bytes, number: str) -> bytes:
    return sent.replace(b"PV1|1|O\r", b"PV1|1|O" + b"|" * 17 + number.encode() + b"\r")


def with_field(sent: bytes, number: int, value: str) -> bytes:
    """The DFT with another value in that field of its first FT1."""
    (line, *_) = segments(sent, b"FT1")
    fields = line.split(b"|")
    fields += [b""] * (number + 1 - len(fields))
    fields[number] = value.encode()
    return sent.replace(line, b"|".join(fields), 1)


# -- 41 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        (4, "20260105^tomorrow", 102),
        (4, "20260132^20260201", 102),
        (4, "20260105^20260104", 102),
        (4, "2026", 102),
        (10, "1x", 102),
        (11, "12.5.0", 102),
        (12, "1e3&USD", 102),
        (22, "free", 102),
        (6, '""', 101),
        (7, "^WELL CHILD", 101),
    ],
)
async def test_row_41_each_fault_names_its_field__any(
    opened: Opening, field: int, value: str, error: int, version: str
) -> None:
    practice = await registered(opened, PM_OWNS)
    sent = with_field(dft("C41", [FEE, Fee("T-2")], version=version), field, value)
    reply = await practice.send("emr", sent)
    assert_refused(reply, "AE", "C01", error)
    assert reply.faults[0].place == ("FT1", "1", str(field))
    assert practice.charges() == [("T-1", "rejected"), ("T-2", "rejected")]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize(
    ("field", "value"),
    [(4, "20260104^20260105"), (4, "20260104120000-0500^20260105"), (11, "125.00&USD"), (12, "-1"), (10, ""), (22, "+.5")],
)
async def test_row_41_ranges_prices_and_signs_are_no_fault__any(opened: Opening, field: int, value: str) -> None:
    practice = await registered(opened, PM_OWNS)
    sent = with_field(dft("C41"), field, value)
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")


# -- 42 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", BOTH)
async def test_row_42_the_whole_dft_waits_for_all_its_reasons_at_once__any(opened: Opening, setup: str, tmp_path: Path) -> None:
    rules = 'service_date = "hold"\noldest_days = 30'
    practice = await registered(opened, setup, **profile(tmp_path, "emr", rules))
    stranger = replace(RUTH, id="7099")
    old = Fee("T-5", date="20200101")
    first = dft("C1", [Fee("", "90700")], stranger)
    await practice.accepted("emr", first)
    number = practice.journal("C1")["id"]
    fees = [Fee("", "90700"), Fee("T-2", kind="PY"), Fee("T-3", kind="CD"), Fee("T-4", kind="PY"), old]
    fresh = datetime.now(ZONE).strftime("%Y%m%d")
    fees[1:4] = [replace(fee, date=fresh) for fee in fees[1:4]]
    sent = dft("C42", fees, stranger)
    await practice.accepted("emr", sent)
    waits = practice.rows("SELECT key FROM hold WHERE message = ? ORDER BY key", practice.journal("C42")["id"])
    assert [row["key"] for row in waits] == [
        "charge:T-3",
        "date:T-5",
        "date:without id",
        "patient:PM:7099",
        "payment:T-2",
        "payment:T-4",
        f"repeat:{number}",
    ]
    practice.assert_kept_back(sent)
    assert [row["state"] for row in ledger(practice)] == ["held"] * 6
    await practice.accepted(practice.patients, adt("REG", "A28", stranger, sender=practice.patients))
    for key in ("charge:", "date:T-5", "date:without", "payment:T-2", "payment:T-4", "repeat:"):
        assert practice.state("C42") == "held"
        await decide(practice, "release", "C42", key)
    assert practice.state("C42") == "accepted"
    await practice.assert_relayed(sent, "pm")


# -- 44, 45: what the registry says of the patient ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "row"),
    [
        ("20260109", "#45"),
        ("20260109235959", "#45"),
        ("20260110", "held"),
        ("20260110000000", "held"),
        ("20260110043000+0000", "#45"),  # the 9th in New York
        ("20260109233000-0800", "held"),  # the 10th in New York
    ],
)
@pytest.mark.parametrize("setup", BOTH)
async def test_row_45_the_day_is_the_practices__any(opened: Opening, setup: str, served: str, row: str) -> None:
    practice = await registered(opened, setup)
    side = practice.patients
    # 01:00 UTC on the 11th is 20:00 on the 10th in the practice.
    gone = adt("GONE", "A29", RUTH, sender=side, sent="20260111010000+0000")
    await practice.accepted(side, gone)
    await practice.accepted("emr", dft("C1", [replace(FEE, date=served)]))
    assert practice.decided("C1") == (("held", "#45") if row == "held" else ("accepted", "#45"))


# -- 47 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS, SPLIT])
async def test_row_47_an_unknown_visit_is_told_and_holds_nothing_up__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    booking = siu("S1", "S12", VISIT, OSCAR, sender=practice.schedule)
    await practice.accepted(practice.schedule, booking)
    for number, (control_id, who, warned) in enumerate((("C1", RUTH, True), ("C2", OSCAR, False)), 1):
        sent = of_visit(dft(control_id, [Fee(f"T-{number}")], who, version="2.5.1"), VISIT.filler)
        reply = await practice.accepted("emr", sent)
        assert reply.warnings == ([""] if warned else [])
        assert practice.decided(control_id) == ("accepted", "#47" if warned else "#40")
        await practice.assert_relayed(sent, "pm")


async def test_row_47_no_visit_is_no_unknown_one_and_a_known_charge_stays_known__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    reply = await practice.accepted("emr", dft("C1", version="2.5.1"))
    assert reply.warnings == []
    await practice.accepted("emr", of_visit(dft("C2", [Fee("T-2")]), "V-9"), of_visit(dft("C3", [Fee("T-2")]), "V-9"))
    assert practice.decided("C3") == ("ignored", "#48")


# -- 53 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", BOTH)
async def test_row_53_look_alike_lines_zeros_modifiers_and_drug_codes_leave_as_they_came__any(
    opened: Opening, setup: str
) -> None:
    practice = await registered(opened, setup)
    shot = "FT1|{0}|{1}|B1|20260105|20260105|CG|90700^DTAP^CPT|||1|0.00||||||||Z23^^I10~Z00.129^^I10|D-7|||||90700|SL~25~59|||"
    lines = [shot.format(number, f"T-{number}") + "49281-0286-10^DTAP^NDC~00006-4047-41^X^NDC" for number in (1, 2)]
    more = ["OBX|1|CE|30956-7^VACCINE^LN||49281-0286-10^^NDC", "OBX|2|CE|30956-7^VACCINE^LN||00006-4047-41^^NDC"]
    base = dft("C53", [FEE], version="2.5.1")
    sent = base.replace(segments(base, b"FT1")[0], "\r".join([*lines, *more]).encode())
    await practice.accepted("emr", sent)
    assert practice.decided("C53") == ("accepted", "#40")
    await practice.assert_relayed(sent, "pm")
    assert [(row["amount"], row["modifiers"]) for row in ledger(practice)] == [("0.00", '["SL","25","59"]')] * 2


# -- 54 -------------------------------------------------------------------------------------------------------------------


def days_ago(days: int) -> str:
    return (datetime.now(ZONE) - timedelta(days=days)).strftime("%Y%m%d")


@pytest.mark.parametrize("served", ["20991231", "20991231100000-0500", "20260105^20991231"])
@pytest.mark.parametrize("setup", BOTH)
async def test_row_54_a_service_in_the_future_is_passed_on_with_a_warning__any(
    opened: Opening, setup: str, served: str
) -> None:
    practice = await registered(opened, setup)
    sent = dft("C54", [replace(FEE, date=served)], version="2.5.1")
    assert (await practice.accepted("emr", sent)).warnings == [""]
    assert practice.decided("C54") == ("accepted", "#54")
    await practice.assert_relayed(sent, "pm")


@pytest.mark.parametrize(("days", "row"), [(0, "#40"), (29, "#40"), (32, "#54")])
async def test_row_54_older_than_the_emrs_profile_expects__any(opened: Opening, days: int, row: str, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", "oldest_days = 30"))
    await practice.accepted("emr", dft("C54", [replace(FEE, date=days_ago(days))]))
    assert practice.decided("C54") == ("accepted", row)


@pytest.mark.parametrize("served", ["20991231", "20200101"])
@pytest.mark.parametrize("setup", BOTH)
async def test_row_54_by_profile_it_is_held_for_a_person__any(opened: Opening, setup: str, served: str, tmp_path: Path) -> None:
    rules = profile(tmp_path, "emr", 'oldest_days = 400\nservice_date = "hold"')
    practice = await registered(opened, setup, **rules)
    sent = dft("C54", [replace(FEE, date=served)])
    await practice.accepted("emr", sent)
    assert practice.decided("C54") == ("held", "#54")
    practice.assert_kept_back(sent)
    await decide(practice, "release", "C54", "date:T-1")
    await practice.assert_relayed(sent, "pm")


# -- how products write charges -------------------------------------------------------------------------------------------


async def test_places_of_procedure_and_amount_go_by_the_emrs_profile__any(opened: Opening, tmp_path: Path) -> None:
    rules = 'procedure = ["FT1-7", "FT1-25"]\namount = ["FT1-22", "FT1-11"]'
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", rules))
    sent = with_field(with_field(dft("C1", [replace(FEE, units="3")]), 22, "40.00"), 25, "99999")
    only_elsewhere = with_field(dft("C2", [Fee("T-2", code="")]).replace(b"^OFFICE VISIT^C4", b""), 25, "99214")
    await practice.accepted("emr", sent, only_elsewhere)
    assert [(row["procedure"], row["amount"]) for row in ledger(practice)] == [("99213", "120.00"), ("99214", "125.00")]
    await practice.assert_relayed(sent, "pm")


@pytest.mark.parametrize(
    ("version", "moved"), [("2.3", True), ("2.3.1", True), ("2.4", True), ("2.5", False), ("2.5.1", False)]
)
async def test_before_2_5_the_drug_code_moves_to_where_the_pm_looks_for_it__any(
    opened: Opening, tmp_path: Path, version: str, moved: bool
) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", 'drug_code = "FT1-13"'))
    sent = with_field(dft("C1", version=version), 29, "49281-0286-10^DTAP^NDC~00006-4047-41")
    await practice.accepted("emr", sent)
    payload = await practice.copy_of(sent, "pm")
    if moved:
        assert lines_sent(practice, 13, 29) == [("49281-0286-10^DTAP^NDC~00006-4047-41", "")]
    else:
        assert payload == relayed(sent, payload.split(b"|")[9].decode())


async def test_a_drug_code_leaves_as_it_came_without_a_place_for_it_or_where_something_else_stands__any(
    opened: Opening, tmp_path: Path
) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", 'drug_code = "FT1-20"'))
    sent = with_field(dft("C1"), 29, "49281-0286-10")  # FT1-20 holds the performer
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")
    assert len(charges_sent(practice)) == 1


async def test_row_46_a_drug_code_moves_as_the_pm_calls_it__any(opened: Opening, tmp_path: Path) -> None:
    table = '[maps.drug]\nfields = ["FT1-29"]\ncodes = { "49281-0286-10" = "DTAP" }'
    settings = profile(tmp_path, "pm", 'drug_code = "FT1-13"') | profile(tmp_path, "emr", "", table)
    practice = await registered(opened, PM_OWNS, **settings)
    await practice.accepted("emr", with_field(dft("C1"), 29, "49281-0286-10^DTAP^NDC"))
    await practice.quiet()
    assert lines_sent(practice, 13, 29) == [("DTAP^DTAP^NDC", "")]


async def test_a_corrected_charge_is_voided_with_its_drug_code_where_the_pm_got_it__any(
    opened: Opening, tmp_path: Path
) -> None:
    rules = 'drug_code = "FT1-13"\ncorrections = "replace"'
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", rules))
    first, second = dft("C1"), dft("C2", [replace(FEE, amount="1.00")])
    await practice.accepted("emr", *(with_field(one, 29, "49281-0286-10") for one in (first, second)))
    await practice.quiet()
    assert lines_sent(practice, 6, 13, 29) == [(kind, "49281-0286-10", "") for kind in ("CG", "CD", "CG")]
