"""A table that is wrong is worse than none."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import report
from .figures import Spread, markdown, percentile, ratios, spread
from .load import Outcome
from .machine import durable_write, filesystem, in_memory
from .rounds import Deliveries, Measurement


def measured(
    name: str, rate: float, number: int = 1, connections: int = 8, refusals: dict[str, int] | None = None
) -> Measurement:
    outcome = Outcome(
        connections=connections,
        seconds=1.0,
        answers=int(rate),
        rate=rate,
        p50_ms=1.0,
        p90_ms=2.0,
        p99_ms=3.0,
        p999_ms=4.0,
        max_ms=5.0,
        kinds={"ADT": 60, "DFT": 20, "SIU": 20},
        refusals=refusals or {},
        load_cpu=0.5,
        next_serial=100,
    )
    deliveries = Deliveries(rate=900.0, backlog=50, drained=None) if "delivering" in name else None
    return Measurement(number, name, outcome, startup=0.4, cpu=0.9, rss=60.0, peak=61.0, deliveries=deliveries)


def row(table: str, *cells: str) -> list[str]:
    found = [line for line in table.splitlines() if all(f"| {cell} |" in line for cell in cells)]
    assert len(found) == 1
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_percentiles_are_values_that_were_measured() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [1.0, 50.0, 99.0, 100.0, 100.0]
    assert percentile([7.0], 0.5) == 7.0
    with pytest.raises(ValueError, match="no measurement"):
        percentile([], 0.5)


def test_a_spread_shows_the_median_between_the_extremes() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([1500.0, 1000.0, 1250.0]).text() == "1,250 (1,000-1,500)"
    assert spread([2.5]).text(2) == "2.50"
    with pytest.raises(ValueError, match="no measurement"):
        spread([])


def test_ratios_compare_rounds_with_themselves_and_never_with_another() -> None:
    # The machine got twice as slow in round 2, for both: the ratio stays.
    assert ratios({1: 1000.0, 2: 500.0}, {1: 100.0, 2: 50.0}) == Spread(10.0, 10.0, 10.0)
    assert ratios({1: 1000.0, 3: 7.0}, {1: 100.0, 2: 50.0}) == Spread(10.0, 10.0, 10.0)
    assert ratios({1: 1000.0}, {2: 100.0}) is None


def test_the_table_has_a_row_for_each_size_and_server() -> None:
    table = report.rates(
        [
            measured(report.BASELINE, 100.0),
            measured(report.OURS, 1000.0),
            measured(report.BASELINE, 200.0, number=2),
            measured(report.OURS, 1200.0, number=2),
            measured(report.OURS, 300.0, connections=1),
        ]
    )
    assert row(table, "8", report.OURS)[2] == "1,100 (1,000-1,200)"
    assert row(table, "8", report.OURS)[-1] == "8.0 (6.0-10.0)"
    assert row(table, "8", report.BASELINE)[-1] == ""
    assert row(table, "1", report.OURS)[2] == "300"
    assert len(table.splitlines()) == 2 + 3


def test_two_commits_are_compared_round_by_round() -> None:
    table = report.pairs([measured(report.OURS, 900.0), measured(report.OTHER, 600.0)])
    assert row(table, "1.50")[0] == f"{report.OURS} / {report.OTHER}"
    assert not report.pairs([measured(report.OURS, 900.0)])


def test_a_queue_that_does_not_empty_is_said_plainly() -> None:
    table = report.deliveries([measured(report.OURS_DELIVERING, 900.0)])
    assert row(table, report.OURS_DELIVERING)[2:] == ["900", "50", "not within the limit"]
    assert not report.deliveries([measured(report.OURS, 900.0)])


def test_figures_with_a_refusal_in_them_are_not_valid() -> None:
    assert report.faults([measured(report.OURS, 900.0)]) == []
    assert report.faults([measured(report.OURS, 900.0, number=2, refusals={"AE no": 3})]) == [
        "round 2, ophl7, 8 connections: 3 x AE no"
    ]


def test_the_mix_that_was_really_sent_is_told() -> None:
    assert report.notes([measured(report.BASELINE, 1.0), measured(report.OURS, 900.0)])[0].endswith(
        "ADT 60%, DFT 20%, SIU 20%."
    )


def test_a_markdown_table_has_a_rule_under_its_heads() -> None:
    assert markdown(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_a_database_in_memory_is_recognised(tmp_path: Path) -> None:
    mounts = f"disk / ext4 rw 0 0\nmemory {tmp_path} tmpfs rw 0 0\nother {tmp_path}x xfs rw 0 0\n"
    assert filesystem(tmp_path / "scratch", mounts) == "tmpfs"
    assert in_memory("tmpfs")
    assert not in_memory(filesystem(tmp_path.parent, mounts))
    assert filesystem(tmp_path, "") == "unknown"


def test_the_disk_is_asked_how_long_a_durable_write_takes(tmp_path: Path) -> None:
    assert durable_write(tmp_path, times=3) > 0
    assert list(tmp_path.iterdir()) == []
