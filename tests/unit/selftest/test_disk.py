"""What is said about a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ophl7.selftest.disk import IMPOSSIBLE_SECONDS, PAGE_BYTES, PROTECTED_SECONDS, Mount, Timing, judge, measure

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:21 / /srv rw shared:2 - xfs /dev/sdb1 rw,attr2
24 23 0:22 / /srv/data\\040of\\040us rw - nfs4 server:/export rw,vers=4.2
25 22 0:23 / /mnt rw - ext4 /dev/sdc1 rw
26 22 0:24 / /mnt rw - tmpfs tmpfs rw
27 22 0:25 / /old rw - ext4 /dev/sdd1 rw,nobarrier
28 22 0:26 / /srvices rw - overlay overlay rw
not a line of this file
"""
QUICK_DISK = Timing(100, 400e-6, 2e-3, 2000.0)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/", "ext4"),
        ("/srv", "xfs"),
        ("/srv/data", "xfs"),
        ("/srv/data of us/deep", "nfs4"),
        ("/srvices/x", "overlay"),
        ("/mnt/x", "tmpfs"),  # mounted over the other one
    ],
)
def test_a_folder_lies_on_the_last_of_the_nearest_mounts(folder: str, kind: str) -> None:
    found = Mount.of(Path(folder), MOUNTS)
    assert found is not None
    assert found.kind == kind


def test_without_a_list_of_mounts_nothing_is_said_about_them() -> None:
    assert Mount.of(Path("/srv"), "") is None
    assert judge(None, QUICK_DISK) == []


@pytest.mark.parametrize(
    ("folder", "grades"),
    [
        ("/srv", []),
        ("/srv/data of us", ["warning"]),
        ("/srvices", ["warning"]),
        ("/mnt", ["failure"]),
        ("/old", ["failure"]),
    ],
)
def test_memory_and_mounts_without_barriers_fail_network_folders_and_layers_are_warned_of(
    folder: str, grades: list[str]
) -> None:
    assert [remark.grade for remark in judge(Mount.of(Path(folder), MOUNTS), QUICK_DISK)] == grades


@pytest.mark.parametrize(
    ("median", "grades"),
    [
        (2e-6, ["failure"]),
        (IMPOSSIBLE_SECONDS, ["warning"]),
        (PROTECTED_SECONDS, []),
        (8e-3, []),
    ],
)
def test_a_sync_that_is_faster_than_a_disk_can_be_fails(median: float, grades: list[str]) -> None:
    assert [remark.grade for remark in judge(None, Timing(100, median, median, 1 / median))] == grades


def test_the_worst_is_said_first() -> None:
    slow_network = Mount("/x", "nfs", frozenset({"nobarrier"}))
    assert [remark.grade for remark in judge(slow_network, Timing(1, 30e-6, 30e-6, 3e4))] == ["failure", "warning", "warning"]


def test_each_measured_write_is_a_page_that_was_synced_and_the_file_is_gone(tmp_path: Path) -> None:
    sizes: list[int] = []
    timing = measure(tmp_path, lambda file: sizes.append(os.fstat(file).st_size), 0.01)
    assert sizes == [PAGE_BYTES * number for number in range(1, timing.count + 1)]
    assert list(tmp_path.iterdir()) == []


def test_a_timing_tells_the_middle_the_slowest_hundredth_and_the_rate() -> None:
    timing = Timing.out_of([0.001] * 98 + [0.051, 0.051])
    assert (timing.count, timing.median, timing.p99) == (100, 0.001, 0.051)
    assert timing.rate == pytest.approx(500)
    assert Timing.out_of([0.5]) == Timing(1, 0.5, 0.5, 2.0)
