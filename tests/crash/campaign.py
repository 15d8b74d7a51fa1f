"""Round after round: the broker as a process under load, ended in the middle of it, started again; and what is counted."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.messages import Side
from tests.acceptance.practice import PM_OWNS, Ledger, environment, until
from tests.acceptance.process import HERE, Broken, Served, run
from tests.crash.clerk import Clerk
from tests.crash.desk import Desk
from tests.crash.doomed import AT_START, AT_STOP, IN_RETENTION, STEPS
from tests.crash.load import Load
from tests.crash.model import Findings, examine

AT_RANDOM = "at random"
_MOST = STEPS | AT_START | AT_STOP | IN_RETENTION | {AT_RANDOM: 1}
PATIENCE = 120.0  # seconds until something must have happened
STEP_SECONDS = 15.0  # a step that is not reached by then is not waited for


@dataclass(slots=True)
class Tally:
    """What a campaign has done."""

    kills: Counter[str] = field(default_factory=Counter)  # by step
    missed: Counter[str] = field(default_factory=Counter)  # steps that were not reached in time: killed at random instead
    rounds: int = 0
    stops: int = 0  # ended by SIGTERM, with status 0


class Campaign:
    """One database, two desks, one load. `begin`, any number of rounds, `end`."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        families: int = 12,
        answers: tuple[int, int] = (1, 300),
        haste: int = 1,
        nuisance: float = 0.005,
        **settings: str,
    ) -> None:
        """answers: a round lasts so many, drawn anew for each. haste: by how much sooner than usual steps are reached.

        nuisance: the share of messages after which a destination closes instead of answering.

        settings: of the broker, without their prefix.
        """
        self.seed = seed
        self.chance = random.Random(seed)
        self.database = folder / "ophl7.db"
        self.ledger = Ledger(self.database)
        self.load = Load(families, seed)
        self.desks: dict[Side, Desk] = {side: Desk(random.Random(f"{seed} {side}"), nuisance) for side in ("pm", "emr")}
        self.clerk = Clerk(self.database, random.Random(f"{seed} clerk"))
        self.tally = Tally()
        self.environ: dict[str, str] = {}  # of every start from now on
        self.gone: frozenset[str] = frozenset()  # retention may have removed these messages
        self._answers = answers
        self._haste = haste
        self._settings = settings

    async def begin(self) -> None:
        for desk in self.desks.values():
            await desk.start()

    async def broker(self, step: str = "", passage: int = 0, **environ: str) -> Served:
        """Starts one that kills itself at that step; it may not listen yet."""
        command = (sys.executable, "-m", "tests.crash.doomed", step or "-", str(passage))
        chosen = environment(
            self.database, PM_OWNS, self.desks["pm"].url, self.desks["emr"].url,
            PM_CONNECTIONS="3", EMR_CONNECTIONS="3", **self._settings,
        )  # fmt: skip
        return await run(self.database, chosen | self.environ | environ, command)

    async def round(self, step: str, answers: tuple[int, int] | None = None) -> None:
        """One start, some load, and the end at that step. answers: other than usual for this round."""
        passage = 1 + self.chance.randrange(max(1, _MOST[step] // self._haste))
        broker = await self.broker(step, passage)
        self.tally.rounds += 1
        try:
            await broker.ready()
        except Broken:
            self._killed(broker, step)
            return
        except TimeoutError:
            await broker.kill()
            raise
        try:
            await self._load(broker, step, self.chance.randint(*(answers or self._answers)))
        finally:
            if broker.running:
                await broker.kill()

    async def _load(self, broker: Served, step: str, answers: int) -> None:
        async with asyncio.TaskGroup() as group:
            self.load.start(broker.addresses, group)
            acts = asyncio.create_task(self.clerk.work())
            enough = asyncio.create_task(self.load.more(answers))
            ended = asyncio.create_task(broker.process.wait())
            await asyncio.wait({enough, ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            if not (enough.done() or ended.done()):
                raise AssertionError(f"nothing was answered for {PATIENCE:g} s:\n{broker.output[-2000:]}")
            enough.cancel()
            if step in AT_STOP and not ended.done():
                broker.tell_to_stop()
            if step != AT_RANDOM:
                await asyncio.wait({ended}, timeout=PATIENCE if step in AT_STOP else STEP_SECONDS)
            if not ended.done():
                await broker.kill()
            await ended
            acts.cancel()
            await asyncio.wait({acts})
            if not acts.cancelled():
                acts.result()
            self._killed(broker, step)

    def _killed(self, broker: Served, step: str) -> None:
        """Nobody but SIGKILL has ended it; which step it says that it had reached."""
        if broker.process.returncode not in (-signal.SIGKILL, -signal.SIGALRM):
            raise AssertionError(f"it ended with {broker.process.returncode}:\n{broker.output[-3000:]}")
        lines = [line.removeprefix("doomed: ") for line in broker.output.splitlines() if line.startswith("doomed: ")]
        said = [line for line in lines if not line.startswith("the clock is")]
        if not said and step != AT_RANDOM:
            self.tally.missed[step] += 1
        self.tally.kills[" ".join(said) if said else AT_RANDOM] += 1

    async def end(self) -> Findings:
        """What has become of it all, once there is peace."""
        try:
            await self.peace()
        finally:
            await self.close()
        books = {side: desk.book for side, desk in self.desks.items()}
        found = examine(self.database, self.load, books, self.gone)
        found.inconsistent += self.clerk.forgotten()
        found.inconsistent += await self._verified()
        return found

    async def peace(self) -> None:
        """Everybody gets his answers, the queues run empty, the broker is told to stop."""
        broker = await self.broker()
        try:
            await broker.ready()
            await self.clerk.finish()
            await self.load.finish(broker.addresses)
            await until(self._empty, PATIENCE * 2)
            broker.tell_to_stop()
            if (status := await broker.stopped()) != 0:
                raise AssertionError(f"it stopped with {status}:\n{broker.output[-3000:]}")
        finally:
            if broker.running:
                await broker.kill()

    async def _verified(self) -> list[str]:
        """What `ophl7 db verify` finds, the chain of the audit among it."""
        chosen = environment(self.database, PM_OWNS, "", "")
        verify = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ophl7", "db", "verify",
            cwd=HERE, env=os.environ | chosen, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await verify.communicate()
        return [] if verify.returncode == 0 else said.decode().splitlines()

    async def grown_old(self) -> None:
        """Peace; after that a hundred days have gone by."""
        await self.peace()
        self.load.forget()
        self.clerk.told.clear()  # their rows are old by then, too
        self.gone = frozenset(one.control_id for one in self.load.answered)
        self.environ = {"DOOM_DAYS": "100"}

    async def close(self) -> None:
        for desk in self.desks.values():
            await desk.stop()

    def _empty(self) -> bool:
        return not self.ledger.rows("SELECT 1 FROM delivery WHERE state NOT IN ('accepted', 'rejected', 'skipped') LIMIT 1")
