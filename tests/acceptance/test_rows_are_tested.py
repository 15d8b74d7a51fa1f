"""Every row of the decision table has a test by its number, from socket to socket, where the PM owns and where the EMR owns."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from ophl7.domain.decisions import DECISIONS
from tests.acceptance.practice import EMR_OWNS, PM_OWNS

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# Rows that say what one set-up does about one side; in the other set-up another row takes the message.
ONE_SET_UP = {"#31": "it is about the schedule's owner who does not own the patients: pm/emr alone"}


def rows_of(name: str) -> list[str]:
    """`test_rows_21_and_22_an_appointment...` -> #21, #22. `test_section_7_a_batch...` is the row `batch`."""
    if name.startswith("test_section_7_"):
        return ["batch"]
    said = re.match(r"test_rows?((?:_\d+b?(?:_and)?)+)_", name)
    return [] if said is None else [f"#{number}" for number in re.findall(r"\d+b?", said[1])]


def setups_of(name: str, parameters: str) -> set[str]:
    """Where a collected test runs: as its parameters say, as its name says, else in the set-up that is usual."""
    found = {setup for setup in (PM_OWNS, EMR_OWNS, "pm/emr") if re.search(rf"(?:^|-){setup}(?:-|$)", parameters)}
    if found:
        return found
    return {"pm_owns": {PM_OWNS}, "emr_owns": {EMR_OWNS}, "split": {"pm/emr"}}.get(name.rpartition("__")[2], {PM_OWNS})


def covered(collected: Iterable[str]) -> dict[str, set[str]]:
    """Row -> the set-ups in which a test bears its number. collected: node ids."""
    found: dict[str, set[str]] = defaultdict(set)
    for node in collected:
        _, _, test = node.partition("::")
        name, _, parameters = test.partition("[")
        for row in rows_of(name):
            found[row] |= setups_of(name, parameters.removesuffix("]"))
    return found


def test_names_are_read_as_they_are_meant() -> None:
    nodes = [
        "a.py::test_row_90b_fs_alone_ends_a_frame__any",
        "a.py::test_rows_21_and_22_an_end__any[emr/emr-S15]",
        "a.py::test_row_6_the_emr_creates__emr_owns[A28-2.3.1]",
        "a.py::test_section_7_a_batch[pm/pm]",
        "a.py::test_something_else",
    ]
    assert covered(nodes) == {
        "#90b": {PM_OWNS},
        "#21": {EMR_OWNS},
        "#22": {EMR_OWNS},
        "#6": {EMR_OWNS},
        "batch": {PM_OWNS},
    }


@pytest.mark.timeout(120)
def test_every_row_is_tested_in_both_set_ups() -> None:
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-p", "no:cacheprovider", str(HERE)]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert listed.returncode == 0, listed.stdout[-2000:]
    there = covered(listed.stdout.splitlines())
    assert len(there) > 60
    missing = [
        f"{row} is not tested in {setup}"
        for row in DECISIONS
        for setup in (PM_OWNS, EMR_OWNS)
        if row not in ONE_SET_UP and setup not in there.get(row, set())
    ]
    assert missing == [], "\n".join(["", *missing])
    assert set(there) <= set(DECISIONS), "a test bears the number of a row that is not in the table"
