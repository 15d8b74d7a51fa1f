"""Files through the conformance check, in a process of its own: a hostile one costs that process and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, cast

from ophl7.cli.conformance_worker import JOB, MEMORY, SECONDS
from ophl7.errors import OperationsError
from ophl7.hl7v2.conformance import Finding, Report

MOST_DEATHS: Final = 3  # of workers over one file: then the rest of it is left alone
WORKER: Final = (sys.executable, "-P", "-m", "ophl7.cli.conformance_worker")  # -P: nothing is imported from where one stands
_PATIENCE: Final = SECONDS + 30.0  # for one line; the worker ends itself after SECONDS, this is for a machine that stands still
_LONGEST_LINE: Final = 4 * 1024 * 1024  # bytes of JSON: MOST_FINDINGS of one message


@dataclass(frozen=True, slots=True)
class Checked:
    """One message's report; or, with message 0, what is wrong with the file or the batch around its messages.

    file: its place in what was given, from 0. message: its place in the file, from 1.
    """

    file: int
    message: int
    report: Report


async def check_files(files: Sequence[bytes], command: Sequence[str] = WORKER) -> AsyncIterator[Checked]:
    """Every message of every file, in order. command: how a worker is started.

    Raises OperationsError when it cannot be.
    """
    file = done = deaths = 0  # done: messages of `file` that were answered
    while file < len(files):
        known: int | None = None  # how many messages `file` has, once the worker has read it
        begun = file
        async with _working(command, [(done, files[file]), *((0, data) for data in files[file + 1 :])]) as worker:
            while (line := await worker.line()) is not None:
                if "messages" in line:
                    if begun + line["file"] > file:
                        file, done, deaths = file + 1, 0, 0
                    known = line["messages"]
                    for problem in line["problems"] if done == 0 else ():
                        yield Checked(file, 0, _about(problem))
                else:
                    done += 1
                    findings = tuple(Finding(**finding) for finding in line["findings"])
                    yield Checked(file, done, Report(line["event"], line["version"], line["structure"], findings))
            reason = _about(await worker.reason())
        if known is not None and done == known:
            file, done, deaths, known = file + 1, 0, 0, None
            if file == len(files):
                return
        # It died over this one.
        if known is None:
            yield Checked(file, 0, reason)
            file, done, deaths = file + 1, 0, 0
            continue
        done, deaths = done + 1, deaths + 1
        yield Checked(file, done, reason)
        if deaths == MOST_DEATHS and done < known:
            yield Checked(file, 0, _about(f"the check was given up after message {done} of {known}"))
            file, done, deaths = file + 1, 0, 0


def _about(problem: str) -> Report:
    return Report("", "", "", (Finding("error", problem),))


class _Worker:
    """A worker under way."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._answers = cast("asyncio.StreamReader", process.stdout)  # there, because it was asked for
        self._late = False

    async def line(self) -> dict[str, Any] | None:
        """What it says next; None when it says no more."""
        try:
            async with asyncio.timeout(_PATIENCE):
                line = await self._answers.readline()
        except TimeoutError:
            self._late = True
            return None
        if not line.endswith(b"\n"):
            return None
        said: dict[str, Any] = json.loads(line)
        return said

    async def reason(self) -> str:
        """Why it says no more before it has said all."""
        if not self._late:
            self._late = await self._process.wait() == -signal.SIGALRM
        if self._late:
            return f"takes more than {SECONDS} s to check, and was left"
        return f"broke the check off, perhaps by needing more than {MEMORY // 2**20} MiB"


@asynccontextmanager
async def _working(command: Sequence[str], jobs: Sequence[tuple[int, bytes]]) -> AsyncIterator[_Worker]:
    """A worker that is fed with these files; gone when this is left."""
    # It opens what strangers have written: no secret of ours is in its reach, and what it might quote is not shown.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, limit=_LONGEST_LINE
        )
    except OSError as error:
        raise OperationsError(f"the conformance check cannot be started: {error.strerror}") from error
    feeding = asyncio.create_task(_feed(cast("asyncio.StreamWriter", process.stdin), jobs))
    try:
        yield _Worker(process)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(worker: asyncio.StreamWriter, jobs: Sequence[tuple[int, bytes]]) -> None:
    with suppress(ConnectionError):  # it died: whoever reads its lines tells why
        for skip, data in jobs:
            worker.write(JOB.pack(skip, len(data)))
            worker.write(data)
            await worker.drain()
        worker.close()
        await worker.wait_closed()
