"""A practice's database, and the desk at which its HTTP face is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.admin.practice import Desk, Practice, reader


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path / "practice #1?.db")


@pytest.fixture
async def desk(practice: Practice) -> AsyncIterator[Desk]:
    reads = reader(practice.path)
    yield Desk(reads)
    await reads.close()
