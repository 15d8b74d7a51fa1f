"""Both systems of each family at their desks: they send, remember what was answered, and never forget what was not.

For other suites: `Load` says what is sent and what came of it, whoever kills or hinders the broker meanwhile; `model.examine`
holds it against the database and the peers (`desk.Desk`) at the end.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import blake2b

from ophl7.mllp.framing import frame
from ophl7.testing.peers import Client
from tests.acceptance.messages import Side
from tests.acceptance.replies import read_reply
from tests.crash.stories import Family, Said, Truth

WINDOW = 6  # frames on the way at once: kills meet queues as well as single messages
REPEATS = 0.03  # of the messages that were answered are sent a second time all the same
SIDES: tuple[Side, Side] = ("pm", "emr")
ANSWER_SECONDS = 20.0


def digest(data: bytes) -> bytes:
    """Enough to see that two messages are the same."""
    return blake2b(data, digest_size=12).digest()


def plain(payload: bytes) -> bytes:
    """A digest of a message without what may change on its way through: MSH-10, and the ids of PID-3."""
    lines = payload.split(b"\r")
    for number, line in enumerate(lines):
        fields = line.split(b"|")
        if fields[0] == b"MSH":
            fields[9] = b""
        elif fields[0] == b"PID":
            fields[3] = b""
        else:
            continue
        lines[number] = b"|".join(fields)
    return digest(b"\r".join(lines))


@dataclass(frozen=True, slots=True)
class Answered:
    """What is remembered of a message once it was answered: the promise, without the bytes."""

    control_id: str
    state: str
    copy: Side | None
    names: tuple[str, ...]
    lane: str
    place: int
    raw: bytes  # digest of all its bytes
    plain: bytes
    answer: bytes  # digest


@dataclass(slots=True)
class _Out:
    """On its way: a message, and the answer that it had before if it is sent a second time for nothing."""

    said: Said
    before: bytes | None = None


class Desks:
    """The two desks of one family, with a connection each."""

    def __init__(self, family: Family, chance: random.Random) -> None:
        self.family = family
        self.answered: list[Answered] = []
        self.wrong: list[str] = []  # answers that are not what they must be
        self.resent = 0
        self.repeats = 0
        self._chance = chance
        self._told = family.tell()
        self._next = next(self._told)
        self._finishing = False
        self._out: deque[_Out] = deque()
        self._recent: deque[tuple[Said, bytes]] = deque(maxlen=8)

    async def work(self, addresses: Mapping[Side, tuple[str, int]], counted: Callable[[], None]) -> None:
        """Sends until a connection is gone: first what was never answered, in its order, then what comes next."""
        self._finishing = False
        try:
            await self._work(addresses, counted)
        except (EOFError, ConnectionError, OSError):
            return  # the broker is gone, or hung for too long; what was not answered is sent again

    async def finish(self, addresses: Mapping[Side, tuple[str, int]]) -> None:
        """Sends what was never answered, and the story to its end."""
        self._finishing = True
        await self._work(addresses, lambda: None)

    def forget(self) -> None:
        """What was answered is not sent again any more."""
        self._recent.clear()

    async def _work(self, addresses: Mapping[Side, tuple[str, int]], counted: Callable[[], None]) -> None:
        async with AsyncExitStack() as stack:
            lines = {side: await stack.enter_async_context(Client(*addresses[side])) for side in SIDES}
            for out in self._out:
                self.resent += 1
                await lines[out.said.side].send_raw(frame(out.said.payload))
            while True:
                await self._fill(lines)
                if not self._out:
                    return
                self._take(await lines[self._out[0].said.side].read_answer(ANSWER_SECONDS))
                counted()

    async def _fill(self, lines: Mapping[Side, Client]) -> None:
        """As much as may be on its way: of one side at a time."""
        while len(self._out) < WINDOW:
            if self._next is None and not self._finishing:
                self._next = next(self._told)
            if self._next is None or (self._out and self._out[0].said.side != self._next.side):
                return
            out, self._next = _Out(self._next), next(self._told)
            self._out.append(out)  # before the first byte leaves: a kill may come at any time
            await lines[out.said.side].send_raw(frame(out.said.payload))
            if self._recent and self._chance.random() < REPEATS:
                again, answer = self._chance.choice(self._recent)
                if again.side == out.said.side:
                    self._out.append(_Out(again, answer))
                    await lines[again.side].send_raw(frame(again.payload))

    def _take(self, answer: bytes) -> None:
        """Answers come in the order of the frames."""
        reply, out = read_reply(answer), self._out[0]
        said = out.said
        if reply.control_id != said.control_id:
            raise AssertionError(f"{said.control_id} got the answer to another message")
        self._out.popleft()
        if reply.code != said.answer:
            self.wrong.append(f"{said.control_id} was answered {reply.code} instead of {said.answer}: {reply.text}")
        if out.before is not None:
            self.repeats += 1
            if said.answer == "AA" and out.before != digest(answer):
                self.wrong.append(f"{said.control_id}: a copy of it got an answer of its own")
            return
        self._recent.append((said, digest(answer)))
        self.answered.append(
            Answered(
                said.control_id,
                said.state,
                said.copy,
                said.names,
                said.lane,
                said.place,
                digest(said.payload),
                plain(said.payload),
                digest(answer),
            )
        )  # fmt: skip


class Load:
    """Many families at once."""

    def __init__(self, families: int, seed: int) -> None:
        self.desks = [
            Desks(Family(f"F{number}X", random.Random(f"{seed} {number}")), random.Random(f"{seed} {number} again"))
            for number in range(families)
        ]
        self.given = 0  # answers, of all kinds
        self._enough_at = 0
        self._enough = asyncio.Event()

    async def more(self, answers: int) -> None:
        """Returns when so many more answers were given."""
        self._enough_at = self.given + answers
        self._enough.clear()
        await self._enough.wait()

    def start(self, addresses: Mapping[Side, tuple[str, int]], group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Everybody sends until his connection is gone."""
        return [group.create_task(one.work(addresses, self._count)) for one in self.desks]

    async def finish(self, addresses: Mapping[Side, tuple[str, int]]) -> None:
        """What was never answered is sent again; returns when all of it was answered."""
        async with asyncio.TaskGroup() as group:
            for one in self.desks:
                group.create_task(one.finish(addresses))

    def forget(self) -> None:
        """What was answered is not sent again any more."""
        for one in self.desks:
            one.forget()

    @property
    def answered(self) -> list[Answered]:
        """Every message that was answered, once."""
        return [answered for one in self.desks for answered in one.answered]

    @property
    def acknowledged(self) -> int:
        """How many messages were answered, each counted once."""
        return sum(len(one.answered) for one in self.desks)

    @property
    def truths(self) -> list[Truth]:
        return [one.family.truth for one in self.desks]

    @property
    def wrong(self) -> list[str]:
        return [line for one in self.desks for line in one.wrong]

    @property
    def resent(self) -> int:
        return sum(one.resent for one in self.desks)

    @property
    def repeats(self) -> int:
        return sum(one.repeats for one in self.desks)

    def _count(self) -> None:
        self.given += 1
        if self.given >= self._enough_at:
            self._enough.set()
