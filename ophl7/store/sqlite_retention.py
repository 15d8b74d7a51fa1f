"""One step of retention inside an open transaction. See engine.retention for what goes and what never does."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any, NamedTuple

from ophl7.engine.chain import Head
from ophl7.engine.chain_walk import REMOVED
from ophl7.engine.retention import STEP_BYTES, STEP_ROWS, Ages, Stage, Step
from ophl7.engine.storage import AuditRow
from ophl7.store.audit_chain import add_to_chain
from ophl7.store.statements import padded, statements, with_keys

ACTOR = "ophl7"


def retire(connection: sqlite3.Connection, stage: Stage, after: int, ages: Ages) -> Step:
    """Removes at most STEP_ROWS; whoever calls begins and commits."""
    if stage == "audit":
        deeds = connection.execute(_sql("remove_deeds"), (ages.audit, STEP_ROWS)).rowcount
        step = _retire_audit(connection, ages)
        return step._replace(after=1) if deeds == STEP_ROWS and step.after is None else step
    if stage == "alarms":
        return _retire_alarms(connection, after, ages)
    kind = "bodies" if stage.startswith("bodies") else "rows"
    limit = ages.bodies if kind == "bodies" else ages.rows
    if stage.endswith("again"):
        found = connection.execute(_sql("left_messages"), (kind, after, STEP_ROWS)).fetchall()
        return _judge(connection, kind, limit, ages, found, again=True)
    bound = connection.execute(_sql("bound"), (limit,)).fetchone()
    if bound is None:
        return Step()
    row = connection.execute(_sql("cursor"), (kind,)).fetchone()
    begin = max(after, int(row[0]) if row is not None else 0)
    found = connection.execute(_sql("next_messages"), (begin, bound[0], STEP_ROWS)).fetchall()
    step = _judge(connection, kind, limit, ages, found, again=False)
    if found:
        last = step.after if step.after is not None else found[-1][0]
        connection.execute(_sql("keep_cursor"), (kind, str(last)))
    return step


def _judge(
    connection: sqlite3.Connection, kind: str, limit: float, ages: Ages, found: list[tuple[int, int]], *, again: bool
) -> Step:
    taken = _within_size(found) if kind == "bodies" else [number for number, _ in found]
    if not taken:
        return Step()
    keys = padded(taken)
    gone: list[int] = []
    left: list[int] = []
    kept = Counter[str]()
    for row in connection.execute(with_keys("sqlite", "judged", len(keys), file="retention"), keys):
        found_so = fate(row, kind, limit)
        if found_so.kind == "gone":
            gone.append(found_so.message)
        elif found_so.kind == "left":
            left.append(found_so.message)
        if found_so.why is not None:
            kept[found_so.why] += 1
    if kind == "bodies":
        _execute(connection, "remove_copies", [(number,) for number in gone])
        _execute(connection, "remove_body", [(ages.now, number) for number in gone])
    else:
        for name in ("remove_drift", "remove_holds", "remove_deliveries", "remove_message"):
            _execute(connection, name, [(number,) for number in gone])
    if again:
        staying = set(left)
        _execute(connection, "leave_no_more", [(kind, number) for number in taken if number not in staying])
    else:
        _execute(connection, "leave", [(kind, number) for number in left])
    more = len(found) == STEP_ROWS or len(taken) < len(found)
    counts = (len(gone), 0) if kind == "bodies" else (0, len(gone))
    return Step(*counts, 0, tuple(sorted(kept.items())), taken[-1] if more else None)


def _within_size(found: list[tuple[int, int]]) -> list[int]:
    """As many as a step may write, and one at least."""
    taken: list[int] = []
    size = 0
    for number, length in found:
        size += length
        if taken and size > STEP_BYTES:
            break
        taken.append(number)
    return taken


class Fate(NamedTuple):
    """kind: `gone`, `left` to be looked at again, or `done` with for ever. why: what keeps it."""

    message: int
    kind: str
    why: str | None


def fate(row: tuple[Any, ...], kind: str, limit: float) -> Fate:
    """Of a row of `judged`; kind: `bodies` or `rows`."""
    number, received_at, body, why, stays = row
    if received_at >= limit:  # a step of the clock: its number is older than it is
        return Fate(number, "left", None)
    reason = why or (stays if kind == "rows" else None)
    if reason is not None:
        return Fate(number, "done" if reason == "ledger" else "left", reason)
    return Fate(number, "gone" if kind == "rows" or body else "done", None)


def _retire_audit(connection: sqlite3.Connection, ages: Ages) -> Step:
    """The oldest rows, without a gap, but never the last; what the chain goes on from is kept, and said in the chain itself."""
    rows = connection.execute(_sql("old_audit"), (STEP_ROWS + 1,)).fetchall()
    old: list[tuple[Any, ...]] = []
    for row in rows[:-1][:STEP_ROWS]:
        if row[1] >= ages.audit:
            break
        old.append(row)
    if not old or old[-1][6] is None:  # a chain that somebody broke stays as it is, for whoever looks into it
        return Step()
    last = Head(old[-1][0], old[-1][6])
    connection.execute(_sql("remove_audit"), (last.id,))
    connection.execute(_sql("keep_audit_anchor"), (str(last),))
    target = f"audit rows {old[0][0]} to {last.id}"
    said = AuditRow(ages.now, ACTOR, REMOVED, target, f"{len(old)} rows, the last with the digest {last.digest.hex()}")
    add_to_chain(connection, statements("sqlite"), [said])
    return Step(0, 0, len(old), (), last.id if len(old) == STEP_ROWS else None)


def _retire_alarms(connection: sqlite3.Connection, after: int, ages: Ages) -> Step:
    """Alarms that ended before then, but never the newest: numbers go on from it. What is open stays, however old."""
    rows = connection.execute(_sql("next_alarms"), (after, STEP_ROWS)).fetchall()
    gone = [(number,) for number, _, resolved_at in rows if resolved_at is not None and resolved_at < ages.audit]
    _execute(connection, "remove_alarm", gone)
    more = len(rows) == STEP_ROWS and rows[-1][1] < ages.audit  # those behind a younger one are younger still
    return Step(alarms=len(gone), after=rows[-1][0] if more else None)


def _execute(connection: sqlite3.Connection, name: str, values: list[tuple[Any, ...]]) -> None:
    if values:
        connection.executemany(_sql(name), values)


def _sql(name: str) -> str:
    return statements("sqlite", "retention")[name]
