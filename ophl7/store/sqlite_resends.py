"""What is sent again: the reads inside a batch, and those of people. See engine.resending."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ophl7.domain.patient import Side
from ophl7.engine.resend_rows import Deed, Lost, LostFound, OpenCopy, Resend, ResendTally, ResendWindow
from ophl7.engine.storage import Keys, State
from ophl7.store.reader import SqliteReader
from ophl7.store.rows import resend_from
from ophl7.store.statements import padded, statements, with_keys

_NO_END = 1e18  # for what counts in a lane whatever its time: nothing newer may be overtaken


def load_resends(connection: sqlite3.Connection, keys: Keys, state: State) -> None:
    """Runs, what they find, their copies, and what was done under an Idempotency-Key."""
    sql = statements("sqlite", "resends")
    if keys.resends:
        (state.last_resend,) = connection.execute(sql["last_resend"]).fetchone()
        rows = connection.execute(sql["open_resends"]).fetchall() if "" in keys.resends else []
        for key in keys.resends - {""}:
            rows += connection.execute(sql["resend_with_key"], (key,)).fetchall()
        state.resends = {run.id: run for run in map(resend_from, rows)}
        state.resend_tallies = {number: _tally(connection.execute(sql["tally"], (number,))) for number in state.resends}
    for window in keys.windows:
        state.windows[window] = _find(connection, sql, window)
    for run in keys.copies:
        rows = connection.execute(sql["copies"], (run,)).fetchall()
        state.copies[run] = tuple(OpenCopy(number, became, tries, bool(held)) for number, became, tries, held in rows)
    if keys.deeds:
        state.deeds = dict.fromkeys(keys.deeds)
        chosen = padded(sorted(keys.deeds))
        for row in connection.execute(with_keys("sqlite", "deeds", len(chosen), 1, "resends"), chosen):
            state.deeds[row[0]] = Deed(*row)


def _tally(rows: Iterable[tuple[str, int]]) -> ResendTally:
    return ResendTally(**dict(rows))


def _find(connection: sqlite3.Connection, sql: Mapping[str, str], window: ResendWindow) -> LostFound:
    """Whole lanes, as many as it takes to reach the limit; a run never has part of one."""
    run = window.run
    asked = {
        "after": window.after,
        "upto": window.upto,
        "destination": run.destination,
        "streams": " ".join(run.streams),
        "since": run.since,
        "until": min(run.until, run.started_at),
        "run": run.id,
        "most": window.most,
    }
    found: dict[int, tuple[str, int]] = {}
    triggers = connection.execute(sql["window"], asked).fetchall()
    place = window.upto if len(triggers) < window.most else int(triggers[-1][0])
    for number, stream, lane, known in triggers:
        if number in found:
            continue
        if len(found) >= window.most:
            place = number - 1
            break
        found[number] = (stream, lane)
        if known and stream == "record":
            whole = {"lane": lane, "stream": stream, "until": _NO_END}
            for (mate,) in connection.execute(sql["of_lane"], asked | whole):
                found[mate] = (stream, lane)
    return LostFound(tuple(_described(connection, run, found)), place)


def _described(connection: sqlite3.Connection, run: Resend, found: Mapping[int, tuple[str, int]]) -> list[Lost]:
    if not found:
        return []
    chosen, lanes = padded(sorted(found)), padded(sorted({lane for _, lane in found.values()}))
    gone = {row[0] for row in connection.execute(with_keys("sqlite", "without_bytes", len(chosen), 1, "resends"), chosen)}
    faces: dict[int, tuple[bool, tuple[str, str]]] = {}
    for lane, pm, emr, *who in connection.execute(with_keys("sqlite", "lane_faces", len(lanes), 1, "resends"), lanes):
        faces[lane] = (bool(pm if run.destination == "pm" else emr), (who[0] or "", who[1] or ""))
    rows: list[Lost] = []
    for number in sorted(found):
        stream, lane = found[number]
        merged, known_by = faces.get(lane, (False, ("", "")))
        rows.append(Lost(number, "charges" if stream == "charges" else "record", lane, number in gone, merged, known_by))
    return rows


class SqliteResends:
    """What people see of it; implements `admin.resends.ResendReads`. Raises StoreAway, TimeoutError."""

    def __init__(self, reader: SqliteReader) -> None:
        self._reader = reader
        self._sql = statements("sqlite", "resends")

    async def preview(self, side: Side, since: float, until: float) -> Sequence[Mapping[str, Any]]:
        """By stream: deliveries lanes oldest newest gone."""
        return await self._reader.read(self._sql["preview"], (side, since, until, since, until))

    async def merged_since(self, side: Side, since: float) -> int:
        """How many pairs that side has merged since then."""
        (row,) = await self._reader.read(self._sql["merged_since"], (side, since, side, since))
        return int(row["merges"])

    async def runs(
        self, *, number: int | None = None, before: int | None = None, limit: int
    ) -> Sequence[tuple[Resend, ResendTally]]:
        """Runs with what has become of their copies, newest first."""
        where = [("id = ?", number), ("id < ?", before)]
        wanted = [(condition, value) for condition, value in where if value is not None]
        text = f"WHERE {' AND '.join(condition for condition, _ in wanted)}" if wanted else ""
        rows = await self._reader.read(self._sql["runs"].replace("{where}", text), (*(value for _, value in wanted), limit))
        found: list[tuple[Resend, ResendTally]] = []
        for row in rows:
            tally = await self._reader.read(self._sql["tally"], (row["id"],))
            found.append((resend_from(tuple(row.values())), ResendTally(**{one["became"]: one["copies"] for one in tally})))
        return found

    async def locked(self, before: float) -> Sequence[Mapping[str, Any]]:
        """By destination what it cannot take just now (206, severity F) since before then: destination deliveries since."""
        return await self._reader.read(self._sql["locked"], (before,))
