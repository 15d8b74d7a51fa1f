"""What would become of a message: the real path, from its bytes to its rows and its answer, in a batch that is never committed.

The judge, the rules, the effects, custody and releases are those of a message that arrives; only the last step is left out. So
it cannot say something else than what would happen, and it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from ophl7.domain.appointment import Appointment
from ophl7.domain.changes import Change
from ophl7.domain.charge import Charge
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Verdict
from ophl7.engine.arrival import Arrival, collect_keys
from ophl7.engine.deciding import Decider, Decision
from ophl7.engine.frames import read_frame
from ophl7.engine.ids import Ids
from ophl7.engine.judging import Judge
from ophl7.engine.ports import Envelope
from ophl7.engine.router import Router
from ophl7.engine.ruling import Ruling
from ophl7.engine.runner import Runner
from ophl7.engine.standing import StandingOutbox
from ophl7.engine.storage import DeliveryRow, DriftRow, HoldRow, JournalUpdate, Keys, Rows, Store
from ophl7.engine.timing import Clocks
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.hl7v2.message import Message
from ophl7.kit import Context, Segment
from ophl7.kit.parts import RegisteredHandler, RegisteredRule

# Stands in control ids that would be given: the real ones depend on what comes before.
PLACEHOLDER = "EXPLAIN-"


class Said(NamedTuple):
    """What one rule said of one change."""

    change: Change
    rule: str
    verdict: Verdict


class Proposed(NamedTuple):
    """What one handler proposed."""

    handler: str
    segment: str
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Explained:
    """One message. ruling: None where nothing was judged: a duplicate, or what cannot be read.

    planned: names and segments of the handlers of its event. deliveries: each with the bytes that would leave. released: what
    would leave custody with it, each with what would become of it.
    """

    peer: Side
    body: bytes
    encoding: str | None
    decision: Decision
    row: str
    reason: str
    repeats: int | None
    ruling: Ruling | None
    planned: tuple[tuple[str, str], ...]
    proposed: list[Proposed]
    said: list[Said]
    deliveries: list[tuple[DeliveryRow, bytes]] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    released: list[JournalUpdate] = field(default_factory=list)
    patients: list[tuple[Patient, bool]] = field(default_factory=list)
    appointments: list[tuple[Appointment, bool]] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    drift: list[DriftRow] = field(default_factory=list)


class _TracingJudge(Judge):
    """The judge, with notes of who said what."""

    def __init__(self, router: Router, policy: Policy, runner: Runner, clocks: Clocks) -> None:
        super().__init__(router, policy, runner, clocks)
        self.rulings: dict[int, Ruling] = {}
        self.said: list[Said] = []
        self.proposed: list[Proposed] = []

    async def judge(
        self, uow: UnitOfWork, arrival: Arrival, message: Message, accepted: Sequence[tuple[str, str]] = ()
    ) -> Ruling:
        ruling = await super().judge(uow, arrival, message, accepted)
        self.rulings[uow.current] = ruling
        return ruling

    async def _propose(
        self, uow: UnitOfWork, handler: RegisteredHandler, segment: Segment, context: Context
    ) -> Sequence[Change]:
        changes = await super()._propose(uow, handler, segment, context)
        self.proposed.append(Proposed(handler.name, handler.segment, tuple(changes)))
        return changes

    async def _verdicts(
        self, uow: UnitOfWork, rules: Sequence[RegisteredRule], change: Change, context: Context
    ) -> Sequence[Verdict]:
        opinions: list[Verdict] = []
        for rule in rules:
            found = await super()._verdicts(uow, (rule,), change, context)
            self.said += [Said(change, rule.name, verdict) for verdict in found]
            opinions += found
        return opinions


class _Nobody:
    """The connection of a message that nobody sent. Number 1, for it is judged as one that arrives."""

    def __init__(self, peer: Side) -> None:
        self.peer = peer
        self.number = 1

    def answer(self, payload: bytes | None) -> None:
        """Nobody waits for it."""

    def abandon(self) -> None:
        """There is nothing to close."""


class Explainer:
    """Explains frames on what is committed. To be called while no batch is open: it reads the store."""

    def __init__(
        self,
        store: Store,
        router: Router,
        policy: Policy,
        runner: Runner,
        clocks: Clocks,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._router = router
        self._policy = policy
        self._runner = runner
        self._clocks = clocks
        self._now = now

    async def explain(self, ids: Ids, peer: Side, raw: bytes) -> list[Explained]:
        """Each message of a frame by itself, a later one on what those before it would have left.

        ids: those in use, which stay as they are. Raises StoreAway.
        """
        now = self._now()
        frame = read_frame(Envelope(peer, _Nobody(peer), raw, now.timestamp()), self._policy)
        own = copy(ids)
        own.prefix = PLACEHOLDER
        uow = UnitOfWork(self._store, own)
        waiting = StandingOutbox(await self._store.open_deliveries(), await self._store.unreachable(), now.timestamp())
        keys = Keys()
        for arrival in frame.arrivals:
            collect_keys(arrival, keys, self._policy)
        if keys:
            await uow.load(keys, small=False)
        if frame.damage is not None:
            decider = Decider(Judge(self._router, self._policy, self._runner), self._policy, self._now, waiting.freeze)
            decision = decider.quarantine(uow, frame, frame.damage)
            return [Explained(peer, raw, None, decision, *_journal(uow, decision), None, (), [], [])]
        return [await self._one(uow, arrival, waiting) for arrival in frame.arrivals]

    async def _one(self, uow: UnitOfWork, arrival: Arrival, waiting: StandingOutbox) -> Explained:
        judge = _TracingJudge(self._router, self._policy, self._runner, self._clocks)
        decider = Decider(judge, self._policy, self._now, waiting.freeze)
        before = _Before(uow.rows)
        last = copy(uow.ids)
        decision = await decider.decide(uow, arrival)
        message = arrival.message
        plan = self._router.plan(message.event) if message is not None else ()
        found = Explained(
            arrival.peer,
            arrival.body,
            self._policy.peers[arrival.peer].encoding,
            decision,
            *_journal(uow, decision),
            judge.rulings.get(decision.message),
            tuple((handler.name, handler.segment) for handler in plan),
            judge.proposed,
            judge.said,
        )
        rows = uow.rows
        made = {one.id: one.body for one in rows.rendered}
        found.deliveries = [(row, _bytes(uow, row, made)) for row in rows.deliveries[before.deliveries :]]
        found.holds = rows.holds[before.holds :]
        found.released = rows.updates[before.updates :]
        found.drift = rows.drift[before.drift :]
        found.charges = [charge for charge, _ in rows.charges[before.charges :]]
        found.patients = [
            (one, one.id > last.patient) for one in rows.patients.values() if before.patients.get(one.id) is not one
        ]
        found.appointments = [
            (one, one.id > last.appointment) for one in rows.appointments.values() if before.appointments.get(one.id) is not one
        ]
        return found


class _Before:
    """How much was written before a message."""

    def __init__(self, rows: Rows) -> None:
        self.deliveries = len(rows.deliveries)
        self.holds = len(rows.holds)
        self.updates = len(rows.updates)
        self.drift = len(rows.drift)
        self.charges = len(rows.charges)
        self.patients = dict(rows.patients)
        self.appointments = dict(rows.appointments)


def _journal(uow: UnitOfWork, decision: Decision) -> tuple[str, str, int | None]:
    """The row of decisions.md, the sentence and the earlier copy of a message's journal row."""
    row = next(row for row in reversed(uow.rows.journal) if row.id == decision.message)
    return row.row, row.reason, row.repeats


def _bytes(uow: UnitOfWork, row: DeliveryRow, made: dict[int, bytes]) -> bytes:
    body = made.get(row.id, row.body)
    return body if body is not None else uow.source_of(row.message)[1]
