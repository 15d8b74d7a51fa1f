"""The real thing: `python -m ophl7 serve` as a child, killed or told to stop by its own process id."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.acceptance.messages import Side
from tests.acceptance.practice import environment, until

HERE = Path(__file__).resolve().parents[2]
OURS = (sys.executable, "-m", "ophl7")
START_SECONDS = 120.0  # a busy machine takes its time over the imports
STOP_SECONDS = 90.0

_LISTENS = re.compile(r"sends its messages to\s+(\S+) port (\d+)")


class Broken(Exception):
    """The process ended instead of starting; the message is what it said."""


class Served:
    """One run of the broker."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self.process = process
        self.addresses: dict[Side, tuple[str, int]] = {}
        self._said = said

    @property
    def output(self) -> str:
        """Everything that it wrote so far, to both outputs."""
        return self._said.read_text(encoding="utf-8", errors="replace")

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def ready(self) -> None:
        """Returns when it listens. Raises Broken."""
        await until(lambda: len(_LISTENS.findall(self.output)) == 2 or not self.running, START_SECONDS)
        found = _LISTENS.findall(self.output)
        if len(found) != 2:
            raise Broken(self.output)
        pm, emr = ((host, int(port)) for host, port in found)
        self.addresses = {"pm": pm, "emr": emr}

    async def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def stopped(self, limit: float = STOP_SECONDS) -> int:
        """Waits for its end; the exit status."""
        async with asyncio.timeout(limit):
            return await self.process.wait()


async def run(database: Path, settings: dict[str, str], command: Sequence[str] = OURS, cwd: Path = HERE) -> Served:
    """Starts it on `settings` without waiting for anything. command: another installation's; cwd: where it is started."""
    count = len(list(database.parent.glob("serve-*.txt")))
    said = database.parent / f"serve-{count:03}.txt"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, "serve", cwd=cwd, env=ours | settings, stdout=out, stderr=out)
    return Served(process, said)


@asynccontextmanager
async def served(
    database: Path, setup: str, pm_url: str, emr_url: str, *, command: Sequence[str] = OURS, cwd: Path = HERE, **more: str
) -> AsyncIterator[Served]:
    """A broker that listens; what is left of it at the end is killed."""
    broker = await run(database, environment(database, setup, pm_url, emr_url, **more), command, cwd)
    try:
        await broker.ready()
        yield broker
    finally:
        if broker.running:
            await broker.kill()
