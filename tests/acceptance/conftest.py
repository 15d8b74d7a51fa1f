"""A practice for each test: made in about 30 ms, gone with the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.acceptance.practice import PM_OWNS, Opening, Practice


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opening]:
    """Opens a practice: `await opened("pm/pm", FOREIGN_FIELDS="hold")`."""
    async with AsyncExitStack() as stack:

        async def start(setup: str = PM_OWNS, **more: str) -> Practice:
            return await stack.enter_async_context(Practice(tmp_path / "ophl7.db", setup, **more))

        yield start
