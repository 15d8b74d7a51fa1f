"""Messages that hl7apy has built from the structures of the standard, and our answers read by it."""

from __future__ import annotations

import pytest
from hl7apy.core import Group, Message, Segment
from hl7apy.parser import parse_message

from ophl7.testing.peers import Client
from tests.acceptance.messages import Side
from tests.integration.interop.conftest import Between, Foreign


def begun(structure: str, event: str, control_id: str) -> Message:
    """A message of that structure with its header."""
    message = Message(structure, version="2.5.1")
    values = {3: "HL7APY", 4: "TEST", 5: "OPHL7", 7: "20260105080000", 9: f"{event}^{structure}", 10: control_id, 11: "P"}
    for number, value in values.items():
        setattr(message.msh, f"msh_{number}", value)
    return message


def who(inside: Message | Group) -> None:
    """The patient."""
    pid: Segment = inside.add_segment("PID")
    for number, value in {3: "7050^^^PM^MR", 5: "ADAMSKI^RUTH", 7: "20180412", 8: "F"}.items():
        setattr(pid, f"pid_{number}", value)


def registration() -> Message:
    message = begun("ADT_A01", "ADT^A04", "APY1")
    message.evn.evn_2 = "20260105080000"
    who(message)
    message.pv1.pv1_2 = "O"
    return message


def booking() -> Message:
    message = begun("SIU_S12", "SIU^S12", "APY2")
    message.sch.sch_2 = "S-100"
    message.sch.sch_11 = "^^15^20260105093000^20260105094500"
    message.sch.sch_25 = "Booked"
    who(message.add_group("SIU_S12_PATIENT"))
    message.add_group("SIU_S12_RESOURCES").rgs.rgs_1 = "1"
    return message


def charge() -> Message:
    message = begun("DFT_P03", "DFT^P03", "APY3")
    message.evn.evn_2 = "20260105100000"
    who(message)
    ft1 = message.add_group("DFT_P03_FINANCIAL").add_segment("FT1")
    for number, value in {1: "1", 2: "T-1", 4: "20260105", 6: "CG", 7: "99213^^C4", 10: "1", 11: "125.00"}.items():
        setattr(ft1, f"ft1_{number}", value)
    return message


async def ask(foreign: Foreign, side: Side, message: Message) -> Message:
    """Sends it in the framing of hl7apy, and has hl7apy read the answer."""
    framed = message.to_mllp().encode()
    async with Client(*foreign.practice.address(side)) as client:
        await client.send_raw(framed)
        return parse_message((await client.read_answer()).decode())


async def test_registration_booking_and_charge_are_taken_and_delivered(between: Between) -> None:
    foreign = await between()
    sent: list[tuple[Side, Message]] = [("pm", registration()), ("pm", booking()), ("emr", charge())]
    for side, message in sent:
        answer = await ask(foreign, side, message)
        assert (answer.msa.msa_1.value, answer.msa.msa_2.value) == ("AA", message.msh.msh_10.value)
    await foreign.delivered("APY1", "APY2", "APY3")
    practice = foreign.practice
    assert practice.field("7050", "PID-5") == "ADAMSKI^RUTH"
    assert practice.appointment("S-100") is not None
    assert practice.charges() == [("T-1", "sent")]


@pytest.mark.parametrize(("event", "code", "error"), [("ADT^A04", "AE", "207"), ("DFT^P99", "AR", "201")])
async def test_our_refusals_conform_to_their_version(between: Between, event: str, code: str, error: str) -> None:
    foreign = await between()
    message = registration()
    message.msh.msh_9 = event
    answer = await ask(foreign, "emr", message)
    assert answer.msa.msa_1.value == code
    assert answer.err.err_3.err_3_1.value == error
    assert answer.validate()
