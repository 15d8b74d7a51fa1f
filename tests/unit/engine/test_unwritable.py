"""A value that we must put into a message and that does not fit its charset: that message waits, nothing else (#95)."""

from __future__ import annotations

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import CodeTable, Profile
from ophl7.engine.acts import NotDone
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid


async def test_a_value_that_the_senders_charset_lacks_holds_that_message_and_is_no_fault_of_a_part() -> None:
    """The owner's value stands where a foreign one stood (#5); no question mark does, and no listener is closed for it."""
    async with Desk() as desk:
        await desk.send("pm", adt("R1", "A28"))
        theirs = message(msh("ADT^A08", "E1"), "EVN||20240301100000", pid(), "AL1|1|DA|P^山")
        assert await desk.send("emr", theirs) == ["AA"]
        latin = message(msh("ADT^A08", "U1") + "||||||8859/1", "EVN||20240301100100", pid(), "AL1|1|DA|other")
        assert await desk.send("pm", latin) == ["AA"]
        assert desk.journal("U1").state == "held"
        assert desk.waits_for("U1") == ["unwritable:PM"]
        (hold,) = desk.memory.holds.values()
        assert "U+5C71" in hold.reason
        assert [one.failed for one in desk.seen.decisions] == ["", "", ""]
        # Released, it is tried again; once the owner's value fits, it goes on.
        assert isinstance(await desk.act("release", "U1"), NotDone)
        assert await desk.send("emr", theirs.replace("山".encode(), b"mountain").replace(b"E1", b"E2")) == ["AA"]
        assert not isinstance(await desk.act("release", "U1"), NotDone)
        assert desk.journal("U1").state == "accepted"


async def test_charges_of_that_patient_wait_behind_a_charge_whose_code_does_not_fit() -> None:
    table = CodeTable(("FT1-20",), {"D1": "山"})
    emr = PeerPolicy("EMR", profile=Profile(maps={"provider": table}))
    async with Desk(peers={"pm": PeerPolicy("PM"), "emr": emr}) as desk:
        await desk.send("pm", adt("R1", "A28"))
        latin = message(msh("DFT^P03", "D1") + "||||||8859/1", "EVN||20240301100000", pid(), ft1("T1") + "|" * 9 + "D1")
        assert await desk.send("emr", latin, dft("D2", ft1("T2"))) == ["AA", "AA"]
        assert desk.waits_for("D1") == ["unwritable:EMR"]
        assert desk.journal("D2").state == "held"
        assert desk.delivered == ["R1"]
