"""Whatever the other system does with what we send: accepted once, the same bytes, never matched to a wrong answer, in order.

The rows are those of decisions 8 and docs/reference/peer-behaviour.md; real sockets, a real broker, a real database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ophl7.testing import behaviours, faults
from ophl7.testing.behaviours import Behaviour, Incoming, accept, refuse
from ophl7.testing.clocks import JumpingClock
from ophl7.testing.faults import Fault
from ophl7.testing.proxy import FaultProxy
from tests.acceptance.messages import OSCAR, RUTH, VISIT, adt, control_id_of, relayed, siu
from tests.acceptance.practice import PM_OWNS, Opening, Practice

pytestmark = pytest.mark.timeout(60)

FIRST, SECOND = adt("R1", "A28"), adt("R2", "A08", sent="20260105081000")
SHORT = {"EMR_ACK_TIMEOUT": "150ms"}  # for what can only be waited out


async def arrived_right(practice: Practice) -> None:
    """Both messages of the lane are accepted; each left with one MSH-10 and one form; the second never before the first."""
    await practice.until(
        lambda: [row["state"] for name in ("R1", "R2") for row in practice.deliveries(name)] == ["accepted"] * 2
    )
    (one,), (two,) = practice.deliveries("R1"), practice.deliveries("R2")
    payloads = practice.desk["emr"].payloads
    ids = [control_id_of(payload) for payload in payloads]
    assert set(payloads) == {relayed(FIRST, one["control_id"]), relayed(SECOND, two["control_id"])}
    assert ids == sorted(ids, key=[one["control_id"], two["control_id"]].index), "the lane's order was broken"


async def treated(opened: Opening, *script: Behaviour, **more: str) -> Practice:
    """Two messages of one lane, sent to an EMR that treats what comes as `script` says, and then well."""
    practice = await opened(PM_OWNS, **more)
    practice.desk["emr"].script.extend(script)
    await practice.accepted("pm", FIRST, SECOND)
    return practice


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AA", "CA"])
async def test_an_accepting_answer_with_our_control_id_settles_it(opened: Opening, code: str) -> None:
    practice = await treated(opened, refuse(code, 0), refuse(code, 0))
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) == 2


@pytest.mark.parametrize("refusal", [("AE", 206), ("AR", 206), ("CE", 206), ("AE", 207), ("AR", 207), ("CE", 207)])
async def test_a_passing_refusal_is_tried_again_with_the_same_bytes(opened: Opening, refusal: tuple[str, int]) -> None:
    practice = await treated(opened, refuse(*refusal), refuse(*refusal))
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) == 4


async def test_a_refusal_of_severity_f_is_tried_again_with_the_same_bytes(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    practice.desk["emr"].script.append(refuse("AE", 103, "F"))
    sent = adt("R1", "A28", version="2.5")
    await practice.accepted("pm", sent)
    await practice.assert_relayed(sent, "emr")
    assert len(practice.desk["emr"].payloads) == 2


async def test_206_is_tried_without_end_and_207_five_times(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_RETRY="1ms..2ms")

    async def by_patient(message: Incoming) -> None:
        await refuse("AE", 206 if b"RUTH" in message.payload else 207)(message)

    practice.desk["emr"].then = by_patient
    oscar = adt("O1", "A28", OSCAR)
    await practice.accepted("pm", FIRST, oscar)
    await practice.until(lambda: practice.deliveries("O1")[0]["state"] == "parked")
    assert sum(b"OSCAR" in payload for payload in practice.desk["emr"].payloads) == 5
    await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] > 8)
    practice.desk["emr"].then = accept
    await practice.until(lambda: practice.deliveries("R1")[0]["state"] == "accepted")


@pytest.mark.parametrize(
    ("code", "error", "state"),
    [
        ("AE", 204, "held"),
        ("AR", 204, "held"),
        ("AE", 205, "parked"),  # never sent before: it cannot be a duplicate of ours
        ("AE", 101, "parked"),
        ("AR", 200, "parked"),
        ("CR", 203, "parked"),
        ("AE", 0, "parked"),
        ("AR", 0, "parked"),
        ("CE", 0, "parked"),
        ("CR", 207, "parked"),
        ("AE", 198, "parked"),
    ],
)
async def test_a_lasting_refusal_stops_its_lane_and_is_sent_once(opened: Opening, code: str, error: int, state: str) -> None:
    practice = await treated(opened, refuse(code, error))
    await practice.until(lambda: practice.deliveries("R1")[0]["state"] == state)
    oscar = adt("O1", "A28", OSCAR)
    await practice.accepted("pm", oscar)
    await practice.assert_relayed(oscar, "emr")  # another lane goes on
    assert practice.deliveries("R2")[0]["state"] == "queued"
    assert len(practice.desk["emr"].payloads) == 2


async def test_205_after_a_try_that_got_no_answer_counts_as_accepted(opened: Opening) -> None:
    practice = await treated(opened, behaviours.close, refuse("AE", 205))
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) == 3


async def test_a_bare_refusal_is_tried_again_where_the_setting_says_so(opened: Opening) -> None:
    practice = await treated(opened, refuse("AE", 0), refuse("AR", 0), EMR_NACK_DEFAULT="retry")
    await arrived_right(practice)


async def test_three_misfits_in_a_row_pause_the_link(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    practice.desk["emr"].then = refuse("AR", 200)
    people = [adt(f"P{number}", "A28", type(RUTH)(f"91{number}")) for number in range(6)]
    await practice.accepted("pm", *people)
    await practice.until(lambda: practice.broker.outboxes["emr"].status.state == "paused")
    assert len(practice.desk["emr"].payloads) == 3


# -- no answer, or none that counts ------------------------------------------------------------------------------------


def late_once() -> tuple[Behaviour, ...]:
    late = behaviours.late()
    return late, late


async def never_ends(message: Incoming) -> None:
    await message.wire.write(b"\x0bMSH|^~")


WAITED_OUT: dict[str, Callable[[], tuple[Behaviour, ...]]] = {
    "silence": lambda: (behaviours.silence,),
    "half an answer that never ends": lambda: (never_ends,),
    "an answer after we have given up": lambda: (behaviours.outwaited,),
    "the answer to the try before, on the next connection": late_once,
}
AT_ONCE: dict[str, Callable[[], tuple[Behaviour, ...]]] = {
    "close": lambda: (behaviours.close,),
    "reset": lambda: (behaviours.reset,),
    "half-close": lambda: (behaviours.half_close,),
    "close in the middle of an answer": lambda: (behaviours.half_answer,),
    "garbage": lambda: (behaviours.garbage,),
    "unframed": lambda: (behaviours.unframed,),
    "unframed byte by byte": lambda: (behaviours.in_pieces(1, behaviours.unframed),),
    "junk before the answer": lambda: (behaviours.after(b"HTTP/1.1 200 OK\r\n"),),
    "other MSA-2": lambda: (behaviours.wrong_id,),
    "other MSA-2 and then ours in one write": lambda: (behaviours.in_one_write(behaviours.wrong_id, accept),),
}


@pytest.mark.parametrize("case", WAITED_OUT)
async def test_what_must_be_waited_out_is_sent_again_with_the_same_bytes(opened: Opening, case: str) -> None:
    practice = await treated(opened, *WAITED_OUT[case](), **SHORT)
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) >= 3
    assert practice.desk["emr"].connections >= 2, "whatever may still come must come on a connection that is gone"


@pytest.mark.parametrize("case", AT_ONCE)
async def test_what_is_no_answer_is_seen_at_once_and_sent_again_with_the_same_bytes(opened: Opening, case: str) -> None:
    practice = await treated(opened, *AT_ONCE[case]())  # the time limit of 30 s is not what ends it
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) == 3
    assert practice.desk["emr"].connections == 2


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(behaviours.in_pieces(1), id="split at every byte"),
        pytest.param(behaviours.without_cr, id="without its CR"),
        pytest.param(behaviours.followed_by(behaviours.close), id="then closed"),
        pytest.param(behaviours.in_one_write(behaviours.twice()), id="twice in one write"),
        pytest.param(behaviours.twice(), id="twice"),
    ],
)
async def test_an_answer_that_came_whole_counts_once_whatever_comes_with_it(opened: Opening, behaviour: Behaviour) -> None:
    practice = await treated(opened, behaviour, behaviour)
    await arrived_right(practice)


async def test_the_second_answer_to_one_message_is_never_the_answer_to_the_next(opened: Opening) -> None:
    """The next one is refused; were the surplus AA taken for its answer, it would count as delivered."""

    async def surplus(message: Incoming) -> None:
        await accept(message)
        await accept(message)

    practice = await treated(opened, surplus, refuse("AE", 101), refuse("AE", 101))
    await practice.until(lambda: practice.deliveries("R2")[0]["state"] == "parked")
    assert practice.deliveries("R1")[0]["state"] == "accepted"


async def test_an_answer_to_another_message_is_not_counted_as_a_try_that_was_refused(opened: Opening) -> None:
    practice = await treated(opened, *[behaviours.wrong_id] * 8)
    await arrived_right(practice)
    assert len(practice.desk["emr"].payloads) == 10


async def test_with_review_silence_is_a_persons_to_settle(opened: Opening) -> None:
    practice = await treated(opened, behaviours.silence, EMR_ON_TIMEOUT="review", **SHORT)
    await practice.until(lambda: practice.deliveries("R1")[0]["state"] == "unknown")
    oscar = adt("O1", "A28", OSCAR)
    await practice.accepted("pm", oscar)
    await practice.assert_relayed(oscar, "emr")
    assert practice.deliveries("R2")[0]["state"] == "queued"
    assert len(practice.desk["emr"].payloads) == 2


async def test_a_receiver_that_reads_nothing_gets_it_again_when_it_reads(tmp_path: Path) -> None:
    async with Practice(tmp_path / "ophl7.db", PM_OWNS, **SHORT) as practice:
        desk = practice.desk["emr"]
        desk.reading.clear()
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] >= 1)
        desk.reading.set()
        await arrived_right(practice)


async def test_a_connection_from_the_peer_ends_the_wait_after_a_refused_connection(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_RETRY="20s..20s")  # by itself it would come back long after the limit
    await practice.desk["emr"].stop()
    await practice.accepted("pm", FIRST, SECOND)
    await practice.until(lambda: practice.broker.outboxes["emr"].status.state == "down")
    await practice.desk["emr"].start()
    await practice.client("emr")
    await arrived_right(practice)
    assert {practice.deliveries(name)[0]["attempts"] for name in ("R1", "R2")} == {1}, "nobody was there: that is no try"


# -- the line in between -----------------------------------------------------------------------------------------------


@asynccontextmanager
async def over_a_line(database: Path, **more: str) -> AsyncIterator[tuple[Practice, FaultProxy]]:
    """A practice whose EMR is reached through a proxy."""
    async with AsyncExitStack() as stack:
        practice = Practice(database, PM_OWNS)
        practice.desk["emr"].strict = False  # it sees what the line makes of our blocks
        await practice.desk["emr"].start()  # to have its port
        proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", practice.desk["emr"].port))
        await practice.desk["emr"].stop()
        practice.more = {"EMR_URL": proxy.url} | more
        await stack.enter_async_context(practice)
        yield practice, proxy


@pytest.mark.parametrize("side", ["to_server", "to_client"])
@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        pytest.param(faults.cut_after(30), {}, id="cut after n bytes"),
        pytest.param(faults.cut_after(30, rst=True), {}, id="reset after n bytes"),
        pytest.param(faults.reset, {}, id="reset"),
        pytest.param(faults.half_close, SHORT, id="half-close"),
        pytest.param(faults.stall, SHORT, id="stalls"),
        pytest.param(faults.swallow, SHORT, id="swallows"),
        pytest.param(faults.corrupt(0), SHORT, id="damages VT"),
    ],
)
async def test_a_line_that_breaks_loses_nothing(tmp_path: Path, side: str, fault: Fault, limits: dict[str, str]) -> None:
    async with over_a_line(tmp_path / "ophl7.db", **limits) as (practice, proxy):
        getattr(proxy, side).fault = fault
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] >= 2)
        proxy.heal()
        await arrived_right(practice)


@pytest.mark.parametrize("fault", [faults.in_pieces(1), faults.in_pieces(50)])
async def test_a_line_that_cuts_everything_to_pieces_changes_nothing(tmp_path: Path, fault: Fault) -> None:
    async with over_a_line(tmp_path / "ophl7.db") as (practice, proxy):
        proxy.to_server.fault = proxy.to_client.fault = fault
        await practice.accepted("pm", FIRST, SECOND)
        await arrived_right(practice)
        assert len(practice.desk["emr"].payloads) == 2
        assert proxy.connections == 1


async def test_a_firewall_that_accepts_and_passes_nothing_on_is_waited_out(tmp_path: Path) -> None:
    async with over_a_line(tmp_path / "ophl7.db", **SHORT) as (practice, proxy):
        proxy.silent = True
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] >= 1)
        proxy.heal()
        await arrived_right(practice)


async def test_a_line_that_refuses_is_tried_again_and_nothing_counts_as_tried(tmp_path: Path) -> None:
    async with over_a_line(tmp_path / "ophl7.db") as (practice, proxy):
        proxy.refuse()
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.broker.outboxes["emr"].status.last_error == "refused")
        await proxy.accept()
        await arrived_right(practice)
        assert len(practice.desk["emr"].payloads) == 2


# -- time --------------------------------------------------------------------------------------------------------------


def timed(database: Path, clock: JumpingClock) -> Practice:
    practice = Practice(database, PM_OWNS)
    practice.clock = clock
    return practice


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
async def test_a_wall_clock_that_jumps_neither_stops_nor_doubles_a_delivery(tmp_path: Path, seconds: float) -> None:
    clock = JumpingClock()
    async with timed(tmp_path / "ophl7.db", clock) as practice:
        practice.desk["emr"].then = refuse("AE", 206)
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] >= 2)
        clock.jump(seconds)
        before = practice.deliveries("R1")[0]["attempts"]
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] > before + 1)
        practice.desk["emr"].then = accept
        await arrived_right(practice)


async def test_a_wall_clock_that_was_set_back_before_the_start_does_not_stop_a_delivery(tmp_path: Path) -> None:
    clock = JumpingClock()
    async with timed(tmp_path / "ophl7.db", clock) as practice:
        practice.desk["emr"].then = refuse("AE", 206)
        await practice.accepted("pm", FIRST, SECOND)
        await practice.until(lambda: practice.deliveries("R1")[0]["attempts"] >= 2)
    clock.jump(-86_400.0)
    async with timed(tmp_path / "ophl7.db", clock) as practice:
        await arrived_right(practice)


async def test_appointments_of_the_same_patient_keep_their_order_behind_a_fault(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", FIRST)
    await practice.quiet()
    desk = practice.desk["emr"]
    gate = asyncio.Event()
    desk.script.extend([behaviours.slow(gate, behaviours.reset), behaviours.wrong_id])
    booked, moved = siu("B1", "S12"), siu("B2", "S13", VISIT, sent="20260105081000")
    await practice.accepted("pm", booked, moved)
    gate.set()
    await practice.quiet()
    ids = [control_id_of(payload) for payload in desk.payloads[1:]]
    (one,), (two,) = practice.deliveries("B1"), practice.deliveries("B2")
    assert ids == [one["control_id"]] * 3 + [two["control_id"]]
