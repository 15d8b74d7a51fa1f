"""A merge is taken apart by a person (#73): one edge of one side's map is removed, in one commit with all that follows.

The plan is made where it is carried out, inside a batch, so that it can be carried out to the letter or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from ophl7.domain.identifiers import Identifier, Naming, named_patient
from ophl7.domain.merge import Merge, joined, redirects
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.engine.acts import Unmerge
from ophl7.engine.aftermath import CannotUnmerge, PlannedAppointment, PlannedCopy, UnmergePlan, by_hand
from ophl7.engine.arrival import renamed
from ophl7.engine.custody import Custody
from ophl7.engine.merging import Freeze, cleared_by, restate
from ophl7.engine.outgoing import Address, addressed_again
from ophl7.engine.storage import (
    AftermathKey,
    AuditRow,
    DeliveryState,
    HoldRow,
    Keys,
    OpenDelivery,
    Origin,
    Processed,
    Rendering,
    UnmergeRow,
    as_open,
)
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message

_SIDES: tuple[Side, Side] = ("pm", "emr")
_NAMES = {"pm": "PM", "emr": "EMR"}

_TRIED = "it may have been tried already: tried bytes are frozen"
_BOTH = "it names both charts"


class _Copy(NamedTuple):
    """A delivery that waits about one of the charts that come back. body: as it leaves from now on, None as it is."""

    delivery: OpenDelivery
    tried: bool
    planned: PlannedCopy
    body: bytes | None


class _Work(NamedTuple):
    """A plan, and what it takes to carry it out. after: everybody of the lane as they are then; apart: who is a lane again."""

    plan: UnmergePlan
    merge: Merge
    after: dict[int, Patient]
    apart: tuple[Patient, ...]
    into: int
    moving: frozenset[int]
    copies: tuple[_Copy, ...]
    sending: tuple[int, ...]
    waiting: tuple[HoldRow, ...]


class Unmerging:
    """Plans, and carries out what was planned."""

    def __init__(self, custody: Custody, policy: Policy, now: Callable[[], datetime], freeze: Freeze) -> None:
        self._custody = custody
        self._policy = policy
        self._now = now
        self._freeze = freeze

    async def carry_out(self, uow: UnitOfWork, act: Unmerge) -> UnmergePlan | CannotUnmerge:
        """The plan; with `act.look` nothing else, otherwise it is carried out. What fails in here is the caller's to undo."""
        work = await self._prepare(uow, act)
        if isinstance(work, CannotUnmerge) or act.look:
            return work if isinstance(work, CannotUnmerge) else work.plan
        plan = work.plan
        if act.token is not None and act.token != plan.token:
            return CannotUnmerge("something has changed since this plan was made; look at the new one", plan)
        at = self._now().timestamp()
        self._write(uow, work, act, at)
        keys = [key for mate in work.after.values() for key in cleared_by(mate)]
        keys += [row.key for row in work.waiting]
        released = await self._custody.release(uow, list(dict.fromkeys(keys)), at)
        released += await self._custody.judge_again(uow, [row for row in work.waiting if row.id in uow.state.holds], at)
        return replace(plan, at=at, released=released)

    # -- the plan -----------------------------------------------------------------------------------------------------

    async def _prepare(self, uow: UnitOfWork, act: Unmerge) -> _Work | CannotUnmerge:
        side = act.side
        await uow.fetch(Keys(pairs={act.merge}))
        merge = next((one for one in uow.state.merges.values() if one.id == act.merge), None)
        if merge is None:
            return CannotUnmerge("no merge has this number")
        retired, survivor = uow.state.patients[merge.retired], uow.state.patients[merge.survivor]
        if retired.merged_into(side) != survivor.id:
            return CannotUnmerge(_not_this_one(side, retired, survivor, uow.state.patients))
        mates = uow.mates(retired)
        before = {mate.id: mate for mate in mates}
        after = {**uow.state.patients, retired.id: _separate(retired, side, merge)}
        back = [mate for mate in mates if mate.id == retired.id or _passes(side, mate, retired, before)]
        group = _joined_with(retired.id, [after[mate.id] for mate in mates])
        parts = survivor.id not in group
        key = AftermathKey(
            frozenset(mate.subject for mate in back),
            frozenset(mate.subject for mate in mates if mate not in back),
            merge.message_of(side),
        )
        frozen = self._freeze(uow.united_with({retired.lane}))
        uow.frozen.update({delivery.id: (delivery, tried) for delivery, tried in frozen})
        waiting = {name for mate in mates for name in (*cleared_by(mate), *_retired_keys(mate))}
        merges, origins = set(before), {delivery.id for delivery, _ in frozen} - set(uow.state.origins)
        subjects, blocks = {mate.subject for mate in mates}, {f"charges:{retired.lane}"}
        await uow.fetch(
            Keys(merges=merges, origins=origins, aftermath={key}, waiting=waiting, blocks=blocks, appointments_of=subjects)
        )
        for mate in mates:  # merges were read that other people of this lane may be part of
            after.setdefault(mate.id, mate)
        found = uow.state.aftermath[key]
        by_subject = {mate.subject: after[mate.id] for mate in mates}
        entries = [(delivery, tried, origin) for delivery, tried, origin in _waiting(uow, retired.lane)]
        staying = [after[mate.id] for mate in mates if joined(side, after[mate.id], survivor, after)]
        copies = tuple(self._copies(entries, side, back, staying, by_subject, after))
        apart, into = _parting(retired, survivor, group, mates) if parts else ((), 0)
        names = {one.subject for one in apart}
        held = _held(uow, waiting, retired.lane)
        processed = (*found.processed, *_in_this_batch(uow, key, {one.message for one in found.processed}))
        plan = UnmergePlan(
            merge=merge.id,
            side=side,
            retired=retired.id,
            survivor=survivor.id,
            charts=tuple(mate.id for mate in back),
            lane_parts=parts,
            processed=processed,
            copies=tuple(one.planned for one in copies),
            holds=tuple(row.id for row in held),
            appointments=(
                *[PlannedAppointment(one.id, one.filler or one.placer, moved=False) for one in found.appointments],
                *[PlannedAppointment(one.id, one.filler or one.placer, moved=True) for one in found.moved],
            ),
            by_hand=by_hand(
                side,
                processed,
                [one.planned for one in copies],
                len(found.moved),
                elsewhere=not parts,
                empty=not retired.fields,
            ),
        )
        return _Work(
            plan=plan,
            merge=merge,
            after={mate.id: after[mate.id] for mate in mates},
            apart=tuple(after[one.id] for one in apart),
            into=into,
            moving=frozenset(delivery.id for delivery, _, origin in entries if origin.subject in names),
            copies=copies,
            sending=tuple(one.id for one, tried, _ in entries if tried and not one.attempts and one.state == "queued"),
            waiting=tuple(held),
        )

    def _copies(
        self,
        entries: Iterable[tuple[OpenDelivery, bool, Origin]],
        side: Side,
        back: Collection[Patient],
        staying: Collection[Patient],
        by_subject: dict[int, Patient],
        after: dict[int, Patient],
    ) -> Iterable[_Copy]:
        """What waits about the charts that come back, with the bytes that it goes on with. staying: whom the survivor keeps."""
        ids = {identifier.key for mate in back for identifier in mate.identifiers}
        strangers = {one.key for mate in staying for one in mate.identifiers}
        for delivery, tried, origin in entries:
            patient = by_subject.get(origin.subject) if origin.subject is not None else None
            sender, naming = self._policy.peers[origin.peer], self._policy.namings[origin.peer]
            message = Message.parse_lenient(origin.raw, sender.encoding)
            if origin.taken_for is not None:
                message = Message.parse_lenient(renamed(message, origin.taken_for, "TAKENFOR", naming), sender.encoding)
            said = {one.key for one in _named(message, naming)}
            if patient is None or (said.isdisjoint(ids) and patient.id not in {mate.id for mate in back}):
                continue
            stays, body = "", None
            if not said.isdisjoint(ids) and not said.isdisjoint(strangers):
                stays = _BOTH
            elif tried:
                stays = _TRIED if delivery.destination == side else ""
            else:
                mapping = redirects(delivery.destination, by_subject.values(), after)
                own, theirs = (_end(one, patient, after) for one in (origin.peer, delivery.destination))
                address = Address(origin.peer, delivery.destination, self._policy, mapping, own, theirs)
                stored = origin.body if origin.body is not None else origin.raw
                body = addressed_again(message, stored, delivery.control_id, address, patient, ids)
            if body is not None or stays:
                charges = delivery.stream == "charges"
                out = tried and delivery.state == "queued" and not delivery.attempts
                state: DeliveryState = "sending" if out else delivery.state
                planned = PlannedCopy(delivery.id, origin.message, delivery.destination, charges, state, stays)
                yield _Copy(delivery, tried, planned, body)

    # -- carrying it out ----------------------------------------------------------------------------------------------

    @staticmethod
    def _write(uow: UnitOfWork, work: _Work, act: Unmerge, at: float) -> None:
        plan, merge = work.plan, work.merge
        uow.save_patient(work.after[merge.retired])
        uow.rows.sending += work.sending  # what is on its way stays as it is, also if this process ends before its outcome
        uow.rows.rendered += [Rendering(one.delivery.id, one.body, "") for one in work.copies if one.body is not None]
        if work.apart:
            uow.part(work.apart, work.into, work.moving)
        restate(uow, at, 0)
        uow.rows.unmerges.append(UnmergeRow(merge.id, act.side, at, act.actor, act.reason))
        target = f"merge {plan.merge} on the side of the {_NAMES[act.side]}"
        uow.rows.audit.append(AuditRow(at, act.actor, "unmerge", target, act.reason))


def _separate(retired: Patient, side: Side, merge: Merge) -> Patient:
    """The chart as it is then. One that was made by the merge alone is confirmed by its registration (#64)."""
    alone = retired.merged(side, None)
    return replace(alone, provisional=True) if not retired.fields and retired.message == merge.message_of(side) else alone


def _not_this_one(side: Side, retired: Patient, survivor: Patient, patients: dict[int, Patient]) -> str:
    if not joined(side, retired, survivor, patients):
        return f"the {_NAMES[side]} does not hold these two for one chart"
    return f"in the {_NAMES[side]} these two are joined by other merges; take one of those apart"


def _end(side: Side, patient: Patient, patients: dict[int, Patient]) -> Patient:
    passed = {patient.id}
    while (following := patient.merged_into(side)) is not None and following in patients and following not in passed:
        passed.add(following)
        patient = patients[following]
    return patient


def _passes(side: Side, start: Patient, through: Patient, patients: dict[int, Patient]) -> bool:
    """Whether that side's map leads from `start` over `through`."""
    passed = {start.id}
    while (following := start.merged_into(side)) is not None and following in patients and following not in passed:
        if following == through.id:
            return True
        passed.add(following)
        start = patients[following]
    return False


def _joined_with(number: int, people: Collection[Patient]) -> set[int]:
    """Everybody whom either map joins with that chart."""
    beside: dict[int, set[int]] = {one.id: set() for one in people}
    for one in people:
        for side in _SIDES:
            into = one.merged_into(side)
            if into is not None and into in beside:
                beside[one.id].add(into)
                beside[into].add(one.id)
    found, open_ = {number}, [number]
    while open_:
        new = beside[open_.pop()] - found
        found |= new
        open_ += new
    return found


def _parting(
    retired: Patient, survivor: Patient, group: Collection[int], mates: Collection[Patient]
) -> tuple[tuple[Patient, ...], int]:
    """Who leaves the lane, and the lane's number from then on. Whose subject names the lane stays in it."""
    leaving = [mate for mate in mates if mate.id in group]
    first = retired
    if any(mate.subject == retired.lane for mate in leaving):
        leaving, first = [mate for mate in mates if mate.id not in group], survivor
    return tuple(leaving), first.subject


def _retired_keys(mate: Patient) -> list[str]:
    """What waits because the chart was merged away (#8)."""
    return [f"retired:{identifier}" for identifier in mate.identifiers]


def _held(uow: UnitOfWork, keys: Collection[str], lane: int) -> list[HoldRow]:
    """What is judged again: it waits for one of these charts, or stands in the order of their charges."""
    rows = {row.id: row for key in keys for row in uow.waiting_for(key)}
    rows |= {row.id: row for row in uow.blocking(f"charges:{lane}")}
    rows |= {row.id: row for row in uow.state.holds.values() if row.key.startswith("appointment:")}
    return [rows[number] for number in sorted(rows)]


def _named(message: Message, naming: Naming) -> list[Identifier]:
    return list(named_patient(message.first("PID"), naming).keys)


def _waiting(uow: UnitOfWork, lane: int) -> Iterable[tuple[OpenDelivery, bool, Origin]]:
    """Everything that waits in that lane, also what was made in this batch, with the message that it came of."""
    moved = dict(uow.rows.moved)
    made = {one.id: one for one in uow.rows.rendered}
    for delivery, tried in uow.frozen.values():
        origin = uow.state.origins.get(delivery.id)
        if origin is not None and moved.get(delivery.id, delivery.lane) == lane:
            now = made.get(delivery.id)
            yield delivery, tried, origin if now is None else origin._replace(body=now.body)
    subjects = {row.id: row.subject for row in uow.rows.journal} | {row.id: row.subject for row in uow.rows.updates}
    for row in uow.rows.deliveries:
        if moved.get(row.id, row.lane) == lane:
            peer, raw = uow.source_of(row.message)
            now = made.get(row.id)
            body = row.body if now is None else now.body
            fresh = as_open(row)
            yield fresh, False, Origin(row.message, subjects.get(row.message), peer, raw, body)


def _in_this_batch(uow: UnitOfWork, key: AftermathKey, known: Collection[int]) -> list[Processed]:
    """What came in the same batch before: the database does not have it yet."""
    found: list[Processed] = []
    for row in uow.rows.journal:
        if row.subject not in key.subjects or row.id <= key.after or row.id in known or row.state == "duplicate":
            continue
        said = (row.id, row.peer, row.received_at, row.event, row.state, row.row, row.subject)
        copies = [one for one in uow.rows.deliveries if one.message == row.id]
        found += [Processed(*said, one.destination, one.state) for one in copies] or [Processed(*said, None, None)]
    return found
