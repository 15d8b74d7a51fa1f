"""decisions 5, row by row, from socket to socket. Charges come from the EMR in every set-up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ophl7.testing.peers import accept, close, refuse
from tests.acceptance.billing import registered
from tests.acceptance.messages import FEE, OSCAR, RUTH, Fee, Side, adt, dft, message, relayed, segments
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, SETUPS, Opening
from tests.acceptance.replies import VERSIONS, assert_refused

pytestmark = pytest.mark.timeout(30)


# -- 40 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trigger", ["P03", "P11"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_40_a_charge_goes_to_the_pm_at_once_and_as_it_came__any(opened: Opening, setup: str, trigger: str) -> None:
    practice = await registered(opened, setup)
    # Two equal lines, a zero amount, a sub-line code and several NDC are normal (#53).
    fees = [FEE, replace(FEE, id="T-2"), Fee("T-3", "90460", "0.00"), Fee("T-4", "90700SL", "17.5")]
    sent = dft("C40", fees, RUTH, "NTE|1||NDC:49281-0286-10", "NTE|2||NDC:00006-4047-41", "ZFT|1|a^b", trigger=trigger)
    reply = await practice.accepted("emr", sent)
    assert reply.faults == ()
    assert practice.decided("C40") == ("accepted", "#40")
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent"), ("T-3", "sent"), ("T-4", "sent")]
    await practice.assert_relayed(sent, "pm")


async def test_row_40_every_try_has_the_same_bytes_and_the_same_control_id__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    practice.desk["pm"].script.extend([close, close, refuse("AR", 206), accept])
    sent = dft("C40")
    await practice.accepted("emr", sent)
    await practice.copy_of(sent, "pm")
    payloads = practice.desk["pm"].payloads
    assert len(payloads) == 4
    assert len(set(payloads)) == 1
    (row,) = practice.deliveries("C40")
    assert (row["attempts"], row["last_answer"]) == (4, "AA")
    assert payloads[0] == relayed(sent, row["control_id"])


# -- 41 -------------------------------------------------------------------------------------------------------------------

_GOOD = FEE.ft1(1)
INCOMPLETE = {
    "no FT1": (_GOOD + "\r", "", 100),
    "no key id": ("7050^^^PM^MR", "", 101),
    "only a social security number": ("7050^^^PM^MR", "999-99-9999^^^USSSA^SS", 101),
    "a bad date": ("|20260105|20260105|CG", "|20261345|20260105|CG", 102),
    "a bad number of units": ("||1|125.00|", "||two|125.00|", 102),
    "a bad amount": ("|125.00|", "|12,50|", 102),
    "no type": ("|CG|", "||", 101),
    "no code": ("|99213^OFFICE VISIT^C4|", "||", 101),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", INCOMPLETE)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_41_an_incomplete_charge_is_refused_and_kept__any(
    opened: Opening, setup: str, case: str, version: str
) -> None:
    practice = await registered(opened, setup)
    old, new, error = INCOMPLETE[case]
    whole = dft("C41", version=version)
    sent = whole.replace(old.encode(), new.encode())
    assert sent != whole
    assert_refused(await practice.send("emr", sent), "AE", "C01", error)
    assert practice.decided("C41") == ("rejected", "#41")
    assert practice.charges() == ([] if case == "no FT1" else [("T-1", "rejected")])  # money is never dropped (P8)
    practice.assert_kept_back(sent)


async def test_row_41_one_bad_charge_refuses_its_whole_dft__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    sent = dft("C41", [FEE, Fee("T-2", amount="abc"), Fee("T-3")], version="2.5.1")
    reply = await practice.send("emr", sent)
    assert_refused(reply, "AE", "C01", 102)
    assert reply.faults[0].place == ("FT1", "2", "11")
    assert practice.charges() == [("T-1", "rejected"), ("T-2", "rejected"), ("T-3", "rejected")]


@pytest.mark.parametrize(("field", "value"), [(25, "99213"), (7, "99213")])
async def test_row_41_a_code_in_ft1_7_or_ft1_25_is_enough__any(opened: Opening, field: int, value: str) -> None:
    practice = await registered(opened, PM_OWNS)
    fields = FEE.ft1(1).split("|") + [""] * 10
    fields[7] = ""
    fields[field] = value
    sent = dft("C41").replace(_GOOD.encode(), "|".join(fields).encode())
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")


async def test_row_41_a_code_in_a_pr1_of_that_ft1_is_enough__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    sent = dft("C41", [FEE], RUTH, "PR1|1||99213^OFFICE VISIT^C4").replace(b"|CG|99213^OFFICE VISIT^C4|", b"|CG||")
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")


# -- 43 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_43_a_charge_of_an_unknown_patient_waits_and_leaves_in_the_registrations_commit__any(
    opened: Opening, setup: str
) -> None:
    practice = await opened(setup)
    first, second = dft("C43"), dft("C44", [Fee("T-2")])
    await practice.accepted("emr", first, second)
    assert practice.decided("C43") == ("held", "#43")
    assert practice.holds() == ["patient:PM:7050"] * 2
    assert practice.charges() == [("T-1", "held"), ("T-2", "held")]
    practice.assert_kept_back(first, second)
    owner = practice.patients
    await practice.accepted(owner, adt("REG", "A28", sender=owner))
    # The registration's AA is here, so its commit is on disk: what waited must be in that same commit, the oldest first.
    assert (practice.state("C43"), practice.state("C44")) == ("accepted", "accepted")
    assert practice.holds() == []
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent")]
    patient = practice.patient("7050")
    assert patient is not None
    assert {row["subject"] for row in practice.rows("SELECT subject FROM charge")} == {patient["subject"]}
    for sent in (first, second):
        await practice.assert_relayed(sent, "pm")
    charges = [payload for payload in practice.desk["pm"].payloads if b"|DFT^P03|" in payload]
    assert [segments(payload, b"FT1")[0].split(b"|")[2] for payload in charges] == [b"T-1", b"T-2"]


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_43_the_registration_may_come_in_the_same_packet__any(opened: Opening, setup: str) -> None:
    practice = await opened(setup)
    owner = practice.patients
    charge, line = dft("C43"), await practice.line("emr")
    if owner == "emr":
        answers = await line.pipeline(charge, adt("REG", "A28", sender="emr"))
        assert [b"|AA|" in answer for answer in answers] == [True, True]
    else:
        await practice.accepted("emr", charge)
        await practice.accepted("pm", adt("REG", "A28"))
    assert practice.state("C43") == "accepted"
    await practice.assert_relayed(charge, "pm")


async def test_row_43_neighbours_do_not_wait_with_it__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C43", who=replace(RUTH, id="7099")), dft("C44", [Fee("T-2")], OSCAR))
    assert (practice.state("C43"), practice.state("C44")) == ("held", "accepted")


async def test_row_43_the_same_charge_twice_in_custody_leaves_once__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    first, again = dft("C43"), dft("C44")
    await practice.accepted("emr", first, again)
    await practice.accepted("pm", adt("REG", "A28"))
    assert (practice.state("C43"), practice.state("C44")) == ("accepted", "ignored")
    assert practice.charges() == [("T-1", "sent")]
    await practice.assert_relayed(first, "pm")
    practice.assert_kept_back(again)


# -- 48, 49 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_48_the_same_charge_in_a_new_message_has_no_second_effect__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    sent, again = dft("C48"), dft("C49", [replace(FEE)], sent="20260105173000").replace(b"|B1|", b"|B2|")
    await practice.accepted("emr", sent, again)
    assert practice.decided("C49") == ("ignored", "#48")
    assert practice.charges() == [("T-1", "sent")]
    await practice.assert_relayed(sent, "pm")
    practice.assert_kept_back(again)


async def test_row_48_of_a_dft_only_the_new_charges_leave__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C48"))
    mixed = dft("C49", [FEE, Fee("T-2", "90460", "30.00")], version="2.5.1")
    reply = await practice.accepted("emr", mixed)
    assert reply.warnings == ["W01"]
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent")]
    payload = await practice.copy_of(mixed, "pm")
    without = b"\r".join(line for line in mixed.split(b"\r") if not line.startswith(b"FT1|1|"))
    assert payload == relayed(without, payload.split(b"|")[9].decode())


async def test_row_48_the_same_number_on_another_patient_is_another_charge__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    first, second = dft("C48"), dft("C49", who=OSCAR)
    await practice.accepted("emr", first, second)
    assert practice.charges() == [("T-1", "sent"), ("T-1", "sent")]
    await practice.assert_relayed(second, "pm")


@pytest.mark.parametrize("change", [{"amount": "150.00"}, {"code": "99214"}, {"date": "20260104"}, {"units": "2"}])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_49_another_content_under_a_known_number_is_held__any(
    opened: Opening, setup: str, change: dict[str, str]
) -> None:
    practice = await registered(opened, setup)
    await practice.accepted("emr", dft("C49"))
    changed = dft("C50", [replace(FEE, **change)])
    await practice.accepted("emr", changed)
    assert practice.decided("C50") == ("held", "#49"), practice.journal("C50")["reason"]
    assert practice.charges() == [("T-1", "sent"), ("T-1", "held")]
    practice.assert_kept_back(changed)


# -- 50, 51, 52 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_50_a_credit_leaves_strictly_after_the_originals_answer__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup, PM_CONNECTIONS="4")
    await practice.quiet()
    before = len(practice.desk["pm"].messages)
    practice.desk["pm"].script.extend([close, refuse("AR", 206), accept])
    charge, credit = dft("C50"), dft("C51", [replace(FEE, kind="CD")])
    await practice.accepted("emr", charge, credit)
    assert practice.decided("C51") == ("accepted", "#50")
    await practice.assert_relayed(credit, "pm")
    kinds = [segments(payload, b"FT1")[0].split(b"|")[6] for payload in practice.desk["pm"].payloads[before:]]
    assert kinds == [b"CG", b"CG", b"CG", b"CD"]


@pytest.mark.parametrize("setup", SETUPS)
async def test_row_51_a_credit_of_an_unknown_charge_waits_for_the_charge__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    credit, charge = dft("C51", [replace(FEE, kind="CD")]), dft("C52")
    await practice.accepted("emr", credit)
    assert practice.decided("C51") == ("held", "#51")
    assert practice.holds() == ["charge:T-1"]
    assert practice.charges() == [("T-1", "held")]
    practice.assert_kept_back(credit)
    await practice.accepted("emr", charge)
    assert (practice.state("C52"), practice.state("C51")) == ("accepted", "accepted")
    assert practice.holds() == []
    for sent in (charge, credit):
        await practice.assert_relayed(sent, "pm")
    kinds = [segments(payload, b"FT1")[0].split(b"|")[6] for payload in practice.desk["pm"].payloads if b"FT1|" in payload]
    assert kinds == [b"CG", b"CD"]


async def test_row_51_delays_later_charges_of_that_patient_only__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    credit = dft("C51", [replace(FEE, kind="CD")])
    later, neighbour, awaited = dft("C52", [Fee("T-2")]), dft("C53", [Fee("T-3")], OSCAR), dft("C54")
    await practice.accepted("emr", credit, later, neighbour)
    assert [practice.state(number) for number in ("C51", "C52", "C53")] == ["held", "held", "accepted"]
    await practice.accepted("emr", awaited)
    assert [practice.state(number) for number in ("C51", "C52", "C54")] == ["accepted"] * 3
    assert practice.holds() == []
    for sent in (awaited, credit, later):
        await practice.assert_relayed(sent, "pm")


async def test_row_51_another_patients_charge_of_that_number_releases_nothing__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C51", [replace(FEE, kind="CD")]), dft("C52", who=OSCAR))
    assert (practice.state("C51"), practice.state("C52")) == ("held", "accepted")


@pytest.mark.parametrize("kind", ["PY", "AJ"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_52_payments_and_adjustments_are_a_billers__any(opened: Opening, setup: str, kind: str) -> None:
    practice = await registered(opened, setup)
    sent = dft("C52", [FEE, Fee("T-2", kind=kind)])
    await practice.accepted("emr", sent)
    assert practice.decided("C52") == ("held", "#52")
    assert practice.charges() == [("T-1", "held"), ("T-2", "held")]  # one unit: the good charge waits with it
    practice.assert_kept_back(sent)


# -- 55, 56 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("trigger", ["P03", "P11"])
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_55_the_pm_sends_no_charges__any(opened: Opening, setup: str, trigger: str, version: str) -> None:
    practice = await registered(opened, setup)
    sent = dft("A55", sender="pm", trigger=trigger, version=version)
    assert_refused(await practice.send("pm", sent), "AR", "C02", (200, 201))
    assert practice.decided("A55") == ("rejected", "#55")
    practice.assert_kept_back(sent)


CLAIMS = ("BAR^P01", "BAR^P02", "BAR^P05", "BAR^P06", "BAR^P10", "BAR^P12", "EHC^E01", "EHC^E02")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("event", CLAIMS)
@pytest.mark.parametrize("side", ["pm", "emr"])
async def test_row_56_no_claim_and_no_superbill_passes__any(opened: Opening, side: Side, event: str, version: str) -> None:
    practice = await registered(opened, EMR_OWNS if side == "pm" else PM_OWNS)
    sent = message(event, "X56", "EVN|P01|20260105", "PID|1||7050^^^PM^MR", sender=side, version=version)
    assert_refused(await practice.send(side, sent), "AR", "C03", (200, 201))
    assert practice.decided("X56") == ("rejected", "#56")
    practice.assert_kept_back(sent)


# -- 45 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("setup", SETUPS)
async def test_row_45_services_before_the_chart_was_inactivated_are_billed_and_later_ones_wait_for_its_return__any(
    opened: Opening, setup: str, version: str
) -> None:
    practice = await registered(opened, setup)
    side = practice.patients
    await practice.accepted(side, adt("GONE", "A29", RUTH, sender=side, sent="20260110120000"))
    before = dft("C1", [Fee("T-1", date="20260109")], RUTH, version=version)
    reply = await practice.accepted("emr", before)
    assert practice.decided("C1") == ("accepted", "#45")
    assert reply.warnings == ([""] if version == "2.5.1" else [])
    await practice.assert_relayed(before, "pm")
    after = dft("C2", [Fee("T-2", date="20260110")], RUTH, version=version)
    await practice.accepted("emr", after)
    assert practice.decided("C2") == ("held", "#45")
    assert practice.holds() == ["patient:PM:7050"]
    await practice.accepted(side, adt("BACK", "A28", RUTH, sender=side, sent="20260111080000"))
    assert practice.state("C2") == "accepted"
    await practice.assert_relayed(after, "pm")
