"""decisions 5, #49 to #52, from socket to socket: corrections, credits, voids and payments, with profiles of either side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.testing.peers import Behaviour, accept, refuse, silence
from tests.acceptance.billing import charges_sent, decide, ledger, lines_sent, profile, registered, settle
from tests.acceptance.messages import FEE, OSCAR, RUTH, Fee, adt, dft, merged, relayed, segments
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(30)

BOTH = (PM_OWNS, EMR_OWNS)
CHANGED = replace(FEE, amount="150.00")
CREDIT = replace(FEE, kind="CD")
REPLACE = 'corrections = "replace"'
UPDATE = 'corrections = "update"\nupdate_code = "AJ"'

ID, KIND, UNITS, AMOUNT = 2, 6, 10, 11


async def lost(practice: Practice, control_id: str, verb: str) -> None:
    """The PM has refused that message's copy, and a person closes or skips it."""
    await practice.until(lambda: practice.deliveries(control_id)[0]["state"] == "parked")
    await settle(practice, practice.deliveries(control_id)[0]["id"], verb)


# -- 49: replace ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", BOTH)
async def test_row_49_by_profile_a_void_of_the_original_leaves_and_then_the_new_charge__any(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    practice = await registered(opened, setup, **profile(tmp_path, "pm", REPLACE))
    first, second = dft("C1", [FEE, Fee("T-2", "90460", "30.00")]), dft("C2", [CHANGED], sent="20260106080000")
    await practice.accepted("emr", first, second)
    assert practice.decided("C2") == ("accepted", "#49")
    await practice.quiet()
    sent, void, new = charges_sent(practice)
    assert sent == relayed(first, practice.deliveries("C1")[0]["control_id"])
    voiding, correcting = practice.deliveries("C2")
    assert new == relayed(second, correcting["control_id"])
    # Everything of the original but its other charge, and FT1-6: the PM finds it by FT1-2 and by all else that it was told.
    without = b"".join(line + b"\r" for line in first.split(b"\r")[:-1] if b"|T-2|" not in line)
    assert void == relayed(without, voiding["control_id"]).replace(b"|CG|", b"|CD|")
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent"), ("T-1", "sent")]


async def test_row_49_the_void_waits_for_the_originals_answer_and_the_new_charge_for_the_voids__any(
    opened: Opening, tmp_path: Path
) -> None:
    practice = await registered(opened, PM_OWNS, PM_CONNECTIONS="4", **profile(tmp_path, "pm", REPLACE))
    practice.desk["pm"].script.extend([refuse("AR", 206), accept, refuse("AR", 206), accept, accept])
    await practice.accepted("emr", dft("C1"), dft("C2", [CHANGED]))
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT) == [("CG", "125.00"), ("CD", "125.00"), ("CG", "150.00")]


async def test_row_49_a_void_that_the_pm_refuses_keeps_the_new_charge_back__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", REPLACE))
    await practice.accepted("emr", dft("C1"))
    await practice.quiet()
    practice.desk["pm"].script.append(refuse("AE", 101))
    await practice.accepted("emr", dft("C2", [CHANGED]), dft("C3", [Fee("T-9")], OSCAR))
    await practice.until(lambda: [row["state"] for row in practice.deliveries("C3")] == ["accepted"])
    assert [row["state"] for row in practice.deliveries("C2")] == ["parked", "queued"]
    assert lines_sent(practice, ID, KIND, AMOUNT) == [
        ("T-1", "CG", "125.00"),
        ("T-1", "CD", "125.00"),
        ("T-9", "CG", "125.00"),
    ]


async def test_row_49_by_profile_a_void_carries_negative_units_and_amounts_and_the_pms_code__any(
    opened: Opening, tmp_path: Path
) -> None:
    rules = f'{REPLACE}\nvoid_code = "DT"\nvoid = ["DT"]\nnegative_voids = true'
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", rules))
    await practice.accepted("emr", dft("C1", [replace(FEE, units="2")]), dft("C2", [CHANGED]))
    await practice.accepted("emr", dft("C3", [replace(CHANGED, kind="CD", units="")]))
    await practice.quiet()
    assert lines_sent(practice, KIND, UNITS, AMOUNT) == [
        ("CG", "2", "125.00"),
        ("DT", "-2", "-125.00"),
        ("CG", "1", "150.00"),
        ("DT", "-1", "-150.00"),
    ]


async def test_row_49_a_second_correction_voids_the_first__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", REPLACE))
    thrice = [dft("C1"), dft("C2", [CHANGED]), dft("C3", [replace(FEE, amount="160.00")])]
    await practice.accepted("emr", *thrice)
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT) == [
        ("CG", "125.00"),
        ("CD", "125.00"),
        ("CG", "150.00"),
        ("CD", "150.00"),
        ("CG", "160.00"),
    ]
    # Each of them again has no second effect, but for the ones that are not current any more: those are corrections again.
    await practice.accepted("emr", dft("C4", [replace(FEE, amount="160.00")]))
    assert practice.decided("C4") == ("ignored", "#48")


async def test_row_49_original_and_correction_may_come_in_one_batch__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", REPLACE))
    line = await practice.line("emr")
    answers = await line.pipeline(dft("C1"), dft("C2", [CHANGED]), dft("C3", [replace(CHANGED, units="2")]))
    assert [b"|AA|" in answer for answer in answers] == [True] * 3
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT, UNITS) == [
        ("CG", "125.00", "1"),
        ("CD", "125.00", "1"),
        ("CG", "150.00", "1"),
        ("CD", "150.00", "1"),
        ("CG", "150.00", "2"),
    ]


async def test_row_49_the_void_goes_to_the_chart_into_which_the_pm_has_merged_the_original__any(
    opened: Opening, tmp_path: Path
) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", REPLACE))
    await practice.accepted("emr", dft("C1", who=OSCAR))
    await practice.quiet()
    await practice.accepted("pm", merged("M1", (OSCAR, RUTH)))
    await practice.accepted("emr", dft("C2", [CHANGED], RUTH))
    await practice.quiet()
    _, void, new = charges_sent(practice)
    assert [segments(payload, b"PID")[0].split(b"|")[3] for payload in (void, new)] == [b"7050^^^PM^MR"] * 2


async def test_row_49_a_correction_of_a_charge_that_itself_waits_is_held__any(opened: Opening, tmp_path: Path) -> None:
    practice = await opened(PM_OWNS, **profile(tmp_path, "pm", REPLACE))
    await practice.accepted("emr", dft("C1"), dft("C2", [CHANGED]))
    await practice.accepted("pm", adt("REG", "A28"))
    await practice.quiet()
    # Both waited for the patient: the charge leaves, and its correction after it.
    assert lines_sent(practice, KIND, AMOUNT) == [("CG", "125.00"), ("CD", "125.00"), ("CG", "150.00")]
    assert practice.holds() == []


# -- 49: update -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", BOTH)
async def test_row_49_by_profile_the_new_content_leaves_as_an_update__any(opened: Opening, setup: str, tmp_path: Path) -> None:
    practice = await registered(opened, setup, **profile(tmp_path, "pm", UPDATE))
    second = dft("C2", [CHANGED, Fee("T-2")])
    await practice.accepted("emr", dft("C1"), second)
    assert practice.decided("C2") == ("accepted", "#49")
    payload = await practice.copy_of(second, "pm")
    assert payload == relayed(second, payload.split(b"|")[9].decode()).replace(b"|CG|", b"|AJ|", 1)
    assert lines_sent(practice, ID, KIND) == [("T-1", "CG"), ("T-1", "AJ"), ("T-2", "CG")]


@pytest.mark.parametrize(("pm", "kinds"), [(UPDATE, ["CG", "AJ"]), (REPLACE, ["CG", "CD", "CG"])])
async def test_row_49_an_update_of_the_emr_leaves_as_the_pm_wants_corrections__any(
    opened: Opening, tmp_path: Path, pm: str, kinds: list[str]
) -> None:
    emr = profile(tmp_path, "emr", 'update = ["UP"]')
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", pm), **emr)
    await practice.accepted("emr", dft("C1"), dft("C2", [replace(CHANGED, kind="UP")]))
    await practice.accepted("emr", dft("C3", [replace(CHANGED, kind="UP")]))
    assert practice.decided("C3") == ("ignored", "#48")
    await practice.quiet()
    assert [kind for (kind,) in lines_sent(practice, KIND)] == kinds


async def test_row_49_an_update_of_the_emr_is_held_where_the_pm_knows_no_way__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", 'update = ["UP"]'))
    await practice.accepted("emr", dft("C1"), dft("C2", [replace(CHANGED, kind="UP")]))
    assert practice.decided("C2") == ("held", "#49")


async def test_row_51_an_update_of_an_unknown_charge_waits_for_it__any(opened: Opening, tmp_path: Path) -> None:
    emr = profile(tmp_path, "emr", 'update = ["UP"]')
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", UPDATE), **emr)
    update = dft("C1", [replace(CHANGED, kind="UP")])
    await practice.accepted("emr", update)
    assert practice.decided("C1") == ("held", "#51")
    assert practice.holds() == ["charge:T-1"]
    await practice.accepted("emr", dft("C2"))
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT) == [("CG", "125.00"), ("AJ", "150.00")]


@pytest.mark.parametrize("rules", ["", REPLACE, UPDATE])
async def test_row_49_after_a_credit_the_charge_again_is_a_persons_with_every_profile__any(
    opened: Opening, tmp_path: Path, rules: str
) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", rules))
    await practice.accepted("emr", dft("C1"), dft("C2", [CREDIT]), dft("C3"), dft("C4", [CHANGED]))
    assert [practice.decided(number) for number in ("C3", "C4")] == [("held", "#49")] * 2
    await decide(practice, "discard", "C3", "charge:")
    await decide(practice, "release", "C4", "charge:")
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT) == [("CG", "125.00"), ("CD", "125.00"), ("CG", "150.00")]


# -- 50: what became of the original --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state"), [(refuse("AE", 101), "parked"), (refuse("AE", 204), "held"), (silence, "unknown")]
)
@pytest.mark.parametrize("setup", BOTH)
async def test_row_50_a_credit_does_not_leave_while_the_originals_fate_is_open__any(
    opened: Opening, setup: str, answer: Behaviour, state: str
) -> None:
    practice = await registered(opened, setup, PM_ON_TIMEOUT="review", PM_ACK_TIMEOUT="300ms")
    await practice.quiet()
    practice.desk["pm"].script.append(answer)
    await practice.accepted("emr", dft("C1"))
    await practice.until(lambda: practice.deliveries("C1")[0]["state"] == state)
    credit = dft("C2", [CREDIT])
    await practice.accepted("emr", credit, dft("C3", [Fee("T-9")], OSCAR))
    assert practice.decided("C2") == ("accepted", "#50")
    await practice.until(lambda: practice.deliveries("C3")[0]["state"] == "accepted")
    assert [row["state"] for row in practice.deliveries("C2")] == ["queued"]  # in its lane, behind the charge
    assert [number for (number,) in lines_sent(practice, ID)] == ["T-1", "T-9"]


@pytest.mark.parametrize("kind", ["CD", "CG"])
@pytest.mark.parametrize("setup", BOTH)
async def test_row_50_what_the_pm_refused_for_good_is_not_credited_and_may_come_again__any(
    opened: Opening, setup: str, kind: str
) -> None:
    practice = await registered(opened, setup)
    await practice.quiet()
    practice.desk["pm"].script.append(refuse("AE", 101))
    await practice.accepted("emr", dft("C1"))
    await lost(practice, "C1", "close")
    later = dft("C2", [replace(FEE, kind=kind)])
    await practice.accepted("emr", later)
    if kind == "CD":
        assert practice.decided("C2") == ("held", "#51")
        practice.assert_kept_back(later)
        await practice.accepted("emr", dft("C3"))  # once the charge has come again, its credit follows
        await practice.quiet()
        assert [one for (one,) in lines_sent(practice, KIND)] == ["CG", "CG", "CD"]
    else:
        assert practice.decided("C2") == ("accepted", "#40")
        await practice.assert_relayed(later, "pm")


@pytest.mark.parametrize("verb", ["close", "skip"])
@pytest.mark.parametrize("rules", ["", REPLACE])
async def test_row_50_what_waits_behind_a_lost_charge_to_take_it_back_is_a_persons__any(
    opened: Opening, tmp_path: Path, verb: str, rules: str
) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "pm", rules))
    await practice.quiet()
    practice.desk["pm"].script.append(refuse("AE", 101))
    back = dft("C2", [CHANGED if rules else CREDIT])
    await practice.accepted("emr", dft("C1"), back)
    await lost(practice, "C1", verb)
    assert [row["state"] for row in practice.deliveries("C2")] == (["parked", "queued"] if rules else ["parked"])
    assert practice.deliveries("C2")[0]["last_answer"] == "its charge was refused or skipped"
    await settle(practice, practice.deliveries("C2")[0]["id"], "skip")
    await practice.quiet()
    assert lines_sent(practice, KIND, AMOUNT) == [("CG", "125.00"), *([("CG", "150.00")] if rules else [])]


@pytest.mark.parametrize("kind", ["CD", "CG"])
async def test_row_50_of_what_a_person_has_skipped_a_person_decides__any(opened: Opening, kind: str) -> None:
    practice = await registered(opened, PM_OWNS)
    practice.desk["pm"].script.append(refuse("AE", 101))
    await practice.accepted("emr", dft("C1"))
    await lost(practice, "C1", "skip")
    later = dft("C2", [replace(FEE, kind=kind)])
    await practice.accepted("emr", later)
    assert practice.decided("C2") == ("held", "#50" if kind == "CD" else "#48")
    practice.assert_kept_back(later)
    await decide(practice, "release", "C2", "charge:T-1")
    assert practice.state("C2") == "accepted"


async def test_row_50_the_same_credit_again_has_no_second_effect_and_another_one_is_a_persons__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted(
        "emr", dft("C1"), dft("C2", [CREDIT]), dft("C3", [CREDIT]), dft("C4", [replace(CHANGED, kind="CD")])
    )
    assert [practice.decided(number) for number in ("C2", "C3", "C4")] == [
        ("accepted", "#50"),
        ("ignored", "#48"),
        ("held", "#50"),
    ]
    await practice.quiet()
    assert [kind for (kind,) in lines_sent(practice, KIND)] == ["CG", "CD"]


async def test_row_50_the_emrs_own_code_of_a_void_leaves_as_the_pms__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", 'void = ["DT"]'))
    await practice.accepted("emr", dft("C1"), dft("C2", [replace(FEE, kind="DT")]))
    assert practice.decided("C2") == ("accepted", "#50")
    await practice.quiet()
    assert [kind for (kind,) in lines_sent(practice, KIND)] == ["CG", "CD"]
    assert [(row["kind"], row["verb"]) for row in ledger(practice)] == [("CG", "new"), ("DT", "void")]


# -- 52 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PY", "AJ", "CO"])
@pytest.mark.parametrize("setup", BOTH)
async def test_row_52_by_profile_payments_are_passed_on_once__any(
    opened: Opening, setup: str, kind: str, tmp_path: Path
) -> None:
    practice = await registered(opened, setup, **profile(tmp_path, "pm", 'payments = "forward"'))
    # A payment may bear the number of the charge that it pays: neither is taken for the other.
    sent, again = dft("C1", [Fee("T-1", kind=kind)]), dft("C2", [Fee("T-1", kind=kind)])
    charge, changed = dft("C3"), dft("C4", [Fee("T-1", kind=kind, amount="1.00")])
    await practice.accepted("emr", sent, again, charge, changed)
    assert practice.decided("C1") == ("accepted", "#52")
    assert practice.decided("C2") == ("ignored", "#48")
    assert practice.decided("C3") == ("accepted", "#40")
    assert practice.decided("C4") == ("held", "#49")
    await practice.assert_relayed(sent, "pm")
    await practice.assert_relayed(charge, "pm")


async def test_row_52_the_emrs_own_codes_of_payments_are_held__any(opened: Opening, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", 'payment = ["CASH"]'))
    await practice.accepted("emr", dft("C1", [replace(FEE, kind="CASH")]), dft("C2", [Fee("T-2", kind="PY")]))
    assert practice.decided("C1") == ("held", "#52")
    assert practice.decided("C2") == ("accepted", "#40")  # no code of a payment any more
