"""Loads patient lists into the database of a broker that does not run: batches, each in one commit with how far it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from ophl7.broker import HANDLER_SECONDS
from ophl7.clock import SystemClock
from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.domain.profile import IdPlaces
from ophl7.engine.arrival import collect_keys, read_arrival
from ophl7.engine.ids import Ids
from ophl7.engine.judging import Judge, describe
from ophl7.engine.list_deciding import Found, ListDecider
from ophl7.engine.lists import Difference, ListBook, ListProgress, ListRefusal
from ophl7.engine.ports import Clock
from ophl7.engine.router import Router
from ophl7.engine.runner import Runner, Watchdog
from ophl7.engine.standing import StandingOutbox
from ophl7.engine.storage import AuditRow, Counters, Keys, Store
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import DatabaseLocked, ListUnusable, StoreAway
from ophl7.extend.loading import load_parts
from ophl7.golive.records import Record
from ophl7.golive.rows import Setup
from ophl7.golive.source import Source, look_at
from ophl7.practice import policy_from
from ophl7.settings import Settings
from ophl7.store.rehearsal import rehearsal
from ophl7.store.sqlite import SqliteStore
from ophl7.store.sqlite_lists import SqliteLists

# One commit: enough that the sync of the disk costs little of it, few enough that memory stays flat.
BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 4 * 1024 * 1024

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for. lists: paths, `-` for standard input. again: also what was loaded before. actor: for the audit.

    dry_run: on a copy of the database that is thrown away.
    """

    lists: Sequence[str]
    peer: Side
    actor: str
    again: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of one list. before: records that an earlier load had done; already: it had done all of them."""

    source: Source
    progress: ListProgress
    before: int
    already: bool


class Teller(Protocol):
    """Told what happens while it happens. Nothing that it is told names a patient."""

    def begins(self, source: Source, progress: ListProgress) -> None:
        """A list is begun, or taken up behind what `progress` says is done."""

    def advances(self, source: Source, progress: ListProgress) -> None:
        """So much of it is committed."""

    def refused(self, source: Source, refusals: Sequence[ListRefusal]) -> None:
        """Some of what was not taken, in the order of the list; told when the list is done, also if that was earlier."""

    def ends(self, loaded: Loaded) -> None:
        """The list is done."""


async def load_lists(settings: Settings, order: Order, tell: Teller, clock: Clock | None = None) -> list[Loaded]:
    """Loads the lists one after another. Every list is looked at before the first one is begun.

    Raises ListUnusable, DatabaseLocked (with what to do), MigrationError, RegistrationError, StoreAway. What was committed by
    then stays, and the same order goes on behind it.
    """
    # A list is what its system has on record: nobody is learned from it who is not its own (decisions 2).
    policy, time = replace(policy_from(settings), learn_until=0.0), clock or SystemClock()
    with ExitStack() as stack:
        sources = _look_at_all(settings, order, policy, time, stack)
        parts = load_parts(handlers_path=settings.handlers_path, plugins_path=settings.plugins_path, enabled=settings.plugins)
        watchdog = stack.enter_context(Watchdog(HANDLER_SECONDS))
        router, runner = Router(parts.handlers, parts.rules), Runner(watchdog)
        database = settings.database_path
        if order.dry_run:
            database = stack.enter_context(rehearsal(database, settings.disk_reserve))
        store = SqliteStore(database)
        try:
            ids = Ids(await _open(store))
            waiting, unreachable = await store.open_deliveries(), await store.unreachable()
            standing = StandingOutbox(waiting, unreachable, time.now().timestamp())
            room = _Room(database, settings.disk_reserve)
            lists = SqliteLists(store)
            done: list[Loaded] = []
            for source in sources:
                own = _of_tables(policy, order.peer) if source.is_table else policy
                loading = Loading(store, lists, Judge(router, own, runner), own, ids, time, room, standing)
                done.append(await loading.load(source, order, tell))
            return done
        finally:
            await store.close()


def _of_tables(policy: Policy, peer: Side) -> Policy:
    """The messages that we make of a table's rows are written our way, whatever the messages of that system look like.

    Ids stand where `generic` has them, and a cell that is empty, or a column that is not there, deletes nothing.
    """
    one = policy.peers[peer]
    fields = replace(one.profile.fields, blank="keep", blank_deletes=frozenset())
    profile = replace(one.profile, ids=IdPlaces(), fields=fields)
    return replace(policy, peers={**policy.peers, peer: replace(one, profile=profile)})


def _look_at_all(settings: Settings, order: Order, policy: Policy, clock: Clock, stack: ExitStack) -> list[Source]:
    wanted = policy.processing_ids
    setup = Setup(
        peer=order.peer,
        authorities={side: policy.authority_of(side) for side in policy.peers},
        processing_id="P" if wanted is None or "P" in wanted else min(wanted),
        today=clock.now().astimezone(policy.zone).date(),
    )
    owner = order.peer == policy.patient_authority
    sources: list[Source] = []
    for path in order.lists:
        sources.append(look_at(path, setup, owner=owner, longest=settings.peer(order.peer).max_bytes))
        stack.callback(sources[-1].close)
    return sources


async def _open(store: SqliteStore) -> Counters:
    try:
        return await store.open()
    except DatabaseLocked as locked:
        raise DatabaseLocked(
            f"another ophl7 (process {locked.holder or 'unknown'}) works with this database. Lists are loaded while it is "
            "stopped, before go-live or in the evening: stop it, load, start it again. With --dry-run it may go on",
            holder=locked.holder,
        ) from locked


@dataclass(frozen=True, slots=True)
class _Room:
    """The disk under the database. reserve: bytes that must stay free, or what was accepted could not be delivered."""

    database: Path
    reserve: int

    def check(self) -> None:
        """Raises StoreAway when there is too little."""
        free = shutil.disk_usage(self.database.absolute().parent).free
        if free < self.reserve:
            raise StoreAway(f"only {free // 2**20} MiB are free where the database is; make room, then give the command again")


class Loading:
    """Loads one list after another into an open store."""

    def __init__(
        self,
        store: Store,
        book: ListBook,
        judge: Judge,
        policy: Policy,
        ids: Ids,
        clock: Clock,
        room: _Room,
        standing: StandingOutbox,
    ) -> None:
        self._store = store
        self._book = book
        self._decider = ListDecider(judge, policy, clock.now, standing.freeze)
        self._standing = standing
        self._policy = policy
        self._ids = ids
        self._clock = clock
        self._room = room

    async def load(self, source: Source, order: Order, tell: Teller) -> Loaded:
        """All of one list that was not done before."""
        progress = await self._where(source, order)
        before = progress.tally.records
        already = progress.finished_at is not None
        if not already:
            tell.begins(source, progress)
            for batch in _batches(source.records(progress.offset, progress.place)):
                _check_unchanged(source)
                self._room.check()
                progress = await self._settle(progress, batch)
                tell.advances(source, progress)
            _check_unchanged(source)
            progress = await self._finish(progress, source, order)
        after = 0
        while page := await self._book.refusals(progress.id, after=after, limit=_PAGE):
            tell.refused(source, page)
            after = page[-1].place
        loaded = Loaded(source, progress, before, already)
        tell.ends(loaded)
        return loaded

    async def _where(self, source: Source, order: Order) -> ListProgress:
        """The run to go on with, a finished one that is not wanted again, or a new one."""
        known = await self._book.list_of(order.peer, source.digest)
        if known is not None and (known.finished_at is None or not order.again):
            return known
        number = await self._book.last_list() + 1
        return ListProgress(number, order.peer, source.digest, self._clock.now().timestamp())

    async def _finish(self, progress: ListProgress, source: Source, order: Order) -> ListProgress:
        now = self._clock.now().timestamp()
        done = replace(progress, finished_at=now, offset=source.size or progress.offset)
        tally = done.tally
        said = f"{order.peer} {source.digest[:12] or 'standard input'}: {tally.created} created, {tally.linked} linked, "
        said += f"{tally.changed} changed, {tally.refused + tally.held} not taken"
        uow = UnitOfWork(self._store, self._ids)
        uow.rows.lists.append(done)
        uow.rows.audit.append(AuditRow(now, order.actor, "load-patients", f"list {done.id}", said))
        await self._store.commit(uow.rows)
        return done

    async def _settle(self, progress: ListProgress, batch: Sequence[Record]) -> ListProgress:
        """Decides and commits a batch; what cannot be committed together is judged one by one."""
        try:
            return await self._commit(progress, batch)
        except StoreAway:
            raise
        except Exception as error:  # noqa: BLE001 - one patient's fault must not cost the others
            if len(batch) == 1:
                why = f"it cannot be written: {describe(error)}"
                return await self._write(
                    UnitOfWork(self._store, self._ids), progress, batch, [Found("refused", "#95", "", why)]
                )
        finally:
            self._standing.thaw()
        for record in batch:
            progress = await self._settle(progress, [record])
        return progress

    async def _commit(self, progress: ListProgress, batch: Sequence[Record]) -> ListProgress:
        uow = UnitOfWork(self._store, self._ids)
        now = self._clock.now().timestamp()
        arrivals = [
            None if record.body is None else read_arrival(progress.peer, 0, now, record.body, 0, len(record.body), self._policy)
            for record in batch
        ]
        keys = Keys()
        for arrival in arrivals:
            if arrival is not None:
                collect_keys(arrival, keys, self._policy)
        keys.controls.clear()  # what a list says is never a copy of what arrived: it changes something, or it does not
        keys.last.clear()
        if keys:
            await uow.load(keys, small=False)
        known: set[Difference] = await self._book.differences(progress.peer, uow.state.patients.keys())
        found: list[Found] = []
        for record, arrival in zip(batch, arrivals, strict=True):
            if arrival is None:
                fault = record.fault
                found.append(Found("refused", fault.row, "", fault.reason) if fault is not None else Found("refused"))
            else:
                found.append(await self._decider.decide(uow, arrival, progress.id, record.place, known))
        return await self._write(uow, progress, batch, found)

    async def _write(
        self, uow: UnitOfWork, progress: ListProgress, batch: Sequence[Record], found: Sequence[Found]
    ) -> ListProgress:
        tally = progress.tally
        for record, one in zip(batch, found, strict=True):
            tally += one.tally
            if one.fate in {"refused", "held"}:
                uow.rows.list_refusals.append(ListRefusal(progress.id, record.place, one.fate, one.row, one.code, one.reason))
        done = replace(progress, offset=batch[-1].end, place=batch[-1].last, tally=tally)
        uow.rows.lists.append(done)
        await self._store.commit(uow.rows)
        self._standing.committed(uow.rows)
        return done


def _check_unchanged(source: Source) -> None:
    if source.changed():
        raise ListUnusable(f"{source.name} was changed while it was read; load it again as it is now")


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.body or b"")
        if len(batch) == BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
