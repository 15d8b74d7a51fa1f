"""decisions 2, from socket to socket: which ids are learned, which match, which are only shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.acceptance.messages import OSCAR, RUTH, RUTH_IN_EMR, VISIT, adt, dft, siu
from tests.acceptance.practice import PM_OWNS, SPLIT, Opening, Practice

pytestmark = pytest.mark.timeout(30)

SHARED_NUMBER = "999-99-9999^^^USA^SS"


def shown_ids(practice: Practice, identifier: str) -> list[list[str]]:
    patient = practice.patient(identifier)
    assert patient is not None
    found: list[list[str]] = json.loads(patient["identifiers"])
    return found


async def test_a_shared_social_security_number_joins_nobody_and_is_shown_with_both(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    for number, who in enumerate((RUTH, OSCAR)):
        await practice.accepted("pm", adt(f"A{number}", "A28", replace(who, ids=f"{SHARED_NUMBER}~{who.id}^^^PM^MR")))
    assert practice.count("patient") == 2
    for who in (RUTH, OSCAR):
        assert ["USA", "999-99-9999", "SS"] in shown_ids(practice, who.id)
    assert practice.patient("999-99-9999", "USA") is None


async def test_a_number_that_never_matches_is_kept_when_an_update_brings_it__once(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("A1", "A28", RUTH))
    numbered = replace(RUTH, ids=f"7050^^^PM^MR~{SHARED_NUMBER}")
    await practice.accepted("pm", adt("A2", "A08", numbered), adt("A3", "A08", numbered))
    assert shown_ids(practice, "7050") == [["PM", "7050", "MR"], ["USA", "999-99-9999", "SS"]]


@pytest.mark.parametrize("setup", [PM_OWNS, SPLIT])
async def test_the_emrs_chart_id_is_learned_beside_a_known_id_and_names_the_patient_afterwards(
    opened: Opening, setup: str
) -> None:
    practice = await opened(setup)
    await practice.accepted("pm", adt("A1", "A28", RUTH))
    await practice.accepted("emr", adt("A2", "A08", replace(RUTH, ids="7050^^^PM^MR~E-50^^^EMR^MR"), sender="emr"))
    sent = dft("C1", who=RUTH_IN_EMR)
    await practice.accepted("emr", sent)
    copy = await practice.copy_of(sent, "pm")
    assert b"|7050^^^PM^MR~E-50^^^EMR^MR|" in copy, "the PM does not know the EMR's chart id: its own is supplied"


@pytest.mark.parametrize("placer", ["100", "SERIES"])
async def test_two_appointments_with_numbers_of_their_own_stay_two_whatever_their_placer_says(
    opened: Opening, placer: str
) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("A1", "A28", RUTH))
    for number, visit in enumerate((replace(VISIT, filler="100"), replace(VISIT, filler="200", start="20260109093000"))):
        sent = siu(f"S{number}", "S12", visit)
        assert sent.count(b"SCH||") == 1
        await practice.accepted("pm", sent.replace(b"SCH||", b"SCH|" + placer.encode() + b"|"))
    assert practice.count("appointment") == 2
    found = practice.appointment("100")
    assert found is not None
    assert found["start"] == VISIT.start
