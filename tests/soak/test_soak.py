"""A soak in its short form: the same processes, plan and books; what grows over a million messages shows at full length."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.benchmarks.processes import HERE
from tests.soak import report
from tests.soak.load import Tenth, tenths
from tests.soak.plan import Plan
from tests.soak.report import Books, Stretch
from tests.soak.running import Soak, Terms
from tests.soak.watching import Sample, totals

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SAMPLE = Sample(rss=100.0, threads=8, descriptors=80, tasks=40, queued=0, parked=0, database=1.0, wal=4.0)
TENTH = Tenth(1, 10, 1.0, 2.0, 8.0, 9.0, 1.0, 0.1, 9, {"A08": 10}, {}, 10, 0)
BOOKS = Books(arrived=9, expected=9, unsettled=0, open_holds=0, journal=10, sent=10, check="ok")


def stretch(rss: float = 100.0, p99: float = 8.0, wrong: dict[str, int] | None = None) -> Stretch:
    return Stretch(replace(TENTH, p99_ms=p99, wrong=wrong or {}), replace(SAMPLE, rss=rss), 4.0)


@pytest.mark.slow
def test_everything_that_was_answered_is_in_the_journal_and_with_its_destination(tmp_path: Path) -> None:
    said: list[str] = []
    soaked = Soak(Terms(messages=2000, patients=200, rate=400.0, lines=4), tmp_path, said.append).run()
    assert report.faults(soaked.stretches, soaked.books) == []
    assert [one.tenth.number for one in soaked.stretches] == list(range(1, 11))
    assert sum(one.tenth.answers for one in soaked.stretches) == 2000
    kinds = sum((Counter(one.tenth.kinds) for one in soaked.stretches), Counter[str]())
    assert kinds.keys() == {"A08", "A28", "DFT", "S12", "held", "refused", "repeat"}
    assert kinds["held"] == kinds["A28"]
    last = soaked.stretches[-1].sample
    assert (last.queued, last.parked) == (0, 0)
    assert last.rss > 0
    assert last.descriptors > 0
    assert last.tasks > 0


def test_the_plan_is_the_same_again_and_every_newcomer_is_registered_after_his_charge() -> None:
    steps = list(Plan(50, 1, NOW).mixed(3000))
    assert steps == list(Plan(50, 1, NOW).mixed(3000))
    assert len(steps) == 3000
    kinds = Counter(step.kind for step in steps)
    assert kinds["held"] == kinds["A28"] > 0
    assert kinds["repeat"] > 0
    assert kinds["refused"] > 0
    waiting = 0
    for step in steps:
        waiting += (step.kind == "held") - (step.kind == "A28")
        assert waiting >= 0


def test_no_control_id_is_used_twice_but_by_a_repeat() -> None:
    seen: dict[bytes, bytes] = {}
    for step in Plan(50, 1, NOW).mixed(3000):
        number = step.expected[-8:]
        assert (number in seen) == (step.kind == "repeat")
        assert seen.setdefault(number, step.frame) == step.frame


def test_growth_and_slowness_past_their_limits_are_said() -> None:
    kept = report.bounds([stretch(), stretch(rss=109.0, p99=11.9)])
    broken = report.bounds([stretch(), stretch(rss=111.0, p99=12.1)])
    assert [holds for *_, holds in kept] == [True, True]
    assert [holds for *_, holds in broken] == [False, False]


@pytest.mark.parametrize(
    "books",
    [
        replace(BOOKS, arrived=8),
        replace(BOOKS, unsettled=1),
        replace(BOOKS, open_holds=1),
        replace(BOOKS, journal=9),
        replace(BOOKS, check="row missing from index"),
    ],
)
def test_books_that_do_not_add_up_make_it_invalid(books: Books) -> None:
    assert report.faults([stretch()], BOOKS) == []
    assert report.faults([stretch()], books)


def test_a_wrong_answer_makes_it_invalid() -> None:
    assert report.faults([stretch(wrong={"A08: AE": 1})], BOOKS) == ["tenth 1: 1 x A08: AE"]


def test_ten_parts_are_all_of_it() -> None:
    assert [sum(tenths(count)) for count in (7, 10, 1005)] == [7, 10, 1005]
    assert len(tenths(1005)) == 10


def test_a_metric_is_summed_over_its_labels() -> None:
    text = (
        '# HELP ophl7_queue_depth x\nophl7_queue_depth{queue="pm"} 3.0\nophl7_queue_depth{queue="emr"} 4.0\nophl7_tasks 12.0\n'
    )
    assert totals(text) == {"ophl7_queue_depth": 7.0, "ophl7_tasks": 12.0}


def test_make_soak_runs_it() -> None:
    assert "-m tests.soak $(SOAK)" in (HERE / "Makefile").read_text(encoding="utf-8")
