"""What people ask for over HTTP, carried into the batch loop within a time limit."""

from __future__ import annotations

import asyncio
from functools import partial

from ophl7.domain.patient import Side
from ophl7.engine.acts import Act, Done, NotDone, Replayed, Replaying, Unmerge
from ophl7.engine.aftermath import CannotUnmerge, UnmergePlan
from ophl7.engine.code_entries import CodeEntries, Entered, Entry
from ophl7.engine.dispatching import DeliveryAct, Dispatch, Dispatched, LinkAct, NotDispatched
from ophl7.engine.explaining import Explained, Explainer
from ophl7.engine.intake import Engine
from ophl7.engine.people import People
from ophl7.engine.ports import Clock
from ophl7.engine.replaying import Replays
from ophl7.engine.storage import AuditRow
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.engine.unmerging import Unmerging
from ophl7.errors import StoreAway, StoreRefused
from ophl7.observe.logs import Log

_AUDIT_SECONDS = 5.0
_ACT_SECONDS = 10.0  # a decision may let many messages go on


class Orders:
    """Everything that a person does is on disk, with its audit row, before he is told that it was done."""

    def __init__(
        self,
        engine: Engine,
        people: People,
        unmerging: Unmerging,
        dispatch: Dispatch,
        replays: Replays,
        explainer: Explainer,
        codes: CodeEntries,
        clock: Clock,
        log: Log,
    ) -> None:
        self._engine = engine
        self._people = people
        self._unmerging = unmerging
        self._dispatch = dispatch
        self._replays = replays
        self._explainer = explainer
        self._clock = clock
        self._log = log
        self._codes = codes

    async def audit(self, actor: str, action: str, target: str, reason: str) -> None:
        """Writes who did what; durable when it returns. Raises StoreAway when it cannot be written now."""
        row = AuditRow(self._clock.now().timestamp(), actor, action, target, reason)

        async def write(uow: UnitOfWork) -> None:
            uow.rows.audit.append(row)

        try:
            async with asyncio.timeout(_AUDIT_SECONDS):
                await self._engine.perform(write)
        except TimeoutError:
            raise StoreAway("the database did not take the audit row in time") from None

    async def replay(self, order: Replaying) -> Replayed | NotDone:
        """Has a message judged again; durable with all that follows from it when it returns.

        Raises StoreAway and StoreRefused, nothing was changed then; TimeoutError, it may or may not happen.
        """
        async with asyncio.timeout(_ACT_SECONDS):
            done = await self._engine.perform(partial(self._replays.carry_out, order=order))
        if isinstance(done, Replayed):  # without who and why: that is a person's own text
            self._log.info("message_replayed", message_id=done.message, rule=done.row, outcome=done.state, count=done.released)
        return done

    async def explain(self, peer: Side, raw: bytes) -> list[Explained]:
        """What would become of a frame. In the batch loop's turn, for it reads the store; nothing of it is written or logged.

        Raises StoreAway, TimeoutError.
        """

        async def work(uow: UnitOfWork) -> list[Explained]:
            return await self._explainer.explain(uow.ids, peer, raw)

        async with asyncio.timeout(_ACT_SECONDS):
            return await self._engine.perform(work)

    async def act(self, act: Act) -> Done | NotDone:
        """Carries out what a person decided about a message in custody; durable when it returns.

        Raises StoreAway and StoreRefused, nothing was changed then; TimeoutError, it may or may not happen.
        """
        try:
            async with asyncio.timeout(_ACT_SECONDS):
                done = await self._engine.perform(partial(self._people.carry_out, act=act))
        except StoreRefused as refused:
            self._log.error("hold_undecided", hold_id=act.hold, message_id=act.message, code=refused.code)
            raise
        if isinstance(done, Done):  # without who and why: that is a person's own text
            self._log.info(
                "hold_decided", hold_id=act.hold, message_id=act.message, kind=done.how, outcome=done.state, count=done.released
            )
        return done

    async def dispatch(self, act: DeliveryAct) -> Dispatched | NotDispatched:
        """Carries out what a person decided about a delivery; durable when it returns. Raises as `act`."""
        async with asyncio.timeout(_ACT_SECONDS):
            done = await self._engine.perform(partial(self._dispatch.carry_out, act=act))
        if isinstance(done, Dispatched):
            self._log.info("delivery_decided", delivery_id=act.delivery, kind=act.verb, outcome=done.state)
        return done

    async def switch(self, act: LinkAct) -> float | NotDispatched:
        """Pauses, drains or resumes a link; durable when it returns. When, in seconds since the epoch. Raises as `act`."""
        async with asyncio.timeout(_ACT_SECONDS):
            return await self._engine.perform(partial(self._dispatch.switch, act=act))

    async def enter_code(self, entry: Entry) -> Entered | NotDone:
        """Carries out what a person said of a code; durable, with all that it released, when it returns.

        Raises StoreAway and StoreRefused, nothing was changed then; TimeoutError, it may or may not happen.
        """
        async with asyncio.timeout(_ACT_SECONDS):
            done = await self._engine.perform(partial(self._codes.carry_out, entry=entry))
        if isinstance(done, Entered):  # neither the code nor who and why: the audit has them
            kind = "taken_back" if entry.to is None else "entered"
            self._log.info("code_mapped", peer=entry.peer, kind=kind, count=done.released)
        return done

    async def unmerge(self, act: Unmerge) -> UnmergePlan | CannotUnmerge:
        """Plans to take a merge apart, or does it; durable when it returns. Raises as `act`."""
        try:
            async with asyncio.timeout(_ACT_SECONDS):
                done = await self._engine.perform(partial(self._unmerging.carry_out, act=act))
        except StoreRefused as refused:
            self._log.error("merge_undecided", merge_id=act.merge, code=refused.code)
            raise
        if isinstance(done, UnmergePlan) and done.at is not None:
            self._log.info("merge_taken_apart", merge_id=act.merge, peer=act.side, count=done.released)
        return done
