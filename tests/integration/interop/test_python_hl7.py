"""Our listener, our answers and our deliveries, with hl7.mllp and python-hl7 at the other ends."""

from __future__ import annotations

import asyncio

import hl7
import pytest
from hl7.client import MLLPClient

from ophl7.mllp.sender import MllpSender, parse_url
from tests.acceptance.messages import RUTH, RUTH_IN_EMR, VISIT, adt, dft, relayed, siu
from tests.integration.interop.conftest import Between
from tests.integration.interop.counterpart import Receiver, outcome


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
async def test_a_registration_a_booking_and_a_charge_go_round(between: Between, version: str) -> None:
    foreign = await between()
    registration, booking = adt("A1", "A04", version=version), siu("S1", "S12", version=version)
    charge = dft("D1", version=version)
    async with foreign.sender("pm") as pm, foreign.sender("emr") as emr:
        assert outcome(await pm.ask(registration)) == ("AA", "A1")
        assert outcome(await pm.ask(booking)) == ("AA", "S1")
        assert outcome(await emr.ask(charge)) == ("AA", "D1")
    ids = await foreign.delivered("A1", "S1", "D1")
    assert foreign.desk["emr"].control_ids == ids[:2]
    assert foreign.desk["pm"].control_ids == ids[2:]
    received = [*foreign.desk["emr"].messages, *foreign.desk["pm"].messages]
    for message, sent, control_id in zip(received, (registration, booking, charge), ids, strict=True):
        assert str(message).encode() == relayed(sent, control_id)


async def test_an_answer_is_a_message_that_python_hl7_reads_in_full(between: Between) -> None:
    foreign = await between()
    async with foreign.sender("pm") as pm:
        answer = await pm.ask(adt("A1", "A04", version="2.5.1"))
    header = answer.segment("MSH")
    assert [str(header[number]) for number in (3, 4, 5, 6)] == ["EMR", "CLINIC", "PM", "DESK"]
    assert str(header[9]) == "ACK^A04^ACK"
    assert (str(header[11]), str(header[12])) == ("P", "2.5.1")
    assert str(header[10]) not in {"", "A1"}


@pytest.mark.parametrize(("version", "place"), [("2.3.1", "ERR.F1.R1.C4.S1"), ("2.5.1", "ERR.F3.R1.C1")])
async def test_a_refusal_tells_python_hl7_where_its_version_looks_for_it(between: Between, version: str, place: str) -> None:
    foreign = await between()
    async with foreign.sender("emr") as emr:
        answer = await emr.ask(adt("A1", "A04", RUTH_IN_EMR, sender="emr", version=version))
    assert outcome(answer) == ("AE", "A1")
    assert answer.extract_field(*_accessor(place)) == {"2.3.1": "204", "2.5.1": "207"}[version]
    assert foreign.practice.state("A1") == "rejected"


def _accessor(place: str) -> tuple[str | int, ...]:
    key = hl7.Accessor.parse_key(place)
    numbers = (key.segment_num, key.field_num, key.repeat_num, key.component_num, key.subcomponent_num)
    return (key.segment, *numbers)


async def test_messages_written_without_waiting_are_answered_in_their_order(between: Between) -> None:
    foreign = await between()
    names = [f"P{number}" for number in range(100)]
    async with foreign.sender("pm") as pm:
        for number, name in enumerate(names):
            pm.write(adt(name, "A31" if number else "A04", sent=f"2026010508{number // 60:02}{number % 60:02}"))
        assert [outcome(await pm.read()) for _ in names] == [("AA", name) for name in names]
    ids = await foreign.delivered(*names)
    assert foreign.desk["emr"].control_ids == ids


async def test_a_half_closed_connection_still_gets_its_answers(between: Between) -> None:
    foreign = await between()
    async with foreign.sender("pm") as pm:
        pm.write(adt("A1", "A04"))
        pm.write(siu("S1", "S12"))
        pm.writer.write_eof()
        assert [outcome(await pm.read()) for _ in range(2)] == [("AA", "A1"), ("AA", "S1")]
        with pytest.raises(asyncio.IncompleteReadError) as ended:
            await pm.read()
    assert ended.value.partial == b""


async def test_a_message_of_200_kib_arrives_whole(between: Between) -> None:
    foreign = await between()
    sent = adt("BIG", "A04", RUTH, "OBX|1|ED|PDF||^AP^PDF^Base64^" + "QUJD" * 51_200)
    assert len(sent) > 200 * 1024
    async with foreign.sender("pm") as pm:
        assert outcome(await pm.ask(sent)) == ("AA", "BIG")
    (control_id,) = await foreign.delivered("BIG")
    (message,) = foreign.desk["emr"].messages
    assert str(message).encode() == relayed(sent, control_id)


@pytest.mark.parametrize(("encoding", "charset"), [("latin-1", "8859/1"), ("utf-8", "UNICODE UTF-8"), ("utf-8", "")])
async def test_a_name_in_another_charset_is_the_same_name_on_the_other_side(
    between: Between, encoding: str, charset: str
) -> None:
    foreign = await between(encoding)
    plain = adt("Ä1", "A04", version="2.5.1").decode().replace("|2.5.1\r", f"|2.5.1||||||{charset}\r")
    sent = plain.replace("ADAMSKI^RUTH", "MÜLLER-GÅRD^ZOË").encode(encoding)
    async with foreign.sender("pm", encoding) as pm:
        assert outcome(await pm.ask(sent)) == ("AA", "Ä1")
    await foreign.delivered("Ä1")
    (message,) = foreign.desk["emr"].messages
    assert str(message.segment("PID")[5]) == "MÜLLER-GÅRD^ZOË"
    assert foreign.practice.field("7050", "PID-5") == "MÜLLER-GÅRD^ZOË"


async def test_the_old_blocking_client_of_python_hl7_gets_its_answer(between: Between) -> None:
    foreign = await between()

    def send() -> bytes:
        with MLLPClient(*foreign.practice.address("pm")) as client:
            client.socket.settimeout(10)
            answer: bytes = client.send_message(adt("A1", "A04"))
            return answer

    answer = await asyncio.to_thread(send)
    assert answer.startswith(b"\x0b")
    assert answer.endswith(b"\x1c\r")
    assert outcome(hl7.parse(answer[1:-2].decode())) == ("AA", "A1")


async def test_a_receiver_that_closes_gets_the_same_message_again(between: Between) -> None:
    foreign = await between()
    foreign.desk["emr"].codes.extend(["close", "close"])
    async with foreign.sender("pm") as pm:
        await pm.ask(adt("A1", "A04"))
    (control_id,) = await foreign.delivered("A1")
    assert foreign.desk["emr"].control_ids == [control_id] * 3
    assert len({str(message) for message in foreign.desk["emr"].messages}) == 1
    assert foreign.desk["emr"].connections == 3


async def test_a_refusal_by_create_ack_is_believed_and_does_not_stop_another_patient(between: Between) -> None:
    foreign = await between()
    foreign.desk["pm"].codes.append("AE")
    practice = foreign.practice
    async with foreign.sender("pm") as pm, foreign.sender("emr") as emr:
        await pm.ask(adt("A1", "A04"))
        assert outcome(await emr.ask(dft("D1"))) == ("AA", "D1")
        await practice.until(lambda: practice.deliveries("D1")[0]["state"] == "parked")
        await pm.ask(siu("S1", "S12", VISIT))
    (row,) = practice.deliveries("D1")
    assert row["last_answer"] == "AE"
    await foreign.delivered("A1", "S1")


async def test_our_sender_alone_gets_the_answer_of_create_ack() -> None:
    async with Receiver() as receiver:
        address = parse_url(receiver.url)
        sender = MllpSender(address.host, address.port, 10.0)
        try:
            for name in ("ID1", "ID2"):
                answer = await sender.exchange(adt(name, "A08"), name)
                assert (answer.code, answer.control_id, answer.errors) == ("AA", name, ())
        finally:
            await sender.close()
    assert receiver.control_ids == ["ID1", "ID2"]
    assert receiver.connections == 1
