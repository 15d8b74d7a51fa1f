"""What a merge message says, and the maps as a forest (decisions 6)."""

from __future__ import annotations

import pytest

from ophl7.domain.changes import CreatePatient
from ophl7.domain.identifiers import Identifier, Naming, named_patient
from ophl7.domain.introduction import introduction
from ophl7.domain.merge import (
    Relation,
    joined,
    leads_to,
    read_merges,
    redirects,
    relation,
    state_of,
    survivor_on,
    unified,
)
from ophl7.domain.merging import Wanted, planned
from ophl7.domain.patient import Patient
from ophl7.hl7v2.message import Message


def message(*segments: str) -> Message:
    return Message.parse("\r".join(["MSH|^~\\&|A|B|C|D|20240301||ADT^A40|C1|P|2.5", *segments, ""]).encode())


def ident(value: str, authority: str = "PM") -> Identifier:
    return Identifier(authority, value, "MR")


def chart(number: int, pm: int | None = None, emr: int | None = None) -> Patient:
    ids = (ident(f"P{number}"), ident(f"E{number}", "EMR"))
    return Patient(number, number, 0, ids, {}, 0.0, 1, merged_pm=pm, merged_emr=emr)


def charts(*made: Patient) -> dict[int, Patient]:
    return {one.id: one for one in made}


# -- reading --------------------------------------------------------------------------------------------------------------


def test_each_mrg_belongs_to_the_pid_before_it() -> None:
    found = read_merges(
        message("PID|1||7050^^^PM^MR", "PD1|1", "MRG|7051^^^PM^MR", "PID|2||8", "MRG|9", "MRG|10~11^^^X^MR"), Naming("PM")
    )
    assert [([one.value for one in pair.survivor.keys], [one.value for one in pair.retired.keys]) for pair in found] == [
        (["7050"], ["7051"]),
        (["8"], ["9"]),
        (["8"], ["10", "11"]),
    ]


@pytest.mark.parametrize(
    ("mrg", "retired"),
    [
        ("MRG|7051", ["7051"]),
        ("MRG||||7051", ["7051"]),
        ("MRG|7051||||7", ["7051"]),
        ("MRG|123^^^SSA^SS|||7051", ["7051"]),
        ("MRG|123^^^SSA^SS", []),
        ('MRG|""', []),
        ("MRG|||A-1", []),
    ],
)
def test_mrg_1_counts_else_mrg_4_and_key_ids_only(mrg: str, retired: list[str]) -> None:
    (pair,) = read_merges(message("PID|1||7050", mrg), Naming("PM"))
    assert [one.value for one in pair.retired.keys] == retired


def test_an_mrg_before_any_pid_is_nobodys() -> None:
    assert read_merges(message("MRG|7051", "PID|1||7050"), Naming("PM")) == []


# -- the maps -------------------------------------------------------------------------------------------------------------


def test_a_chain_ends_at_the_last_survivor_of_that_side_only() -> None:
    people = charts(chart(1, pm=2), chart(2, pm=3, emr=1), chart(3))
    assert survivor_on("pm", people[1], people).id == 3
    assert survivor_on("emr", people[1], people).id == 1
    assert leads_to("pm", people[1], people[3], people)
    assert not leads_to("pm", people[3], people[1], people)
    assert not leads_to("pm", people[3], people[3], people)
    assert joined("pm", people[1], people[2], people)
    assert not joined("emr", people[1], people[3], people)


def test_a_broken_map_that_goes_round_ends_all_the_same() -> None:
    people = charts(chart(1, pm=2), chart(2, pm=1))
    assert survivor_on("pm", people[1], people).id == 2
    assert not leads_to("pm", people[1], chart(9), people)


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((chart(1), chart(2)), "new"),
        ((chart(1, pm=2), chart(2)), "again"),
        ((chart(1, pm=3), chart(2), chart(3, pm=2)), "again"),
        ((chart(1, pm=3), chart(2), chart(3)), "elsewhere"),
        ((chart(1), chart(2, pm=1)), "cycle"),
        ((chart(1), chart(2, pm=3), chart(3, pm=1)), "cycle"),
        ((chart(1), chart(2, emr=1)), "opposite"),
        ((chart(1), chart(2, emr=3), chart(3, emr=1)), "opposite"),
        ((chart(1, emr=2), chart(2)), "new"),
    ],
)
def test_what_the_pms_merge_of_1_into_2_is(people: tuple[Patient, ...], expected: Relation) -> None:
    known = charts(*people)
    assert relation("pm", known[1], known[2], known) == expected


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        ((chart(1, pm=2), chart(2)), "one_sided"),
        ((chart(1, pm=2, emr=2), chart(2)), "two_sided"),
        ((chart(1, pm=2), chart(2, emr=1)), "conflict"),
        ((chart(1, pm=2, emr=3), chart(2), chart(3, emr=2)), "two_sided"),
        ((chart(1, pm=2, emr=3), chart(2, emr=3), chart(3)), "two_sided"),
    ],
)
def test_where_the_pair_of_1_and_2_stands(people: tuple[Patient, ...], expected: str) -> None:
    known = charts(*people)
    assert state_of(known[1], known[2], known) == expected


def test_every_id_of_a_retired_chart_leads_to_the_survivor() -> None:
    people = charts(chart(1, pm=2), chart(2), chart(3, emr=2))
    assert {key: survivor.id for key, survivor in redirects("pm", people.values(), people).items()} == {
        ("PM", "P1"): 2,
        ("EMR", "E1"): 2,
    }


@pytest.mark.parametrize(
    ("ids", "people", "expected"),
    [
        ((("P2", 2), ("E1", 1)), (chart(1), chart(2)), None),
        ((("P2", 2), ("E1", 1)), (chart(1, emr=2), chart(2)), 2),
        ((("P2", 2), ("E1", 1)), (chart(1, pm=2), chart(2)), 2),
        ((("P1", 1), ("E2", 2)), (chart(1, emr=2), chart(2)), 2),
        ((("P1", 1), ("P2", 2)), (chart(1, pm=3), chart(2, pm=3), chart(3)), 3),
        ((("P1", 1), ("P3", 3)), (chart(1, pm=2), chart(2), chart(3)), None),
    ],
)
def test_ids_of_several_charts_are_one_patients_where_a_merge_joined_them(
    ids: tuple[tuple[str, int], ...], people: tuple[Patient, ...], expected: int | None
) -> None:
    known = charts(*people)
    found = [(ident(value, "PM" if value[0] == "P" else "EMR"), known[number]) for value, number in ids]
    one = unified(found, "emr", {"PM": "pm", "EMR": "emr"}, known)
    assert (one.id if one is not None else None) == expected


# -- several in one message -----------------------------------------------------------------------------------------------


def test_the_merges_of_one_message_see_each_other() -> None:
    one, two, three = chart(1), chart(2), chart(3)
    wanted = [
        Wanted(ident("P1"), one, (ident("P2"),), two),
        Wanted(ident("P2"), two, (ident("P3"),), three),
        Wanted(ident("P1"), one, (ident("P2"),), two),
        Wanted(ident("P1"), one, (ident("P3"),), three),
        Wanted(ident("P3"), three, (ident("P1"),), one),
        Wanted(ident("X9"), None, (ident("P3"),), three),
        Wanted(ident("X9"), None, (ident("P1"),), one),
        Wanted(ident("X8"), None, (ident("X7"),), None),
    ]
    found = planned("pm", wanted, [one, two, three])
    assert [change.relation for change in found] == ["new", "new", "again", "again", "cycle", "new", "again", "new"]
    assert [change.retired for change in found[-3:]] == [None] * 3
    assert found[-1].survivor is None


# -- introductions --------------------------------------------------------------------------------------------------------


def introduced(pid: str, authority: str | None = None) -> CreatePatient | None:
    said = message(pid, "IN1|1|PLAN")
    return introduction(said, named_patient(said.first("PID"), Naming("PM")), authority)


def test_a_complete_pid_introduces_a_provisional_patient_with_nothing_but_who_he_is() -> None:
    found = introduced("PID|1||7050~E9^^^EMR^PI~1^^^SSA^SS||Rivers^Ada||20180412|F|||1 Elm St", "PM")
    assert found is not None
    assert found.provisional
    assert [str(one) for one in (*found.identifiers, *found.others)] == ["PM:7050", "EMR:E9", "SSA:1"]
    assert dict(found.fields) == {"PID-5": "Rivers^Ada", "PID-7": "20180412", "PID-8": "F"}


@pytest.mark.parametrize(
    "pid",
    [
        "PID|1||||Rivers^Ada||20180412|F",
        "PID|1||7050||||20180412|F",
        "PID|1||7050||Rivers^Ada|||F",
        "PID|1||7050||Rivers^Ada||20180412|",
        'PID|1||7050||Rivers^Ada||""|F',
        "PID|1||E9^^^EMR^PI||Rivers^Ada||20180412|F",
    ],
)
def test_one_that_says_too_little_or_lacks_the_owners_id_introduces_nobody(pid: str) -> None:
    assert introduced(pid, "PM") is None
