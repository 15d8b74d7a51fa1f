"""The copy that leaves: byte for byte what came, but for what a rule or the receiver makes necessary (contract 4)."""

from __future__ import annotations

from ophl7.hl7v2.rewrite import with_control_id
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid


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
        assert [row.key for row in desk.memory.holds.values()] == ["handler:engine"]
        assert len(desk.seen.fed) == before
