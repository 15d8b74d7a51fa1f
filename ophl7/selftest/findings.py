"""What must be true after any end of the broker, and what is counted when it is not."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ophl7.selftest.load import Sender, Sent, Side, control_id_of, everything, named, relayed


@dataclass(slots=True)
class Findings:
    """One line for each broken promise; empty lists are what is wanted. repeated: sent again under one MSH-10, as allowed."""

    acknowledged: int = 0
    delivered: int = 0
    repeated: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def broken(self) -> list[str]:
        """Every broken promise."""
        return [*self.lost, *self.doubled, *self.out_of_order, *self.altered, *self.damaged]


def rows(database: Path, sql: str) -> list[dict[str, Any]]:
    """Reads a database, in use or not. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def unsettled(database: Path) -> int:
    """Copies that wait or are being sent. Raises sqlite3.Error."""
    return int(rows(database, "SELECT count(*) AS n FROM delivery WHERE state IN ('queued', 'sending')")[0]["n"])


def examine(database: Path, workers: list[Sender], received: Mapping[Side, Sequence[bytes]]) -> Findings:
    """Holds the database and what the destinations got against what the senders know.

    To be asked when nothing is open: every sender has its answers, and nothing waits to be delivered.
    """
    found = Findings()
    sent = {one.control_id: one for one in everything(workers)}
    found.acknowledged = len(sent)
    try:
        for row in rows(database, "PRAGMA integrity_check"):
            if row["integrity_check"] != "ok":
                found.damaged.append(f"the database is damaged: {row['integrity_check']}")
        _journal(database, sent, found)
        _effects(database, sent, found)
        _deliveries(database, sent, received, found)
    except sqlite3.Error as error:
        found.damaged.append(f"the database cannot be read: {error}")
    return found


def _journal(database: Path, sent: dict[str, Sent], found: Findings) -> None:
    """Each acknowledged message is there once, accepted, with its very bytes; a copy of it got the first one's answer."""
    journal = rows(database, "SELECT id, control_id, state, decision_row, raw, answer, repeats FROM journal ORDER BY id")
    first = {row["control_id"]: row for row in journal if row["state"] != "duplicate"}
    judged = Counter(row["control_id"] for row in journal if row["state"] != "duplicate")
    for control_id, one in sent.items():
        row = first.get(control_id)
        if row is None:
            found.lost.append(f"{control_id} was acknowledged and is not stored")
        elif row["state"] != "accepted":
            found.lost.append(f"{control_id} was acknowledged and is {row['state']} by {row['decision_row']}")
        elif row["raw"] != one.payload:
            found.altered.append(f"{control_id} is stored with other bytes")
        if judged[control_id] > 1:
            found.doubled.append(f"{control_id} was taken {judged[control_id]} times")
    for row in journal:
        if row["state"] == "duplicate":
            original = first.get(row["control_id"])
            if original is None or (row["repeats"], row["answer"]) != (original["id"], original["answer"]):
                found.doubled.append(f"a copy of {row['control_id']} got an answer of its own")


def _effects(database: Path, sent: dict[str, Sent], found: Findings) -> None:
    """One charge for each DFT, and none besides; each appointment and each chart as its last message said."""
    charges = Counter(row["id"] for row in rows(database, "SELECT transaction_id AS id FROM charge WHERE state = 'sent'"))
    visits = {row["filler"]: row["start"] for row in rows(database, "SELECT filler, start FROM appointment")}
    charts = {
        row["value"]: json.loads(row["fields"]).get("PID-11")
        for row in rows(database, "SELECT a.value, p.fields FROM alias a JOIN patient p ON p.id = a.patient")
    }
    last: dict[tuple[str, str], Sent] = {}
    for one in sent.values():
        if one.what == "charge":
            times = charges.pop(f"T-{one.control_id}", 0)
            if times != 1:
                (found.doubled if times else found.lost).append(f"the charge of {one.control_id} is there {times} times")
        else:
            last[one.patient, one.what] = one
    found.doubled += [f"the charge {number} belongs to no acknowledged message" for number in charges]
    for (patient, what), one in last.items():
        kept = visits.get(f"S-{patient}") if what == "visit" else str(charts.get(patient) or "").partition("^")[0]
        if kept != one.value:
            found.lost.append(f"the effect of {one.control_id}, a {what}: {one.value} became {kept}")


def _deliveries(database: Path, sent: dict[str, Sent], received: Mapping[Side, Sequence[bytes]], found: Findings) -> None:
    """Each copy arrived, under one MSH-10 and with equal bytes each time, in the order of its lane, and is stored."""
    stored = {
        row["control_id"]: row
        for row in rows(
            database,
            "SELECT d.control_id, d.destination, d.state, j.raw FROM delivery d JOIN journal j ON j.id = d.message",
        )
    }
    found.delivered = len(stored)
    arrived: Counter[str] = Counter()
    order: dict[str, list[int]] = defaultdict(list)
    for side, payloads in received.items():
        seen: set[str] = set()
        for payload in payloads:
            ours, theirs = control_id_of(payload), named(payload)
            row = stored.get(ours)
            if row is None or row["destination"] != side:
                found.lost.append(f"{theirs} was delivered to the {side.upper()} as {ours}, and nothing of that is stored")
                continue
            if payload != relayed(row["raw"], ours):
                found.altered.append(f"{theirs} left with other bytes")
            if ours in seen:
                found.repeated += 1
                continue
            seen.add(ours)
            arrived[theirs] += 1
            if theirs in sent:
                order[sent[theirs].lane].append(sent[theirs].number)
    for control_id in sent:
        if arrived[control_id] != 1:
            broken = found.doubled if arrived[control_id] else found.lost
            broken.append(f"{control_id} was delivered under {arrived[control_id]} control ids")
    for lane, numbers in order.items():
        if numbers != sorted(numbers):
            found.out_of_order.append(f"patient and stream {lane}: {numbers}")
    found.lost += [f"the copy {ours} is {row['state']}" for ours, row in stored.items() if row["state"] != "accepted"]
