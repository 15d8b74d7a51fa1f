"""The test itself: measure the disk, kill the broker under load again and again, let all be delivered, open the books."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from time import monotonic
from typing import Final

from ophl7.errors import StoreAway
from ophl7.selftest.child import child
from ophl7.selftest.disk import Mount, Remark, Timing, judge, measure
from ophl7.selftest.findings import Findings, examine, unsettled
from ophl7.selftest.load import Sender, Side, register, senders
from ophl7.selftest.scratch import scratch
from ophl7.testing.peers import ScriptedPeer

_CONNECTIONS_EACH: Final = 4
_PATIENTS_EACH: Final = 3
_DELIVER_SECONDS: Final = 120.0
_MEASURE_SECONDS: Final = 1.0

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that was found. resent: messages that had no answer when the broker was killed."""

    folder: Path
    mount: Mount | None
    fsync: Timing
    fdatasync: Timing
    remarks: list[Remark]
    kills: int
    seconds: float
    seed: int
    resent: int
    refused: list[str]
    findings: Findings

    @property
    def passed(self) -> bool:
        """Nothing was lost, doubled or out of order, and the disk does not lie."""
        disk = all(remark.grade != "failure" for remark in self.remarks)
        return disk and not self.findings.broken and not self.refused and self.findings.acknowledged > 0


async def selftest(home: Path, kills: int, longest: float, seed: int, tell: Tell) -> Outcome:
    """Runs everything in a folder of its own inside `home`, which is gone at the end.

    longest: seconds of load before a kill; each is a random part of that. tell: is told what happens, a line each. Raises
    StoreAway when the folder cannot be written or the test's broker does not work.
    """
    began = monotonic()
    with scratch(Path(os.path.realpath(home))) as folder:  # noqa: ASYNC240 - before anything runs
        fsync = await asyncio.to_thread(measure, folder, os.fsync, _MEASURE_SECONDS)
        fdatasync = await asyncio.to_thread(measure, folder, os.fdatasync, _MEASURE_SECONDS)
        mount = Mount.of(folder, _mountinfo())
        tell(f"{fsync.count} writes with fsync measured")
        workers = senders(_CONNECTIONS_EACH, _PATIENTS_EACH)
        findings = await _rounds(folder, workers, kills, longest, Random(seed), tell)  # noqa: S311 - chance, no secret
    return Outcome(
        folder=home,
        mount=mount,
        fsync=fsync,
        fdatasync=fdatasync,
        remarks=judge(mount, fsync),
        kills=kills,
        seconds=monotonic() - began,
        seed=seed,
        resent=sum(worker.resent for worker in workers),
        refused=[line for worker in workers for line in worker.refused],
        findings=findings,
    )


async def _rounds(folder: Path, workers: list[Sender], kills: int, longest: float, chance: Random, tell: Tell) -> Findings:
    async with ScriptedPeer() as pm, ScriptedPeer() as emr:
        urls: dict[Side, str] = {"pm": pm.url, "emr": emr.url}
        try:
            for number in range(kills):
                async with child(folder, urls) as broker:
                    if number == 0:
                        await register(broker.addresses["pm"], workers)
                    counted = asyncio.Semaphore(0)
                    async with asyncio.TaskGroup() as group:
                        for worker in workers:
                            group.create_task(worker.work(broker.addresses[worker.side], counted))
                        await asyncio.sleep(chance.uniform(0.02, 1.0) * longest)
                        await broker.kill()
                tell(f"killed {number + 1} of {kills}: {sum(len(one.acknowledged) for one in workers)} messages acknowledged")
            async with child(folder, urls) as broker:
                for worker in workers:
                    await worker.finish(broker.addresses[worker.side])
                await _delivered(folder / "ophl7.db")
                await broker.stop()
        except (EOFError, OSError) as error:  # a timeout is one too
            raise StoreAway(f"the test's own broker stopped taking messages: {type(error).__name__} {error}") from error
        return examine(folder / "ophl7.db", workers, {"pm": pm.payloads, "emr": emr.payloads})


async def _delivered(database: Path) -> None:
    """Returns when nothing waits any more, or when waiting has become useless: the books will show it."""
    try:
        async with asyncio.timeout(_DELIVER_SECONDS):
            while await asyncio.to_thread(unsettled, database):  # noqa: ASYNC110 - another process's outcome
                await asyncio.sleep(0.02)
    except (TimeoutError, sqlite3.Error):
        return


def _mountinfo() -> str:
    """Empty where the system has no such list."""
    try:
        return Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
