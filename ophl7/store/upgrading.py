"""The schema of a database without a broker: what it stands at, and bringing it up to date."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ophl7.errors import MigrationError, StoreAway
from ophl7.store.care import back_up
from ophl7.store.lease import Lease
from ophl7.store.migrations import judge, migrate, shipped

_OURS = ("schema_version", "journal")


def look_before(database: Path) -> None:
    """Refuses what this version cannot work with while the file is still as it was found, to the byte.

    Raises MigrationError for a database of a newer version, one with another history, and somebody else's; StoreAway for one
    that cannot be read. A file that is not there or empty is a new database.
    """
    if not database.is_file() or database.stat().st_size == 0:
        return
    # Read-only, or closing it would move into the file what a killed process left in the log beside it.
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables and not tables & set(_OURS):
                raise MigrationError(f"{database} is the database of another program; give ophl7 one of its own")
            if "schema_version" in tables:
                judge(connection, shipped("sqlite"))
    except sqlite3.Error as error:
        raise StoreAway(f"the database cannot be read: {error}") from error


def upgrade(database: Path, copy: Path | None = None) -> list[str]:
    """Makes the steps that are missing, all or none; their names. copy: where the database is copied to first.

    Raises DatabaseLocked while a broker works with it, MigrationError, StoreAway.
    """
    if not database.is_file():
        raise StoreAway(f"there is no database {database}; `ophl7 serve` makes one")
    lease = Lease(database)
    lease.take()
    try:
        look_before(database)
        if copy is not None:
            back_up(database, copy)
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            before = _made(connection)
            migrate(connection, shipped("sqlite"))
            return [name for name in _made(connection) if name not in before]
    except (sqlite3.Error, OSError) as error:
        raise StoreAway(f"the database cannot be used: {error}") from error
    finally:
        lease.give_back()


def _made(connection: sqlite3.Connection) -> list[str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone():
        return []
    return [name for (name,) in connection.execute("SELECT name FROM schema_version ORDER BY number")]
