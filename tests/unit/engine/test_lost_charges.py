"""A charge that the PM refuses for good, or a person skips: what waits behind it to take it back does not leave (#50)."""

from __future__ import annotations

import pytest

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import ChargeRules, Profile
from ophl7.engine.lost_charges import CHARGE_LOST
from ophl7.engine.storage import DeliveryMark, DeliveryState
from tests.unit.engine.desk import Desk, adt, dft, ft1
from tests.unit.engine.links import Link, Peer, row

CREDIT = ft1("T1", kind="CD")
REPLACING = Profile(charges=ChargeRules(corrections="replace"))


def state_of(desk: Desk, control_id: str) -> list[str]:
    message = desk.journal(control_id).id
    return [one.state for _, one in sorted(desk.memory.deliveries.items()) if one.message == message]


def lose(desk: Desk, control_id: str, state: DeliveryState) -> None:
    """A person has decided so about the message's copy."""
    message = desk.journal(control_id).id
    (number,) = [one.id for one in desk.memory.deliveries.values() if one.message == message]
    desk.engine.mark(DeliveryMark(number, state, 1, None, "AE 101", desk.clock.moment))


@pytest.mark.parametrize("state", ["rejected", "skipped"])
@pytest.mark.parametrize("together", [True, False])
async def test_row_50_a_credit_that_waits_behind_a_lost_charge_is_parked(state: DeliveryState, together: bool) -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1")), dft("D0", ft1("T0")))
        if not together:
            await desk.send("emr", dft("D2", CREDIT), dft("D3", ft1("T9")))
        lose(desk, "D1", state)
        if together:  # the credit is judged in the very batch that brings the news
            desk.offer("emr", dft("D2", CREDIT))
            desk.offer("emr", dft("D3", ft1("T9")))
        await desk.settled()
        assert (state_of(desk, "D0"), state_of(desk, "D1")) == (["queued"], [state])
        assert (state_of(desk, "D2"), state_of(desk, "D3")) == (["parked"], ["queued"])
        parked = [one for one in desk.memory.marks.values() if one.state == "parked"]
        assert [one.answer for one in parked] == [CHARGE_LOST]
        if together:  # the outbox hears of the mark before it knows the copy: it must not take it for one that may leave
            (fed,) = [row.state for row, _ in desk.seen.fed if row.message == desk.journal("D2").id]
            assert fed == "parked"


async def test_row_50_also_the_void_that_we_made_and_the_new_charge_stays_behind_it() -> None:
    peers = {"pm": PeerPolicy("PM", profile=REPLACING), "emr": PeerPolicy("EMR")}
    async with Desk(peers=peers) as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T1", amount="1.00")))
        lose(desk, "D1", "rejected")
        await desk.settled()
        assert state_of(desk, "D2") == ["parked", "queued"]


async def test_row_50_what_took_back_an_accepted_charge_is_not_touched() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", CREDIT), dft("D3", ft1("T3")))
        lose(desk, "D1", "accepted")
        lose(desk, "D3", "rejected")
        await desk.settled()
        assert state_of(desk, "D2") == ["queued"]


async def test_what_is_parked_while_it_waits_stops_its_lane_there() -> None:
    peer = Peer("AE 101")
    async with Link(peer) as link:
        await link.feed(row(1, stream="charges"), row(2, stream="charges"), row(3, stream="charges"), row(4, lane=6))
        await link.quiet()
        assert peer.ids == ["D1", "D4"]
        for mark in (link.marks[0], DeliveryMark(2, "parked", 0, None, CHARGE_LOST, 0.0)):
            link.box.marked(mark)
        link.box.marked(DeliveryMark(2, "parked", 0, None, CHARGE_LOST, 0.0))  # twice is once
        assert link.box.status.parked == 2
        await link.wait(1e6)
        assert peer.ids == ["D1", "D4"]
