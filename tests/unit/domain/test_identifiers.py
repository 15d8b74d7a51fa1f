"""Who is it: identifiers, and how a PID names its patient (decisions 2)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ophl7.domain.identifiers import (
    NOBODY,
    Identifier,
    NamedPatient,
    Naming,
    deletes_key,
    named_patient,
    subject_of,
    subject_of_block,
)
from ophl7.hl7v2.message import Message


def named(pid: str, encoding: str = "utf-8") -> NamedPatient:
    return named_patient(message(pid, encoding).first("PID"), Naming("PM"))


def message(pid: str, encoding: str = "utf-8") -> Message:
    return Message.parse(f"MSH|^~\\&|A|B|C|D|20240301||ADT^A04|C1|P|2.5\r{pid}\r".encode(encoding))


@pytest.mark.parametrize("kind", ["MR", "PI", "PT", "MRN", ""])
def test_a_pid_3_of_a_key_type_may_match(kind: str) -> None:
    assert named(f"PID|1||7050^^^LAB^{kind}").keys == (Identifier("LAB", "7050", kind),)


@pytest.mark.parametrize("kind", ["SS", "DL", "AN", "MA", "MC"])
def test_other_numbers_are_kept_and_never_matched(kind: str) -> None:
    assert named(f"PID|1||999-99-9999^^^SSA^{kind}") == NamedPatient((), (Identifier("SSA", "999-99-9999", kind),))


def test_a_bare_id_has_the_peers_authority() -> None:
    assert named("PID|1||7050").keys == (Identifier("PM", "7050", ""),)


@pytest.mark.parametrize(
    ("hd", "authority"), [("PM", "PM"), ("LAB&1.2.3&ISO", "LAB"), ("&1.2.3&ISO", "1.2.3"), ("", "PM"), ("&", "PM")]
)
def test_an_authority_is_a_name_or_a_universal_id(hd: str, authority: str) -> None:
    assert named(f"PID|1||7050^^^{hd}^MR").keys == (Identifier(authority, "7050", "MR"),)


def test_keys_keep_their_order_and_each_is_named_once() -> None:
    found = named("PID|1||B^^^EMR^PI~A^^^PM^MR~X^^^SSA^SS~A^^^PM^MR~A^^^PM~X^^^SSA^SS")
    assert [str(key) for key in found.keys] == ["EMR:B", "PM:A"]
    assert [str(other) for other in found.others] == ["SSA:X"]


def test_pid_2_counts_only_where_pid_3_names_no_key() -> None:
    assert named("PID|1|old^^^PM^MR~old^^^PM|new^^^PM^MR").keys == (Identifier("PM", "new", "MR"),)
    assert named("PID|1|old^^^PM^MR~old^^^PM|999^^^SSA^SS").keys == (Identifier("PM", "old", "MR"),)
    assert named("PID|1|999^^^SSA^SS|").keys == ()


@pytest.mark.parametrize("pid", ["PID|1", "PID|1||", "PID|1||^^^PM^MR", 'PID|1||""', "PID|1||  ^^^PM^MR", "PV1|1"])
def test_what_holds_no_id_names_nobody(pid: str) -> None:
    assert named(pid) == NOBODY


@pytest.mark.parametrize(
    ("pid", "deleted"),
    [
        ('PID|1||""', True),
        ('PID|1||""^^^PM^MR', True),
        ('PID|1|""|', True),
        ('PID|1|""|7050', False),
        ('PID|1||7050~""^^^SSA^SS', False),
        ('PID|1||7050~""^^^PM^MR', True),
        ("PV1|1", False),
    ],
)
def test_a_delete_indicator_in_place_of_a_key_id_is_seen(pid: str, deleted: bool) -> None:
    assert deletes_key(message(pid).first("PID"), Naming("PM")) is deleted


def test_ids_are_unescaped_and_trimmed() -> None:
    assert named("PID|1|| 70\\T\\50 ^^^ PM ^ MR ").keys == (Identifier("PM", "70&50", "MR"),)


def test_a_damaged_id_holds_nothing_that_a_database_would_refuse() -> None:
    found = named_patient(
        Message.parse(b"MSH|^~\\&|A|B|C|D|2024||ADT^A04|C1|P|2.5\rPID|1||70\xff\x8150\r", "utf-8").first("PID"), Naming("PM")
    )
    assert found.keys
    str(found.keys[0]).encode("utf-8")
    subject_of(found.keys[0])


def test_a_subject_is_the_same_in_every_process_and_fits_every_database() -> None:
    call = "from ophl7.domain.identifiers import *; print(subject_of(Identifier('PM', '7050')), subject_of_block('pm', 'F1'))"
    said = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"})
    ours = (subject_of(Identifier("PM", "7050")), subject_of_block("pm", "F1"))
    assert tuple(map(int, said.stdout.split())) == ours
    assert all(0 <= number < 2**63 for number in ours)


def test_subjects_differ_by_authority_value_and_kind_of_thing_but_not_by_type() -> None:
    found = {subject_of(Identifier(*key)) for key in (("PM", "1"), ("EMR", "1"), ("PM", "2"), ("PM1", ""), ("P", "M1"))}
    assert len(found | {subject_of_block("PM", "1")}) == 6
    assert subject_of(Identifier("PM", "1", "MR")) == subject_of(Identifier("PM", "1", "PI"))


def test_naming_a_patient_by_many_ids_takes_steps_in_proportion_and_keeps_their_order() -> None:
    def steps(ids: int) -> int:
        pid = message("PID|1||" + "~".join(f"{number}^^^A{number % 7}^MR" for number in range(ids))).first("PID")
        calls = 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            found = named_patient(pid, Naming("PM"))
        finally:
            sys.setprofile(before)
        assert [one.value for one in found.keys] == [str(number) for number in range(ids)]
        return calls

    assert steps(800) < 2.5 * steps(400)
