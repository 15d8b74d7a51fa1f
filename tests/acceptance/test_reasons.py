"""decisions 5: a message that waits for several things says all of them at once (#42), and leaves when the last is met."""

from __future__ import annotations

import pytest

from tests.acceptance.messages import RUTH, Fee, adt, dft
from tests.acceptance.practice import PM_OWNS, Opening

pytestmark = pytest.mark.timeout(30)


async def test_row_42_a_payment_for_an_unknown_patient_waits_for_both_a_biller_and_the_registration(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    sent = dft("C1", [Fee("T-1", kind="PY")])
    await practice.accepted("emr", sent)
    assert sorted(practice.holds()) == ["patient:PM:7050", "payment:T-1"]
    await practice.accepted("pm", adt("A1", "A28", RUTH))
    assert practice.holds() == ["payment:T-1"]
    assert practice.state("C1") == "held"
    practice.assert_kept_back(sent)
