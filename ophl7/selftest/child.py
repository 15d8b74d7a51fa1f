"""A broker of the test's own: a real process on a scratch database, on free ports of this machine alone."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ophl7.errors import StoreAway
from ophl7.selftest.load import Side

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0

_LISTENS = re.compile(r"sends its messages to\s+(\S+) port (\d+)")


def environment(inherited: Mapping[str, str], database: Path, urls: Mapping[Side, str]) -> dict[str, str]:
    """What the child gets: nothing of the real broker's settings, so that it can never touch its database or peers."""
    own = {
        "OPHL7_PM_LISTEN": "127.0.0.1:0",
        "OPHL7_EMR_LISTEN": "127.0.0.1:0",
        "OPHL7_HTTP_LISTEN": "127.0.0.1:0",
        "OPHL7_DATABASE_URL": f"sqlite:///{database}",
        "OPHL7_TIMEZONE": "UTC",
        "OPHL7_PM_URL": urls["pm"],
        "OPHL7_EMR_URL": urls["emr"],
        "OPHL7_PM_RETRY": "10ms..50ms",
        "OPHL7_EMR_RETRY": "10ms..50ms",
        "OPHL7_LOG_LEVEL": "error",
        "OPHL7_LOG_FORMAT": "json",
    }
    return {name: value for name, value in inherited.items() if not name.startswith("OPHL7_")} | own


@dataclass(frozen=True, slots=True)
class Child:
    """A broker that listens."""

    process: asyncio.subprocess.Process
    addresses: dict[Side, tuple[str, int]]

    async def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and its exit status. Raises TimeoutError."""
        self.process.terminate()
        async with asyncio.timeout(STOP_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def child(folder: Path, urls: Mapping[Side, str]) -> AsyncIterator[Child]:
    """A broker on `folder`/ophl7.db; what is left of it at the end is killed. Raises StoreAway when it does not start."""
    said = folder / "said.txt"
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "ophl7.selftest.leash",
            "serve",
            env=environment(os.environ, folder / "ophl7.db", urls),
            stdin=asyncio.subprocess.PIPE,  # the leash: the system closes it with us, whatever ends us
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C is ours to answer
        )
    try:
        yield Child(process, await _addresses(process, said))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _addresses(process: asyncio.subprocess.Process, said: Path) -> dict[Side, tuple[str, int]]:
    """Where it listens, as it says at its start."""
    words = ""
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                words = await asyncio.to_thread(said.read_text, "utf-8", "replace")
                found = [(host, int(port)) for host, port in _LISTENS.findall(words)]
                if len(found) == 2:
                    return {"pm": found[0], "emr": found[1]}
                if process.returncode is not None:
                    break
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass  # told below, with what it said
    raise StoreAway(f"the test's own broker did not start; it said: {words.strip() or 'nothing'}")
