"""Delivery: lanes in order, the same bytes on every try, success only by the peer's own answer (decisions 8)."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.engine import at_hand
from ophl7.engine.link import LinkStatus
from ophl7.engine.outlets import Outlets
from ophl7.engine.storage import DeliveryMark, OpenDelivery, Rendering, Rows
from ophl7.errors import LinkDown
from ophl7.store.memory import MemoryStore
from tests.unit.engine.desk import adt
from tests.unit.engine.links import Link, Peer, Script, row
from tests.unit.store.records import delivery, journal, mark

REFUSED = LinkDown("refused", "nobody listens")


def timeout() -> LinkDown:
    return LinkDown("timeout", "no answer")


async def test_deliveries_of_a_lane_leave_in_order_with_our_control_id() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await link.feed(row(1), row(2), row(3))
        await link.until(lambda: len(link.marks) == 3)
        await link.quiet()
        assert peer.ids == ["D1", "D2", "D3"]
        assert all(f"|{control_id}|P".encode() in payload for control_id, payload in peer.received)
        assert [found.state for found in link.marks] == ["accepted"] * 3
        assert link.box.status == LinkStatus("up", 0, 0, None, None)


async def test_every_try_sends_the_same_bytes_and_control_id() -> None:
    peer = Peer(timeout(), LinkDown("garbage", "x"), "AE 207", LinkDown("foreign", "x"), "AE 206", "AA")
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        for _ in range(5):
            await link.wait(1000)
        assert len(peer.received) == 6
        assert len(set(peer.received)) == 1
        assert [found.state for found in link.marks] == ["queued"] * 5 + ["accepted"]
        assert [found.attempts for found in link.marks] == [1, 2, 3, 4, 5, 6]
        assert [found.answer for found in link.marks] == ["timeout", "garbage", "AE 207", "foreign", "AE 206", "AA"]


@pytest.mark.parametrize(
    ("said", "state"),
    [("CA", "accepted"), ("CE", "parked"), ("CR", "parked"), ("CE 206", "queued"), ("CE 207", "queued"), ("CR 203", "parked")],
)
async def test_a_peer_may_answer_in_enhanced_mode(said: str, state: str) -> None:
    peer = Peer(said)
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        assert [(found.state, found.answer) for found in link.marks] == [(state, said)]


async def test_a_try_waits_for_its_time_which_grows() -> None:
    peer = Peer(*(timeout() for _ in range(4)))
    async with Link(peer, first=10, longest=30) as link:
        await link.feed(row(1))
        await link.quiet()
        for number, seconds in enumerate((10, 20, 30), 1):
            assert link.marks[-1].next_at == link.clock.moment + seconds
            await link.wait(seconds - 1)
            assert len(peer.received) == number
            await link.wait(1)
            assert len(peer.received) == number + 1


async def test_the_next_of_a_lane_waits_until_the_mark_of_the_one_before_is_on_disk() -> None:
    peer = Peer()
    async with Link(peer) as link:
        link.commits = False
        await link.feed(row(1), row(2), row(3, lane=6))
        await link.quiet()
        assert peer.ids == ["D1", "D3"]
        link.commit_marks()
        await link.quiet()
        assert peer.ids == ["D1", "D3", "D2"]


@pytest.mark.parametrize(("said", "state"), [("AE 101", "parked"), ("AR 200", "parked"), ("AE", "parked"), ("AE 204", "held")])
async def test_a_refusal_stops_its_lane_and_nothing_else(said: str, state: str) -> None:
    peer = Peer(said)
    async with Link(peer) as link:
        await link.feed(row(1), row(2), row(3, stream="charges"), row(4, lane=6))
        await link.quiet()
        assert peer.ids == ["D1", "D3", "D4"]
        assert link.marks[0].state == state
        status = link.box.status
        assert (status.queued, status.parked, status.last_error) == (1, 1, said)
        await link.wait(1e6)
        assert "D2" not in peer.ids


async def test_a_refused_connection_counts_no_try_and_is_tried_every_thirty_seconds_at_most() -> None:
    peer = Peer(*[REFUSED] * 8)
    async with Link(peer, first=10, longest=900) as link:
        await link.feed(row(1), row(2, lane=6))
        await link.quiet()
        delays = []
        for _ in range(7):
            delays.append(link.box._link.down_until - link.clock.moment)
            await link.wait(delays[-1])
        assert delays == [10, 20, 30, 30, 30, 30, 30]
        assert set(peer.ids) == {"D1"}, "order: the same one first again"
        assert link.marks == []
        assert link.box.status.state == "down"
        await link.wait(30)
        assert [found.attempts for found in link.marks] == [1, 1]
        assert peer.ids[-2:] == ["D1", "D2"]
        assert link.told[0] == ("down", "refused")
        assert [entry for entry in link.told if entry[0] in {"down", "up"}] == [("down", "refused"), ("up",)]
        assert link.box.status == LinkStatus("up", 0, 0, None, "refused")


async def test_without_tls_nothing_counts_as_tried_and_each_new_reason_is_told_once() -> None:
    expired, unknown = LinkDown("tls", "mllps://emr:1 has expired"), LinkDown("tls", "mllps://emr:1 is signed by nobody")
    peer = Peer(expired, expired, unknown, REFUSED, unknown)
    async with Link(peer) as link:
        await link.feed(row(1))
        for _ in range(5):
            await link.quiet()
            assert link.marks == []
            await link.wait(30)
        assert link.told[:5] == [("down", "tls"), ("down", "tls"), ("down", "refused"), ("down", "tls"), ("up",)]
        assert [found.attempts for found in link.marks] == [1]
        assert peer.ids == ["D1"] * 6


async def test_the_status_says_why_there_is_no_tls() -> None:
    peer = Peer(LinkDown("tls", "mllps://emr:1 shows a certificate that has expired"))
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        assert link.box.status.state == "down"
        assert link.box.status.last_error == "tls: mllps://emr:1 shows a certificate that has expired"


async def test_a_connection_from_the_peer_makes_it_try_at_once() -> None:
    peer = Peer(REFUSED, timeout())
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        link.box.hurry()
        await link.quiet()
        assert peer.ids == ["D1", "D1"]
        link.box.hurry()
        await link.quiet()
        assert peer.ids == ["D1", "D1", "D1"]
        assert link.marks[-1].state == "accepted"


async def test_a_quiet_connection_that_the_peer_had_closed_is_tried_again_at_once_but_only_once() -> None:
    peer = Peer(LinkDown("closed", "x"), LinkDown("closed", "x"))
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        assert peer.ids == ["D1", "D1"]
        await link.wait(20)
        assert peer.ids == ["D1", "D1", "D1"]


async def test_a_duplicate_key_after_a_silent_try_is_a_success() -> None:
    peer = Peer(timeout(), "AE 205", "AE 205")
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        await link.wait(1000)
        await link.feed(row(2, lane=6))
        await link.quiet()
        assert [(found.id, found.state) for found in link.marks] == [(1, "queued"), (1, "accepted"), (2, "parked")]


async def test_after_a_restart_everything_unsettled_goes_on_where_it_was() -> None:
    store = MemoryStore()
    raw = adt("C1")
    rows = Rows(journal=[journal(1, raw=raw, end=len(raw))], deliveries=[delivery(n, lane=n % 3) for n in range(1, 8)])
    await store.commit(rows)
    await store.commit(Rows(marks=[mark(1), mark(2, "parked"), mark(3, "queued", 4, 6000.0), mark(4, "sending")]))
    peer = Peer("AE 207")
    async with Link(peer, store=store) as link:
        link.box.take_up(await store.open_deliveries())
        link.box.take_up(await store.open_deliveries())  # after the store was away: known already
        await link.quiet()
        # Lane 0: 3 waits for its time, 6 behind it. Lane 1: 4 then 7. Lane 2: 2 is parked, 5 behind it.
        assert peer.ids == ["D4"]
        assert link.box.status.parked == 1
        assert link.box.status.queued == 5
        await link.wait(1000)
        assert sorted(peer.ids) == ["D3", "D4", "D4", "D6", "D7"]
        assert peer.ids.index("D3") < peer.ids.index("D6")
        attempts = {found.id: found.attempts for found in link.marks}
        assert attempts == {4: 3, 7: 1, 3: 5, 6: 1}


async def test_bytes_that_are_not_at_hand_are_read_from_the_store() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await link.feed(row(1), row(2, body=adt("X")), at_hand=False)
        await link.until(lambda: len(link.marks) == 2)
        assert [payload.count(b"MSH|") for _, payload in peer.received] == [1, 1]


async def test_the_bytes_at_hand_are_bounded_and_what_fell_out_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_hand, "_MOST_BYTES", 1000)
    peer = Peer()
    peer.gate = asyncio.Event()
    async with Link(peer) as link:
        await link.feed(*(row(number) for number in range(1, 30)))
        kept = [body for number in range(1, 30) if (body := link.box._at_hand.get(number)) is not None]
        assert 0 < link.box._at_hand.size == sum(len(body) for body in kept) <= 1000
        peer.gate.set()
        await link.until(lambda: len(link.marks) == 29)
        assert peer.ids == [f"D{number}" for number in range(1, 30)]
        await link.quiet()
        assert (link.box._at_hand.size, len(link.box._at_hand)) == (0, 0)


async def test_a_store_that_is_away_while_bytes_are_read_costs_no_try() -> None:
    store = MemoryStore()
    peer = Peer()
    async with Link(peer, store=store) as link:
        await link.feed(row(1), at_hand=False)
        store.away = "gone"
        await link.quiet()
        assert peer.received == []
        assert link.marks == []
        store.away = None
        await link.wait(10)
        assert peer.ids == ["D1"]
        assert link.marks[0].attempts == 1


async def test_stored_bytes_that_are_no_message_are_parked_not_tried_for_ever() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await link.feed(row(1, body=b"no message"), row(2, lane=6))
        await link.quiet()
        assert peer.ids == ["D2"]
        assert link.marks[0] == DeliveryMark(1, "parked", 0, None, "unreadable", 5000.0)


async def test_several_connections_send_several_lanes_at_once_but_one_of_a_lane() -> None:
    first, second = Peer(), Peer()
    first.gate = second.gate = asyncio.Event()
    async with Link(first, second) as link:
        await link.feed(row(1), row(2), row(3, lane=6), row(4, lane=7))
        await link.quiet()
        assert sorted(first.ids + second.ids) == ["D1", "D3"]
        first.gate.set()
        await link.until(lambda: len(link.marks) == 4)
        assert sorted(first.ids + second.ids) == ["D1", "D2", "D3", "D4"]


async def test_without_a_url_messages_wait_and_nothing_is_lost_or_kept_in_memory() -> None:
    async with Link() as link:
        await link.feed(row(1), row(2, lane=6))
        link.clock.moment += 90
        await link.quiet()
        status = link.box.status
        assert (status.state, status.queued) == ("unset", 2)
        assert status.oldest_seconds == 4090.0
        assert link.box._at_hand.size == 0


async def test_draining_sends_nothing_new_and_waits_for_what_is_in_flight() -> None:
    peer = Peer()
    peer.gate = asyncio.Event()
    async with Link(peer) as link:
        await link.feed(row(1), row(2))
        await link.quiet()
        draining = asyncio.create_task(link.box.drain())
        await link.quiet()
        assert not draining.done()
        peer.gate.set()
        await asyncio.wait_for(draining, 10)
        await link.quiet()
        assert peer.ids == ["D1"]
        assert link.marks[0].state == "accepted"


async def test_an_idle_outbox_drains_at_once_and_closes_its_connections_when_stopped() -> None:
    peer = Peer()
    async with Link(peer) as link:
        await link.quiet()
        await asyncio.wait_for(link.box.drain(), 10)
    assert peer.closed == 1


async def test_marks_of_others_are_no_concern() -> None:
    peer = Peer()
    async with Link(peer) as link:
        link.box.marked(mark(99))
        await link.feed(row(1))
        await link.until(lambda: link.marks)


async def test_each_destination_gets_its_own() -> None:
    link = Link()
    outlets = Outlets()
    outlets.add(link.box)
    outlets.feed([(row(1), b"x")])
    outlets.marked([mark(99)])
    assert link.box.status.queued == 1
    outlets.marked([mark(1)])  # not tried here: a person has decided so
    assert link.box.status.queued == 0


async def test_a_mark_that_could_not_be_committed_yet_keeps_its_lane_waiting_over_an_outage() -> None:
    peer = Peer()
    async with Link(peer) as link:
        link.commits = False
        await link.feed(row(1), row(2))
        await link.quiet()
        link.box.take_up(await link.store.open_deliveries())  # the store is back, the mark not yet written again
        await link.quiet()
        assert peer.ids == ["D1"]
        link.commit_marks()
        await link.quiet()
        assert peer.ids == ["D1", "D2"]


# -- what may have been on its way -------------------------------------------------------------------------------------


class Distant(Peer):
    """A peer to whom a connection must be made first. `door`: closed while nobody answers; then each connection succeeds."""

    def __init__(self, *script: Script) -> None:
        super().__init__(*script)
        self.door = asyncio.Event()
        self.reached = False
        self.knocks = 0

    @property
    def connected(self) -> bool:
        return self.reached

    async def connect(self) -> None:
        self.knocks += 1
        await self.door.wait()
        self.reached = True


def moved(number: int, lane: int, body: bytes) -> tuple[list[tuple[int, int]], list[Rendering]]:
    return [(lane, 77)], [Rendering(number, body, "")]


async def test_the_disk_knows_that_nothing_is_on_its_way_while_nobody_answers_and_hears_before_the_first_byte() -> None:
    peer = Peer(REFUSED)
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        assert [one.reachable for one in link.links] == [False]
        link.commits = False
        await link.wait(10)
        assert [one.reachable for one in link.links] == [False, True]
        assert peer.ids == ["D1"], "not a byte before it is on disk"
        link.commit_marks()
        await link.quiet()
        assert peer.ids == ["D1", "D1"]
        link.commit_marks()
        assert [found.state for found in link.marks] == ["accepted"]


async def test_a_mark_of_the_link_that_was_overtaken_says_nothing() -> None:
    peer = Peer(REFUSED, REFUSED)
    async with Link(peer) as link:
        await link.feed(row(1))
        await link.quiet()
        await link.wait(10)  # said to be reachable, and refused again
        assert [one.reachable for one in link.links] == [False, True, False]
        stale = link.links[1]
        link.box.marked(stale)
        link.commits = False
        await link.wait(30)
        assert peer.ids == ["D1", "D1"]
        assert link.links[-1].reachable


async def test_what_waits_for_a_connection_was_not_tried_and_a_merge_makes_it_anew() -> None:
    peer = Distant()
    async with Link(peer) as link:
        await link.feed(row(1, lane=5))
        await link.until(lambda: peer.knocks)
        ((waiting, tried),) = link.box.freeze({5, 77})
        assert (waiting.id, tried) == (1, False)
        peer.door.set()
        await link.quiet()
        assert peer.received == [], "its lane stands still"
        united, rendered = moved(1, 5, adt("C1", ids="8^^^PM^MR"))
        await link.store.commit(Rows(moved=[(1, 77)], rendered=rendered))
        link.box.merged(united, rendered)
        link.box.thaw()
        await link.until(lambda: link.marks)
        ((_, payload),) = peer.received
        assert b"|8^^^PM^MR|" in payload


async def test_old_bytes_are_never_sent_when_a_merge_came_and_went_while_the_connection_was_made() -> None:
    peer = Distant()
    async with Link(peer) as link:
        await link.feed(row(1, lane=5))
        await link.until(lambda: peer.knocks)
        link.box.freeze({5, 77})
        united, rendered = moved(1, 5, adt("C1", ids="8^^^PM^MR"))
        await link.store.commit(Rows(moved=[(1, 77)], rendered=rendered))
        link.box.merged(united, rendered)
        link.box.thaw()
        peer.door.set()
        await link.until(lambda: link.marks)
        ((_, payload),) = peer.received
        assert b"|8^^^PM^MR|" in payload


async def test_what_is_on_its_way_counts_as_tried() -> None:
    peer = Peer()
    peer.gate = asyncio.Event()
    async with Link(peer) as link:
        await link.feed(row(1, lane=5), row(2, lane=5))
        await link.until(lambda: peer.received)
        assert [(one.id, tried) for one, tried in link.box.freeze({5})] == [(1, True), (2, False)]
        link.box.thaw()
        peer.gate.set()
        await link.until(lambda: len(link.marks) == 2)


@pytest.mark.parametrize("attempts", [0, 1])
async def test_what_was_tried_stays_tried_while_the_next_try_waits_for_its_connection(attempts: int) -> None:
    """Before a restart, by the process before; or by this one, with a mark."""
    peer = Distant()
    async with Link(peer) as link:
        await link.store.commit(Rows(journal=[journal(1)], deliveries=[row(1, lane=5)]))
        link.box.start([OpenDelivery(1, "emr", 5, "record", "D1", "queued", attempts, None, 1.0)], reachable=attempts == 0)
        await link.until(lambda: peer.knocks)
        assert [(one.id, tried) for one, tried in link.box.freeze({5})] == [(1, True)]
        link.box.thaw()
        peer.door.set()
        await link.until(lambda: link.marks)


async def test_the_disk_does_not_forget_what_the_process_before_may_have_sent_while_nobody_answers() -> None:
    """A restart after this one would else count it as never tried."""
    peer = Peer(REFUSED, "AA", REFUSED)
    async with Link(peer) as link:
        await link.store.commit(Rows(journal=[journal(1)], deliveries=[row(1)]))
        link.box.start([OpenDelivery(1, "emr", 5, "record", "D1", "queued", 0, None, 1.0)], reachable=True)
        await link.quiet()
        assert peer.ids == ["D1"]
        assert link.links == [], "it says still that something may be on its way"
        await link.wait(30)
        assert [found.state for found in link.marks] == ["accepted"]
        await link.feed(row(2))
        await link.quiet()
        assert [one.reachable for one in link.links] == [False], "by now there is nothing"


@pytest.mark.parametrize("reachable", [True, False])
async def test_after_a_restart_the_heads_count_as_tried_unless_nothing_can_have_been_on_its_way(reachable: bool) -> None:
    link = Link()
    open_ones = [
        OpenDelivery(n, "emr", lane, "record", f"D{n}", "queued", 0, None, 1.0) for n, lane in ((1, 5), (2, 5), (3, 6))
    ]
    link.box.start(open_ones, reachable=reachable)
    assert {one.id: tried for one, tried in link.box.freeze({5, 6})} == {1: reachable, 2: False, 3: reachable}


async def test_a_refused_delivery_that_a_merge_explains_goes_on_in_its_place_under_its_new_control_id() -> None:
    peer = Peer("AE 204")
    async with Link(peer) as link:
        await link.feed(row(1, lane=5), row(2, lane=5))
        await link.quiet()
        assert link.box.status.parked == 1
        link.box.freeze({5})
        renewed = [Rendering(1, adt("C1"), "DNEW")]
        await link.store.commit(Rows(rendered=renewed))
        link.box.merged([], renewed)
        link.box.thaw()
        await link.quiet()
        assert peer.ids == ["D1", "DNEW", "D2"]
        assert link.box.status == LinkStatus("up", 0, 0, None, "AE 204")


async def test_a_connection_that_finds_nobody_while_another_reads_its_bytes_makes_that_one_say_again_that_it_sends() -> None:
    """The disk must not say `down` while bytes are on their way."""
    first, second = Peer(), Peer(REFUSED)
    async with Link(first, second) as link:
        reading = asyncio.Event()
        fetch = link.store.body_of

        async def slowly(delivery: int) -> bytes:
            if delivery == 1:
                await reading.wait()
            return await fetch(delivery)

        link.store.body_of = slowly  # type: ignore[method-assign]
        await link.feed(row(1, lane=5), at_hand=False)
        await link.quiet()
        await link.feed(row(2, lane=6))
        await link.until(lambda: link.links)
        assert [one.reachable for one in link.links] == [False]
        link.commits = False
        link.commit_marks()
        reading.set()
        await link.quiet()
        assert [one.reachable for one in link.links][:2] == [False, True]
        assert "D1" not in first.ids, "not before the disk knows"
        link.commit_marks()
        await link.until(lambda: "D1" in first.ids + second.ids)


async def test_bytes_that_were_read_while_a_merge_made_them_anew_never_leave() -> None:
    peer = Peer()
    async with Link(peer) as link:
        asked, go_on = asyncio.Event(), asyncio.Event()
        fetch = link.store.body_of

        async def slowly(delivery: int) -> bytes:
            old = await fetch(delivery)
            asked.set()
            await go_on.wait()
            return old

        link.store.body_of = slowly  # type: ignore[method-assign]
        await link.feed(row(1, lane=5), at_hand=False)
        await link.until(asked.is_set)
        assert [tried for _, tried in link.box.freeze({5})] == [False]
        rendered = [Rendering(1, adt("C1", ids="8^^^PM^MR"), "")]
        await link.store.commit(Rows(rendered=rendered))
        link.box.merged([], rendered)
        link.box.thaw()
        go_on.set()
        await link.until(lambda: link.marks)
        ((_, payload),) = peer.received
        assert b"|8^^^PM^MR|" in payload


async def test_what_waits_for_a_connection_lets_an_older_one_of_its_united_lane_go_first() -> None:
    peer = Distant()
    async with Link(peer) as link:
        await link.feed(row(2, lane=6))
        await link.until(lambda: peer.knocks)
        await link.feed(row(1, lane=5))
        link.box.freeze({5, 6})
        await link.store.commit(Rows(moved=[(2, 5)]))
        link.box.merged([(6, 5)], [])
        link.box.thaw()
        peer.door.set()
        await link.until(lambda: len(link.marks) == 2)
        assert peer.ids == ["D1", "D2"]


async def test_after_a_restart_the_oldest_is_what_waits_longest_not_what_is_sent_again_at_an_old_place() -> None:
    async with Link() as link:
        old = OpenDelivery(9, "emr", 1, "record", "D9", "queued", 0, None, 4000.0)
        copy = OpenDelivery(12, "emr", 2, "record", "D12", "queued", 0, None, 4990.0, resend_of=3, resend=1)
        link.box.take_up([copy, old])
        assert link.box.status.oldest_seconds == link.clock.now().timestamp() - 4000.0
