"""Databases as earlier versions have left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ophl7.store.migrations import migrate, shipped
from tests.acceptance.messages import OSCAR, RUTH, adt, dft
from tests.acceptance.practice import Ledger

STEPS = shipped("sqlite")
LEVELS = [step.number for step in STEPS if step.number > 0]

WAITING = adt("R1", "A08", RUTH)  # for the EMR
HELD = dft("C1", who=OSCAR)  # until the PM registers him


def made_by(level: int, database: Path) -> None:
    """What a version of that schema has left: a patient, a copy that waits for the EMR, a charge of somebody unknown."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, [step for step in STEPS if step.number <= level])
        connection.execute("BEGIN")
        journal = (
            "INSERT INTO journal (id, peer, connection, received_at, event, control_id, digest, state, ack_code, answer,"
            ' decision_row, reason, subject, raw, start, "end", detail) VALUES (?,?,1,1700000000.0,?,?,?,?,?,?,?,?,?,?,0,?,?)'
        )
        for row in (
            (1, "pm", "ADT^A08", "R1", b"1", "accepted", "AA", b"ACK", "#4", "", 1, WAITING, len(WAITING), "{}"),
            (2, "emr", "DFT^P03", "C1", b"2", "held", "AA", b"ACK", "#43", "unknown", None, HELD, len(HELD), "{}"),
        ):
            connection.execute(journal, row)
        connection.execute(
            "INSERT INTO patient (id, subject, lane, identifiers, fields, created_at, message, provisional)"
            " VALUES (1, 1, 1, ?, ?, 1700000000.0, 1, 0)",
            ('[["7050","PM","MR"]]', "{}"),
        )
        connection.execute("INSERT INTO alias (value, authority, type, patient) VALUES ('7050', 'PM', 'MR', 1)")
        connection.execute(
            "INSERT INTO delivery (id, destination, lane, stream, message, control_id, state, created_at)"
            " VALUES (1, 'emr', 1, 'record', 1, 'OLD1', 'queued', 1700000000.0)"
        )
        connection.execute(
            "INSERT INTO hold (id, message, key, blocks, reason, since, peer)"
            " VALUES (1, 2, 'patient:PM:7051', '', 'the patient is not known yet', 1700000000.0, 'emr')"
        )
        connection.execute("COMMIT")


def level_of(database: Path) -> int:
    (row,) = Ledger(database).rows("SELECT max(number) AS level FROM schema_version")
    return int(row["level"])
