"""What happens to real systems: no destination yet, a stop under load, two processes, a database that goes away, a refusal."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, Incoming, ScriptedPeer, accept, refuse
from tests.acceptance.messages import OSCAR, RUTH, VISIT, Fee, adt, control_id_of, dft, relayed, siu
from tests.acceptance.practice import PM_OWNS, Ledger, Opening, environment, until
from tests.acceptance.process import run, served
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)


async def test_messages_wait_for_a_destination_that_is_set_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ophl7.db")
    sent = [adt("R1", "A28"), siu("B1", "S12"), siu("B2", "S15", sent="20260105090000")]
    async with served(ledger.database, PM_OWNS, "", "") as broker:
        assert "OPHL7_EMR_URL" in broker.output  # it says that they wait, and which setting ends that
        async with Client(*broker.addresses["pm"]) as line:
            for payload in sent:
                assert read_reply(await line.send(payload)).code == "AA"
        broker.tell_to_stop()
        assert await broker.stopped() == 0
    waiting = ledger.rows("SELECT control_id, state, attempts FROM delivery ORDER BY id")
    assert [(row["state"], row["attempts"]) for row in waiting] == [("queued", 0)] * 3
    async with ScriptedPeer() as emr, served(ledger.database, PM_OWNS, "", emr.url):
        await emr.received(3, 10)
        await until(lambda: not ledger.rows("SELECT 1 FROM delivery WHERE state <> 'accepted'"))
        expected = [relayed(one, row["control_id"]) for one, row in zip(sent, waiting, strict=True)]
        assert emr.payloads == expected


async def test_on_sigterm_everything_that_was_read_is_answered_and_the_status_is_0(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ophl7.db")
    async with (
        ScriptedPeer() as emr,
        served(ledger.database, PM_OWNS, "", emr.url, SHUTDOWN_GRACE="10s") as broker,
    ):
        first = asyncio.Event()

        async def desk(number: int) -> list[str]:
            """Pushes out more than can be answered at once, then reads until the line is closed."""
            payloads = [adt(f"X{number}-{n}", "A28", type(RUTH)(f"{number}{n:04}")) for n in range(300)]
            answered: list[str] = []
            async with Client(*broker.addresses["pm"]) as line:
                writing = asyncio.create_task(line.send_raw(b"".join(frame(payload) for payload in payloads)))
                try:
                    while True:
                        reply = read_reply(await line.read_answer(15))
                        assert reply.code == "AA"
                        answered.append(reply.control_id)
                        first.set()
                except EOFError:
                    return answered
                finally:
                    writing.cancel()
                    await asyncio.gather(writing, return_exceptions=True)

        async with asyncio.TaskGroup() as group:
            desks = [group.create_task(desk(number)) for number in range(8)]
            await first.wait()
            began = time.monotonic()
            broker.tell_to_stop()
            status = await broker.stopped()
        assert status == 0
        assert time.monotonic() - began < 10
    answered = {control_id for task in desks for control_id in task.result()}
    stored = {row["control_id"] for row in ledger.rows("SELECT control_id FROM journal")}
    assert answered == stored  # nothing stored without an answer, nothing answered without being stored
    assert len(stored) > 0
    # What was on its way to the EMR had its answer; the rest waits for the next start.
    states = {row["state"] for row in ledger.rows("SELECT state FROM delivery")}
    assert states <= {"accepted", "queued"}


async def test_a_second_process_on_the_same_database_ends_with_2_and_says_who_holds_it(tmp_path: Path) -> None:
    database = tmp_path / "ophl7.db"
    async with served(database, PM_OWNS, "", "") as first:
        second = await run(database, environment(database, PM_OWNS, "", ""))
        assert await second.stopped(20) == 2
        assert str(first.process.pid) in second.output
        assert "Traceback" not in second.output
        async with Client(*first.addresses["pm"]) as line:  # the first does not mind
            assert read_reply(await line.send(adt("R1", "A28"))).code == "AA"
        await first.kill()
    async with served(database, PM_OWNS, "", ""):  # a killed process leaves no lock behind
        pass


async def test_a_database_that_goes_away_closes_the_lines_without_an_answer_until_it_is_back(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("R1", "A28"))
    pm, emr = await practice.line("pm"), await practice.line("emr")
    away = practice.database.with_suffix(".away")
    practice.database.rename(away)
    await pm.send_raw(frame(siu("B1", "S12")))
    await pm.closed()
    await emr.closed()  # nobody is left waiting
    reasons = practice.broker.health.readiness().reasons
    assert [name for name, reason in reasons.items() if reason is not None] == ["store"]
    async with Client(*practice.address("emr")) as meanwhile:
        await meanwhile.send_raw(frame(dft("C1")))
        await meanwhile.closed()
    away.rename(practice.database)
    await practice.until(lambda: practice.broker.health.readiness().ready)
    async with Client(*practice.address("pm")) as again:
        assert read_reply(await again.send(siu("B1", "S12"))).code == "AA"
    await practice.assert_relayed(siu("B1", "S12"), "emr")
    assert practice.rows("SELECT 1 FROM journal WHERE control_id = 'C1'") == []


async def test_a_database_that_goes_away_in_a_quiet_hour_is_seen_without_a_message(
    opened: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ophl7.watching._STORE_CHECK_SECONDS", 0.01)
    practice = await opened(PM_OWNS)
    away = practice.database.with_suffix(".away")
    practice.database.rename(away)
    await practice.until(lambda: practice.broker.health.readiness().reasons["store"] is not None)
    away.rename(practice.database)
    await practice.until(lambda: practice.broker.health.readiness().ready)
    await practice.accepted("pm", adt("R1", "A28"))


async def test_readiness_names_the_listener_that_is_gone(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    assert practice.broker.health.readiness().ready
    await practice.broker.listeners["emr"].stop_accepting()
    reason = practice.broker.health.readiness().reasons["listeners"]
    assert reason is not None
    assert "EMR" in reason
    assert "PM" not in reason


async def test_a_database_replaced_by_another_file_takes_no_more_messages(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("R1", "A28"))
    copy = practice.database.read_bytes()
    practice.database.unlink()
    practice.database.write_bytes(copy)
    line = await practice.line("pm")
    await line.send_raw(frame(siu("B1", "S12")))
    await line.closed()
    assert not practice.broker.health.readiness().ready


@pytest.mark.parametrize(("code", "error"), [("AE", 101), ("AR", 200), ("AE", 0), ("AE", 204)])
async def test_a_refusal_of_the_receiver_stops_that_lane_and_that_stream_only(opened: Opening, code: str, error: int) -> None:
    practice = await opened("emr/emr")  # everything goes to the PM here: records and charges
    ruth, oscar = adt("R1", "A28", RUTH, sender="emr"), adt("R2", "A28", OSCAR, sender="emr")
    await practice.accepted("emr", ruth, oscar)
    await practice.quiet()

    async def of_ruth_refused(incoming: Incoming) -> None:
        wanted = b"SIU^S12" in incoming.payload and b"|7050^" in incoming.payload
        await (refuse(code, error) if wanted else accept)(incoming)

    practice.desk["pm"].then = of_ruth_refused
    booked, moved = (
        siu("B1", "S12", VISIT, RUTH, sender="emr"),
        siu("B2", "S13", VISIT, RUTH, sender="emr", sent="20260105081000"),
    )
    neighbour, charge = siu("B3", "S12", type(VISIT)("S-2"), OSCAR, sender="emr"), dft("C1")
    await practice.accepted("emr", booked, moved, neighbour, charge)
    for sent in (neighbour, charge):
        await practice.assert_relayed(sent, "pm")
    (stuck,) = practice.deliveries("B1")
    await practice.until(lambda: practice.deliveries("B1")[0]["state"] in {"parked", "held"})
    (behind,) = practice.deliveries("B2")
    assert (behind["state"], behind["attempts"]) == ("queued", 0)
    arrived = [control_id_of(payload) for payload in practice.desk["pm"].payloads]
    assert arrived.count(stuck["control_id"]) == 1
    assert behind["control_id"] not in arrived


async def test_an_outage_of_one_destination_does_not_touch_the_other(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await practice.accepted("pm", adt("R1", "A28"))
    await practice.quiet()
    await practice.desk["emr"].stop()
    booked, charge = siu("B1", "S12"), dft("C1", [Fee("T-1")])
    await practice.accepted("pm", booked)
    await practice.accepted("emr", charge)
    await practice.assert_relayed(charge, "pm")
    await practice.until(lambda: practice.broker.outboxes["emr"].status.state == "down")
    assert practice.deliveries("B1")[0]["state"] == "queued"
    await practice.desk["emr"].start()
    await practice.assert_relayed(booked, "emr")
    assert practice.broker.outboxes["emr"].status.state == "up"
