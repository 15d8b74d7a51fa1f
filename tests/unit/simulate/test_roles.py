"""Both systems at one table: who says what, and that it does not depend on the order of deliveries."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.cli.files import read_messages
from ophl7.hl7v2.conformance import check
from ophl7.simulate.chance import Chance, turn
from ophl7.simulate.hand import VERSIONS
from ophl7.simulate.reading import read
from ophl7.simulate.role import SET_UPS, Role, SetUp
from ophl7.simulate.steps import ChargeIs, FieldIs, Merged, NoPatient, NoVisit, Side, other_side
from tests.unit.simulate.table import DAY, Deliveries, Said, owner_in, play, sit_down

TOUR = Path(__file__).parents[3] / "examples" / "tour"


def mixed(chance: random.Random) -> Callable[[Deliveries], Deliveries]:
    """Lanes overtake each other; in a lane the order stays."""

    def order(deliveries: Deliveries) -> Deliveries:
        lanes: dict[str, Deliveries] = defaultdict(list)
        for lane, payload in deliveries:
            lanes[lane].append((lane, payload))
        found: Deliveries = []
        while lanes:
            lane = chance.choice(sorted(lanes))
            found.append(lanes[lane].pop(0))
            if not lanes[lane]:
                del lanes[lane]
        return found

    return order


def with_code(said: list[Said], code: str) -> set[tuple[str, str]]:
    return {(one.step.event, one.step.reason) for one in said if one.step.code == code}


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), chance=st.randoms(use_true_random=False), set_up=st.sampled_from(SET_UPS))
def test_what_is_said_does_not_depend_on_the_order_of_deliveries(seed: int, chance: random.Random, set_up: SetUp) -> None:
    other = other_side(owner_in(set_up))
    straight = play(sit_down(set_up, seed=seed), set_up)
    crooked = play(sit_down(set_up, seed=seed), set_up, mixed(chance))
    assert sorted(one.payload for one in straight.by(other)) == sorted(one.payload for one in crooked.by(other))


@pytest.mark.parametrize("set_up", SET_UPS)
def test_no_two_messages_of_a_side_have_the_same_control_id(set_up: SetUp) -> None:
    table = play(sit_down(set_up, patients=60), set_up)
    for side in table.roles:
        ids = [one.step.control_id for one in table.by(side)]
        assert len(ids) == len(set(ids))
        assert all(ids)
        assert max(len(one) for one in ids) <= 20


def test_where_the_pm_owns_everything_each_side_does_and_tries_what_is_its_own() -> None:
    table = play(sit_down("pm/pm"), "pm/pm")
    assert with_code(table.by("pm"), "AR") == {("DFT^P03", "C02"), ("BAR^P01", "C03")}
    assert with_code(table.by("pm"), "AE") == set()
    assert with_code(table.by("emr"), "AE") == {("ADT^A28", "P01"), ("SIU^S12", "S01"), ("DFT^P03", "C01")}
    assert with_code(table.by("emr"), "AR") == {("BAR^P01", "C03")}
    taken = {("ADT^A08", ""), ("ADT^A40", ""), ("DFT^P03", ""), ("SIU^S12", "")}
    assert with_code(table.by("emr"), "AA") == taken


def test_where_the_emr_owns_everything_the_pm_only_bills_and_keeps_the_insurance() -> None:
    table = play(sit_down("emr/emr"), "emr/emr")
    assert with_code(table.by("pm"), "AE") == {("ADT^A28", "P01"), ("SIU^S12", "S01")}
    assert with_code(table.by("pm"), "AR") == {("DFT^P03", "C02"), ("BAR^P01", "C03")}
    assert table.events("emr") >= {"ADT^A28", "SIU^S14", "DFT^P03", "ADT^A40"}
    owned = {record.path for one in table.by("pm") for record in one.step.records if isinstance(record, FieldIs)}
    assert owned == {"PID-18", "IN1"}


@pytest.mark.parametrize("set_up", SET_UPS)
def test_every_visit_that_was_checked_out_is_charged_once(set_up: SetUp) -> None:
    table = play(sit_down(set_up, patients=40), set_up)
    over = {
        read(one.payload).booking.filler  # type: ignore[union-attr]
        for one in table.said
        if one.step.event == "SIU^S14" and b"CHECKEDOUT" in one.payload
    }
    charged = [one for one in table.by("emr") if one.step.words.startswith("charges visit ")]
    assert sorted(one.step.words.removeprefix("charges visit ") for one in charged) == sorted(over)
    assert len(over) > 20


def test_a_days_charges_have_every_peculiarity() -> None:
    records = [
        record for one in play(sit_down(), "pm/pm").by("emr") for record in one.step.records if isinstance(record, ChargeIs)
    ]
    assert {record.state for record in records} == {"accepted", "rejected", "held"}
    assert {record.kind for record in records} == {"CG", "CD", "PY"}
    assert {("SL",), ("25",)} < {record.modifiers for record in records}
    assert any(record.amount == "0.00" for record in records)
    assert len({(record.transaction, record.kind) for record in records}) == len(records)
    equal = [record for record in records if record.procedure == "90460" and record.transaction.startswith("T")]
    visits = [record.transaction.partition("-")[0] for record in equal]
    assert len(visits) > len(set(visits)), "no visit has two equal lines"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_ndc_and_tq1_are_written_from_2_5_on(version: str) -> None:
    table = play(sit_down(version=version), "pm/pm")
    charges = b"".join(one.payload for one in table.by("emr") if one.step.event == "DFT^P03")
    visits = b"".join(one.payload for one in table.by("pm") if one.step.event == "SIU^S12")
    assert (b"^^NDC" in charges) is (version >= "2.5")
    assert (b"\rTQ1|" in visits) is (version >= "2.5")


def test_the_late_charge_comes_after_the_desks_merge_and_before_the_clinics_own() -> None:
    table = play(sit_down(), "pm/pm")
    desk = next(one.step for one in table.by("pm") if one.step.event == "ADT^A40")
    own = next(one.step for one in table.by("emr") if one.step.event == "ADT^A40")
    retired = next(record.retired for record in desk.records if isinstance(record, Merged))
    late = next(
        one
        for one in table.by("emr")
        if one.step.words.startswith("charges visit ") and any(getattr(r, "patient", "") == retired for r in one.step.records)
    )
    assert desk.at < late.step.at < own.at
    assert f"{retired.removeprefix('PM:')}^^^PM^MR".encode() in late.payload
    assert {(record.retired, record.survivor) for record in (*desk.records, *own.records) if isinstance(record, Merged)} == {
        (retired, next(record.survivor for record in own.records if isinstance(record, Merged)))
    }


def test_who_may_not_create_or_book_says_whom_and_what_nobody_may_find() -> None:
    records = [record for one in play(sit_down(), "pm/pm").by("emr") for record in one.step.records]
    assert len([record for record in records if isinstance(record, NoPatient)]) == 1
    assert len([record for record in records if isinstance(record, NoVisit)]) == 1


@pytest.mark.parametrize("side", ["pm", "emr"])
@pytest.mark.parametrize("set_up", SET_UPS)
def test_nothing_is_said_about_a_message_that_no_simulator_wrote(side: Side, set_up: SetUp) -> None:
    role = Role(side, set_up, seed=1, version="2.5.1", patients=12)
    messages = [message for path in sorted(TOUR.iterdir()) for message in read_messages(path.read_bytes())]
    assert len(messages) > 5
    for message in messages:
        assert role.hears(read(message)) == []


def test_a_message_without_a_time_or_an_old_one_is_heard_and_not_answered() -> None:
    role = Role("emr", "pm/pm", seed=1, version="2.5.1", patients=12)
    for when in ("", "soon", "19991231"):
        message = f"MSH|^~\\&|DEMOPM|DEMO|DEMOEMR|DEMO|{when}||ADT^A28|X1|P|2.5.1\rPID|1||7^^^PM^MR||DEMO-X^Y\r"
        assert role.hears(read(message.encode())) == []


def test_who_plays_for_ever_forgets_the_days_before() -> None:
    table = sit_down()
    sizes = []
    for number in range(6):
        play(table, "pm/pm", day=DAY + timedelta(days=number))
        role = table.roles["emr"]
        sizes.append((len(role._follower._days), len(role._clinic._days)))  # type: ignore[union-attr]
    assert sizes[-1] == (2, 2)
    assert table.roles["emr"].days_heard_closed == 6


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.4", "2.5.1", "2.6"])
@pytest.mark.parametrize("set_up", SET_UPS)
def test_what_is_written_conforms_to_its_version(set_up: SetUp, version: str) -> None:
    kinds: dict[tuple[str, str, str], bytes] = {}
    for one in play(sit_down(set_up, version=version), set_up).said:
        names = " ".join(line.partition("|")[0] for line in one.step.lines)
        kinds.setdefault((one.side, one.step.event, names), one.payload)
    found = {(event, finding.place) for (_, event, _), payload in kinds.items() for finding in check(payload).findings}
    # PID-40, where the contact preference stands, came with 2.7; decisions 9 has it in every version.
    assert found - {("ADT^A08", "PID-40")} == set()
    assert len(kinds) > 15


def test_choices_are_the_same_on_every_machine() -> None:
    assert [Chance(7, "2026-01-05").number(1000, "age", number) for number in range(5)] == [222, 803, 893, 885, 503]
    assert Chance(1).one("abc", "x") in "abc"
    assert {Chance(1).number(3, number) for number in range(50)} == {0, 1, 2}
    with pytest.raises(ValueError, match="below 1"):
        Chance(1).number(0)


def test_turns_go_by_the_number_at_the_end() -> None:
    assert [turn(f"V2518070{number:02}", 3) for number in range(6)] == [0, 1, 2, 0, 1, 2]
    assert turn("ABC", 3) == turn("ABC", 3)
