"""docs/reference/peer-behaviour.md has every row that it must have, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.acceptance.peer_rows import ANSWERS, DEVIATIONS, MISDEEDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/peer-behaviour.md").read_text("utf-8")


def rows() -> dict[str, list[str]]:
    """First cell -> the tests that the row names."""
    found: dict[str, list[str]] = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[2] != "test":
            assert cells[0] not in found, cells[0]
            found[cells[0]] = re.findall(r"`(tests/[^`]+)`", cells[2])
    return found


def test_the_page_has_every_row_in_its_order_and_no_other() -> None:
    assert tuple(rows()) == ANSWERS + MISDEEDS + DEVIATIONS


def test_every_row_names_a_test() -> None:
    assert [row for row, tests in rows().items() if not tests] == []


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE))))
def test_a_test_that_the_page_names_exists(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
