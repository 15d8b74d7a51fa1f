"""decisions 11 and #42, #46, #49 to #54: charges of one FT1-2 keep their order where one waits for a code or a date."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.asking import get, post
from tests.acceptance.billing import decide, lines_sent, profile, registered
from tests.acceptance.messages import FEE, OSCAR, Fee, dft
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(30)

TABLE = '[maps.code]\nfields = ["FT1-7"]\ncodes = { "99213" = "V3" }'
SECOND, THIRD = replace(FEE, code="99299", amount="150.00"), replace(FEE, amount="160.00")
CODE, KIND, AMOUNT = 7, 6, 11


async def corrected_twice(opened: Opening, setup: str, folder: Path) -> Practice:
    """T-1 is with the PM, its first correction waits for a code, the second one and its credit came after that."""
    settings = profile(folder, "pm", 'corrections = "replace"') | profile(folder, "emr", "", TABLE)
    practice = await registered(opened, setup, **settings)
    fourth = replace(THIRD, kind="CD")
    await practice.accepted("emr", dft("C1"), dft("C2", [SECOND]), dft("C3", [THIRD]), dft("C4", [fourth]))
    await practice.accepted("emr", dft("C5", [Fee("T-9")], OSCAR))
    assert [practice.decided(one)[0] for one in ("C2", "C3", "C4", "C5")] == ["held", "held", "held", "accepted"]
    return practice


async def assert_the_books_add_up(practice: Practice, current: list[str]) -> None:
    assert (await get(practice, "/reconciliation")).json()["adds_up"]
    assert [one["amount"] for one in (await get(practice, "/charges/current")).json()["items"]] == current


@pytest.mark.parametrize("setup", [PM_OWNS, EMR_OWNS])
async def test_row_46_a_correction_waits_behind_an_older_one_that_waits_for_a_code__any(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    practice = await corrected_twice(opened, setup, tmp_path)
    await post(practice, "/maps", peer="emr", table="code", code="99299", to="V9", reason="asked the biller")
    await practice.quiet()
    assert [(said.partition("^")[0], kind, amount) for said, kind, amount in lines_sent(practice, CODE, KIND, AMOUNT)] == [
        ("V3", "CG", "125.00"),
        ("V3", "CG", "125.00"),  # of the other patient, who waits for nobody
        ("V3", "CD", "125.00"),
        ("V9", "CG", "150.00"),
        ("V9", "CD", "150.00"),
        ("V3", "CG", "160.00"),
        ("V3", "CD", "160.00"),
    ]
    await assert_the_books_add_up(practice, ["125.00"])


async def test_row_46_it_follows_when_a_person_lets_the_older_one_go__any(opened: Opening, tmp_path: Path) -> None:
    practice = await corrected_twice(opened, PM_OWNS, tmp_path)
    await decide(practice, "discard", "C2", "mapping")
    await practice.quiet()
    assert [row for row in lines_sent(practice, KIND, AMOUNT) if row != ("CG", "125.00")] == [
        ("CD", "125.00"),
        ("CG", "160.00"),
        ("CD", "160.00"),
    ]
    await assert_the_books_add_up(practice, ["125.00"])


async def test_row_54_a_correction_waits_behind_an_older_one_whose_date_a_person_looks_at__any(
    opened: Opening, tmp_path: Path
) -> None:
    settings = profile(tmp_path, "pm", 'corrections = "replace"') | profile(tmp_path, "emr", 'service_date = "hold"')
    practice = await registered(opened, PM_OWNS, **settings)
    late = replace(FEE, amount="150.00").ft1(1).replace("20260105|20260105", "20991231|20260105")
    second = dft("C2", [FEE]).replace(FEE.ft1(1).encode(), late.encode())
    await practice.accepted("emr", dft("C1"), second, dft("C3", [THIRD]))
    assert [practice.decided(one)[0] for one in ("C1", "C2", "C3")] == ["accepted", "held", "held"]
    await decide(practice, "release", "C2", "date")
    await practice.quiet()
    assert [amount for kind, amount in lines_sent(practice, KIND, AMOUNT) if kind == "CG"] == ["125.00", "150.00", "160.00"]
    await assert_the_books_add_up(practice, ["160.00"])
