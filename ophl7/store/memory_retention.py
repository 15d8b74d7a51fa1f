"""The same step of retention on tables in memory: what SQL says in `retention.sql`, said once more in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ophl7.domain.provenance import origins_of
from ophl7.engine.retention import STEP_ROWS, Ages, Stage, Stays, Step, Why
from ophl7.engine.storage import AuditRow, DeliveryRow, DriftRow, JournalRow

if TYPE_CHECKING:
    from ophl7.store.memory import MemoryStore

_SETTLED = frozenset({"accepted", "rejected", "skipped"})


def retire(store: MemoryStore, stage: Stage, after: int, ages: Ages) -> Step:
    """Removes at most STEP_ROWS. There is no cursor: everything is looked at in every run."""
    if stage == "audit":
        old = [row for row in store.audit[:-1] if row.at < ages.audit]
        count = next((place for place, row in enumerate(store.audit[:-1]) if row.at >= ages.audit), len(old))
        if count:
            del store.audit[:count]
            store.audit.append(AuditRow(ages.now, "ophl7", "remove-old-audit", f"{count} audit rows", ""))
        store.deeds = {key: deed for key, deed in store.deeds.items() if deed.at >= ages.audit}
        return Step(audit=count)
    if stage == "alarms":
        ended = [row for row in store.kept_alarms.values() if row.resolved_at is not None and row.resolved_at < ages.audit]
        gone = [row.id for row in ended if row.id < max(store.kept_alarms)]
        for number in gone:
            del store.kept_alarms[number]
        return Step(alarms=len(gone))
    if stage.endswith("again"):
        return Step()
    limit = ages.bodies if stage == "bodies" else ages.rows
    found = [row for number, row in sorted(store.journal.items()) if number > after and row.received_at < limit][:STEP_ROWS]
    kept, removed = Counter[str](), 0
    for row in found:
        why: str | None = _open(store, row)
        if why is None and stage == "rows":
            why = _stays(store, row)
        if why is not None:
            kept[why] += 1
        elif stage == "rows":
            _remove(store, row.id)
            removed += 1
        elif row.id not in store.bodies_removed:
            store.bodies_removed[row.id] = ages.now
            store.deliveries.update({one.id: one._replace(body=None) for one in _copies(store, row.id)})
            removed += 1
    counts = (removed, 0) if stage == "bodies" else (0, removed)
    return Step(*counts, 0, tuple(sorted(kept.items())), found[-1].id if len(found) == STEP_ROWS else None)


def _copies(store: MemoryStore, message: int) -> list[DeliveryRow]:
    return [one for one in store.deliveries.values() if one.message == message]


def _waits(copies: Iterable[DeliveryRow]) -> bool:
    return any(one.state not in _SETTLED for one in copies)


def _held(store: MemoryStore, message: int) -> bool:
    return store.journal[message].state == "held" or any(hold.message == message for hold in store.holds.values())


def _open(store: MemoryStore, row: JournalRow) -> Why | None:
    copies = _copies(store, row.id)
    if _held(store, row.id):
        return "held"
    if _waits(copies):
        return "undelivered"
    numbers = {one.id for one in copies}
    if _waits(store.deliveries[back] for lost, back in store.taken_back if lost in numbers):
        return "taken_back"
    for charge, number in store.charges.values():
        copy = store.deliveries.get(number) if number is not None else None
        sent = charge.state == "sent" and (copy is None or copy.state not in _SETTLED)
        if charge.message == row.id and (charge.state == "held" or sent):
            return "charge"
    runs = [one for one in store.journal.values() if one.replay_of == row.id]
    if any(_held(store, one.id) or _waits(_copies(store, one.id)) for one in runs):
        return "replay"
    merges = [one for one in store.merges.values() if one.state in {"one_sided", "conflict"}]
    if any(row.id in {one.message, one.pm_message, one.emr_message} for one in merges):
        return "merge"
    return "drift" if any(_differs(store, one) for one in store.drift if one.message == row.id) else None


def _last(store: MemoryStore, drift: DriftRow) -> bool:
    place = (drift.patient, drift.peer, drift.field)
    return not any((one.patient, one.peer, one.field) == place and one.id > drift.id for one in store.drift)


def _differs(store: MemoryStore, drift: DriftRow) -> bool:
    patient = store.patients.get(drift.patient)
    if drift.restored == "sent" or patient is None or not _last(store, drift):
        return False
    return patient.fields.get(drift.field, "") != drift.offered


def _stays(store: MemoryStore, row: JournalRow) -> Stays | None:
    copies = _copies(store, row.id)
    if any(charge.message == row.id for charge, _ in store.charges.values()) or any(one.stream == "charges" for one in copies):
        return "ledger"
    holds = {number for number, (hold, _) in store.closed_holds.items() if hold.message == row.id}
    drift = [one for one in store.drift if one.message == row.id]
    newest = row.id == max(store.journal) or max(store.deliveries, default=0) in {one.id for one in copies}
    newest = newest or max((*store.holds, *store.closed_holds), default=0) in holds
    if newest or max((one.id for one in store.drift), default=0) in {one.id for one in drift}:
        return "newest"
    if any(one.replay_of == row.id for one in store.journal.values()):
        return "replayed"
    if row.replay_of is None and row.state != "duplicate" and row.subject is not None and not _followed(store, row):
        return "last"
    charts = [one for one in store.patients.values() if one.subject == row.subject]
    if any(one.message == row.id or row.id in {o.message for o in origins_of(one.origins).values()} for one in charts):
        return "chart"
    return "drift" if any(_last(store, one) for one in drift) else None


def _followed(store: MemoryStore, row: JournalRow) -> bool:
    later = [one for one in store.journal.values() if one.id > row.id and (one.subject, one.peer) == (row.subject, row.peer)]
    return any(one.state != "duplicate" and one.replay_of is None for one in later)


def _remove(store: MemoryStore, message: int) -> None:
    for copy in _copies(store, message):
        del store.deliveries[copy.id]
        store.marks.pop(copy.id, None)
    for number in [number for number, (hold, _) in store.closed_holds.items() if hold.message == message]:
        del store.closed_holds[number]
    store.drift = [one for one in store.drift if one.message != message]
    store.bodies_removed.pop(message, None)
    del store.journal[message]
