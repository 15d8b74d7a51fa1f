"""OPHL7_<PEER>_ACK_MODE, from socket to socket: in which family of codes a sender is answered, or not at all (domain 3.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client, refuse
from tests.acceptance.messages import FEE, OSCAR, RUTH, Fee, Side, adt, dft, message
from tests.acceptance.practice import PM_OWNS, Opening, Practice
from tests.acceptance.replies import read_reply

pytestmark = pytest.mark.timeout(30)

OTHER = {"AA": "CA", "AE": "CE", "AR": "CR"}


def asking(payload: bytes, accept: str = "", application: str = "") -> bytes:
    """The same message with MSH-15 and MSH-16."""
    header, end, rest = payload.partition(b"\r")
    return header + f"|||{accept}|{application}".encode() + end + rest


async def answered(practice: Practice, side: Side, payload: bytes) -> tuple[str, bytes]:
    """MSA-1 and the whole answer, which names the message."""
    reply = await practice.send(side, payload)
    return reply.code, reply.raw


def msh(answer: bytes) -> list[bytes]:
    return answer.split(b"\r")[0].split(b"|")


async def silent(practice: Practice, line: Client, payload: bytes, control_id: str) -> None:
    """Nothing comes back for it: it is in the journal, and the connection was settled and is still open."""
    await line.send_raw(frame(payload))
    await practice.until(lambda: bool(practice.rows("SELECT 1 FROM journal WHERE control_id = ?", control_id)))


# -- auto -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "application", "enhanced"),
    [
        ("AL", "", True),
        ("AL", "NE", True),
        ("AL", "AL", True),
        ("SU", "NE", True),
        ("ER", "NE", True),
        (" al ", "NE", True),  # as senders write it
        ("", "", False),
        ("", "AL", False),
        ("NE", "AL", False),
        ("NE", "NE", False),
        ("Y", "", False),
    ],
)
async def test_auto_answers_ca_ce_and_cr_where_msh_15_asks_for_it(
    opened: Opening, accept: str, application: str, enhanced: bool
) -> None:
    practice = await opened(PM_OWNS)
    cases: dict[str, tuple[Side, bytes]] = {
        "AA": ("pm", adt("X1", "A28")),
        "AE": ("emr", adt("X2", "A28", OSCAR, sender="emr")),
        "AR": ("pm", message("ORU^R01", "X3", sender="pm")),
    }
    for plain, (side, payload) in cases.items():
        code, _ = await answered(practice, side, asking(payload, accept, application))
        assert code == (OTHER[plain] if enhanced else plain)
    assert [practice.journal(number)["ack_code"] for number in ("X1", "X2", "X3")] == [
        OTHER[plain] if enhanced else plain for plain in cases
    ]


@pytest.mark.parametrize(
    ("accept", "sent", "expected"), [("ER", adt("X1", "A28"), "CA"), ("SU", message("ORU^R01", "X1", sender="pm"), "CR")]
)
async def test_auto_answers_always_also_where_only_success_or_only_errors_are_asked_for(
    opened: Opening, accept: str, sent: bytes, expected: str
) -> None:
    """Silence is what we keep for our own trouble: a sender that waits would send again."""
    practice = await opened(PM_OWNS)
    code, _ = await answered(practice, "pm", asking(sent, accept))
    assert code == expected


async def test_what_is_held_is_in_custody_and_answered_ca(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    code, _ = await answered(practice, "emr", asking(dft("C1"), "AL", "NE"))
    assert code == "CA"
    assert practice.state("C1") == "held"


async def test_enhanced_mode_never_asks_for_an_answer_to_our_answer(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    for number, (accept, application) in enumerate([("AL", "NE"), ("NE", "AL"), ("NE", "NE"), ("", "")]):
        _, answer = await answered(practice, "pm", asking(message("ADT^A99", f"X{number}", sender="pm"), accept, application))
        assert msh(answer)[14:] == ([b"NE", b"NE"] if number < 2 else [])


async def test_a_duplicate_of_what_was_answered_ca_gets_that_answer_byte_for_byte(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    sent = asking(adt("X1", "A28"), "AL", "NE")
    _, first = await answered(practice, "pm", sent)
    _, second = await answered(practice, "pm", sent.replace(b"|20260105080000||ADT", b"|20260105080030||ADT"))
    assert first == second
    states = practice.rows("SELECT state, ack_code FROM journal ORDER BY id")
    assert [(row["state"], row["ack_code"]) for row in states] == [("accepted", "CA"), ("duplicate", "CA")]


async def test_what_was_refused_with_ce_is_judged_again(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    edit = asking(adt("X1", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr"), "AL", "NE")
    assert (await answered(practice, "emr", edit))[0] == "CE"
    await practice.accepted("pm", adt("REG", "A28"))
    assert (await answered(practice, "emr", edit))[0] == "CA"


# -- what cannot be read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "expected"), [("auto", "CR"), ("original", "AR"), ("accept", "CR")])
async def test_a_header_that_can_be_read_decides_also_for_what_cannot(opened: Opening, mode: str, expected: str) -> None:
    practice = await opened(PM_OWNS, PM_ACK_MODE=mode, PM_MAX_BYTES="2KiB")
    line = await practice.line("pm")
    no_event = asking(b"MSH|^~\\&|PM|DESK|EMR|CLINIC|20260105||  |X1|P|2.3.1\rPID|1||7050\r".replace(b"|  |", b"||"), "AL")
    damaged = asking(adt("X2", "A28"), "AL").replace(b"ADAMSKI", b"ADA\x1cMSKI")
    too_big = asking(adt("X3", "A28", RUTH, "NTE|1||" + "x" * 5000), "AL")
    for payload, number in ((no_event, "X1"), (damaged, "X2"), (too_big, "X3")):  # the last one closes the connection
        await line.send_raw(b"\x0b" + payload + b"\x1c\r")
        reply = read_reply(await line.read_answer())
        assert (reply.code, reply.control_id) == (expected, number)
    states = practice.rows("SELECT state, ack_code FROM journal")
    assert [(row["state"], row["ack_code"]) for row in states] == [("error", expected)] * 3


@pytest.mark.parametrize(("mode", "expected"), [("auto", "AR"), ("original", "AR"), ("accept", "CR")])
async def test_without_any_header_only_the_setting_decides(opened: Opening, mode: str, expected: str) -> None:
    practice = await opened(PM_OWNS, PM_ACK_MODE=mode)
    reply = read_reply(await (await practice.line("pm")).send(b"PID|1||7050\r"))
    assert reply.code == expected


# -- forced modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "expected"), [("original", ["AA", "AE", "AR"]), ("accept", ["CA", "CE", "CR"])])
@pytest.mark.parametrize("wish", ["", "AL", "NE"])
async def test_a_forced_mode_does_not_ask_the_message(opened: Opening, mode: str, expected: list[str], wish: str) -> None:
    practice = await opened(PM_OWNS, EMR_ACK_MODE=mode)
    await practice.accepted("pm", adt("REG", "A28"))  # the other peer has a mode of its own
    codes = [
        (await answered(practice, "emr", asking(payload, wish)))[0]
        for payload in (dft("X1"), dft("X2", [Fee(amount="abc")]), message("ORU^R01", "X3", sender="emr"))
    ]
    assert codes == expected


# -- none -----------------------------------------------------------------------------------------------------------------


async def test_none_answers_nothing_and_does_everything_else(opened: Opening) -> None:
    practice = await opened(PM_OWNS, PM_ACK_MODE="none")
    line = await practice.line("pm")
    registered, refused = adt("X1", "A28"), message("ORU^R01", "X2", sender="pm")
    await silent(practice, line, registered, "X1")
    await silent(practice, line, asking(refused, "AL", "AL"), "X2")
    await silent(practice, line, b"BHS|^~\\&|PM\r" + message("ORU^R01", "X3", sender="pm") + b"BTS|1\r", "X3")
    for raw in (b"rubbish", b"BHS|^~\\&|PM\rBTS|0\r", adt("X4", "A28").replace(b"ADAMSKI", b"ADA\x1cMSKI")):
        await line.send_raw(b"\x0b" + raw + b"\x1c\r")
    await practice.until(lambda: practice.count("journal") == 6)
    assert [practice.state(number) for number in ("X1", "X2", "X3")] == ["accepted", "rejected", "rejected"]
    rows = practice.rows("SELECT ack_code, answer FROM journal")
    assert {(row["ack_code"], row["answer"]) for row in rows} == {("", None)}
    await practice.assert_relayed(registered, "emr")
    await practice.broker.stop()
    with pytest.raises(EOFError):  # nothing had been written before the end
        await line.read_answer()


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "in one packet"])
async def test_none_a_copy_has_no_second_effect_although_the_first_got_no_answer(opened: Opening, together: bool) -> None:
    practice = await opened(PM_OWNS, EMR_ACK_MODE="none")
    await practice.accepted("pm", adt("REG", "A28"))
    line = await practice.line("emr")
    sent = frame(dft("C1"))
    if together:
        await line.send_raw(sent + sent)
    else:
        await silent(practice, line, dft("C1"), "C1")
        await line.send_raw(sent)
    rows = "SELECT state FROM journal WHERE control_id = 'C1' ORDER BY id"
    await practice.until(lambda: len(practice.rows(rows)) == 2)
    assert [row["state"] for row in practice.rows(rows)] == ["accepted", "duplicate"]
    assert practice.charges() == [("T-1", "sent")]


async def test_none_what_was_refused_is_judged_again(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_ACK_MODE="none")
    edit = adt("X1", "A08", RUTH, "AL1|1|DA|PCN^PENICILLIN", sender="emr")
    line = await practice.line("emr")
    await silent(practice, line, edit, "X1")
    await practice.accepted("pm", adt("REG", "A28"))
    await line.send_raw(frame(edit))
    await practice.until(lambda: practice.state("X1") == "accepted")


async def test_a_repeat_of_what_got_no_answer_is_answered_once_the_mode_allows(tmp_path: Path) -> None:
    """The sender was told nothing, so there is nothing to repeat byte for byte; but it is answered, and not taken twice."""
    database = tmp_path / "ophl7.db"
    sent = dft("C1", [FEE])
    async with Practice(database, PM_OWNS, EMR_ACK_MODE="none") as practice:
        await practice.accepted("pm", adt("REG", "A28"))
        await silent(practice, await practice.line("emr"), sent, "C1")
    async with Practice(database, PM_OWNS) as practice:
        reply = await practice.send("emr", sent)
        assert (reply.code, practice.state("C1")) == ("AA", "duplicate")
        assert practice.charges() == [("T-1", "sent")]
    async with Practice(database, PM_OWNS, EMR_ACK_MODE="none") as practice:
        line = await practice.line("emr")
        await line.send_raw(frame(sent))
        await practice.until(lambda: practice.rows("SELECT count(*) AS n FROM journal WHERE control_id = 'C1'")[0]["n"] == 3)
        assert practice.journal("C1")["answer"] is None


# -- batches --------------------------------------------------------------------------------------------------------------


async def test_auto_each_member_of_a_batch_is_answered_by_its_own_msh_15(opened: Opening) -> None:
    practice = await opened(PM_OWNS)
    one, two = asking(adt("X1", "A28"), "AL", "NE"), message("ORU^R01", "X2", sender="pm")
    three = asking(message("ORU^R01", "X3", sender="pm"), "ER", "NE")
    answer = await (await practice.line("pm")).send(b"BHS|^~\\&|PM\r" + one + two + three + b"BTS|3\r")
    found = [line.split(b"|")[1:3] for line in answer.split(b"\r") if line.startswith(b"MSA")]
    assert found == [[b"CA", b"X1"], [b"AR", b"X2"], [b"CR", b"X3"]]


@pytest.mark.parametrize(("wish", "expected"), [("", "AE"), ("AL", "CE")])
async def test_too_many_members_are_refused_in_the_family_of_the_first(opened: Opening, wish: str, expected: str) -> None:
    practice = await opened(PM_OWNS)
    many = b"".join(asking(message("ADT^A24", f"X{number}", sender="pm"), wish) for number in range(1001))
    reply = read_reply(await (await practice.line("pm")).send(many))
    assert (reply.code, reply.control_id, reply.faults[0].code) == (expected, "X0", 199)


# -- what we send -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "state"), [("CA", "accepted"), ("CE", "parked"), ("CR", "parked")])
async def test_a_peer_that_answers_what_we_send_with_ca_ce_or_cr_is_understood(opened: Opening, said: str, state: str) -> None:
    practice = await opened(PM_OWNS)
    practice.desk["emr"].then = refuse(said, error=0)  # MSA-1 as scripted, without an ERR
    await practice.accepted("pm", adt("X1", "A28"))
    await practice.until(lambda: practice.deliveries("X1")[0]["state"] == state)
    assert practice.deliveries("X1")[0]["last_answer"] == said


# -- what people see --------------------------------------------------------------------------------------------------------


async def test_answers_are_counted_as_they_were_sent_and_none_where_none_was(opened: Opening) -> None:
    practice = await opened(PM_OWNS, EMR_ACK_MODE="none")
    await answered(practice, "pm", asking(adt("X1", "A28"), "AL", "NE"))
    await silent(practice, await practice.line("emr"), dft("C1"), "C1")
    exposition = practice.broker.metrics.exposition().decode()
    assert 'ophl7_acks_sent_total{code="CA",listener="pm"} 1.0' in exposition
    assert 'ophl7_acks_sent_total{code="AA"' not in exposition
    assert 'listener="emr"' not in "".join(line for line in exposition.splitlines() if line.startswith("ophl7_acks_sent"))
