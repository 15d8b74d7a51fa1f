"""A person says whose a held message is (decisions 11): it is judged again as if it had named that patient."""

from __future__ import annotations

from typing import Any

import pytest

from ophl7.domain.identifiers import Identifier
from ophl7.engine.acts import Done, NotDone
from ophl7.hl7v2.message import Message
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, siu
from tests.unit.engine.test_unmerging import a40

ADA, BEA = "7050^^^PM^MR~E-0^^^EMR^MR", "7051^^^PM^MR~E-1^^^EMR^MR"
TO_BEA = Identifier("PM", "7051")


async def two(desk: Desk) -> None:
    assert await desk.send("pm", adt("R0", ids=ADA), adt("R1", ids=BEA)) == ["AA", "AA"]


async def copy_of(desk: Desk, control_id: str) -> tuple[str, Any]:
    """PID of the copy as it would leave, and its row."""
    (row,) = [row for row in desk.memory.deliveries.values() if desk.memory.journal[row.message].control_id == control_id]
    found = Message.parse(await desk.memory.body_of(row.id)).first("PID")
    assert found is not None
    return "|".join(found.field(number) for number in (2, 3, 4)), row


def patient(desk: Desk, value: str) -> Any:  # noqa: ANN401 - a Patient
    return desk.memory.patients[desk.memory.aliases["PM", value]]


async def test_row_43_a_charge_for_an_id_that_nobody_has_is_taken_for_the_patient_whose_it_is() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("emr", dft("C1", ft1("T1"), ids="7501^^^PM^MR"))
        done = await desk.act("redirect", "C1", patient=TO_BEA)
        assert isinstance(done, Done)
        assert (done.how, done.state, done.waits_for) == ("redirected", "accepted", ())
        shown, row = await copy_of(desk, "C1")
        assert shown == "|7051^^^PM^MR|"
        assert row.lane == patient(desk, "7051").lane
        journal = desk.journal("C1")
        assert (journal.state, journal.subject) == ("accepted", patient(desk, "7051").subject)
        assert b"7501" in journal.raw  # the original is what came
        assert "another patient" in journal.reason
        ((charge, _),) = desk.memory.charges.values()
        assert (charge.state, charge.subject) == ("sent", patient(desk, "7051").subject)
        (audited,) = desk.memory.audit
        number = patient(desk, "7051").id
        assert (audited.action, audited.target) == ("redirect-hold", f"hold 1 of message 3, to patient {number}")


async def test_row_10_ids_of_two_patients_become_one() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send(
            "emr", message(msh("DFT^P03", "C1"), f"PID|1|7050|{BEA}~7050^^^PM^MR|7050|Rivers^Ada||20150412", ft1("T1"))
        )
        assert desk.waits_for("C1")[0].startswith("identity:")
        assert isinstance(await desk.act("redirect", "C1", patient=TO_BEA), Done)
        assert (await copy_of(desk, "C1"))[0] == "|7051^^^PM^MR|"


async def test_row_45_a_charge_of_an_inactive_chart_is_billed_under_another_one() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("pm", adt("GONE", "A29", ids=ADA))
        await desk.send("emr", dft("C1", ft1("T1"), ids="E-0^^^EMR^MR"))
        assert isinstance(await desk.act("redirect", "C1", patient=Identifier("EMR", "E-1")), Done)
        assert (await copy_of(desk, "C1"))[0] == "|7051^^^PM^MR|"  # as its receiver knows the patient


async def test_a_redirected_charge_goes_on_to_the_survivor_of_its_receiver_and_back_when_that_is_taken_apart() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("pm", a40("M1", "7051", "7050"))
        await desk.send("emr", dft("C1", ft1("T1"), ids="7501^^^PM^MR"))
        assert isinstance(await desk.act("redirect", "C1", patient=TO_BEA), Done)
        assert (await copy_of(desk, "C1"))[0] == "|7050^^^PM^MR|"
        await desk.unmerge(1, "pm")
        assert (await copy_of(desk, "C1"))[0] == "|7051^^^PM^MR|"


async def test_row_31_a_booking_is_taken_for_another_patient() -> None:
    async with Desk(patient_authority="pm", schedule_authority="emr") as desk:
        await two(desk)
        await desk.send("emr", siu("S1", ids="E-9^^^EMR^MR"))
        assert desk.waits_for("S1") == ["patient:EMR:E-9"]
        assert isinstance(await desk.act("redirect", "S1", patient=TO_BEA), Done)
        (appointment,) = desk.memory.appointments.values()
        assert appointment.patient == patient(desk, "7051").id
        assert (await copy_of(desk, "S1"))[0] == "|7051^^^PM^MR|"


async def test_all_else_is_judged_as_always_also_when_it_is_judged_once_more() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("emr", dft("C1", ft1("T1", kind="PY"), ids="7501^^^PM^MR"))
        assert sorted(desk.waits_for("C1")) == ["patient:PM:7501", "payment:T1"]
        done = await desk.act("redirect", "C1", "patient:", patient=TO_BEA)
        assert isinstance(done, Done)
        assert (done.state, done.waits_for) == ("held", ("payment:T1",))
        assert isinstance(await desk.act("release", "C1", "payment:"), Done)
        assert (await copy_of(desk, "C1"))[0] == "|7051^^^PM^MR|"


async def test_it_is_his_also_after_a_restart() -> None:
    store = MemoryStore()
    async with Desk(store=store) as desk:
        await two(desk)
        await desk.send("emr", dft("C1", ft1("T1", kind="PY"), ids="7501^^^PM^MR"))
        await desk.act("redirect", "C1", "patient:", patient=TO_BEA)
    async with Desk(store=store) as desk:
        assert isinstance(await desk.act("release", "C1", "payment:"), Done)
        assert (await copy_of(desk, "C1"))[0] == "|7051^^^PM^MR|"


@pytest.mark.parametrize("event", ["A08", "A28"])
async def test_a_registration_of_somebody_else_is_redirected_to_nobody(event: str) -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("pm", adt("X1", event, ids="7050^^^PM^MR", name="Rivers^Bea", born="20180101", sex="M"))
        refused = await desk.act("redirect", "X1", patient=TO_BEA)
        assert isinstance(refused, NotDone)
        assert (refused.still_open, "says who somebody is" in refused.reason) == (True, True)
        assert desk.memory.audit == []


async def test_nobody_and_the_same_patient_are_no_other() -> None:
    async with Desk() as desk:
        await two(desk)
        await desk.send("emr", dft("C1", ft1("T1", kind="PY"), ids="7051^^^PM^MR"))
        for whose, words in ((Identifier("PM", "7999"), "nobody has this identifier"), (TO_BEA, "about this patient already")):
            refused = await desk.act("redirect", "C1", patient=whose)
            assert isinstance(refused, NotDone)
            assert words in refused.reason
        assert desk.waits_for("C1") == ["payment:T1"]


async def test_what_waited_behind_it_follows() -> None:
    async with Desk() as desk:
        await two(desk)
        credit = dft("CR", ft1("T7", kind="CD"), ids="7050^^^PM^MR")
        await desk.send("emr", dft("C0", ft1("T7"), ids="7051^^^PM^MR"), credit, dft("C1", ft1("T1"), ids="7050^^^PM^MR"))
        assert [desk.journal(one).state for one in ("C0", "CR", "C1")] == ["accepted", "held", "held"]
        done = await desk.act("redirect", "CR", patient=TO_BEA)
        assert isinstance(done, Done)
        assert (done.state, done.released) == ("accepted", 1)
        assert [desk.journal(one).state for one in ("CR", "C1")] == ["accepted", "accepted"]
        assert (await copy_of(desk, "C1"))[0] == "|7050^^^PM^MR|"


async def test_a_redirected_charge_that_waits_for_a_second_thing_is_his_also_when_that_clears_in_the_same_commit() -> None:
    """A charge that waits for another one, which the redirect itself lets go."""
    async with Desk() as desk:
        await two(desk)
        await desk.send("emr", dft("CR", ft1("T7", kind="CD"), ids="7501^^^PM^MR"))
        await desk.act("redirect", "CR", "patient:", patient=TO_BEA)
        assert desk.waits_for("CR") == ["charge:T7"]
        await desk.send("emr", dft("C0", ft1("T7"), ids="7051^^^PM^MR"))
        assert desk.journal("CR").state == "accepted"
        assert (await copy_of(desk, "CR"))[0] == "|7051^^^PM^MR|"
