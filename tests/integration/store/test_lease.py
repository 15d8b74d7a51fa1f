"""Two processes and one database: the second is refused, a killed one gives the lease back by dying."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from ophl7.engine.storage import Keys, Rows
from ophl7.errors import DatabaseLocked
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import journal

LIMIT_SECONDS = 30

HOLDER = """
import asyncio, sys
from pathlib import Path
from ophl7.engine.storage import Rows
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import journal

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    await store.commit(Rows(journal=[journal(1)]))
    store._begin()
    store._write(Rows(journal=[journal(2)]))
    print("held", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process that has committed one row, and has another one open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path / "ophl7.db"), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            assert await process.stdout.readline() == b"held\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_second_process_is_told_who_holds_the_database(holder: asyncio.subprocess.Process, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    with pytest.raises(DatabaseLocked, match=f"process {holder.pid}"):
        await store.open()
    await store.close()


async def test_a_killed_process_frees_it_and_leaves_what_was_committed_and_nothing_else(
    holder: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    holder.kill()
    await holder.wait()
    store = SqliteStore(tmp_path / "ophl7.db")
    counters = await store.open()
    assert counters.journal == 1
    keys = Keys(controls={("pm", f"C{number}", b"digest%d" % number) for number in (1, 2)})
    state = await store.load(keys, small=True)
    assert state.controls["pm", "C1", b"digest1"] is not None
    assert state.controls["pm", "C2", b"digest2"] is None
    await store.commit(Rows(journal=[journal(2)]))
    await store.close()
