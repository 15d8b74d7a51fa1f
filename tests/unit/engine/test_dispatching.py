"""What a person does with deliveries that wait, were refused, or got no answer, and with links (decisions 8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ophl7.domain.patient import Side
from ophl7.engine.dispatching import DeliveryAct, DeliveryVerb, Dispatch, Dispatched, LinkAct, LinkVerb, NotDispatched
from ophl7.engine.ids import Ids
from ophl7.engine.outlets import Outlets
from ophl7.engine.storage import OpenDelivery, PauseMark
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import LinkDown
from tests.unit.engine.links import Link, Peer, row


class Person:
    """Decides about the deliveries of one link; what he decides is committed, then told to the outbox."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.outlets = Outlets()
        self.outlets.add(link.box)
        self.dispatch = Dispatch(self.outlets.stop, link.clock.now, self._paused, lambda side: self.drained.get(side) or None)
        self.drained: dict[Side, str] = {}
        self.ids: Ids | None = None

    def _paused(self, side: Side) -> str | None:
        return self.outlets.paused(side) if side == self.link.box.destination else None

    async def does(self, verb: DeliveryVerb, number: int) -> Dispatched | NotDispatched:
        uow = await self._uow()
        done = await self.dispatch.carry_out(uow, DeliveryAct(verb, number, "anna", "the PM was called"))
        await self._commit(uow)
        return done

    async def switches(self, act: LinkAct) -> float | NotDispatched:
        uow = await self._uow()
        done = await self.dispatch.switch(uow, act)
        await self._commit(uow)
        self.drained |= {mark.destination: mark.reason for mark in uow.rows.pauses if mark.way == "drain"}
        return done

    async def _uow(self) -> UnitOfWork:
        if self.ids is None:
            self.ids = Ids(await self.link.store.open())
        return UnitOfWork(self.link.store, self.ids)

    async def _commit(self, uow: UnitOfWork) -> None:
        await self.link.store.commit(uow.rows)
        self.outlets.marked([*uow.rows.marks, *uow.rows.pauses])
        self.outlets.merged(uow.rows.united, uow.rows.rendered)
        self.outlets.thaw()


async def refused(link: Link, *others: int) -> Person:
    """The first delivery is parked, the others wait behind it."""
    await link.feed(row(1), *(row(number) for number in others))
    await link.quiet()
    assert link.marks[-1].state == "parked"
    return Person(link)


async def test_a_parked_delivery_that_is_sent_again_leaves_as_it_was_and_its_lane_goes_on() -> None:
    peer = Peer("AE 103")
    async with Link(peer) as link:
        person = await refused(link, 2)
        assert await person.does("retry", 1) == Dispatched(link.clock.moment, "queued", "D1")
        await link.quiet()
        assert peer.ids == ["D1", "D1", "D2"]
        assert peer.received[0] == peer.received[1]
        assert (link.box.status.queued, link.box.status.parked) == (0, 0)


async def test_one_that_is_sent_as_new_has_another_control_id_and_the_same_content() -> None:
    peer = Peer("AE 205")
    async with Link(peer) as link:
        person = await refused(link, 2)
        done = await person.does("renew", 1)
        assert isinstance(done, Dispatched)
        assert done.control_id not in {"", "D1", "D2"}
        await link.quiet()
        assert peer.ids == ["D1", done.control_id, "D2"]
        first, second = peer.received[0][1], peer.received[1][1]
        assert first.replace(b"|D1|", b"|X|") == second.replace(f"|{done.control_id}|".encode(), b"|X|")


@pytest.mark.parametrize(("verb", "state"), [("skip", "skipped"), ("close", "rejected")])
async def test_one_that_is_let_go_never_leaves_again_and_its_lane_goes_on(verb: DeliveryVerb, state: str) -> None:
    peer = Peer("AE 103")
    async with Link(peer) as link:
        person = await refused(link, 2)
        done = await person.does(verb, 1)
        assert isinstance(done, Dispatched)
        assert (done.state, done.control_id) == (state, "")
        await link.quiet()
        assert peer.ids == ["D1", "D2"]
        assert link.store.deliveries[1].state == state
        assert (link.box.status.queued, link.box.status.parked) == (0, 0)


async def test_one_behind_a_parked_one_can_be_skipped_while_that_one_waits() -> None:
    peer = Peer("AE 103")
    async with Link(peer) as link:
        person = await refused(link, 2, 3)
        assert isinstance(await person.does("skip", 2), Dispatched)
        assert isinstance(await person.does("retry", 1), Dispatched)
        await link.quiet()
        assert peer.ids == ["D1", "D1", "D3"]


async def test_what_is_being_sent_is_nobody_elses_to_decide() -> None:
    peer = Peer()
    peer.gate = asyncio.Event()
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.until(lambda: peer.received)
        person = Person(link)
        done = await person.does("skip", 1)
        assert isinstance(done, NotDispatched)
        assert not done.settled
        assert "being sent" in done.reason
        peer.gate.set()
        await link.quiet()
        assert [one.state for one in link.marks] == ["accepted"]
        assert link.store.audit == []


async def test_what_is_settled_waits_no_more() -> None:
    async with Link(Peer()) as link:
        await link.feed(row(1))
        await link.quiet()
        done = await Person(link).does("retry", 1)
        assert isinstance(done, NotDispatched)
        assert done.settled


@pytest.mark.parametrize(
    ("verb", "words"), [("renew", "nothing was refused"), ("close", "nothing was refused"), ("arrived", "unknown")]
)
async def test_what_only_waits_for_its_turn_is_not_sent_as_new_nor_closed_nor_said_to_have_arrived(
    verb: DeliveryVerb, words: str
) -> None:
    async with Link(Peer("AE 103")) as link:
        person = await refused(link, 2)
        done = await person.does(verb, 2)
        assert isinstance(done, NotDispatched)
        assert words in done.reason


async def test_every_decision_is_audited_with_who_and_why() -> None:
    async with Link(Peer("AE 103")) as link:
        person = await refused(link)
        await person.does("skip", 1)
        await person.switches(LinkAct("pause", "emr", "anna", "their server is moved"))
        assert [(one.actor, one.action, one.target, one.reason) for one in link.store.audit] == [
            ("anna", "skip-delivery", "delivery 1", "the PM was called"),
            ("anna", "pause-link", "link to the EMR", "their server is moved"),
        ]


# -- paused links ---------------------------------------------------------------------------------------------------------


async def test_nothing_leaves_over_a_paused_link_until_it_is_resumed() -> None:
    peer = Peer()
    async with Link(peer) as link:
        person = Person(link)
        await person.switches(LinkAct("pause", "emr", "anna", "their server is moved"))
        await link.feed(row(1), row(2))
        await link.quiet()
        assert peer.received == []
        assert (link.box.status.state, link.box.status.paused_because) == ("paused", "their server is moved")
        assert not link.box.status.by_itself
        assert await link.store.paused() == {"emr": PauseMark("emr", "their server is moved")}
        await person.switches(LinkAct("resume", "emr", "anna", "it is up"))
        await link.quiet()
        assert peer.ids == ["D1", "D2"]
        assert await link.store.paused() == {}
        assert [one[0] for one in link.told if one[0] in ("paused", "resumed")] == ["paused", "resumed"]


async def test_a_pause_of_the_other_destination_stops_nothing_here() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await Person(link).switches(LinkAct("pause", "pm", "anna", "x"))
        await link.feed(row(1))
        await link.quiet()
        assert peer.ids == ["D1"]


async def test_three_refusals_of_the_kind_in_a_row_pause_the_link_and_others_between_them_do_not() -> None:
    peer = Peer("AR 200", "AR 203", "AA", "AR 201", "AE 103", "AR 202", "AR 200", "AR 201")
    async with Link(peer) as link:
        await link.feed(*(row(number, lane=number) for number in range(1, 11)))
        await link.quiet()
        assert len(peer.received) == 8
        reason = "refused 3 times in a row as no message of that system (AR 201)"
        assert link.pauses == [PauseMark("emr", reason, by_itself=True)]
        assert (link.box.status.state, link.box.status.by_itself) == ("paused", True)
        assert link.box.status.queued == 2


# -- ON_TIMEOUT=review ----------------------------------------------------------------------------------------------------


async def test_with_review_the_disk_knows_before_the_first_byte_leaves() -> None:
    peer = Peer()
    async with Link(peer, review=True) as link:
        link.commits = False
        await link.feed(row(1))
        await link.until(lambda: link.marks)
        assert [(one.id, one.state) for one in link.marks] == [(1, "sending")]
        assert peer.received == []
        link.commits = True
        link.commit_marks()
        await link.quiet()
        assert peer.ids == ["D1"]
        assert [one.state for one in link.marks] == ["sending", "accepted"]


@pytest.mark.parametrize("kind", ["timeout", "closed", "garbage", "foreign"])
async def test_with_review_silence_is_a_persons_to_settle_and_stops_its_lane_only(kind: str) -> None:
    peer = Peer(LinkDown(kind, "x"))
    async with Link(peer, review=True) as link:
        await link.feed(row(1), row(2), row(3, lane=9))
        await link.quiet()
        assert peer.ids == ["D1", "D3"]
        unknown = next(one for one in link.marks if one.state == "unknown")
        assert (unknown.id, unknown.answer) == (1, kind)
        person = Person(link)
        assert isinstance(await person.does("arrived", 1), Dispatched)
        await link.quiet()
        assert peer.ids == ["D1", "D3", "D2"]
        assert link.store.deliveries[1].state == "accepted"


async def test_with_review_nobody_listening_is_no_silence() -> None:
    peer = Peer(LinkDown("refused", "x"))
    async with Link(peer, review=True) as link:
        await link.feed(row(1))
        await link.quiet()
        assert {one.state for one in link.marks} == {"sending"}
        await link.wait(100)
        assert link.marks[-1].state == "accepted"


HEAD = OpenDelivery(1, "emr", 7, "record", "D1", "sending", 0, None, 0.0)


@pytest.mark.parametrize(("reachable", "sent"), [(True, []), (False, ["D1"])])
async def test_with_review_what_was_on_its_way_at_a_crash_is_unknown_and_not_sent_again(
    reachable: bool, sent: list[str]
) -> None:
    peer = Peer()
    link = Link(peer, review=True)
    await link.feed(row(1), row(2, lane=9))
    fresh = Link(peer, review=True, store=link.store)
    fresh.box.start([HEAD, replace(HEAD, id=2, lane=9, control_id="D2", state="queued")], reachable=reachable)
    async with fresh:
        await fresh.quiet()
        assert sorted(peer.ids) == sorted([*sent, "D2"])
        assert fresh.box.status.parked == (0 if sent else 1)


class Swallowed(Peer):
    """A peer whose connection hangs until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_of_connect = asyncio.Event()
        self.asked = 0

    @property
    def connected(self) -> bool:
        return self.gate_of_connect.is_set()

    async def connect(self) -> None:
        self.asked += 1
        await self.gate_of_connect.wait()


async def test_what_waits_for_a_connection_that_hangs_can_be_skipped_and_never_leaves() -> None:
    peer = Swallowed()
    async with Link(peer) as link:
        await link.feed(row(1), row(2))
        await link.until(lambda: peer.asked)
        person = Person(link)
        assert isinstance(await person.does("skip", 1), Dispatched)
        assert isinstance(await person.does("retry", 2), Dispatched)
        peer.gate_of_connect.set()
        await link.quiet()
        assert peer.ids == ["D2"]
        assert (link.box.status.queued, link.box.status.parked) == (0, 0)


# -- again under the same key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["pause", "drain"])
async def test_a_switch_that_comes_again_under_its_key_is_told_and_never_done_twice(first: LinkVerb) -> None:
    async with Link(Peer()) as link:
        person = Person(link)
        at = await person.switches(LinkAct(first, "emr", "anna", "moved", "K1"))
        await person.switches(LinkAct("resume", "emr", "anna", "back", "K2"))
        assert await person.switches(LinkAct(first, "emr", "anna", "moved", "K1")) == at, "resumed since; its answer was lost"
        assert (await link.store.paused(), await link.store.drained()) == ({}, {})
        assert [one.action for one in link.store.audit] == [f"{first}-link", "resume-link"]


async def test_a_key_of_another_switch_is_refused() -> None:
    async with Link(Peer()) as link:
        person = Person(link)
        await person.switches(LinkAct("pause", "emr", "anna", "moved", "K1"))
        for act in (LinkAct("drain", "emr", "anna", "x", "K1"), LinkAct("pause", "pm", "anna", "x", "K1")):
            refused = await person.switches(act)
            assert isinstance(refused, NotDispatched)
            assert "used for something else" in refused.reason
        assert (await link.store.paused(), await link.store.drained()) == ({"emr": PauseMark("emr", "moved")}, {})


async def test_a_drain_stops_nothing_that_leaves() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await Person(link).switches(LinkAct("drain", "emr", "anna", "an upgrade"))
        await link.feed(row(1))
        await link.quiet()
        assert peer.ids == ["D1"]
        assert await link.store.drained() == {"emr": "an upgrade"}
