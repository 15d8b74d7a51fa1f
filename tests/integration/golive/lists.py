"""Lists of made-up patients, and the command that loads them, as somebody types it."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ophl7 import cli
from tests.acceptance.messages import Side, adt
from tests.acceptance.practice import PM_OWNS, environment

HERE = Path(__file__).resolve().parents[3]
HEADER = ("id", "last_name", "first_name", "birth_date", "sex", "street")
FAMILIES = ("ADAMSKI", "BERGER", "CRUZ", "DIAZ", "EVANS", "FOX")


def people(numbers: Iterable[int]) -> list[tuple[str, ...]]:
    """Rows of the PM's list: many share a name, a birth date or a street, as siblings and twins do."""
    return [
        (
            f"{7000 + n}",
            FAMILIES[n % 6],
            f"CHILD {n % 11}",
            f"{n % 12 + 1}/{n % 28 + 1}/{2010 + n % 12}",
            "MF"[n % 2],
            street(n),
        )
        for n in numbers
    ]


def street(n: int) -> str:
    return f"{n % 90} ELM ST"


def charts(numbers: Iterable[int], moved: int = 7) -> list[tuple[str, ...]]:
    """The same as the EMR knows them: its own ids beside the PM's; every `moved`-th has another address there."""
    return [
        (f"E-{n}", *row[1:5], row[5] if n % moved else "9 OAK AVE", row[0])
        for n, row in zip(numbers, people(numbers), strict=True)
    ]


def table(path: Path, rows: Iterable[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> Path:
    """A CSV file."""
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    path.write_text(file.getvalue(), encoding="utf-8")
    return path


def charts_table(path: Path, numbers: Iterable[int]) -> Path:
    """The EMR's list as a CSV file."""
    return table(path, charts(list(numbers)), (*HEADER, "pm_id"))


def announcement(control_id: str, row: tuple[str, ...], trigger: str = "A28", sender: Side = "pm") -> bytes:
    """The same patient as the PM announces him."""
    from tests.acceptance.messages import Person

    month, day, year = row[3].split("/")
    born = f"{year}{int(month):02}{int(day):02}"
    who = Person(row[0], row[1], row[2], born, row[4], row[5])
    return adt(control_id, trigger, who, sender=sender)


class Office:
    """A folder with a database, and somebody who types commands."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.database = folder / "ophl7.db"
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.said = ""
        self.setup()

    def setup(self, setup: str = PM_OWNS, **more: str) -> None:
        """Chooses settings, as `environment` takes them."""
        self.settings = environment(self.database, setup, "", "", **more)
        self.apply()

    def apply(self) -> None:
        """Puts the settings into the environment."""
        for name, value in self.settings.items():
            self._monkeypatch.setenv(name, value)

    def type(self, *arguments: object) -> int:
        """Runs a command; its exit status. What it said on standard error is in `said`."""
        self._capsys.readouterr()
        status = cli.run([str(argument) for argument in arguments])
        self.output, self.said = self._capsys.readouterr()
        return status

    def load(self, peer: Side, *arguments: object) -> list[dict[str, Any]]:
        """Loads lists; their summaries."""
        status = self.type("patients", "load", "--peer", peer, "--json", *arguments)
        assert status == 0, self.said
        lists: list[dict[str, Any]] = json.loads(self.output)["lists"]
        return lists

    def one(self, peer: Side, *arguments: object) -> dict[str, Any]:
        """The counts of the one list, without zeros."""
        (found,) = self.load(peer, *arguments)
        return {name: found[name] for name in COUNTS if found[name]}

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What is in the database."""
        return database_rows(self.database, sql, *values)

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        """The same command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "ophl7", *map(str, arguments)],
            cwd=HERE,
            env={**os.environ, **self.settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


COUNTS = ("created", "linked", "changed", "unchanged", "not_taken", "held", "differences", "released")


def database_rows(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return list(connection.execute(sql, values))


def registry(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a load leaves, but for times and for how often it was begun."""
    return {
        "patients": database_rows(
            database,
            "SELECT id, subject, lane, identifiers, fields, message, provisional, merged_pm, merged_emr FROM patient"
            " ORDER BY id",
        ),
        "aliases": database_rows(database, "SELECT value, authority, type, patient FROM alias ORDER BY 1, 2"),
        "journal": database_rows(
            database, "SELECT id, peer, event, state, decision_row, reason, subject, raw, detail FROM journal ORDER BY id"
        ),
        "drift": database_rows(database, "SELECT id, message, patient, field, offered, kept, rule FROM drift ORDER BY id"),
        "holds": database_rows(database, "SELECT id, message, key, closed_how FROM hold ORDER BY id"),
        "deliveries": database_rows(database, "SELECT id, destination, message, stream, state FROM delivery ORDER BY id"),
        "refusals": database_rows(database, "SELECT * FROM patient_list_refusal ORDER BY 1, 2"),
        "lists": database_rows(
            database,
            "SELECT id, peer, digest, done_bytes, place, created, linked, changed, unchanged, refused, held, differences,"
            " released FROM patient_list ORDER BY id",
        ),
        "audit": database_rows(database, "SELECT actor, action, target, reason FROM audit ORDER BY id"),
    }
