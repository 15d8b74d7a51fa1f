"""decisions 5, #48 and #57, from socket to socket: the same charges again, whatever they look like then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ophl7.testing.peers import accept, refuse
from tests.acceptance.billing import charges_sent, decide, ledger, lines_sent, profile, registered
from tests.acceptance.messages import FEE, OSCAR, RUTH, Fee, adt, dft, merged, relayed
from tests.acceptance.practice import EMR_OWNS, PM_OWNS, Opening

pytestmark = pytest.mark.timeout(30)

BOTH = (PM_OWNS, EMR_OWNS)
ID, KIND, CODE = 2, 6, 7

SHOTS = (FEE, Fee("T-2", "90460", "30.00"), Fee("T-3", "90700", "0.00"))


# -- 48: five disguises ---------------------------------------------------------------------------------------------------

NEW_ID = dft("C2", SHOTS, sent="20260105180000")
OTHER_ORDER = dft("C2", tuple(reversed(SHOTS)), sent="20260105180000")
BATCH = (
    b"FHS|^~\\&|EMR\rBHS|^~\\&|EMR\r" + dft("C2", SHOTS[:1]) + dft("C3", SHOTS[1:], sent="20260105180000") + b"BTS|2\rFTS|1\r"
)
POSTED_LATER = NEW_ID.replace(b"|B1|20260105|20260105|", b"|B9|20260105|20260109|")


@pytest.mark.parametrize("again", [dft("C1", SHOTS), NEW_ID, OTHER_ORDER, BATCH, POSTED_LATER])
@pytest.mark.parametrize("setup", BOTH)
async def test_row_48_a_dft_that_comes_again_in_any_disguise_bills_once__any(opened: Opening, setup: str, again: bytes) -> None:
    practice = await registered(opened, setup)
    first = dft("C1", SHOTS)
    await practice.accepted("emr", first)
    (copy,) = practice.deliveries("C1")
    line = await practice.line("emr")
    answer = await line.send(again)
    assert b"|AE|" not in answer
    assert b"|AR|" not in answer
    await practice.quiet()
    assert charges_sent(practice) == [relayed(first, copy["control_id"])]
    assert practice.charges() == [("T-1", "sent"), ("T-2", "sent"), ("T-3", "sent")]
    assert practice.holds() == []


@pytest.mark.parametrize("setup", BOTH)
async def test_row_48_also_after_a_restart__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    await practice.accepted("emr", dft("C1", SHOTS))
    await practice.quiet()
    await practice.broker.stop()
    again = await opened(setup)  # the same database
    await again.accepted("emr", NEW_ID, dft("C1", SHOTS))
    assert again.state("C2") == "ignored"
    assert again.state("C1") == "duplicate"
    assert len(again.rows("SELECT 1 FROM delivery WHERE stream = 'charges'")) == 1


async def test_row_48_of_known_and_new_charges_only_the_new_ones_leave__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C1", SHOTS))
    mixed = dft("C2", (SHOTS[2], Fee("T-4"), SHOTS[0]), version="2.5.1")
    assert (await practice.accepted("emr", mixed)).warnings == ["W01"]
    await practice.quiet()
    assert [number for (number,) in lines_sent(practice, ID)] == ["T-1", "T-2", "T-3", "T-4"]


# -- 57 -------------------------------------------------------------------------------------------------------------------


def nameless(*fees: Fee) -> list[Fee]:
    return [replace(fee, id="") for fee in fees]


def numbered(*fees: Fee) -> list[Fee]:
    """FT1-2 = FT1-1 throughout."""
    return [replace(fee, id=str(number)) for number, fee in enumerate(fees, 1)]


def alike(*fees: Fee) -> list[Fee]:
    """One value on all FT1 of a message."""
    return [replace(fee, id="T") for fee in fees]


WAYS = (nameless, numbered, alike)
PAIR = (FEE, Fee("T-2", "90460", "30.00"))
Way = Callable[..., list[Fee]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("setup", BOTH)
async def test_row_57_the_same_charges_without_a_number_again_are_a_billers__any(opened: Opening, setup: str, way: Way) -> None:
    practice = await registered(opened, setup)
    first, again = dft("C1", way(*PAIR)), dft("C2", way(*reversed(PAIR)), sent="20260105180000")
    await practice.accepted("emr", first, again)
    number = practice.journal("C1")["id"]
    assert practice.decided("C1") == ("accepted", "#40")
    assert practice.decided("C2") == ("held", "#57")
    assert practice.holds() == [f"repeat:{number}"]
    assert [row["state"] for row in ledger(practice)] == ["sent", "sent", "held", "held"]
    practice.assert_kept_back(again)
    await practice.assert_relayed(first, "pm")


@pytest.mark.parametrize(
    "other",
    [
        dft("C2", nameless(FEE)),  # one of the two
        dft("C2", nameless(*PAIR, PAIR[1])),  # one of them twice
        dft("C2", nameless(PAIR[0], replace(PAIR[1], amount="31.00"))),
        dft("C2", nameless(*(replace(fee, date="20260104") for fee in PAIR))),
        dft("C2", nameless(*PAIR), OSCAR),
        dft("C2", nameless(*PAIR)).replace(b"PV1|1|O", b"PV1|1|O" + b"|" * 17 + b"V-2"),
        dft("C2", PAIR),  # named this time: FT1-2 tells them apart
    ],
)
async def test_row_57_any_other_set_passes__any(opened: Opening, other: bytes) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C1", nameless(*PAIR)), other)
    assert practice.state("C2") == "accepted"
    await practice.copy_of(other, "pm")


@pytest.mark.parametrize("setup", BOTH)
async def test_row_57_two_in_one_batch_and_one_after_a_restart_are_seen__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    line = await practice.line("emr")
    await line.pipeline(dft("C1", nameless(*PAIR)), dft("C2", nameless(*PAIR)))
    assert [practice.state(number) for number in ("C1", "C2")] == ["accepted", "held"]
    await practice.quiet()
    await practice.broker.stop()
    again = await opened(setup)
    await again.accepted("emr", dft("C3", nameless(*PAIR)))
    assert again.decided("C3") == ("held", "#57")


@pytest.mark.parametrize("setup", BOTH)
async def test_row_57_a_biller_sends_it_or_lets_it_go__any(opened: Opening, setup: str) -> None:
    practice = await registered(opened, setup)
    first, second, third = (dft(number, nameless(*PAIR)) for number in ("C1", "C2", "C3"))
    await practice.accepted("emr", first, second, third)
    assert (await decide(practice, "release", "C2", "repeat:"))["state"] == "accepted"
    await decide(practice, "discard", "C3", "repeat:")
    await practice.assert_relayed(second, "pm")
    assert [row["state"] for row in ledger(practice)] == ["sent", "sent", "sent", "sent", "cancelled", "cancelled"]
    assert len(charges_sent(practice)) == 2
    assert [row["action"] for row in practice.rows("SELECT action FROM audit ORDER BY id")] == ["release-hold", "discard-hold"]


async def test_row_57_what_was_refused_or_discarded_is_repeated_by_nothing__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    bad = dft("C1", nameless(FEE, replace(PAIR[1], amount="x")))
    assert b"|AE|" in (await practice.send("emr", bad)).raw
    await practice.accepted("emr", dft("C2", nameless(*PAIR)))
    assert practice.state("C2") == "accepted"
    # The first waits for his patient, the second repeats it; when a person lets the first go, the second is the first.
    stranger = replace(RUTH, id="7099")
    waits, again = dft("C3", nameless(*PAIR), stranger), dft("C4", nameless(*PAIR), stranger)
    await practice.accepted("emr", waits, again)
    number = practice.journal("C3")["id"]
    assert practice.holds() == ["patient:PM:7099", "patient:PM:7099", f"repeat:{number}"]
    await decide(practice, "discard", "C3", "patient:")
    assert practice.holds() == ["patient:PM:7099"]
    await practice.accepted("pm", adt("REG7099", "A28", stranger))
    assert practice.state("C4") == "accepted"
    await practice.assert_relayed(again, "pm")


async def test_row_57_what_waits_for_its_patient_goes_first_and_its_repetition_stays__any(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    first, again = dft("C1", nameless(*PAIR)), dft("C2", nameless(*PAIR))
    await practice.accepted("emr", first, again)
    await practice.accepted("pm", adt("REG", "A28"))
    assert [practice.state(number) for number in ("C1", "C2")] == ["accepted", "held"]
    assert practice.holds() == [f"repeat:{practice.journal('C1')['id']}"]
    await practice.assert_relayed(first, "pm")


async def test_row_57_charts_that_were_merged_are_one_patient__any(opened: Opening) -> None:
    practice = await registered(opened, PM_OWNS)
    await practice.accepted("emr", dft("C1", nameless(*PAIR), OSCAR))
    await practice.accepted("pm", merged("M1", (OSCAR, RUTH)))
    await practice.accepted("emr", dft("C2", nameless(*PAIR), RUTH))
    assert practice.decided("C2") == ("held", "#57")


# -- supplied ids (#40) ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setup", BOTH)
async def test_row_40_an_empty_number_is_supplied_when_the_profile_asks_and_nothing_else_is__any(
    opened: Opening, setup: str, tmp_path: Path
) -> None:
    practice = await registered(opened, setup, **profile(tmp_path, "emr", "supply_ids = true"))
    practice.desk["pm"].script.extend([accept, accept, refuse("AR", 206), accept] if setup == EMR_OWNS else [])
    sent = dft("C1", [FEE, *nameless(*PAIR)])
    await practice.accepted("emr", sent)
    payload = await practice.copy_of(sent, "pm")
    (_,), (one,), (two,) = lines_sent(practice, ID)
    assert len({one, two, ""}) == 3
    assert len(one) <= 12
    expected = sent.replace(b"FT1|2||", f"FT1|2|{one}|".encode()).replace(b"FT1|3||", f"FT1|3|{two}|".encode())
    assert payload == relayed(expected, payload.split(b"|")[9].decode())
    assert practice.charges() == [("T-1", "sent"), (one, "sent"), (two, "sent")]


async def test_row_40_the_same_message_is_always_given_the_same_number_and_another_one_another__any(
    opened: Opening, tmp_path: Path
) -> None:
    practice = await opened(PM_OWNS, **profile(tmp_path, "emr", "supply_ids = true"))
    waits = dft("C1", nameless(FEE))
    await practice.accepted("emr", waits)  # for its patient, so it is judged twice
    ((number, _),) = practice.charges()
    await practice.accepted("pm", adt("REG", "A28"))
    await practice.copy_of(waits, "pm")
    assert lines_sent(practice, ID) == [(number,)]
    again = dft("C2", nameless(FEE))
    await practice.accepted("emr", again)
    assert practice.decided("C2") == ("held", "#57")  # a number of ours does not hide a repetition
    await decide(practice, "release", "C2", "repeat:")
    await practice.copy_of(again, "pm")
    assert lines_sent(practice, ID)[1] != (number,)


@pytest.mark.parametrize("way", [numbered, alike])
async def test_row_40_a_number_that_is_there_is_never_replaced__any(opened: Opening, way: Way, tmp_path: Path) -> None:
    practice = await registered(opened, PM_OWNS, **profile(tmp_path, "emr", "supply_ids = true"))
    sent = dft("C1", way(*PAIR))
    await practice.accepted("emr", sent)
    await practice.assert_relayed(sent, "pm")
