"""decisions 3: who is unknown or not the owner's, event by event (#2, #5, #6, #17, #18), beside test_decisions_patients."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.acceptance.messages import RUTH, Person, Side, adt
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, SPLIT, Opening, Practice, other
from tests.acceptance.replies import assert_refused

pytestmark = pytest.mark.timeout(30)

BOTH = replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR")
OWN: dict[Side, Person] = {"pm": replace(RUTH, ids="7050^^^PM^MR"), "emr": replace(RUTH, ids="E-50^^^EMR^MR")}
LISTED = ("A02", "A03", "A06", "A07", "A09", "A10", "A12", "A13")
VISIT = "PV1|1|O"


async def known(practice: Practice) -> Side:
    """Ruth is known to both; the side that does not own the patients."""
    await practice.accepted(practice.patients, adt("REG", "A28", BOTH, sender=practice.patients))
    return other(practice.patients)


@pytest.mark.parametrize("trigger", ["A28", "A01", "A05"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_2_a_registration_of_somebody_known_by_the_other_side_is_stripped__any(
    opened: Opening, setup: str, trigger: str
) -> None:
    practice = await opened(setup)
    side = await known(practice)
    sent = adt("X2", trigger, replace(OWN[side], street="9 NEW RD"), sender=side, version="2.5.1")
    assert (await practice.accepted(side, sent)).warnings == ["W01"]
    assert practice.decided("X2") == ("accepted", "#5")
    assert [path for path, _, _ in practice.drift()] == ["PID-11"]
    assert practice.count("patient") == 1
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_5_a31_is_stripped_like_a08__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    side = await known(practice)
    sent = adt("X5", "A31", replace(OWN[side], street="9 NEW RD"), sender=side, version="2.5.1")
    assert (await practice.accepted(side, sent)).warnings == ["W01"]
    assert practice.decided("X5") == ("accepted", "#5")
    assert [path for path, _, _ in practice.drift()] == ["PID-11"]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", ["A28", "A08"])
async def test_row_6_who_may_create_is_the_senders_matter_not_the_ids__pm_owns(opened: Opening, trigger: str) -> None:
    practice = await opened(PM_OWNS)
    sent = adt("X6", trigger, BOTH, sender="emr")  # it names the PM's id, and is the EMR's all the same
    assert_refused(await practice.send("emr", sent), "AE", "P01", 204)
    assert practice.count("patient") == 0


@pytest.mark.parametrize("trigger", ["A11", "A23", "A38"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_17_of_the_other_side_is_about_a_visit_that_is_noted__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    side = await known(practice)
    sent = adt("X17", trigger, replace(OWN[side], street="9 NEW RD"), VISIT, sender=side)
    await practice.accepted(side, sent)
    assert practice.state("X17") == "accepted"
    assert [path for path, _, _ in practice.drift()] == ["PID-11"]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", LISTED)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_18_every_event_of_the_other_side_is_stripped__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    side = await known(practice)
    sent = adt("X18", trigger, replace(OWN[side], street="9 NEW RD"), VISIT, sender=side, version="2.5.1")
    assert (await practice.accepted(side, sent)).warnings == ["W01"]
    assert [path for path, _, _ in practice.drift()] == ["PID-11"]
    practice.assert_kept_back(sent)


@pytest.mark.parametrize("trigger", LISTED)
@pytest.mark.parametrize("setup", [PM_OWNS, SPLIT])
async def test_row_18_somebody_unknown_is_as_in_row_3_and_6__pm_owns(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    assert_refused(await practice.send("emr", adt("E1", trigger, OWN["emr"], VISIT, sender="emr")), "AE", "P01", 204)
    assert practice.decided("E1") == ("rejected", "#6")
    sent = adt("P1", trigger, BOTH, VISIT)
    await practice.accepted("pm", sent)
    assert practice.patient("7050") is not None
    await practice.assert_relayed(sent, "emr")


@pytest.mark.parametrize("trigger", LISTED)
async def test_row_18_somebody_unknown_is_as_in_row_3_and_6__emr_owns(opened: Opening, trigger: str) -> None:
    practice = await opened(EMR_OWNS)
    waiting = adt("P1", trigger, OWN["pm"], VISIT)
    await practice.accepted("pm", waiting)
    assert practice.decided("P1") == ("held", "#3")
    assert practice.holds() == ["patient:PM:7050"]
    sent = adt("E1", trigger, BOTH, VISIT, sender="emr")
    await practice.accepted("emr", sent)
    assert practice.patient("E-50", "EMR") is not None
    assert practice.holds() == []
    await practice.assert_relayed(sent, "pm")
    practice.assert_kept_back(waiting)


@pytest.mark.parametrize("trigger", LISTED)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_15_holds_for_every_event__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await opened(setup)
    for side in ("pm", "emr"):
        sent = adt(f"X{side}", trigger, replace(RUTH, ids=""), VISIT, sender=side, version="2.5.1")
        assert_refused(await practice.send(side, sent), "AE", "", 101)
        assert practice.decided(f"X{side}") == ("rejected", "#15")
