"""Numbered schema files, each applied once in a transaction of its own, each known by its digest."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from ophl7.errors import MigrationError

_FILE = re.compile(r"(?P<number>\d{4})_\w+\.sql")


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

    Raises MigrationError for a database of a newer version, or one whose history is not ours. A step that fails leaves nothing
    behind. The connection must be in autocommit mode (isolation_level None).
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL,"
        " applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
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
    waiting = [step for step in steps if step.number not in applied]
    for step in waiting:
        _apply(connection, step)
    return len(waiting)


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _split(step.text):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_version (number, name, digest) VALUES (?, ?, ?)", (step.number, step.name, step.digest)
        )
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:  # an error of the disk has already rolled it back
            connection.execute("ROLLBACK")
        raise MigrationError(f"schema step {step.name} failed: {error}") from error


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
