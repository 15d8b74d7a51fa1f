"""What must be true after any number of kills, and what is counted when it is not.

It knows the promises, the senders' memory and the peers' books, and reads the database as plain tables; nothing of ophl7 is
asked. Its work grows with the number of messages, and it keeps no bytes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.messages import Side
from tests.crash.desk import Book
from tests.crash.load import Answered, Load, digest
from tests.crash.stories import Truth


@dataclass(slots=True)
class Findings:
    """One line for each broken promise; empty lists are what is wanted."""

    messages: int = 0
    deliveries: int = 0
    repeated: int = 0
    removed: int = 0  # messages whose bytes or rows are gone, rightly
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    out_of_order: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    inconsistent: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not any(self._kinds)

    def first(self, count: int = 5) -> str:
        """The first broken promises of each kind, one a line."""
        return "\n".join(line for kind in self._kinds for line in kind[:count])

    def __str__(self) -> str:
        return (
            f"lost {len(self.lost)}, doubled {len(self.doubled)}, out of order {len(self.out_of_order)}, "
            f"altered {len(self.altered)}, invented {len(self.invented)}, inconsistent {len(self.inconsistent)}"
        )

    @property
    def _kinds(self) -> tuple[list[str], ...]:
        return self.lost, self.doubled, self.out_of_order, self.altered, self.invented, self.inconsistent


def examine(database: Path, load: Load, books: Mapping[Side, Book], may_be_gone: Collection[str] = ()) -> Findings:
    """Holds the database of a stopped broker, and what the destinations got, against what the senders know.

    may_be_gone: messages whose bytes, and then rows, retention may have removed; what they have done stands all the same.
    """
    found = Findings()
    answered = {one.control_id: one for one in load.answered}
    found.messages = len(answered)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        look = _Look(connection)
        gone = _journal(look, answered, may_be_gone, found)
        _effects(look, load.truths, found)
        _deliveries(look, {name: one for name, one in answered.items() if name not in gone}, found)
        _arrivals(look, answered, gone, books, load.truths, found)
        found.inconsistent += list(unsound(connection))
    return found


@dataclass(frozen=True, slots=True)
class _Look:
    connection: sqlite3.Connection

    def rows(self, sql: str) -> Iterator[Any]:
        yield from self.connection.execute(sql)


def _journal(look: _Look, answered: Mapping[str, Answered], may_be_gone: Collection[str], found: Findings) -> Collection[str]:
    """Each answered message is there with its very bytes, decided as it must be, once; its answer is the one that it got.

    Those whose rows retention has removed.
    """
    missing = set(answered)
    accepted: dict[int, tuple[str, bytes]] = {}
    for number, control_id, state, raw, answer, repeats in look.rows(
        "SELECT id, control_id, state, raw, answer, repeats FROM journal ORDER BY id"
    ):
        one = answered.get(control_id)
        if one is None:
            found.invented.append(f"{control_id} is in the journal, and nobody got an answer to it")
            continue
        if raw is None and control_id in may_be_gone:
            found.removed += 1
        elif raw is None or digest(raw) != one.raw:
            found.altered.append(f"{control_id} is stored with other bytes")
        if state == "duplicate":
            first = accepted.get(repeats)
            if first is None or first != (control_id, digest(answer)):
                found.doubled.append(f"a copy of {control_id} got an answer of its own")
            continue
        if state != one.state:
            found.lost.append(f"{control_id} is {state} instead of {one.state}")
        if control_id not in missing and one.state != "rejected":  # what was refused is judged again (#84b)
            found.doubled.append(f"{control_id} was judged twice")
        missing.discard(control_id)
        if one.state != "rejected":
            accepted[number] = control_id, digest(answer)
            if digest(answer) != one.answer:
                found.altered.append(f"{control_id} got another answer than is stored")
    gone = missing.intersection(may_be_gone)
    found.removed += len(gone)
    found.lost += [f"{control_id} is not in the journal" for control_id in missing - gone]
    return gone


def _effects(look: _Look, truths: Sequence[Truth], found: Findings) -> None:
    """Each chart, appointment, charge and merge as the families know them, and no others."""
    charts = {
        value: json.loads(fields).get("PID-11")
        for value, fields in look.rows("SELECT a.value, p.fields FROM alias a JOIN patient p ON p.id = a.patient")
    }
    visits = {filler: (start, status) for filler, start, status in look.rows("SELECT filler, start, status FROM appointment")}
    merges = {
        (retired, survivor): frozenset(side for side, at in (("pm", pm), ("emr", emr)) if at is not None)
        for retired, survivor, pm, emr in look.rows(
            "SELECT r.value, s.value, m.pm_at, m.emr_at FROM merge m"
            " JOIN alias r ON r.patient = m.retired JOIN alias s ON s.patient = m.survivor"
        )
    }
    charges = Counter(look.rows("SELECT transaction_id, kind, state FROM charge WHERE state <> 'superseded'"))
    for truth in truths:
        for patient, street in truth.streets.items():
            kept = charts.pop(patient, None)
            if kept is None or kept.split("^")[0] != street:
                found.lost.append(f"the chart of {patient}: {street} became {kept}")
        for filler, said in truth.visits.items():
            stands = visits.pop(filler, None)
            if stands != said:
                found.lost.append(f"the appointment {filler}: {said} became {stands}")
        for pair, sides in truth.merges.items():
            if (merged := merges.pop(pair, frozenset())) != sides:
                found.lost.append(f"the merge {pair}: {set(sides)} became {set(merged)}")
        for charge, times in truth.charges.items():
            if (stood := charges.pop(charge, 0)) != times:
                (found.doubled if stood > times else found.lost).append(
                    f"the charge {charge} stands {stood} times, not {times}"
                )
    found.invented += [f"{kind} {one}" for kind, rest in (("the chart", charts), ("the appointment", visits)) for one in rest]
    found.invented += [f"the merge {pair}" for pair in merges] + [f"the charge {one}" for one in charges]


def _deliveries(look: _Look, answered: Mapping[str, Answered], found: Findings) -> None:
    """Each message has the copies that it must have, and they were accepted."""
    copies: Counter[str] = Counter()
    for state, destination, theirs in look.rows(
        "SELECT d.state, d.destination, j.control_id FROM delivery d JOIN journal j ON j.id = d.message"
    ):
        found.deliveries += 1
        copies[theirs] += 1
        if state != "accepted":
            found.lost.append(f"the copy of {theirs} to the {destination} is {state}")
    for control_id, one in answered.items():
        wanted = int(one.copy is not None)
        if copies[control_id] != wanted:
            (found.lost if copies[control_id] < wanted else found.doubled).append(
                f"{control_id} has {copies[control_id]} copies, not {wanted}"
            )


def _arrivals(
    look: _Look,
    answered: Mapping[str, Answered],
    gone: Collection[str],
    books: Mapping[Side, Book],
    truths: Sequence[Truth],
    found: Findings,
) -> None:
    """Each copy arrived under one MSH-10, with equal bytes each time, in the order of its lane; and nothing else arrived."""
    stored: dict[str, tuple[str, str]] = {
        ours: (destination, theirs)
        for ours, destination, theirs in look.rows(
            "SELECT d.control_id, d.destination, j.control_id FROM delivery d JOIN journal j ON j.id = d.message"
        )
    }
    for ours, (destination, theirs) in stored.items():
        if ours not in books["pm" if destination == "pm" else "emr"].first:
            found.lost.append(f"the copy of {theirs} never arrived at the {destination}")
    arrivals = Counter(arrived.mark for book in books.values() for arrived in book.first.values())
    found.lost += [f"{name} never arrived and its row is gone" for name in gone if answered[name].copy and not arrivals[name]]
    found.doubled += [f"{name} arrived under {times} control ids" for name, times in arrivals.items() if times > 1]
    # Where each lane stands: the highest place, and when (as a number of arrivals) it began and ended.
    highest: dict[str, int] = defaultdict(lambda: -1)
    spans: dict[str, tuple[int, int]] = {}
    count = 0
    for side, book in books.items():
        found.repeated += book.repeated
        found.altered += book.altered
        for ours, arrived in book.first.items():
            count += 1
            if stored.get(ours) != (side, arrived.mark) and arrived.mark not in gone:
                found.invented.append(f"{ours} was delivered to the {side} as {arrived.mark} and is not stored so")
                continue
            one = answered[arrived.mark]
            if arrived.plain != one.plain:
                found.altered.append(f"{one.control_id} left with other bytes")
            if arrived.name not in one.names:
                found.altered.append(f"{one.control_id} left for {arrived.name} instead of {one.names}")
            if one.place <= highest[one.lane]:
                found.out_of_order.append(f"{one.control_id} arrived behind what came after it")
            highest[one.lane] = max(highest[one.lane], one.place)
            spans[one.lane] = spans.get(one.lane, (count, count))[0], count
    _united_lanes(books, spans, truths, found)


def _united_lanes(
    books: Mapping[Side, Book], spans: Mapping[str, tuple[int, int]], truths: Sequence[Truth], found: Findings
) -> None:
    """Lanes that a merge made one: what came before it in either was through before the one lane began."""
    for one_lane, other_lane, united in (pair for truth in truths for pair in truth.joined):
        for side in books:
            began = spans.get(f"{side} {united}")
            for lane in (one_lane, other_lane):
                ended = spans.get(f"{side} {lane}")
                if began is not None and ended is not None and ended[1] > began[0]:
                    found.out_of_order.append(f"the lane {united} to the {side} began before {lane} had ended")


def unsound(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with a database whatever came: pages, references, queues and custody that do not fit together."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"integrity_check: {line}"
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"{table} {row} refers to no {parent}"
    for name, sql in _UNSOUND.items():
        for (number,) in connection.execute(sql):
            yield f"{name}: {number}"


def unsound_file(database: Path) -> list[str]:
    """The same of a database file, in use or not."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return list(unsound(connection))


_UNSOUND = {
    "held without an open hold": "SELECT id FROM journal j WHERE state = 'held'"
    " AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id AND h.closed_at IS NULL)",
    "an open hold of a message that is not held": "SELECT h.id FROM hold h JOIN journal j ON j.id = h.message"
    " WHERE h.closed_at IS NULL AND j.state <> 'held'",
    "a copy of a message that was not accepted": "SELECT d.id FROM delivery d JOIN journal j ON j.id = d.message"
    " WHERE j.state <> 'accepted'",
    "a copy without bytes": "SELECT d.id FROM delivery d JOIN journal j ON j.id = d.message"
    " WHERE d.body IS NULL AND j.raw IS NULL AND d.state NOT IN ('accepted', 'rejected', 'skipped')",
    "two copies under one control id": "SELECT min(id) FROM delivery GROUP BY control_id HAVING count(*) > 1",
    "a charge whose copy is not there": "SELECT c.id FROM charge c WHERE c.delivery IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.id = c.delivery)",
    "a charge that was sent, without a copy": "SELECT id FROM charge WHERE state = 'sent' AND delivery IS NULL",
    "a charge of no message": "SELECT c.id FROM charge c WHERE NOT EXISTS (SELECT 1 FROM journal j WHERE j.id = c.message)",
    "a duplicate of nothing": "SELECT d.id FROM journal d WHERE d.state = 'duplicate'"
    " AND NOT EXISTS (SELECT 1 FROM journal j WHERE j.id = d.repeats AND j.id < d.id)",
    "an id of nobody": "SELECT a.value FROM alias a WHERE NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = a.patient)",
    "a chart without an id": "SELECT p.id FROM patient p WHERE NOT EXISTS (SELECT 1 FROM alias a WHERE a.patient = p.id)",
    "an appointment of nobody": "SELECT a.id FROM appointment a WHERE a.patient IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = a.patient)",
}
