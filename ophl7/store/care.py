"""The database seen from outside, beside a broker that works with it or without one: preview, check, copy. It changes nothing.

Reads are short: a reader that stays inside keeps the write-ahead log from being folded back. But for the check of all pages,
which is one statement of SQLite: the log grows while it runs, and is cut off behind it.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ophl7.engine.chain import Link
from ophl7.engine.retention import Ages
from ophl7.errors import StoreAway
from ophl7.store.sqlite_retention import fate
from ophl7.store.statements import padded, statements, with_keys

_ROWS = 500  # of one statement
_PAGES = 2000  # of one step of a copy
_YEAR = 365.25 * 86400.0

# What must be so in every database of ours, each with a statement that counts where it is not.
CONSISTENCY: tuple[tuple[str, str], ...] = (
    ("open holds of messages that are not held", "held_otherwise"),
    ("held messages without an open hold", "held_by_nothing"),
    ("waiting deliveries without bytes", "without_bytes"),
    ("charges that were sent, without their delivery", "charges_without_copy"),
    ("charges without their message", "charges_without_message"),
)


class Preview(NamedTuple):
    """What a run would remove now: messages of that age in years whose bytes, or rows, go. kept: those that stay, by why."""

    bodies: dict[int, int]
    rows: dict[int, int]
    audit: int
    alarms: int
    kept: dict[str, int]


@contextmanager
def looking(database: Path, *, seconds: float = 30.0) -> Iterator[sqlite3.Connection]:
    """A read-only connection. Raises StoreAway."""
    if not database.is_file():
        raise StoreAway(f"there is no database: {database}")
    uri = f"file:{quote(str(database.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=seconds)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise StoreAway(f"the database cannot be read: {error}") from error


def preview(connection: sqlite3.Connection, ages: Ages) -> Preview:
    """Looks at every message that is old enough, in short reads."""
    sql = statements("sqlite", "retention")
    bodies: Counter[int] = Counter()
    rows: Counter[int] = Counter()
    kept: Counter[str] = Counter()
    after, bound = 0, connection.execute(sql["bound"], (ages.bodies,)).fetchone()
    while bound is not None:
        found = [row[0] for row in connection.execute(sql["next_messages"], (after, bound[0], _ROWS))]
        if not found:
            break
        after, keys = found[-1], padded(found)
        for row in connection.execute(with_keys("sqlite", "judged", len(keys), file="retention"), keys):
            years = int((ages.now - row[1]) // _YEAR)
            body = fate(row, "bodies", ages.bodies)
            whole = fate(row, "rows", ages.rows)
            bodies[years] += body.kind == "gone"
            rows[years] += whole.kind == "gone"
            reason = body.why or whole.why
            if reason is not None:
                kept[reason] += 1
    (audit,) = connection.execute(sql["count_old_audit"], (ages.audit,)).fetchone()
    (alarms,) = connection.execute(sql["count_old_alarms"], (ages.audit,)).fetchone()
    return Preview(dict(+bodies), dict(+rows), audit, alarms, dict(kept))


def faults(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with pages, indexes, references and queues; empty when all is well."""
    found = [f"integrity: {text}" for (text,) in connection.execute("PRAGMA integrity_check(20)") if text != "ok"]
    broken: Counter[tuple[str, str]] = Counter()
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        broken[table, parent] += 1
    found += [
        f"references: {count} rows of {table} name a {parent} that is not there" for (table, parent), count in broken.items()
    ]
    sql = statements("sqlite", "care")
    for words, name in CONSISTENCY:
        (count,) = connection.execute(sql[name]).fetchone()
        if count:
            found.append(f"consistency: {count} {words}")
    return found


def back_up(database: Path, target: Path) -> int:
    """A copy as of one moment, of mode 0600, synced; its size in bytes. While the broker works, too.

    Written beside its place and put there at the end: a whole copy, or nothing. Raises StoreAway, also for a file that
    is there already.
    """
    if target.exists():
        raise StoreAway(f"{target} is there already; name another file")
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        part.chmod(0o600)
        with looking(database) as source, closing(sqlite3.connect(part)) as copy:
            source.execute("BEGIN")  # one moment for all steps: else each write of the broker begins the copy anew
            source.backup(copy, pages=_PAGES)
            source.execute("COMMIT")
            copy.execute("PRAGMA journal_mode = DELETE")
            (said,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if said != "ok":
            raise StoreAway(f"the copy is not whole: {said}")
        _sync(part)
        os.link(part, target)  # fails where a file is, unlike a rename
        _sync(target.absolute().parent)
        return target.stat().st_size
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreAway(f"the copy {target} cannot be written: {reason}") from error
    finally:
        with suppress(OSError):
            part.unlink()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


class DirectChain:
    """Implements `engine.chain_walk.ChainReads` on a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = statements("sqlite", "reads")

    async def audit_links(self, *, after: int, limit: int) -> Sequence[Link]:
        """The rows behind that id."""
        return [Link(*row) for row in self._connection.execute(self._sql["audit_links"], (after, limit))]

    async def audit_head(self) -> str | None:
        """The last link."""
        return self._one("audit_head")

    async def audit_anchor(self) -> str | None:
        """The last link that retention has removed."""
        return self._one("audit_anchor")

    def _one(self, name: str) -> str | None:
        row = self._connection.execute(self._sql[name]).fetchone()
        return str(row[0]) if row is not None else None
