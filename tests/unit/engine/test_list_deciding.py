"""A list is judged as the owner's messages would be: same rules, same rows; nobody is answered, and nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ophl7.engine.arrival import collect_keys, read_arrival
from ophl7.engine.judging import Judge
from ophl7.engine.list_deciding import EVENTS, LOADED, Found, ListDecider
from ophl7.engine.lists import Difference, Tally
from ophl7.engine.runner import Runner
from ophl7.engine.storage import Keys
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.kit import Change, Context, Handlers, Rules, Segment, SetAppointment, Side, Verdict, read_booking
from tests.unit.engine.desk import START, Desk, adt, dft, ft1, message, msh, pid, siu

BOTH = "C9^^^EMR^MR~7050^^^PM^MR"


async def load(desk: Desk, peer: Side, *messages: bytes, known: set[Difference] | None = None) -> list[Found]:
    """One batch of a list, committed; it counts on where the desk's engine is, and the engine behind it."""
    uow = UnitOfWork(desk.store, desk.engine._ids)
    judge = Judge(desk.router, desk.policy, Runner(desk.watchdog))
    decider = ListDecider(judge, desk.policy, desk.clock.now, desk.seen.freeze)
    arrivals = [read_arrival(peer, 0, desk.clock.moment, raw, 0, len(raw), desk.policy) for raw in messages]
    keys = Keys()
    for arrival in arrivals:
        collect_keys(arrival, keys, desk.policy)
    keys.controls.clear()
    await uow.load(keys, small=False)
    differences = known if known is not None else set()
    found = [await decider.decide(uow, arrival, 3, place, differences) for place, arrival in enumerate(arrivals, 1)]
    await desk.store.commit(uow.rows)
    return found


def fates(found: Sequence[Found]) -> list[str]:
    return [one.fate for one in found]


@pytest.mark.parametrize("event", sorted(one.partition("^")[2] for one in EVENTS))
async def test_the_owners_patient_is_created_as_if_announced_and_nothing_is_sent(event: str) -> None:
    async with Desk() as announced, Desk() as desk:
        await announced.send("pm", adt("A1", event))
        assert fates(await load(desk, "pm", adt("A1", event))) == ["created"]
        # A list says what is on record, not when it happened: it leaves no watermark (#87).
        dated = announced.memory.patients.items()
        assert desk.memory.patients == {number: replace(patient, mark_pm=None) for number, patient in dated}
        assert all(patient.mark_pm for _, patient in dated)
        assert desk.memory.aliases == announced.memory.aliases
        assert announced.memory.deliveries
        assert desk.memory.deliveries == {}
        assert desk.lines["pm"].answers == []


async def test_the_journal_row_of_a_loaded_patient_says_so_and_is_no_message_of_the_line() -> None:
    async with Desk() as desk:
        await load(desk, "pm", adt("A1"))
        (row,) = desk.memory.journal.values()
        assert (row.state, row.ack_code, row.answer, row.control_id, row.connection) == ("accepted", "", None, "", 0)
        assert (row.reason, row.row, row.event, row.raw) == (LOADED, "#1", "ADT^A04", adt("A1"))
        assert json.loads(row.detail)["list"] == [3, 1]
        assert desk.memory.patients[1].message == row.id
        # The same message on the line is an announcement that the other side must hear of.
        assert await desk.send("pm", adt("A1")) == ["AA"]
        assert desk.delivered == ["A1"]
        assert b"W04" not in (desk.lines["pm"].answers[0] or b"")


async def test_the_other_sides_list_links_its_ids_and_edits_what_it_owns() -> None:
    async with Desk() as desk:
        await load(desk, "pm", adt("A1"))
        (found,) = await load(desk, "emr", message(msh("ADT^A31", "E1"), pid(BOTH), "AL1|1||PEANUT"))
        assert found.fate == "linked"
        assert desk.memory.aliases == {("PM", "7050"): 1, ("EMR", "C9"): 1}
        assert desk.memory.patients[1].fields["AL1"] == "AL1|1||PEANUT"
        assert desk.memory.deliveries == {}


async def test_what_the_other_side_does_not_own_is_a_difference_and_each_is_told_once() -> None:
    async with Desk() as desk:
        await load(desk, "pm", adt("A1"))
        known: set[Difference] = set()
        said = adt("E1", "A31", ids=BOTH, name="Rivers^Adah")
        assert await load(desk, "emr", said, said, known=known) == [
            Found("linked", differences=1),
            Found("unchanged"),
        ]
        assert [(row.field, row.offered, row.kept) for row in desk.memory.drift] == [("PID-5", "Rivers^Adah", "Rivers^Ada")]
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Ada"
        assert await load(desk, "emr", said, known=known) == [Found("unchanged")]
        assert len(desk.memory.journal) == 2
        # Somebody whose ids are known already is only different: nothing is changed, but it is on record.
        other = adt("E2", "A31", ids=BOTH, name="Rivers^Ida")
        assert await load(desk, "emr", other, known=known) == [Found("unchanged", differences=1)]
        assert desk.memory.drift[-1].message == max(desk.memory.journal)


async def test_what_is_said_again_leaves_nothing_behind() -> None:
    async with Desk() as desk:
        assert fates(await load(desk, "pm", adt("A1"), adt("A2"), adt("A1", "A31"))) == ["created", "unchanged", "unchanged"]
        before = dict(desk.memory.journal)
        assert fates(await load(desk, "pm", adt("A1"))) == ["unchanged"]
        assert desk.memory.journal == before
        assert fates(await load(desk, "pm", adt("A1", name="Rivers^Ada^M"))) == ["changed"]
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Ada^M"


@pytest.mark.parametrize(
    ("peer", "raw", "fate", "row", "code"),
    [
        ("emr", adt("E1", "A28", ids="C9^^^EMR^MR"), "refused", "#6", "P01"),
        ("emr", adt("E1", "A31", ids="C9^^^EMR^MR"), "refused", "#6", "P01"),
        ("pm", adt("P1", "A31", ids="9^^^PM^MR", sex=""), "refused", "#3", ""),
        ("pm", adt("P1", "A31", born="20150413", sex="M"), "held", "#7", ""),
        ("pm", adt("P1", "A31", ids="7050^^^PM^MR~8^^^PM^MR"), "held", "#10", ""),
        ("pm", adt("P1", "A31", name='""'), "held", "#11", ""),
        ("emr", adt("E1", "A31", name="Other^Name", born="20150413"), "held", "#16", ""),
        ("pm", adt("P1", ids=""), "refused", "#15", ""),
        ("pm", message(msh("ADT^A28", "P1", version="3.0"), pid()), "refused", "#82", ""),
        ("pm", message(msh("ADT^A28", "P1", processing="T"), pid()), "refused", "#81", ""),
        ("pm", b"PID|1||7050\r", "refused", "#90", ""),
        ("pm", siu("S1"), "refused", "go-live", ""),
        ("emr", dft("D1", ft1("T1")), "refused", "go-live", ""),
        ("pm", adt("P1", "A40"), "refused", "go-live", ""),
    ],
)
async def test_what_the_rules_refuse_or_hold_is_told_and_leaves_nothing(
    peer: Side, raw: bytes, fate: str, row: str, code: str
) -> None:
    async with Desk() as desk:
        await load(desk, "pm", adt("A1"), adt("A2", ids="8^^^PM^MR"))
        before = (dict(desk.memory.patients), dict(desk.memory.journal), dict(desk.memory.aliases))
        (found,) = await load(desk, peer, raw)
        assert (found.fate, found.row, found.code) == (fate, row, code)
        assert found.reason
        assert not any(name in found.reason for name in ("Rivers", "7050", "Name", "2015"))
        assert (desk.memory.patients, desk.memory.journal, desk.memory.aliases) == before
        assert (desk.memory.holds, desk.memory.deliveries, desk.memory.drift) == ({}, {}, [])


async def test_where_the_emr_owns_its_list_creates_and_the_pms_waits_for_it() -> None:
    async with Desk(patient_authority="emr", schedule_authority="emr") as desk:
        early = adt("P1", "A31")
        (found,) = await load(desk, "pm", early)
        assert (found.fate, found.row) == ("refused", "#3")
        assert fates(await load(desk, "emr", adt("E1", "A31", ids="C9^^^EMR^MR"))) == ["created"]
        assert fates(await load(desk, "pm", adt("P2", "A31", ids="7050^^^PM^MR~C9^^^EMR^MR"))) == ["linked"]
        assert fates(await load(desk, "pm", early)) == ["unchanged"]


@pytest.mark.parametrize(("foreign", "fate"), [("reject", "refused"), ("hold", "held")])
async def test_the_setting_for_foreign_fields_holds_for_lists_too(foreign: str, fate: str) -> None:
    async with Desk(foreign_fields=foreign) as desk:
        await load(desk, "pm", adt("A1"))
        assert fates(await load(desk, "emr", adt("E1", "A31", ids=BOTH, name="Rivers^Adah"))) == [fate]
        assert ("EMR", "C9") not in desk.memory.aliases


async def test_what_had_waited_leaves_in_the_same_commit_oldest_first_and_the_list_does_not() -> None:
    async with Desk() as desk:
        await desk.send("emr", dft("D1", ft1("T1")), dft("D2", ft1("T2")), dft("D3", ft1("T3"), ids="C9^^^EMR^MR"))
        booking = message(msh("SIU^S12", "S1"), "SCH||F1" + "|" * 23 + "Booked", pid(born=""))
        await desk.send("pm", booking, adt("U1", "A31", sex=""))
        assert desk.states == ["held"] * 5
        commits = desk.memory.commits
        (found,) = await load(desk, "pm", adt("A1"))
        assert (found.fate, found.released, desk.memory.commits) == ("created", 4, commits + 1)
        sent = [desk.memory.journal[row.message].control_id for _, row in sorted(desk.memory.deliveries.items())]
        assert sent == ["D1", "D2", "S1", "U1"]
        assert [row.key for row in desk.memory.holds.values()] == ["patient:EMR:C9"]
        (found,) = await load(desk, "emr", adt("E1", "A31", ids=BOTH))
        assert (found.fate, found.released) == ("linked", 1)
        assert desk.journal("D3").state == "accepted"
        assert desk.memory.holds == {}


async def test_a_provisional_patient_is_confirmed_by_his_owners_list() -> None:
    async with Desk() as desk:
        await desk.send("pm", siu("S1"))
        assert fates(await load(desk, "emr", adt("E1", "A31", ids=BOTH))) == ["linked"]
        assert [one.provisional for one in desk.memory.patients.values()] == [True]
        assert fates(await load(desk, "pm", adt("A1", "A31"))) == ["changed"]
        assert [one.provisional for one in desk.memory.patients.values()] == [False]
        assert fates(await load(desk, "pm", adt("A1", "A31"))) == ["unchanged"]


async def test_a_chart_that_its_side_merged_away_is_kept_and_never_registered_anew() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1"), adt("A2", ids="8^^^PM^MR"))
        await desk.send("pm", message(msh("ADT^A40", "M1"), pid(ids="8^^^PM^MR"), "MRG|7050^^^PM^MR"))
        found = await load(desk, "pm", adt("A3", "A28"), adt("A4", "A31", name="Rivers^Adah"))
        assert [(one.fate, one.row) for one in found] == [("held", "#8"), ("changed", "")]
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Adah"
        assert desk.memory.patients[2].fields["PID-5"] == "Rivers^Ada"


async def test_an_inactive_patient_is_active_again_by_a_registration_and_not_by_an_update() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1"), adt("A2", "A29"))
        assert fates(await load(desk, "pm", adt("A3", "A31"))) == ["unchanged"]
        assert desk.memory.patients[1].inactive_on("pm")
        assert fates(await load(desk, "pm", adt("A3", "A28"))) == ["changed"]
        assert not desk.memory.patients[1].inactive_on("pm")


async def test_a_patient_whose_record_waits_for_a_person_is_left_alone() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1"), adt("U1", "A31", born="20150413", sex="M"))
        (found,) = await load(desk, "pm", adt("A2", "A31", name="Rivers^Ada^M"))
        assert (found.fate, found.reason) == ("held", "waits behind message 2")
        assert desk.memory.patients[1].fields["PID-5"] == "Rivers^Ada"


async def test_an_event_on_the_peers_ignore_list_is_not_taken() -> None:
    async with Desk() as desk:
        peers = dict(desk.policy.peers)
        object.__setattr__(peers["pm"], "ignore_events", frozenset({"ADT^A28"}))
        (found,) = await load(desk, "pm", adt("A1", "A28"))
        assert (found.fate, found.row) == ("refused", "#80")


async def test_a_part_that_fails_is_told_for_that_patient_alone() -> None:
    rules = Rules("picky")

    @rules.judge("patient.create")
    async def picky(change: Change, ctx: Context) -> Verdict | None:
        if ctx.match.key is not None and ctx.match.key.value == "7":
            raise KeyError("Rivers")
        return None

    async with Desk(rules=rules.registered) as desk:
        found = await load(desk, "pm", adt("A1", ids="7^^^PM^MR"), adt("A2", ids="8^^^PM^MR"))
        assert fates(found) == ["held", "created"]
        assert found[0].row == "#95"
        assert "Rivers" not in found[0].reason


async def test_effects_that_cannot_be_written_are_taken_back_for_that_patient_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    link = UnitOfWork.link

    def picky(self: UnitOfWork, identifier: object, patient: object) -> None:
        if getattr(identifier, "value", "") == "7":
            raise KeyError("Rivers")
        link(self, identifier, patient)  # type: ignore[arg-type]

    monkeypatch.setattr(UnitOfWork, "link", picky)
    async with Desk() as desk:
        found = await load(desk, "pm", adt("A1", ids="7^^^PM^MR"), adt("A2", ids="8^^^PM^MR"))
        assert (fates(found), found[0].row) == (["refused", "created"], "#95")
        assert "Rivers" not in found[0].reason
        assert list(desk.memory.aliases) == [("PM", "8")]
        assert len(desk.memory.journal) == 1


async def test_a_handler_that_books_or_charges_from_a_registration_does_not_do_so_from_a_list() -> None:
    handlers = Handlers("visits")

    @handlers.on("ADT^A04", segment="PV1")
    async def arrived(pv1: Segment, ctx: Context) -> list[Change]:
        booking = read_booking(ctx.message)
        assert booking is not None
        return [SetAppointment(booking, None, True, "pm", "booked", frozenset())]

    async with Desk(handlers=handlers.registered) as desk:
        await load(desk, "pm", adt("A1", "A28"))
        raw = message(msh("ADT^A04", "A2"), pid(sex="M"), "PV1|1", "SCH||F1")
        assert fates(await load(desk, "pm", raw)) == ["changed"]
        assert desk.memory.appointments == {}
        assert await desk.send("pm", raw) == ["AA"]
        assert len(desk.memory.appointments) == 1


async def test_weak_control_ids_and_old_lists_do_not_make_a_list_a_copy() -> None:
    async with Desk() as desk:
        await desk.send("pm", adt("A1"))
        desk.clock.moment += timedelta(days=30).total_seconds()
        assert fates(await load(desk, "pm", adt("A1", name="Rivers^Ada^M"), adt(""))) == ["changed", "changed"]
        assert desk.clock.moment > START.timestamp()


def test_a_tally_counts_each_fate_once_and_adds_up() -> None:
    found = [Found("created", released=2), Found("linked", differences=3), Found("refused"), Found("held"), Found("unchanged")]
    total = Tally()
    for one in found:
        total += one.tally
    assert total == Tally(created=1, linked=1, unchanged=1, refused=1, held=1, differences=3, released=2)
    assert total.records == len(found)
