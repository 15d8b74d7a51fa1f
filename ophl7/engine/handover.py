"""What a commit leaves to the outbox: deliveries as they have become by the end of their batch. Pure."""

from __future__ import annotations

from ophl7.engine.storage import DeliveryRow, Rendering, Rows


def fresh(rows: Rows) -> list[tuple[DeliveryRow, bytes | None]]:
    """The batch's new deliveries, each with its bytes where they are at hand: a merge after them may have changed both."""
    bodies = {row.id: row.raw for row in rows.journal if row.start == 0 and row.end == len(row.raw)} if rows.deliveries else {}
    if not (rows.moved or rows.rendered):
        return [(row, row.body if row.body is not None else bodies.get(row.message)) for row in rows.deliveries]
    lanes, made = dict(rows.moved), {one.id: one.body for one in rows.rendered}
    found: list[tuple[DeliveryRow, bytes | None]] = []
    for row in rows.deliveries:
        now = row._replace(lane=lanes.get(row.id, row.lane), body=made.get(row.id, row.body))
        found.append((now, now.body if now.body is not None else bodies.get(row.message)))
    return found


def made_anew(rows: Rows) -> list[Rendering]:
    """What waited before this batch and goes on with other bytes: the last that were made for it."""
    new = {row.id for row in rows.deliveries}
    return [one for one in {one.id: one for one in rows.rendered}.values() if one.id not in new]
