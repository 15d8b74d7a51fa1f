"""What follows from a merge in its own commit: maps, one lane, what waits for the side that merged made anew (decisions 6).

The merge itself is nobody's but the side's that sent it: the other side's chart is never touched, it becomes a task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from ophl7.domain.changes import MergePatients
from ophl7.domain.identifiers import subject_of
from ophl7.domain.merge import Merge, redirects, restated
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.engine.outgoing import readdressed
from ophl7.engine.ruling import Ruling
from ophl7.engine.storage import Keys, OpenDelivery, QueuedBytes, Rendering, as_open
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import AuthorError

# Lanes -> what waits in them, each with whether its bytes may have been tried. From then on they send nothing until the batch
# is committed or has failed.
Freeze = Callable[[Collection[int]], Sequence[tuple[OpenDelivery, bool]]]


async def prepare(uow: UnitOfWork, ruling: Ruling, freeze: Freeze) -> None:
    """Before the effects of a merge: stops the lanes that it touches, reads what waits in them and what is known of them."""
    if MergePatients not in ruling.kinds:
        return
    people = [
        patient
        for judged in ruling.judged
        if judged.applies and isinstance(judged.change, MergePatients)
        for patient in (judged.change.retired, judged.change.survivor)
        if patient is not None
    ]
    if ruling.state != "accepted" or not people:
        return
    frozen = freeze(uow.united_with({patient.lane for patient in people}))
    uow.frozen.update({delivery.id: (delivery, tried) for delivery, tried in frozen})
    mates = {mate.id: mate for patient in people for mate in uow.mates(patient)}
    waiting = {key for mate in mates.values() for key in cleared_by(mate)}
    queued = {delivery.id for delivery, _ in frozen} - set(uow.state.queued)
    subjects = {mate.subject for mate in mates.values()}
    await uow.fetch(Keys(merges=set(mates), queued=queued, waiting=waiting, appointments_of=subjects))


def cleared_by(mate: Patient) -> list[str]:
    """What a merge of this chart clears: two patients are one (#10), and what waited for his own chart has another (#45)."""
    return [f"{kind}:{identifier}" for identifier in mate.identifiers for kind in ("identity", "patient")]


class MergeEffects:
    """Applies one side's merges, after `prepare`. `cleared`: the conditions that they meet for messages in custody."""

    def __init__(self, uow: UnitOfWork, policy: Policy, number: int, side: Side, said_at: float, at: float) -> None:
        """number: the message's journal id; said_at, at: when the side says that it merged, and when it is decided."""
        self._uow = uow
        self._policy = policy
        self._number = number
        self._side = side
        self._said_at = said_at
        self._at = at
        self.cleared: list[str] = []

    def apply(self, changes: Sequence[MergePatients]) -> None:
        """All merges of one message. Both ids live on; the retired ones lead to the survivors on this side.

        Raises AuthorError for one into nobody.
        """
        pairs = [self._join(change) for change in changes]
        uow = self._uow
        lanes = {uow.state.patients[survivor].lane for _, survivor in pairs}
        mates = [mate for lane in lanes for mate in uow.members_of(lane)]
        # Bytes that are on their way stay as they are also if this process ends before their outcome is known.
        sending = [one.id for one, tried in uow.frozen.values() if tried and not one.attempts and one.state == "queued"]
        uow.rows.sending += sending
        self._render(lanes, redirects(self._side, mates, uow.state.patients))
        self._note(pairs)
        self.cleared += [key for mate in mates for key in cleared_by(mate)]
        # And appointments that seemed to be somebody else's (#33): those of these charts were read, a few others do no harm.
        self.cleared += [row.key for row in uow.state.holds.values() if row.key.startswith("appointment:")]

    def _join(self, change: MergePatients) -> tuple[int, int]:
        """One edge of the map, and one lane where there were two. The pair's patient ids."""
        if change.survivor is None:
            raise AuthorError("a merge into somebody unknown was let pass; a rule must hold it (#65)")
        uow = self._uow
        survivor = uow.state.patients[change.survivor.id]
        retired = self._retired(change, survivor)
        uow.save_patient(replace(retired.merged(self._side, survivor.id), message=self._number))
        if retired.lane != survivor.lane:
            for delivery, lane in list(self._waiting()):
                if lane == retired.lane:
                    uow.rows.moved.append((delivery.id, survivor.lane))
            uow.unite(retired.lane, survivor.lane, self._at)
        return retired.id, survivor.id

    def _retired(self, change: MergePatients, survivor: Patient) -> Patient:
        """The chart that goes away. An id that nobody has gets an empty one, retired from its first moment (#64)."""
        known = self._uow.patient(change.retired_id.key)
        if known is not None:
            return known
        empty = Patient(
            id=self._uow.ids.next("patient"),
            subject=subject_of(change.retired_id),
            lane=survivor.lane,
            identifiers=(change.retired_id,),
            fields={},
            created_at=self._at,
            message=self._number,
        )
        self._uow.save_patient(empty)
        self._uow.link(change.retired_id, empty)
        self.cleared.append(f"patient:{change.retired_id}")
        return empty

    # -- what waits ---------------------------------------------------------------------------------------------------

    def _waiting(self) -> Iterator[tuple[OpenDelivery, int]]:
        """Everything that waits in the frozen lanes or was made in this batch, with its lane as it is by now."""
        rows = self._uow.rows
        moved = dict(rows.moved)
        for delivery, _ in self._uow.frozen.values():
            yield delivery, moved.get(delivery.id, delivery.lane)
        for row in rows.deliveries:
            fresh = as_open(row)
            yield fresh, moved.get(row.id, row.lane)

    def _render(self, lanes: Collection[int], mapping: dict[tuple[str, str], Patient]) -> None:
        """What was not tried yet goes to the survivor. Tried bytes are frozen, but for those whose id was refused (204)."""
        made = {rendering.id: rendering for rendering in self._uow.rows.rendered}
        for delivery, now_in in list(self._waiting()):
            _, tried = self._uow.frozen.get(delivery.id, (delivery, False))
            refused = delivery.state == "held"
            if now_in not in lanes or delivery.destination != self._side or (tried and not refused):
                continue
            known = made.get(delivery.id)
            source = self._source(delivery, known)
            body = readdressed(source.body, delivery.control_id, mapping, self._policy, source.peer, delivery.destination)
            if body is None:
                continue
            renewed = known.renewed if known is not None else ""
            if refused and not renewed:
                renewed = self._uow.ids.control_id("D", self._uow.ids.next("delivery"))
            self._uow.rows.rendered.append(Rendering(delivery.id, body, renewed))

    def _source(self, delivery: OpenDelivery, known: Rendering | None) -> QueuedBytes:
        uow = self._uow
        stored = uow.state.queued.get(delivery.id)
        if stored is None:
            row = next(row for row in uow.rows.deliveries if row.id == delivery.id)
            peer, raw = uow.source_of(row.message)
            stored = QueuedBytes(peer, row.body if row.body is not None else raw, row.destination)
        return stored if known is None else replace(stored, body=known.body)

    # -- both halves --------------------------------------------------------------------------------------------------

    def _note(self, pairs: Sequence[tuple[int, int]]) -> None:
        """The pairs, and what the other pairs of these charts have become by them."""
        uow = self._uow
        for retired, survivor in pairs:
            if (retired, survivor) not in uow.state.merges:
                number = uow.ids.next("merge")
                uow.save_merge(Merge(number, retired, survivor, None, None, "one_sided", self._number, noted_at=self._at))
        restate(uow, self._said_at, self._number)


def restate(uow: UnitOfWork, said_at: float, message: int) -> None:
    """Every pair that was read, as both maps have it by now."""
    patients = uow.state.patients
    for merge in list(uow.state.merges.values()):
        if merge.retired in patients and merge.survivor in patients:
            seen = restated(merge, patients, said_at, message)
            if seen != merge:
                uow.save_merge(seen)
