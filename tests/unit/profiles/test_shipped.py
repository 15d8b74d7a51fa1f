"""A message as the page describes it that a shipped profile is written from, and what becomes of it."""

from __future__ import annotations

import pytest

from ophl7 import settings
from ophl7.practice import policy_from
from ophl7.profiles.reading import read, shipped
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid, siu


def desk(*, pm: str = "generic", emr: str = "generic", **more: str) -> Desk:
    """A practice with these products."""
    chosen = {"OPHL7_PM_PROFILE": pm, "OPHL7_EMR_PROFILE": emr, "OPHL7_TIMEZONE": "America/New_York"}
    policy = policy_from(settings.load(chosen | {f"OPHL7_{name}": value for name, value in more.items()}))
    return Desk(peers=policy.peers, patient_authority=policy.patient_authority, schedule_authority=policy.schedule_authority)


def left(one: Desk, control_id: str) -> list[str]:
    """The segments of the copy of that message."""
    ((row, body),) = [(row, body) for row, body in one.seen.fed if one.memory.journal[row.message].control_id == control_id]
    return (body if body is not None else one.memory.journal[row.message].raw).decode().split("\r")


def test_nothing_is_shipped_for_products_whose_layouts_nobody_has_published() -> None:
    products = " ".join(read(name).about.product for name in shipped())
    assert not {"PCC", "Office Practicum"} & {name for name in ("PCC", "Office Practicum") if name in products}


@pytest.mark.parametrize("name", [name for name in shipped() if name != "generic"])
def test_every_profile_says_that_it_was_not_verified(name: str) -> None:
    about = read(name).about
    assert about.product
    assert about.note.startswith("not verified against the product")


@pytest.mark.parametrize("name", ["medicware", "unicharts"])
async def test_an_emr_that_sends_its_charges_again_bills_them_once(name: str) -> None:
    async with desk(emr=name) as one:
        await one.send("pm", adt("REG", "A28"))
        assert await one.send("emr", dft("C1", ft1("T-1")), dft("C2", ft1("T-1"))) == ["AA", "AA"]
        assert one.delivered == ["REG", "C1"]
        assert one.journal("C2").row == "#48"


async def test_pmdsofts_password_reaches_the_pm_and_no_column_of_the_journal() -> None:
    sent = dft("C1", ft1("T-1")).replace(b"|20240301100000||", b"|20240301100000|HUSH|", 1)
    async with desk(emr="pmdsoft") as one:
        await one.send("pm", adt("REG", "A28"))
        assert await one.send("emr", sent.replace(b"|P|2.5", b"|P|2.5|||NE|NE")) == ["AA"]
        assert "|HUSH|" in left(one, "C1")[0]
        row = one.journal("C1")
        assert "HUSH" not in f"{row.reason}{row.detail}{row.answer}"


@pytest.mark.parametrize("name", ["powersoftmd", "intellect"])
async def test_a_pm_whose_control_id_is_the_minute_may_book_twice_in_it(name: str) -> None:
    async with desk(pm=name) as one:
        await one.send("pm", adt("REG", "A28"))
        first, second = siu("202403011000", "F1"), siu("202403011000", "F2", start="20240306100000")
        assert await one.send("pm", first, second, second) == ["AA", "AA", "AA"]
        assert one.states == ["accepted", "accepted", "accepted", "duplicate"]


async def test_officeemr_hears_of_no_version_that_it_refuses() -> None:
    async with desk(emr="isalus") as one:
        await one.send("pm", adt("REG", "A28").replace(b"|P|2.5\r", b"|P|2.5.1\r"))
        assert left(one, "REG")[0].endswith("|P|2.4")


async def test_ecw_as_pm_gets_charges_in_its_version() -> None:
    async with desk(pm="ecw") as one:
        sent = message(
            msh("ADT^A04", "REG"), "EVN||20240301100000", pid("E7", rest="").replace("||E7||", "|900|E7^^^PM^MR|5501|")
        )
        assert await one.send("pm", sent) == ["AA"]
        await one.send("emr", dft("C1", ft1("T-1"), ids="5501^^^PM^MR"))
        assert left(one, "C1")[0].endswith("|P|2.3")


def test_nextgen_wants_a_changed_charge_as_an_update() -> None:
    charges = read("nextgen").charges
    assert (charges.corrections, charges.update_code, charges.void_code) == ("update", "AJ", "DT")
    assert charges.payment == {"PY"}
