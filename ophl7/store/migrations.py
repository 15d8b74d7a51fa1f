"""Numbered schema files, each applied once, all that wait in one transaction, each known by its digest."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from ophl7.errors import MigrationError

_FILE = re.compile(r"(?P<number>\d{4})_\w+\.sql")
_VERSIONS = (
    "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL,"
    " applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. digest: of its text, so that changed history is noticed."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text."""
        return sha256(self.text.encode("utf-8")).hexdigest()


def shipped(dialect: str) -> list[Migration]:
    """The steps that this version knows, in order."""
    folder = files("ophl7.store") / "sql" / dialect
    found = [
        Migration(int(match["number"]), entry.name, entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if (match := _FILE.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


def migrate(connection: sqlite3.Connection, steps: Sequence[Migration]) -> int:
    """Brings the schema up to date; the number of steps applied.

    Raises MigrationError for a database of a newer version, or one whose history is not ours. All steps are one transaction:
    a step that fails, or a process that dies, leaves the database as the version before made it. The connection
    must be in autocommit mode (isolation_level None).
    """
    applied = judge(connection, steps)
    waiting = [step for step in steps if step.number not in applied]
    if not waiting:
        return 0
    step = waiting[0]
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_VERSIONS)
        for step in waiting:
            _apply(connection, step)
        connection.execute("COMMIT")
    except BaseException as error:
        with suppress(sqlite3.Error):  # a full disk may have ended it already
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise MigrationError(f"schema step {step.name} failed, and none was made: {error}") from error
        raise
    return len(waiting)


def judge(connection: sqlite3.Connection, steps: Sequence[Migration]) -> Collection[int]:
    """The numbers of the steps that the database was made with. Reads only. Raises MigrationError as `migrate`."""
    with closing(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'")) as cursor:
        if cursor.fetchone() is None:
            return ()
    with closing(connection.execute("SELECT number, name, digest FROM schema_version ORDER BY number")) as cursor:
        applied = {number: (name, digest) for number, name, digest in cursor}
    known = {step.number: step for step in steps}
    newer = sorted(set(applied) - set(known))
    if newer:
        raise MigrationError(
            f"the database was made by a newer ophl7 (schema step {newer[-1]}, this version knows {max(known, default=0)}); "
            "start that version, or restore the backup made before the upgrade"
        )
    for number, (name, digest) in applied.items():
        if known[number].digest != digest:
            raise MigrationError(
                f"schema step {name} is not the one that this database was made with; it was changed afterwards"
            )
    return applied.keys()


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    for statement in _split(step.text):
        connection.execute(statement)
    connection.execute(
        "INSERT INTO schema_version (number, name, digest) VALUES (?, ?, ?)", (step.number, step.name, step.digest)
    )


def _split(text: str) -> list[str]:
    """The statements of a file; a semicolon inside a statement would be needed for triggers, which the schema has none of."""
    found: list[str] = []
    piece = ""
    for line in text.splitlines(keepends=True):
        piece += line
        if sqlite3.complete_statement(piece):
            found.append(piece)
            piece = ""
    if any(line.strip() and not line.lstrip().startswith("--") for line in piece.splitlines()):
        found.append(piece)  # a last statement without its semicolon
    return found
