"""The copy that leaves: byte for byte what came, but for what a rule or the receiver makes necessary (contract 4)."""

from __future__ import annotations

import pytest

from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Patient
from ophl7.engine.outgoing import readdressed
from ophl7.hl7v2.rewrite import with_control_id
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid, policy


def left(desk: Desk, place: int = -1) -> list[str]:
    """The segments of a delivery, as the outbox would send them."""
    row, body = desk.seen.fed[place]
    assert body is not None
    return with_control_id(body, row.control_id).decode("utf-8").split("\r")[:-1]


async def test_what_nobody_touched_is_stored_once_and_leaves_as_it_came() -> None:
    raw = adt("P1") + b"ZZZ|1|caf\xc3\xa9\\F\\|\r"
    async with Desk() as desk:
        await desk.send("pm", raw)
        row, body = desk.seen.fed[0]
        assert row.body is None
        assert body == raw
        assert left(desk)[1:] == raw.decode().split("\r")[1:-1]


async def test_a_segment_that_is_the_others_leaves_with_the_others_values() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        allergies = ("AL1|1||peanut", "AL1|2||latex")
        assert await desk.send("emr", message(msh("ADT^A08", "E1"), "EVN||2024", pid(), *allergies)) == ["AA"]
        await desk.send("pm", message(msh("ADT^A08", "P2"), "EVN||2024", pid(), "AL1|1||dust", "ZZZ|1"))
        assert left(desk)[2:] == [pid(), *allergies, "ZZZ|1"]


async def test_a_segment_that_is_the_others_and_unknown_does_not_leave() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("pm", message(msh("ADT^A08", "P2"), "EVN||2024", pid(), "AL1|1||dust"))
        assert left(desk)[2:] == [pid()]
        assert [row.field for row in desk.memory.drift] == ["AL1"]


async def test_the_owners_id_is_supplied_where_the_other_side_named_its_own_only() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1", ids="7050^^^PM^MR~C9^^^EMR^PI"))
        await desk.send("emr", dft("D1", ft1("T1"), ids="C9^^^EMR^PI"))
        assert left(desk)[2].split("|")[3] == "7050^^^PM^MR~C9^^^EMR^PI"
        await desk.send("emr", dft("D2", ft1("T2"), ids="C9^^^EMR^PI~7050^^^PM^MR"))
        assert left(desk)[2].split("|")[3] == "C9^^^EMR^PI~7050^^^PM^MR"


async def test_charges_that_are_known_stay_behind_with_what_belongs_to_them() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        await desk.send("emr", dft("D1", ft1("T1"), "NTE|1||one", "PR1|1||99213"))
        await desk.send("emr", dft("D2", ft1("T1"), "NTE|1||one", "PR1|1||99213", ft1("T2", 2), "NTE|1||two", extra=["GT1|1"]))
        assert left(desk)[3:] == [ft1("T2", 2), "NTE|1||two", "GT1|1"]
        assert b"W01" in (desk.lines["emr"].answers[-1] or b"")


async def test_a_value_that_the_messages_charset_cannot_hold_is_no_reason_to_send_something_else() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("P1"))
        sigma = message(msh("ADT^A08", "E1"), "EVN||2024", pid(), "AL1|1||Σίγμα")
        assert await desk.send("emr", sigma) == ["AA"]
        before = len(desk.seen.fed)
        header = msh("ADT^A08", "P2") + "||||||8859/1"
        assert await desk.send("pm", message(header, "EVN||2024", pid(), "AL1|1||dust")) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["unwritable:PM"]
        assert len(desk.seen.fed) == before


# -- to the survivor (decisions 6) -----------------------------------------------------------------------------------------


def survivor(*identifiers: Identifier) -> Patient:
    return Patient(2, 2, 2, identifiers, {}, 0.0, 1)


STAYS = survivor(Identifier("PM", "7050", "MR"), Identifier("EMR", "E&1", "PI"))
MAPPING = {("PM", "7051"): STAYS, ("EMR", "E2"): STAYS, ("LAB", "9"): STAYS}


@pytest.mark.parametrize(
    ("said", "leaves"),
    [
        ("||7051", "||7050"),
        ("||7051^4^M10^PM&1.2&ISO^MR^FAC", "||7050^4^M10^PM&1.2&ISO^MR^FAC"),
        ("||7051^^^PM^MR~E2^^^EMR^PI", "||7050^^^PM^MR~E\\T\\1^^^EMR^PI"),
        ("||7051~7050~7051^^^PM^PI", "||7050"),
        ("||9^^^LAB", "||7050^^^PM^MR"),
        ("||9^^^LAB~7051", "||7050"),
        ("||7051~999^^^SSA^SS", "||7050~999^^^SSA^SS"),
        ("|7051||7051", "|7050||7050"),
        ("|7051|7051^^^PM^MR|7051~9^^^LAB", "|7050|7050^^^PM^MR|7050"),
        ("|9^^^LAB|7051", "||7050"),
    ],
)
def test_a_retired_id_leaves_as_the_survivors_of_the_same_authority_and_nothing_else_changes(said: str, leaves: str) -> None:
    raw = message(msh("ADT^A08", "C1"), f"PID|1{said}||Rivers^Ada", "ZZZ|7051")
    body = readdressed(raw, "OURS", MAPPING, policy(), "pm", "emr")
    assert body is not None
    assert body.decode().split("\r")[1:] == [f"PID|1{leaves}||Rivers^Ada", "ZZZ|7051", ""]


@pytest.mark.parametrize("said", ["||7052", "||7051^^^LAB", "||7051^^^PM^SS", '||""', "|"])
def test_what_names_nobody_who_is_retired_is_left_as_it_is(said: str) -> None:
    assert readdressed(message(msh("ADT^A08", "C1"), f"PID|1{said}"), "OURS", MAPPING, policy(), "pm", "emr") is None


def test_other_delimiters_are_the_messages_own() -> None:
    raw = b"MSH$%*!@$APP$FAC$HUB$HUB$20240301$$ADT%A08$C1$P$2.5\rPID$1$$7051%%%PM%MR*E2%%%EMR\r"
    body = readdressed(raw, "OURS", MAPPING, policy(), "pm", "emr")
    assert body is not None
    assert body.split(b"\r")[1] == b"PID$1$$7050%%%PM%MR*E&1%%%EMR"


def test_a_message_without_a_pid_names_nobody() -> None:
    assert readdressed(message(msh("SIU^S12", "C1"), "SCH|1"), "OURS", MAPPING, policy(), "pm", "emr") is None
