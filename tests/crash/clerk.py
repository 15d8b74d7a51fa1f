"""A person at the API: pauses a link and resumes it, again and again; each act has a reason of its own."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from ophl7 import doorkey
from tests.acceptance.messages import Side

_TURN_SECONDS = 0.2
_ANSWER_SECONDS = 20.0


class Clerk:
    """Remembers what was carried out, and what nobody said anything about."""

    def __init__(self, database: Path, chance: random.Random) -> None:
        self.told: set[str] = set()  # reasons of acts that were said to be carried out
        self._database = database
        self._chance = chance
        self._asked = 0

    async def work(self) -> None:
        """Acts until the broker is gone or this is cancelled."""
        key = doorkey.find(self._database)
        if key is None:
            return
        headers = {"Authorization": f"Bearer {key.token}"}
        async with httpx.AsyncClient(base_url=key.url, headers=headers, timeout=_ANSWER_SECONDS, verify=False) as line:
            try:
                await self._resume_all(line)
                while True:
                    side: Side = self._chance.choice(("pm", "emr"))
                    if not (await self._ask(line, side, "pause") and await self._ask(line, side, "resume")):
                        await self._resume_all(line)
                    await asyncio.sleep(_TURN_SECONDS)  # a person's pace
            except httpx.TransportError:
                return

    async def finish(self) -> None:
        """Leaves no link paused."""
        key = doorkey.find(self._database)
        assert key is not None
        headers = {"Authorization": f"Bearer {key.token}"}
        async with httpx.AsyncClient(base_url=key.url, headers=headers, timeout=_ANSWER_SECONDS, verify=False) as line:
            await self._resume_all(line)

    async def _resume_all(self, line: httpx.AsyncClient) -> None:
        """From then on it is certain how the links are."""
        for side in ("pm", "emr"):
            while not await self._ask(line, side, "resume", changes=False):  # noqa: ASYNC110 - it is another process's to say
                await asyncio.sleep(_TURN_SECONDS)

    async def _ask(self, line: httpx.AsyncClient, side: str, verb: str, *, changes: bool = True) -> bool:
        """Whether it was carried out. changes: the link is the other way before; what changes nothing leaves no trace."""
        self._asked += 1
        reason = f"act {self._asked}"
        answer = await line.post(f"/api/v1/links/{side}/{verb}", json={"reason": reason})
        if answer.status_code == 503:
            return False  # it is starting or stopping, or busy: it may happen yet
        if answer.status_code != 200:
            raise AssertionError(f"{verb} of the {side} was answered {answer.status_code}: {answer.text}")
        if changes:
            self.told.add(reason)
        return True

    def forgotten(self) -> Iterator[str]:
        """Acts that were said to be carried out and do not stand in the audit once, and others that stand there twice."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            kept = dict(connection.execute("SELECT reason, count(*) FROM audit WHERE reason LIKE 'act %' GROUP BY reason"))
        yield from (f"{reason} is not in the audit" for reason in self.told - kept.keys())
        yield from (f"{reason} is {times} times in the audit" for reason, times in kept.items() if times > 1)
