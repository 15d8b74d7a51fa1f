"""`python -m tests.crash.doomed STEP PASSAGE serve`: the broker, which kills itself at a named step.

It is wrapped from outside, in this process alone: what ships knows nothing of it. At the PASSAGE-th time that STEP is reached
the process says so on standard error and sends itself SIGKILL; nothing of it runs after that. DOOM names another signal.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from ophl7 import keeping, wal
from ophl7.broker import Broker
from ophl7.cli import run
from ophl7.clock import SystemClock
from ophl7.engine.intake import Engine
from ophl7.engine.outbox import Outbox
from ophl7.mllp import sender
from ophl7.mllp.listener import Listener
from ophl7.mllp.session import Session
from ophl7.orders import Orders
from ophl7.resend_orders import ResendOrders
from ophl7.store import migrations, sqlite, sqlite_retention
from ophl7.store.sqlite import SqliteStore

# step -> how often it is passed at most before it kills: so that it does so soon after a start as well as in full run.
STEPS = {
    "before a commit": 60,
    "amid the statements of a commit": 400,
    "before COMMIT": 60,
    "during COMMIT": 60,
    "after COMMIT": 60,
    "before the answers": 60,
    "amid the answers": 300,
    "before a send": 300,
    "between send and answer": 300,
    "between the peer's answer and its mark": 300,
    "after a mark's commit": 300,
    "during a checkpoint": 6,
    "amid the log's fold": 3,
    "amid the log's cut": 3,
}
AT_START = {"the database is open": 1, "before a listener": 2}
AT_STOP = {
    "a drain begins": 1,
    "a listener is drained": 2,
    "the queues are drained": 2,
    "the database is about to close": 1,
    "the database is closed": 1,
}
FOR_PEOPLE = {"what a person asked for is done": 2}
IN_MIGRATION = ("amid a migration", "before a migration's COMMIT", "after a migration's COMMIT")
IN_RETENTION = {"before a retention step": 4, "amid a retention step": 4, "after a retention step": 4}


class Doom:
    """Counts the passages of one step. by: the signal that the process sends itself there."""

    def __init__(self, step: str, passage: int, by: signal.Signals = signal.SIGKILL) -> None:
        self.step = step
        self._by = by
        self._left = passage
        self._longest = 0.001

    def passes(self, step: str) -> None:
        """The process is at this step."""
        if step == self.step and self._due():
            self._end(step)

    def during(self, step: str, act: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever it returns
        """The process does `act`, and is killed at any moment of it.

        The kernel does it, by a timer whose signal nobody handles: as sudden as SIGKILL, and without the interpreter's lock.
        """
        if step != self.step:
            return act()
        began = time.perf_counter()
        if self._due():
            os.write(2, f"doomed: {step}\n".encode())
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000001, self._longest))
            result = act()
            self._end("(just after)")
            return result
        result = act()
        self._longest = time.perf_counter() - began
        return result

    def _due(self) -> bool:
        self._left -= 1
        return self._left == 0

    def _end(self, said: str) -> None:
        os.write(2, f"doomed: {said}\n".encode())
        os.kill(os.getpid(), self._by)
        if self._by == signal.SIGKILL:
            raise AssertionError("a process outlived SIGKILL")


def before(doom: Doom, owner: Any, name: str, step: str) -> None:  # noqa: ANN401 - a class or a module
    """Marks the moment before this function is called."""
    inner = getattr(owner, name)

    @wraps(inner)
    def marked(*values: Any, **named: Any) -> Any:  # noqa: ANN401
        doom.passes(step)
        return inner(*values, **named)

    setattr(owner, name, marked)


def after(doom: Doom, owner: Any, name: str, step: str) -> None:  # noqa: ANN401 - a class or a module
    """Marks the moment after this function has returned."""
    inner = getattr(owner, name)
    if asyncio.iscoroutinefunction(inner):

        @wraps(inner)
        async def waited(*values: Any, **named: Any) -> Any:  # noqa: ANN401
            result = await inner(*values, **named)
            doom.passes(step)
            return result

        setattr(owner, name, waited)
        return

    @wraps(inner)
    def marked(*values: Any, **named: Any) -> Any:  # noqa: ANN401
        result = inner(*values, **named)
        doom.passes(step)
        return result

    setattr(owner, name, marked)


def each(doom: Doom, owner: Any, name: str, step: str) -> None:  # noqa: ANN401 - a class or a module
    """Marks the moment before each thing that this function gives, in turn, to whoever acts on it."""
    inner = getattr(owner, name)

    @wraps(inner)
    def marked(*values: Any, **named: Any) -> Iterator[Any]:  # noqa: ANN401
        for one in inner(*values, **named):
            doom.passes(step)
            yield one

    setattr(owner, name, marked)


def _commits(doom: Doom) -> None:
    before(doom, SqliteStore, "commit", "before a commit")
    each(doom, sqlite, "writes", "amid the statements of a commit")
    inner = SqliteStore._finish
    commits = 0

    def finish(store: SqliteStore) -> None:
        nonlocal commits
        doom.passes("before COMMIT")
        doom.during("during COMMIT", lambda: inner(store))
        doom.passes("after COMMIT")
        commits += 1
        if doom.step == "during a checkpoint" and commits % 8 == 0:
            connection = store._connection
            assert connection is not None
            doom.during("during a checkpoint", connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall)

    setattr(SqliteStore, "_finish", finish)  # noqa: B010


def _sends(doom: Doom) -> None:
    before(doom, Engine, "_tell", "before the answers")
    before(doom, Session, "answer", "amid the answers")
    before(doom, sender.MllpSender, "exchange", "before a send")
    before(doom, Outbox, "_settle", "between the peer's answer and its mark")
    before(doom, Outbox, "marked", "after a mark's commit")
    inner = sender._Link.ask

    async def ask(link: Any, block: bytes, seconds: float) -> bytes:  # noqa: ANN401
        # The write is made before this coroutine first waits: what was called soon comes right behind it.
        asyncio.get_running_loop().call_soon(doom.passes, "between send and answer")
        return await inner(link, block, seconds)

    setattr(sender._Link, "ask", ask)  # noqa: B010


def _life(doom: Doom) -> None:
    after(doom, SqliteStore, "_open", "the database is open")
    before(doom, Broker, "_listen", "before a listener")
    before(doom, Broker, "drain", "a drain begins")
    after(doom, Listener, "drain", "a listener is drained")
    after(doom, Outbox, "drain", "the queues are drained")
    before(doom, SqliteStore, "close", "the database is about to close")
    after(doom, SqliteStore, "close", "the database is closed")


def _migrations(doom: Doom) -> None:
    each(doom, migrations, "_split", "amid a migration")
    inner: Callable[..., int] = migrations.migrate

    class Marked:
        """A connection that says when it commits."""

        def __init__(self, connection: Any) -> None:  # noqa: ANN401
            self._connection = connection

        def execute(self, sql: str, *values: Any) -> Any:  # noqa: ANN401
            if sql == "COMMIT":
                doom.passes("before a migration's COMMIT")
            result = self._connection.execute(sql, *values)
            if sql == "COMMIT":
                doom.passes("after a migration's COMMIT")
            return result

    setattr(sqlite, "migrate", lambda connection, steps: inner(Marked(connection), steps))  # noqa: B010


def _care(doom: Doom) -> None:
    """Retention and the bounds of the log, both made to act within seconds."""
    before(doom, SqliteStore, "_retire", "before a retention step")
    after(doom, sqlite, "retire", "amid a retention step")
    after(doom, SqliteStore, "_retire", "after a retention step")
    steps = {"PASSIVE": "amid the log's fold", "TRUNCATE": "amid the log's cut"}
    inner = SqliteStore._checkpoint

    def checkpoint(connection: Any, how: str) -> bool:  # noqa: ANN401
        result: bool = doom.during(steps[how], lambda: inner(connection, how))
        return result

    setattr(SqliteStore, "_checkpoint", staticmethod(checkpoint))  # noqa: B010
    if doom.step in steps.values():
        setattr(wal, "CHECK_SECONDS", 0.05)  # noqa: B010
        began = wal.WalWatch.__init__

        def begin(watch: Any, *values: Any, **named: Any) -> None:  # noqa: ANN401
            began(watch, *values, **named, most=50_000)

        setattr(wal.WalWatch, "__init__", begin)  # noqa: B010


def _clock(days: float) -> None:
    """The wall clock: so many days ahead, and at each SIGUSR1 set to another time, up to nine hours before or behind."""
    offset = timedelta(days=days)
    steps = random.Random(1)

    def step(*_: object) -> None:
        nonlocal offset
        offset = timedelta(days=days, seconds=steps.uniform(-9, 9) * 3600)
        os.write(2, f"doomed: the clock is {offset} ahead\n".encode())

    signal.signal(signal.SIGUSR1, step)
    setattr(SystemClock, "now", lambda _clock: datetime.now(UTC) + offset)  # noqa: B010
    if days:
        setattr(keeping, "_FIRST_SECONDS", 0.2)  # noqa: B010
        setattr(keeping, "_BETWEEN_SECONDS", 0.2)  # noqa: B010
        setattr(sqlite_retention, "STEP_ROWS", 20)  # noqa: B010


def _people(doom: Doom) -> None:
    """On disk, and nobody has been told."""
    for owner, name in ((Orders, "dispatch"), (Orders, "switch"), (ResendOrders, "start"), (ResendOrders, "decide")):
        after(doom, owner, name, "what a person asked for is done")


def install(doom: Doom) -> None:
    """Wraps what is to be marked, in this process."""
    _commits(doom)
    _sends(doom)
    _life(doom)
    _migrations(doom)
    _people(doom)
    _care(doom)
    _clock(float(os.environ.get("DOOM_DAYS", "0")))


if __name__ == "__main__":
    install(Doom(sys.argv[1], int(sys.argv[2]), signal.Signals[os.environ.get("DOOM", "SIGKILL")]))
    sys.exit(run(sys.argv[3:]))
