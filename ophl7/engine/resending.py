"""Everything to one destination since some time, sent again: an EMR that was restored from a backup (decisions 8).

A run makes its copies patient by patient, each patient's in one commit and in the old order, at the places in the lane where
the first of them stood: before all that came later and waits. What came later and may have arrived already is sent again
behind them. So nothing older is ever the last word (decision record 0048). All of it is carried out inside batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ophl7.domain.changes import Stream
from ophl7.domain.merge import redirects
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.engine.dispatching import USED, Stop, done_before, keep_deed
from ophl7.engine.merging import Freeze
from ophl7.engine.outgoing import readdressed
from ophl7.engine.resend_rows import Deed, Lost, Resend, ResendTally, ResendWindow
from ophl7.engine.resend_watch import ResendWatch
from ophl7.engine.storage import AuditRow, DeliveryMark, DeliveryRow, Keys, OpenDelivery
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import PeerFault

# Copies that a run has waiting, at most, but for whole patients: it goes as fast as the receiver takes them.
MOST_WAITING = 200

# Deliveries that one look goes through: it bounds how long a batch waits for it, also where nothing is to be sent again.
STRETCH = 2000

ResendVerb = Literal["continue", "drop"]


@dataclass(frozen=True, slots=True)
class StartResend:
    """since, until: seconds since the epoch. key: the caller's Idempotency-Key, "" for none. actor, reason: for the audit."""

    destination: Side
    since: float
    until: float
    streams: tuple[Stream, ...]
    stop_after: int
    actor: str
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class DecideResend:
    """What a person does with a run: go on after refusals, or let what did not leave go. key: the caller's, "" for none."""

    verb: ResendVerb
    run: int
    actor: str
    reason: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Resending:
    """A run as it stands on disk. made_now: whether this request has begun it, or has decided so."""

    run: Resend
    tally: ResendTally
    made_now: bool = False


@dataclass(frozen=True, slots=True)
class NotResent:
    """Nothing was changed. unknown: there is no such open run; reason: one sentence, with what to do instead.

    again: it was done before, under the same key.
    """

    reason: str
    unknown: bool = False
    again: bool = False


class Resends:
    """Carries runs out."""

    def __init__(self, policy: Policy, freeze: Freeze, stop: Stop, watch: ResendWatch, now: Callable[[], datetime]) -> None:
        self._policy = policy
        self._freeze = freeze
        self._stop = stop
        self._watch = watch
        self._now = now

    async def start(self, uow: UnitOfWork, order: StartResend) -> Resending | NotResent:
        """Begins a run; one under the same key is told as it stands, and another one to the same destination stands first."""
        await uow.fetch(Keys(resends={"", order.key}))
        runs = uow.state.resends.values()
        same = next((run for run in runs if order.key and run.key == order.key), None)
        if same is not None:
            if same.destination != order.destination or (same.since, same.streams) != (order.since, order.streams):
                return NotResent("this Idempotency-Key was used for something else")
            return Resending(same, self._tally(uow, same))
        under_way = next(
            (run for run in runs if run.destination == order.destination and run.state in {"running", "stopped"}), None
        )
        if under_way is not None:
            todo = "continue or drop it first" if under_way.state == "stopped" else "wait for it, or drop it"
            return NotResent(f"run {under_way.id} to this destination is {under_way.state}: {todo}")
        at = self._now().timestamp()
        number = uow.state.last_resend = uow.state.last_resend + 1
        run = Resend(
            number,
            order.destination,
            order.since,
            min(order.until, at),
            order.streams,
            order.stop_after,
            order.key,
            at,
            uow.ids.delivery,
            "running",
        )
        self._save(uow, run)
        self._audit(uow, at, order.actor, "resend", run, order.reason)
        return Resending(run, ResendTally(), made_now=True)

    async def decide(self, uow: UnitOfWork, order: DecideResend) -> Resending | NotResent:
        """Goes on with a stopped run, or drops one; what is being sent gets its answer either way."""
        await uow.fetch(Keys(resends={""}, copies={order.run}))
        what = f"{order.verb} resend {order.run}"
        before = await done_before(uow, order.key)
        if before is not None:
            return NotResent("this was done before" if before.what == what else USED, again=before.what == what)
        run = uow.state.resends.get(order.run)
        if run is None:
            return NotResent("no run under this number is open", unknown=True)
        tally, at = self._tally(uow, run), self._now().timestamp()
        if run.state == "running" and order.verb == "continue":
            keep_deed(uow, Deed(order.key, what, at, run.state, ""))
            return Resending(run, tally)  # again: it stands as it was asked for
        marks: list[DeliveryMark] = []
        for copy in uow.state.copies[run.id]:
            if order.verb == "continue" and copy.withheld:
                marks.append(DeliveryMark(copy.id, "queued", copy.attempts, None, "sent again by a person", at))
            elif order.verb == "drop" and (copy.withheld or self._untouched(copy.id)):
                marks.append(DeliveryMark(copy.id, "skipped", copy.attempts, None, "skipped by a person", at))
        uow.rows.marks += marks
        if order.verb == "continue":
            run = run._replace(state="running", forgiven=tally.refused)
        else:
            run = run._replace(state="dropped", made=run.made - self._unmake(uow, run))
        self._save(uow, run)
        self._audit(uow, at, order.actor, f"{order.verb}-resend", run, order.reason)
        keep_deed(uow, Deed(order.key, what, at, run.state, ""))
        return Resending(run, tally, made_now=True)

    async def step(self, uow: UnitOfWork) -> tuple[Resending, ...]:
        """Every run that is open goes on by as much as its receiver has room for. How they stand; none: nothing is open.

        Not in a batch with a merge: its lanes are not what the database says.
        """
        await uow.fetch(Keys(resends={""}))
        found: list[Resending] = []
        for run in sorted(uow.state.resends.values()):
            tally = self._tally(uow, run)
            if run.state == "running":
                run = await self._go_on(uow, run, tally)  # noqa: PLW2901 - as it stands now
            if run.state in {"running", "stopped"}:
                self._watch.follow(run, tally)
            found.append(Resending(run, tally))
        return tuple(found)

    async def _go_on(self, uow: UnitOfWork, run: Resend, tally: ResendTally) -> Resend:
        if self._watch.stopped(run.id) or tally.refused - run.forgiven >= run.stop_after:
            self._watch.stop(run)  # a restart may have left some without an answer
            return self._save(uow, run._replace(state="stopped"))
        if run.place >= run.last:
            return run if tally.waiting else self._save(uow, run._replace(state="done"))
        room = MOST_WAITING - tally.waiting
        if room < MOST_WAITING // 2 or uow.rows.united:
            return run
        window = ResendWindow(run, run.place, min(run.place + STRETCH, run.last), room)
        await uow.fetch(Keys(windows={window}))
        found = uow.state.windows[window]
        wanted = [one for one in found.rows if not one.gone]
        made = await self._make(uow, run, wanted)
        gone = len(found.rows) - len(wanted)
        return self._save(uow, run._replace(place=found.place, made=run.made + made, gone=run.gone + gone))

    # -- copies -------------------------------------------------------------------------------------------------------

    async def _make(self, uow: UnitOfWork, run: Resend, wanted: Sequence[Lost]) -> int:
        """One copy of each, and of what may have arrived behind them; how many there are."""
        lanes = {one.lane for one in wanted}
        if not lanes:
            return 0
        frozen = self._freeze(lanes)
        again = {one.id: (one.stream, one.lane) for one in wanted} | self._may_have_arrived(uow, run, wanted, frozen)
        await uow.fetch(Keys(origins=set(again)))
        mappings = await self._mappings(uow, run, wanted)
        at = self._now().timestamp()
        for number in sorted(again):
            stream, lane = again[number]
            origin = uow.state.origins[number]
            copy = uow.ids.next("delivery")
            control_id = uow.ids.control_id("D", copy)
            body = origin.body
            mapping = mappings.get(lane)
            if mapping:
                try:
                    sent = body if body is not None else origin.raw
                    body = readdressed(sent, control_id, mapping, self._policy, origin.peer, run.destination) or body
                except PeerFault:
                    pass  # it was sent as it is, so it is sent again as it is
            uow.rows.deliveries.append(
                DeliveryRow(copy, run.destination, lane, stream, origin.message, control_id, "queued", body, at, number, run.id)
            )
        return len(again)

    def _may_have_arrived(
        self, uow: UnitOfWork, run: Resend, wanted: Sequence[Lost], frozen: Sequence[tuple[OpenDelivery, bool]]
    ) -> dict[int, tuple[Stream, int]]:
        """What is on its way, or was tried without an answer: the receiver may have it already, so it goes again at the end.

        Not charges: for them order says little, and one too many is somebody's money.
        """
        lanes = {one.lane for one in wanted if one.stream == "record"}
        tried = [one for one, sent in frozen if sent and one.destination == run.destination and one.lane in lanes]
        tried = [one for one in tried if one.stream == "record" and one.state not in {"parked", "held"}]
        # It stays what it is also if this process ends before its outcome is known, though others stand before it now.
        uow.rows.sending += [one.id for one in tried if not one.attempts and one.state == "queued"]
        known = {one.id for one in wanted}
        return {one.order[0]: (one.stream, one.lane) for one in tried if one.resend != run.id and one.order[0] not in known}

    async def _mappings(
        self, uow: UnitOfWork, run: Resend, wanted: Sequence[Lost]
    ) -> dict[int, Mapping[tuple[str, str], Patient]]:
        """Of each lane in which the destination has merged somebody: the ids that it has retired, as with all that leaves."""
        faces = {one.lane: one.known_by for one in wanted if one.merged}
        if faces:
            await uow.fetch(Keys(identifiers=set(faces.values())))
        return {lane: redirects(run.destination, uow.members_of(lane), uow.state.patients) for lane in faces}

    @staticmethod
    def _unmake(uow: UnitOfWork, run: Resend) -> int:
        """Copies of this very batch, which the database does not know yet, are not made; how many they were."""
        kept = [row for row in uow.rows.deliveries if row.resend != run.id]
        count = len(uow.rows.deliveries) - len(kept)
        uow.rows.deliveries = kept
        return count

    def _untouched(self, copy: int) -> bool:
        """Whether not a byte of it has left; its lane stands still then until the batch is over."""
        found = self._stop(copy, let_go=True)
        return found is not None and not found[1] and not found[0].attempts

    def _tally(self, uow: UnitOfWork, run: Resend) -> ResendTally:
        return uow.state.resend_tallies.get(run.id, ResendTally())

    @staticmethod
    def _save(uow: UnitOfWork, run: Resend) -> Resend:
        uow.put(uow.state.resends, run.id, run)
        uow.put(uow.rows.resends, run.id, run)
        return run

    @staticmethod
    def _audit(uow: UnitOfWork, at: float, actor: str, action: str, run: Resend, reason: str) -> None:
        target = f"run {run.id} to the {run.destination.upper()}"
        uow.rows.audit.append(AuditRow(at, actor, action, target, reason))
