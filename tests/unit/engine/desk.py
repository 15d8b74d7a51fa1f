"""A broker's inside without sockets or disk: shipped handlers and rules, a store in memory, lines that keep their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Self
from zoneinfo import ZoneInfo

from ophl7.domain.identifiers import Identifier
from ophl7.domain.patient import Side
from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.engine.acts import Act, Done, NotDone, Unmerge, Verb
from ophl7.engine.alarm_rows import AlarmsKept
from ophl7.engine.audience import Mark
from ophl7.engine.code_entries import CodeEntries, Entered, Entry
from ophl7.engine.custody import Custody
from ophl7.engine.deciding import Decider, Decision
from ophl7.engine.explaining import Explainer
from ophl7.engine.ids import Ids
from ophl7.engine.intake import Engine
from ophl7.engine.judging import Judge
from ophl7.engine.people import People
from ophl7.engine.ports import Damage, Envelope
from ophl7.engine.replaying import Replays
from ophl7.engine.retention import Ages, Stage, Step
from ophl7.engine.router import Router
from ophl7.engine.runner import Runner, Watchdog
from ophl7.engine.storage import (
    Counters,
    DeliveryRow,
    DeliveryState,
    Keys,
    OpenDelivery,
    Parting,
    PauseMark,
    Rendering,
    Rows,
    State,
    Store,
)
from ophl7.engine.unmerging import Unmerging
from ophl7.errors import StoreRefused
from ophl7.extend.loading import load_parts
from ophl7.kit.parts import RegisteredHandler, RegisteredRule
from ophl7.store.memory import MemoryStore

LIMIT_SECONDS = 10.0
START = datetime(2024, 3, 1, 15, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/New_York")


def policy(**changed: Any) -> Policy:  # noqa: ANN401 - any field of Policy
    """A practice whose PM owns patients and schedule."""
    values: dict[str, Any] = {
        "patient_authority": "pm",
        "schedule_authority": "pm",
        "zone": ZONE,
        "peers": {"pm": PeerPolicy("PM"), "emr": PeerPolicy("EMR")},
    }
    return Policy(**(values | changed))


@dataclass
class ManualClock:
    """Time that stands still until a test moves it."""

    moment: float = START.timestamp()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.moment, UTC)

    def monotonic(self) -> float:
        return self.moment


@dataclass
class Line:
    """One connection of a peer: what it was answered, in order, and whether it was abandoned."""

    peer: str
    number: int = 1
    answers: list[bytes | None] = field(default_factory=list)
    abandoned: int = 0

    def answer(self, payload: bytes | None) -> None:
        self.answers.append(payload)

    def abandon(self) -> None:
        self.abandoned += 1

    @property
    def codes(self) -> list[str]:
        """MSA-1 of each answer, "" for none."""
        return [msa(answer, 1) for answer in self.answers]


def msa(answer: bytes | None, number: int) -> str:
    """A field of the first MSA of an answer."""
    for line in (answer or b"").decode("latin-1").split("\r"):
        if line.startswith("MSA"):
            return (line.split("|") + [""] * 8)[number]
    return ""


@dataclass
class Seen:
    """Observer and outlet in one: what was told, and what was handed to the outbox."""

    decisions: list[Decision] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    back: int = 0
    alone: list[str] = field(default_factory=list)
    fed: list[tuple[DeliveryRow, bytes | None]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)
    out: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    frozen: set[int] = field(default_factory=set)
    united: list[tuple[int, int] | Parting] = field(default_factory=list)
    fed_after: dict[int, int] = field(default_factory=dict)  # delivery -> how many lanes had been united or parted by then
    rendered: list[Rendering] = field(default_factory=list)
    closings: int = 0

    def decided(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def committed(self, frames: int, seconds: float) -> None:
        self.batches.append(frames)

    def store_away(self, reason: str) -> None:
        self.away.append(reason)

    def store_back(self) -> None:
        self.back += 1

    def failed_alone(self, peer: str, reason: str) -> None:
        self.alone.append(reason)

    def feed(self, rows: Sequence[tuple[DeliveryRow, bytes | None]]) -> None:
        self.fed += rows
        self.fed_after.update({row.id: len(self.united) for row, _ in rows})

    def marked(self, marks: Sequence[Mark]) -> None:
        self.marks += marks

    def freeze(self, lanes: Collection[int]) -> list[tuple[OpenDelivery, bool]]:
        """Everything that was fed waits for ever; what is in `tried` was tried once, what is in `out` is on its way."""
        self.frozen.update(lanes)
        waiting = [self.open_delivery(row) for row, _ in self.fed]
        return [(one, one.id in self.tried | self.out) for one in waiting if one.lane in lanes]

    def open_delivery(self, row: DeliveryRow) -> OpenDelivery:
        lane = row.lane
        for step in self.united[self.fed_after[row.id] :]:
            if isinstance(step, Parting):
                lane = step.into if row.id in step.deliveries else lane
            else:
                lane = step[1] if lane == step[0] else lane
        state: DeliveryState = "held" if row.id in self.refused else "queued"
        tries = int(row.id in self.tried)
        return OpenDelivery(row.id, row.destination, lane, row.stream, row.control_id, state, tries, None, row.created_at)

    def merged(self, united: Sequence[tuple[int, int] | Parting], rendered: Sequence[Rendering]) -> None:
        self.united += united
        self.rendered += rendered

    def thaw(self) -> None:
        self.frozen.clear()

    def close(self) -> None:
        self.closings += 1


class ScriptedStore:
    """A MemoryStore that can be told to refuse, to be away, or to wait, by what a commit holds."""

    def __init__(self, inner: MemoryStore | None = None) -> None:
        self.inner = inner if inner is not None else MemoryStore()
        self.faults: list[Exception | None] = []  # one for each commit to come
        self.refuse_deliveries_of: set[str] = set()  # control ids of messages whose deliveries are refused
        self.refuse_charges_of: set[str] = set()  # the same for their charges
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.loads = 0
        self.probes = 0
        self.commits: list[Rows] = []

    async def open(self) -> Counters:
        return await self.inner.open()

    async def load(self, keys: Keys, *, small: bool) -> State:
        self.loads += 1
        return await self.inner.load(keys, small=small)

    async def commit(self, rows: Rows) -> None:
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        charged = {row.id for row in rows.journal if row.control_id in self.refuse_charges_of}
        if any(charge.message in charged for charge, _ in rows.charges):
            raise StoreRefused("the store refused a charge")
        poisoned = {row.id for row in rows.journal if row.control_id in self.refuse_deliveries_of}
        if any(row.message in poisoned for row in rows.deliveries):
            self.inner.refuse.update(row.control_id for row in rows.journal if row.id in poisoned)
            try:
                await self.inner.commit(rows)
            finally:
                self.inner.refuse.clear()
            return
        await self.inner.commit(rows)
        self.commits.append(rows)

    async def unreachable(self) -> Collection[Side]:
        return await self.inner.unreachable()

    async def alarms(self) -> AlarmsKept:
        return await self.inner.alarms()

    async def paused(self) -> Mapping[Side, PauseMark]:
        return await self.inner.paused()

    async def drained(self) -> Mapping[Side, str]:
        return await self.inner.drained()

    async def open_deliveries(self) -> Sequence[OpenDelivery]:
        return await self.inner.open_deliveries()

    async def body_of(self, delivery: int) -> bytes:
        return await self.inner.body_of(delivery)

    async def retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        return await self.inner.retire(stage, after, ages)

    async def probe(self) -> None:
        self.probes += 1
        await self.inner.probe()

    async def close(self) -> None:
        await self.inner.close()


class Desk:
    """An engine that runs. `send` offers messages as one batch and waits until they are settled."""

    def __init__(
        self,
        *,
        store: Store | None = None,
        rules: Iterable[RegisteredRule] = (),
        handlers: Iterable[RegisteredHandler] = (),
        shipped: bool = True,
        clock: ManualClock | None = None,
        **changed: Any,  # noqa: ANN401 - any field of Policy
    ) -> None:
        self.store: Store = store if store is not None else MemoryStore()
        self.policy = policy(**changed)
        self.clock = clock if clock is not None else ManualClock()
        self.seen = Seen()
        self.lines: dict[str, Line] = {"pm": Line("pm", 1), "emr": Line("emr", 2)}
        parts = load_parts() if shipped else None
        self.router = Router(
            [*(parts.handlers if parts else ()), *handlers],
            [*(parts.rules if parts else ()), *rules],
        )
        self.watchdog = Watchdog(5.0)
        self.back: list[str] = []
        self.engine: Engine
        self.people: People
        self.replays: Replays
        self.explainer: Explainer
        self.codes: CodeEntries
        self.unmerging: Unmerging
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        ids = Ids(await self.store.open())
        runner = Runner(self.watchdog)
        judge = Judge(self.router, self.policy, runner)
        self.explainer = Explainer(self.store, self.router, self.policy, runner, judge.clocks, self.clock.now)
        decider = Decider(judge, self.policy, self.clock.now, self.seen.freeze)
        custody = Custody(judge, self.policy, self.seen.freeze)
        self.people = People(custody, self.policy, self.clock.now)
        self.codes = CodeEntries(custody, self.policy, self.clock.now)
        self.unmerging = Unmerging(custody, self.policy, self.clock.now, self.seen.freeze)
        self.replays = Replays(decider, self.policy, self.clock.now)
        self.engine = Engine(self.store, decider, self.policy, self.clock, ids, self.seen, self.seen)

        async def back() -> None:
            self.back.append("back")

        self.engine.bind(on_connected=lambda _side: None, on_away=self.seen.close, on_back=back)
        self._task = asyncio.create_task(self.engine.run())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.store.close()

    def offer(self, peer: str, raw: bytes, damage: Damage | None = None, line: Line | None = None) -> bool:
        session = line if line is not None else self.lines[peer]
        return self.engine.offer(Envelope(peer, session, raw, self.clock.moment, damage))

    async def settled(self) -> None:
        """Waits until nothing is open; a loop that broke shows its own error."""
        waiting = asyncio.create_task(self.engine.settled())
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task.done():
            self._task.result()

    async def send(self, peer: str, *messages: bytes) -> list[str]:
        """Offers these as one batch; MSA-1 of each answer that came for them."""
        line = self.lines[peer]
        before = len(line.answers)
        for message in messages:
            assert self.offer(peer, message)
        await self.settled()
        return line.codes[before:]

    async def one_batch(self, *messages: tuple[str, bytes]) -> None:
        """Messages of several peers in one batch, in this order."""
        for peer, message in messages:
            assert self.offer(peer, message)
        await self.settled()

    async def act(
        self, verb: Verb, control_id: str, key: str = "", *, hold: int = 0, patient: Identifier | None = None
    ) -> Done | NotDone:
        """A person's decision about the message with that MSH-10: on the hold whose key begins so, or on that number."""
        message = self.journal(control_id).id
        if not hold:
            (hold,) = [row.id for row in self.memory.holds.values() if row.message == message and row.key.startswith(key)]
        act = Act(verb, hold, message, "somebody", "it was looked at", patient)
        return await self.engine.perform(partial(self.people.carry_out, act=act))

    async def enter(self, code: str, to: str | None, *, peer: Side = "emr", table: str = "provider") -> Entered | NotDone:
        """A person's entry in a code table, or with None for `to`, taken back."""
        entry = Entry(peer, table, code, to, "somebody", "the two systems call it differently")
        return await self.engine.perform(partial(self.codes.carry_out, entry=entry))

    async def unmerge(self, merge: int, side: Side, token: str | None = None, *, look: bool = False) -> Any:  # noqa: ANN401
        """The plan, carried out unless only a look is wanted."""
        act = Unmerge(merge, side, "somebody", "they are two children", token, look)
        return await self.engine.perform(partial(self.unmerging.carry_out, act=act))

    def waits_for(self, control_id: str) -> list[str]:
        """The keys of that message's open holds, oldest first."""
        message = self.journal(control_id).id
        return [row.key for _, row in sorted(self.memory.holds.items()) if row.message == message]

    @property
    def memory(self) -> MemoryStore:
        store = self.store.inner if isinstance(self.store, ScriptedStore) else self.store
        assert isinstance(store, MemoryStore)
        return store

    @property
    def states(self) -> list[str]:
        """The journal's states, oldest first."""
        return [self.memory.journal[number].state for number in sorted(self.memory.journal)]

    def journal(self, control_id: str) -> Any:  # noqa: ANN401 - a JournalRow, without a cast in each test
        """The last journal row with that control id."""
        return [row for _, row in sorted(self.memory.journal.items()) if row.control_id == control_id][-1]

    @property
    def delivered(self) -> list[str]:
        """The control ids of the messages that were handed to the outbox, in order."""
        return [self.memory.journal[row.message].control_id for row, _ in self.seen.fed]


# -- messages ---------------------------------------------------------------------------------------------------------


def message(*segments: str) -> bytes:
    return ("\r".join(segments) + "\r").encode()


def msh(event: str, control_id: str, *, at: str = "20240301100000", version: str = "2.5", processing: str = "P") -> str:
    return f"MSH|^~\\&|APP|FAC|HUB|HUB|{at}||{event.replace('^', '^')}|{control_id}|{processing}|{version}"


def pid(ids: str = "7050^^^PM^MR", name: str = "Rivers^Ada", born: str = "20150412", sex: str = "F", rest: str = "") -> str:
    return f"PID|1||{ids}||{name}||{born}|{sex}{rest}"


def adt(control_id: str, event: str = "A04", *, at: str = "20240301100000", **who: str) -> bytes:
    return message(msh(f"ADT^{event}", control_id, at=at), "EVN||20240301100000", pid(**who))


def dft(control_id: str, *lines: str, ids: str = "7050^^^PM^MR", extra: Sequence[str] = ()) -> bytes:
    return message(msh("DFT^P03", control_id), "EVN||20240301100000", pid(ids), *lines, *extra)


def ft1(transaction: str, number: int = 1, *, kind: str = "CG", code: str = "99213", amount: str = "142.00") -> str:
    return f"FT1|{number}|{transaction}||20240301||{kind}|{code}|||1|{amount}"


def siu(
    control_id: str,
    filler: str = "F1",
    event: str = "S12",
    *,
    ids: str | None = "7050^^^PM^MR",
    start: str = "20240305090000",
    placer: str = "",
    status: str = "Booked",
    born: str = "20150412",
) -> bytes:
    """A booking; without a birth date it does not say enough to make a provisional patient."""
    sch = f"SCH|{placer}|{filler}|||||||30|min|^^30^{start}" + "|" * 14 + status
    person = [pid(ids, born=born)] if ids is not None else []
    return message(msh(f"SIU^{event}", control_id), sch, *person, "RGS|1", "AIP|1||D1^Doe^Jo")
