"""The store of one node: one `sqlite3` connection, one thread, two calls a batch.

WAL with synchronous=FULL: a commit returns when the log was synced. Small loads run on the event loop, everything else in
the thread; the engine never overlaps two calls, so the connection needs no lock. Readers (console, API) have connections of
their own.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from ophl7.domain.patient import Side
from ophl7.engine.alarm_rows import AlarmRow, AlarmsKept
from ophl7.engine.ids import number_in
from ophl7.engine.retention import Ages, Stage, Step
from ophl7.engine.storage import Counters, Keys, OpenDelivery, PauseMark, Rows, State
from ophl7.errors import StoreAway, StoreRefused
from ophl7.store.audit_chain import add_to_chain, begin_chain
from ophl7.store.lease import Lease
from ophl7.store.migrations import migrate, shipped
from ophl7.store.rows import writes
from ophl7.store.sqlite_load import Loader
from ophl7.store.sqlite_retention import retire
from ophl7.store.statements import statements
from ophl7.store.upgrading import look_before

_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = OFF",  # the engine gives parents before children; the checks would read a page for each
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",  # a log that had to grow gives its room back when it begins anew
    "PRAGMA busy_timeout = 0",  # who waits for a lock, and where, is ours to say: never the event loop
)

# Errors that say that these rows cannot be written, not that the disk cannot.
_OUR_FAULT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    UnicodeError,
    ValueError,
    TypeError,
)

T = TypeVar("T")

# SQLite makes a string of its own for every row; a hundred thousand that wait share these.
_WORDS = {word: word for word in ("pm", "emr", "record", "charges", "queued", "sending", "held", "unknown", "parked")}

# Up to this many messages the statements run on the event loop and only the COMMIT, which waits for the disk, in the thread:
# each statement in a thread hands the interpreter's lock over and back. docs/decisions/ has the figures.
FEW_MESSAGES = 32

# How long a commit waits for somebody else's write lock before the database counts as away.
LOCK_SECONDS = 5.0

_PREFIX_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


class SqliteStore:
    """See engine.storage.Store for what is guaranteed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lease = Lease(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ophl7-store")
        self._reading = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ophl7-bodies")
        self._connection: sqlite3.Connection | None = None
        self._bodies: sqlite3.Connection | None = None
        self._loader: Loader | None = None
        self._inode = 0
        self._open_holds = 0
        self._sql = statements("sqlite")

    # -- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> Counters:
        """Takes the lease, brings the schema up to date, and tells the last ids."""
        self._lease.take()
        try:
            return await self._in_thread(self._open)
        except BaseException:
            await self._in_thread(self._let_go)
            self._lease.give_back()
            raise

    def _let_go(self) -> None:
        for connection in (self._connection, self._bodies):
            if connection is not None:
                connection.close()
        self._connection = self._bodies = self._loader = None

    def _open(self) -> Counters:
        look_before(self.path)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # patient data: nobody else's to read
        self._connection = connection = self._connect()
        migrate(connection, shipped("sqlite"))
        begin_chain(connection, self._sql)
        self._bodies = self._connect()
        self._loader = Loader(connection)
        self._inode = self.path.stat().st_ino
        prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(4))
        connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('prefix', ?)", (prefix,))
        last = connection.execute(self._sql["last_ids"]).fetchone()
        self._open_holds = connection.execute(self._sql["count_open_holds"]).fetchone()[0]
        values: list[Any] = [*last, connection.execute(self._sql["prefix"]).fetchone()[0]]
        counters = Counters(*values)
        renewed = connection.execute(self._sql["last_renewed"]).fetchone()
        taken = number_in(renewed[0], counters.prefix) if renewed is not None else 0
        return replace(counters, delivery=max(counters.delivery, taken))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, cached_statements=256)
        for setting in _SETTINGS:
            connection.execute(setting)
        return connection

    async def close(self) -> None:
        """Closes the connections and gives the lease back. Idempotent."""
        if self._connection is not None:
            await self._in_thread(self._let_go)
        self._thread.shutdown()
        self._reading.shutdown()
        self._lease.give_back()

    # -- the two calls of a batch -------------------------------------------------------------------------------------

    async def load(self, keys: Keys, *, small: bool) -> State:
        """The rows behind these keys. Raises StoreAway."""
        loader = self._loader
        if loader is None:
            raise StoreAway("the database is closed")
        holds = self._open_holds > 0
        if small:
            return _guarded(lambda: loader.load(keys, holds=holds))
        return await self._in_thread(lambda: loader.load(keys, holds=holds))

    async def commit(self, rows: Rows) -> None:
        """One transaction, synced. Raises StoreAway, StoreRefused."""
        if not rows:
            return
        if len(rows.journal) <= FEW_MESSAGES and self._begin_at_once():
            _guarded(lambda: self._write(rows))
            await self._in_thread(self._finish)
        else:
            await self._in_thread(lambda: self._commit(rows))
        self._open_holds += len(rows.holds) - len(rows.closed_holds)

    def _commit(self, rows: Rows) -> None:
        self._begin()
        self._write(rows)
        self._finish()

    def _begin_at_once(self) -> bool:
        """Begins if nobody else holds the write lock; the event loop never waits for one."""
        try:
            _guarded(self._present).execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True

    def _begin(self) -> None:
        """Waits for somebody's write lock (a person's shell, a backup) for as long as that is reasonable."""
        connection = self._present()
        deadline = monotonic() + LOCK_SECONDS
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_locked(error) or connection.in_transaction or monotonic() > deadline:
                    raise
                sleep(0.01)
            else:
                return

    def _write(self, rows: Rows) -> None:
        try:
            connection = self._present()
            for name, values in writes(rows):
                connection.executemany(self._sql[name], values)
            if rows.audit:
                add_to_chain(connection, self._sql, rows.audit)
        except BaseException:
            self._roll_back()
            raise

    def _finish(self) -> None:
        try:
            self._present().execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        """No transaction stays open behind a failure, or the next commit could not begin."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    def _present(self) -> sqlite3.Connection:
        """A database file that was removed or replaced under us takes no more writes: they would be lost with it."""
        connection = self._connection
        if connection is None:
            raise StoreAway("the database is closed")
        try:
            inode = self.path.stat().st_ino
        except OSError as error:
            raise StoreAway("the database file is gone; put it back, or stop ophl7 and restore the backup") from error
        if inode != self._inode:
            raise StoreAway("the database file was replaced while ophl7 works with it; restart ophl7")
        return connection

    # -- between two batches ------------------------------------------------------------------------------------------

    async def retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        """A step of retention, in a transaction of its own. Raises StoreAway, StoreRefused."""
        return await self._in_thread(lambda: self._retire(stage, after, ages))

    async def fold_back(self) -> None:
        """Copies the log into the database, beside the batches and on another connection. Raises StoreAway."""
        await asyncio.get_running_loop().run_in_executor(
            self._reading, lambda: _guarded(lambda: self._checkpoint(self._bodies, "PASSIVE"))
        )

    async def cut_log(self) -> bool:
        """Cuts the log off; False while a reader is inside. Raises StoreAway."""
        return await self._in_thread(lambda: self._checkpoint(self._connection, "TRUNCATE"))

    @staticmethod
    def _checkpoint(connection: sqlite3.Connection | None, how: str) -> bool:
        if connection is None:
            raise StoreAway("the database is closed")
        return bool(connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0] == 0)

    def _retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        self._begin()
        try:
            step = retire(self._present(), stage, after, ages)
        except BaseException:
            self._roll_back()
            raise
        self._finish()
        return step

    async def read(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Reads beside the two calls of a batch, on the same connection: never while one of them runs. Raises StoreAway."""
        return await self._in_thread(lambda: call(self._present()))

    # -- the outbox's reads -------------------------------------------------------------------------------------------

    async def unreachable(self) -> Collection[Side]:
        """Destinations to which nothing can have been on its way. Raises StoreAway."""
        return await self._in_thread(lambda: [row[0] for row in self._present().execute(self._sql["unreachable"])])

    async def paused(self) -> Mapping[Side, PauseMark]:
        """Destinations to which nothing is sent, each with its mark. Raises StoreAway."""
        return await self._in_thread(
            lambda: {
                side: PauseMark(side, reason, by_itself=bool(itself))
                for side, reason, itself in self._present().execute(self._sql["paused"])
            }
        )

    async def drained(self) -> Mapping[Side, str]:
        """Peers from which nothing is taken, each with why."""
        return await self._in_thread(lambda: dict(self._present().execute(self._sql["drained"])))

    async def alarms(self) -> AlarmsKept:
        """Open alarms, the last id, and when each peer was last heard of. Raises StoreAway."""
        return await self._in_thread(self._alarms)

    def _alarms(self) -> AlarmsKept:
        connection, sql = self._present(), self._sql
        last: int = connection.execute(sql["last_alarm"]).fetchone()[0]
        rows = tuple(AlarmRow(*row) for row in connection.execute(sql["open_alarms"]))
        return AlarmsKept(rows, last, tuple(connection.execute(sql["heard"])))

    async def open_deliveries(self) -> Sequence[OpenDelivery]:
        """Everything that is not settled, oldest first. Raises StoreAway."""
        return await self._in_thread(
            lambda: [
                OpenDelivery(*(_WORDS.get(value, value) for value in row))
                for row in self._present().execute(self._sql["open_deliveries"])
            ]
        )

    async def body_of(self, delivery: int) -> bytes:
        """Its own bytes, or its message's; on a connection of its own, beside the batch. Raises StoreAway, StoreRefused."""
        return await asyncio.get_running_loop().run_in_executor(
            self._reading, lambda: _guarded(lambda: self._body_of(delivery))
        )

    def _body_of(self, delivery: int) -> bytes:
        connection = self._bodies
        if connection is None:
            raise StoreAway("the database is closed")
        row = connection.execute(self._sql["body_of"], (delivery,)).fetchone()
        if row is None or (row[0] is None and row[1] is None):
            raise StoreRefused(f"delivery {delivery} has no bytes: they were removed when their retention was over")
        body: bytes = row[0] if row[0] is not None else row[1][row[2] : row[3]]
        return body

    async def probe(self) -> None:
        """A write that goes through, like a commit's: it waits for somebody's lock. Raises StoreAway when it does not."""
        await self._in_thread(self._probe)

    def _probe(self) -> None:
        connection = self._present()
        self._roll_back()
        self._begin()
        try:
            connection.execute(self._sql["probe"], (secrets.token_hex(4),))
        except BaseException:
            self._roll_back()
            raise
        self._finish()
        self._open_holds = connection.execute(self._sql["count_open_holds"]).fetchone()[0]

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _guarded(call))


def _is_locked(error: sqlite3.OperationalError) -> bool:
    """Somebody else's lock, which goes away; everything else (a dead disk) does not by waiting here."""
    return error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _guarded(call: Callable[[], T]) -> T:
    """SQLite's errors as ours: these rows, or the disk."""
    try:
        return call()
    except _OUR_FAULT as error:
        raise StoreRefused(f"the database refused a row: {type(error).__name__}") from error
    except MemoryError as error:
        raise StoreAway("the database cannot be used: no memory is left") from error
    except (sqlite3.Error, OSError) as error:
        raise StoreAway(f"the database cannot be used: {error}") from error
