"""A practice's database behind a real HTTP server, and the command line that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ophl7 import cli
from ophl7.admin.app import make_app
from ophl7.admin.server import serve
from tests.integration.admin.practice import TOKEN, Desk, Practice, reader


@dataclass(frozen=True, slots=True)
class Said:
    """What one command left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., Awaitable[Said]]


@pytest.fixture
def practice(tmp_path: Path) -> Practice:
    return Practice(tmp_path / "practice.db")


@pytest.fixture
async def desk(practice: Practice) -> AsyncIterator[Desk]:
    reads = reader(practice.path)
    yield Desk(reads)
    await reads.close()


@pytest.fixture
async def ophl7(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Command]:
    """Runs a command of `ophl7` against the desk: `await ophl7("holds", "list")`."""
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    await server.start()
    monkeypatch.setenv("OPHL7_HTTP_LISTEN", f"127.0.0.1:{server.address[1]}")
    monkeypatch.setenv("OPHL7_API_TOKEN", TOKEN)
    monkeypatch.setenv("OPHL7_DATABASE_URL", f"sqlite:///{tmp_path / 'ophl7.db'}")
    monkeypatch.setenv("COLUMNS", "80")  # tables are 100 wide at least

    async def run(*arguments: str) -> Said:
        status = await asyncio.to_thread(cli.run, list(arguments))
        captured = capsys.readouterr()
        return Said(status, captured.out, captured.err)

    yield run
    await server.stop()
