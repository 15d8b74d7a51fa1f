"""Whatever another system's MLLP looks like: each message is taken once, answered by its MSH-10, and leaves with equal bytes.

The rows are those of docs/reference/peer-behaviour.md: the deviations that were seen in the field.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing import faults, senders
from ophl7.testing.faults import Fault
from ophl7.testing.peers import Client
from ophl7.testing.proxy import FaultProxy
from ophl7.testing.senders import Manner, ScriptedSender
from tests.acceptance.messages import OSCAR, adt, control_id_of, relayed
from tests.acceptance.practice import PM_OWNS, Opening, Practice
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(60)

PAYLOADS = [adt("R1", "A28"), *(adt(f"R{n}", "A08", sent=f"2026010508{n:02}00") for n in range(2, 5))]


async def arrived_once(practice: Practice) -> None:
    """All were taken once, and each is at the EMR once, in order, byte for byte."""
    await practice.quiet()
    judged = practice.rows("SELECT control_id FROM journal WHERE state = 'accepted' ORDER BY id")
    assert [row["control_id"] for row in judged] == [control_id_of(payload) for payload in PAYLOADS]
    copies = practice.desk["emr"].payloads
    assert copies == [relayed(sent, control_id_of(copy)) for sent, copy in zip(PAYLOADS, copies, strict=True)]


@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(senders.plainly, id="plainly"),
        pytest.param(senders.between_fillers, id="fillers between frames"),
        pytest.param(senders.after_junk, id="other junk before VT"),
        pytest.param(senders.without_cr, id="FS without CR"),
        pytest.param(senders.begun_twice, id="VT inside a frame"),
        pytest.param(senders.in_pieces(1), id="frame in single bytes"),
        pytest.param(senders.in_pieces(1, senders.without_cr), id="single bytes without CR"),
        pytest.param(senders.half_closing, id="half-close after send"),
        pytest.param(senders.twice, id="message twice"),
    ],
)
async def test_a_message_is_taken_and_answered_however_it_is_brought(opened: Opening, manner: Manner) -> None:
    practice = await opened(PM_OWNS)
    answers = await ScriptedSender(*practice.address("pm"), then=manner).deliver(*PAYLOADS)
    assert [read_reply(answer).code for answer in answers] == ["AA"] * len(PAYLOADS)
    await arrived_once(practice)


@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(senders.half_and_gone, id="broken off by a close"),
        pytest.param(senders.half_and_reset, id="broken off by an RST"),
        pytest.param(senders.whole_and_reset, id="reset before the answer"),
    ],
)
async def test_what_was_not_answered_is_brought_again_and_taken_once(opened: Opening, manner: Manner) -> None:
    practice = await opened(PM_OWNS)
    sender = ScriptedSender(*practice.address("pm"), manner, senders.plainly, manner, manner)
    answers = await sender.deliver(*PAYLOADS)
    assert [read_reply(answer).code for answer in answers] == ["AA"] * len(PAYLOADS)
    assert sender.tries == len(PAYLOADS) + 3
    await arrived_once(practice)


async def test_a_frame_that_is_broken_off_is_seen_by_a_person(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    await ScriptedSender(*practice.address("pm"), senders.half_and_gone).deliver(PAYLOADS[0])
    assert practice.rows("SELECT state FROM journal ORDER BY id")[0]["state"] == "error"


async def test_the_same_sender_on_a_connection_for_each_message(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    for payload in PAYLOADS:
        await ScriptedSender(*practice.address("pm")).deliver(payload)
    await arrived_once(practice)


async def test_pipelined_frames_are_answered_in_their_order(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    answers = await (await practice.line("pm")).pipeline(*PAYLOADS)
    assert [read_reply(answer).control_id for answer in answers] == [control_id_of(payload) for payload in PAYLOADS]
    await arrived_once(practice)


async def test_several_messages_in_one_frame_are_each_answered(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    answer = await (await practice.line("pm")).send(b"".join(PAYLOADS))
    answered = [line.split(b"|")[2].decode() for line in answer.split(b"\r") if line.startswith(b"MSA|AA|")]
    assert answered == [control_id_of(payload) for payload in PAYLOADS]
    await arrived_once(practice)


@pytest.mark.parametrize("change", [(b"\r", b"\n"), (b"\r", b"\r\n")])
async def test_other_line_ends_are_read_and_the_copy_is_written_as_the_standard_says(
    opened: Opening, change: tuple[bytes, bytes]
) -> None:
    practice = await opened(PM_OWNS)
    assert (await practice.send("pm", PAYLOADS[0].replace(*change))).code == "AA"
    await practice.quiet()
    (copy,) = practice.desk["emr"].payloads
    assert copy.endswith(b"\r")
    assert [line for line in copy.replace(b"\n", b"").split(b"\r") if line][1:] == PAYLOADS[0].split(b"\r")[1:-1]


async def test_a_missing_final_cr_is_accepted(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    assert (await practice.send("pm", PAYLOADS[0][:-1])).code == "AA"
    await practice.quiet()
    (copy,) = practice.desk["emr"].payloads
    assert copy.rstrip(b"\r").split(b"\r")[1:] == PAYLOADS[0].split(b"\r")[1:-1]


async def test_a_new_connection_is_served_while_the_old_one_lingers(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    old = await practice.client("pm")
    await old.send_raw(frame(PAYLOADS[0])[:50])  # the VPN dropped here, and nobody told us
    await ScriptedSender(*practice.address("pm")).deliver(*PAYLOADS)
    await arrived_once(practice)
    assert practice.broker.listeners["pm"].connections == 1, "the one that lingers"


async def test_a_sender_that_does_not_read_its_answers_takes_nothing_from_others(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    async with Client(*practice.address("emr"), window=4096) as deaf:
        await deaf.send_raw(frame(adt("E1", "A60", OSCAR, sender="emr")) * 20)
        await ScriptedSender(*practice.address("pm")).deliver(*PAYLOADS)
        await arrived_once(practice)
        for _ in range(20):  # and whoever reads late still finds its answers
            assert read_reply(await deaf.read_answer()).control_id == "E1"


@pytest.mark.parametrize("side", ["to_server", "to_client"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.cut_after(60), id="cut"),
        pytest.param(faults.cut_after(60, rst=True), id="RST"),
        pytest.param(faults.reset, id="RST at once"),
        pytest.param(faults.half_close, id="half-close"),
        pytest.param(faults.in_pieces(1), id="byte by byte"),
    ],
)
async def test_a_line_that_breaks_on_the_way_to_us_doubles_nothing(tmp_path: Path, side: str, fault: Fault) -> None:
    async with (
        Practice(tmp_path / "ophl7.db", PM_OWNS) as practice,
        FaultProxy(*practice.address("pm")) as proxy,
    ):
        bad = getattr(proxy, side)
        bad.fault = fault
        seen: list[int] = []

        async def healing(client: Client, payload: bytes) -> None:
            """The third try meets a line that works again."""
            seen.append(1)
            if len(seen) == 3:
                proxy.heal()
                await proxy.cut()
            await senders.plainly(client, payload)

        answers = await ScriptedSender(proxy.host, proxy.port, then=healing).deliver(*PAYLOADS)
        assert [read_reply(answer).control_id for answer in answers] == [control_id_of(payload) for payload in PAYLOADS]
        await arrived_once(practice)
