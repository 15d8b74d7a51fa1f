"""A small practice in a database, put there row by row as the engine would, and a client of its HTTP face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from ophl7.admin.app import make_app
from ophl7.admin.books_ports import Books
from ophl7.admin.ports import Face, Reads
from ophl7.domain.appointment import Appointment, Progress, Resource, Status
from ophl7.domain.charge import Charge, ChargeState
from ophl7.domain.identifiers import Identifier, Naming, subject_of, subject_of_block
from ophl7.domain.merge import Merge, MergeState
from ophl7.domain.patient import Patient, Side
from ophl7.domain.profile import CodeTable, Profile
from ophl7.engine.acts import Act, Done, NotDone, Replayed, Replaying, Unmerge
from ophl7.engine.aftermath import CannotUnmerge, PlannedAppointment, PlannedCopy, UnmergePlan
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.code_entries import Entered, Entry
from ophl7.engine.code_rows import CodeEntry, CodeSeen
from ophl7.engine.dispatching import DeliveryAct, Dispatched, LinkAct, NotDispatched
from ophl7.engine.explaining import Explained, Explainer
from ophl7.engine.ids import Ids
from ophl7.engine.roll_ups import NoteRollUp, NotNoted, RollUp, TakeBack
from ophl7.engine.router import Router
from ophl7.engine.runner import Runner, Watchdog
from ophl7.engine.storage import (
    AuditRow,
    ClosedHold,
    ClosedHow,
    DeliveryMark,
    DeliveryRow,
    DeliveryState,
    DriftRow,
    HoldRow,
    JournalRow,
    MessageState,
    Processed,
    Rows,
)
from ophl7.engine.timing import Clocks
from ophl7.extend.loading import load_parts
from ophl7.store.memory import MemoryStore
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from ophl7.store.sqlite_books import SqliteBooks
from tests.integration.admin.resending import resend_face
from tests.unit.engine.desk import policy

_SIDES: tuple[Side, Side] = ("pm", "emr")

TOKEN = "a-token-for-tests"
MAPPED: dict[Side, Profile] = {side: Profile(maps={"provider": CodeTable(("FT1-20",), {"JHS": "102"})}) for side in _SIDES}
WHY = {"reason": "the mother was called"}
ZONE = ZoneInfo("America/New_York")
NOON = 1_795_453_200.0  # 2026-11-23T12:00:00-05:00

ANNA, BOB = Identifier("PM", "7050", "MR"), Identifier("PM", "7051", "MR")


def adt(patient: str = "7050", control_id: str = "C1") -> bytes:
    """Synthetic; MSH-8 holds something that must never be shown."""
    return (
        f"MSH|^~\\&|PM|DESK|EMR|DESK|20261123120000|HUSH|ADT^A08|{control_id}|P|2.5\r"
        f"EVN|A08|20261123120000\rPID|1||{patient}^^^PM^MR||Specimen^Anna^B^Jr^Ms||20180402|F\r"
    ).encode()


def dft(patient: str, control_id: str) -> bytes:
    return (
        f"MSH|^~\\&|EMR|DESK|PM|DESK|20261123120000||DFT^P03|{control_id}|P|2.5\r"
        f"PID|1||{patient}||Specimen^Anna\rFT1|1|T1||20261123||CG|99213\r"
    ).encode()


def bar(trigger: str, control_id: str, user: str = "BELL^Bell^Bea") -> bytes:
    """A superbill."""
    return (
        f"MSH|^~\\&|EMR|DESK|PM|DESK|20261123120000||BAR^{trigger}|{control_id}|P|2.5\r"
        f"EVN|{trigger}|20261123120000|||{user}\rPID|1||7050^^^PM^MR||Specimen^Anna\r"
    ).encode()


RETENTION = {"at": None, "bodies": 0, "rows": 0, "audit": 0, "alarms": 0, "kept": {"held": 2}, "running": False}


@dataclass
class Practice:
    """Rows first, then `commit`; ids count from 1 in each table, in the order in which rows are added."""

    path: Path
    rows: Rows = field(default_factory=Rows)
    last: dict[str, int] = field(default_factory=dict)

    def _next(self, table: str) -> int:
        self.last[table] = self.last.get(table, 0) + 1
        return self.last[table]

    def message(
        self,
        raw: bytes,
        *,
        peer: Side = "pm",
        event: str = "ADT^A08",
        control_id: str = "C1",
        state: MessageState = "accepted",
        ack: str = "AA",
        subject: int | None = None,
        at: float = NOON,
        reason: str = "",
        row: str = "#4",
        repeats: int | None = None,
        detail: str = "",
        start: int = 0,
        end: int | None = None,
        answer: bytes | None = b"MSH|^~\\&|OPHL7|||||ACK|A1|P|2.5\rMSA|AA|C1\r",
    ) -> int:
        number = self._next("journal")
        stop = len(raw) if end is None else end
        self.rows.journal.append(
            JournalRow(
                id=number,
                peer=peer,
                connection=3,
                received_at=at,
                event=event,
                control_id=control_id,
                digest=bytes(16),
                state=state,
                ack_code=ack,
                answer=answer,
                row=row,
                reason=reason,
                subject=subject,
                repeats=repeats,
                raw=raw,
                start=start,
                end=stop,
                detail=detail,
            )
        )
        return number

    def patient(self, *identifiers: Identifier, more: Mapping[str, Any] | None = None) -> Patient:
        subject = subject_of(identifiers[0])
        row = Patient(
            id=self._next("patient"),
            subject=subject,
            lane=subject,
            identifiers=identifiers,
            created_at=NOON,
            message=1,
            **({"fields": {}} | dict(more or {})),
        )
        self.rows.patients[row.id] = row
        self.rows.aliases.extend((one, row.id) for one in identifiers if one.type in {"MR", ""})
        return row

    def appointment(self, patient: Patient | None, starts_at: float | None, status: Status = "booked") -> int:
        number = self._next("appointment")
        filler = f"F{number}"
        self.rows.appointments[number] = Appointment(
            id=number,
            origin="pm",
            filler=filler,
            placer=f"P{number}",
            subject=patient.subject if patient is not None else subject_of_block("pm", filler),
            patient=patient.id if patient is not None else None,
            start="20261123120000",
            starts_at=starts_at,
            duration="15",
            status=status,
            status_raw="Booked",
            resources=(Resource("AIP", "DR1", "Dr. Synthetic"),),
            progress=(Progress("booked", NOON, 1),),
            message=1,
        )
        return number

    def charge(
        self, message: int, subject: int, state: ChargeState = "sent", delivery: int | None = None, **more: object
    ) -> int:
        number = self._next("charge")
        values: dict[str, Any] = {
            "id": number,
            "message": message,
            "line": number,
            "subject": subject,
            "transaction_id": f"T{number}",
            "kind": "CG",
            "date": "20261123",
            "procedure": "99213",
            "modifiers": ("25",),
            "units": "2",
            "diagnoses": ("Z00.129", "J06.9"),
            "amount": "125.50",
            "visit": "V1",
            "content": bytes(16),
            "state": state,
        }
        self.rows.charges.append((Charge(**(values | more)), delivery))
        return number

    def delivery(self, message: int, state: DeliveryState = "queued", destination: Side = "emr", lane: int = 2**62) -> int:
        number = self._next("delivery")
        self.rows.deliveries.append(
            DeliveryRow(number, destination, lane, "record", message, f"D{number}", "queued", None, NOON)
        )
        if state != "queued":
            self.rows.marks.append(DeliveryMark(number, state, 2, NOON + 60, "AE 204", NOON + 5))
        return number

    def hold(self, message: int, key: str = "patient:PM:7050", peer: Side = "emr") -> int:
        number = self._next("hold")
        self.rows.holds.append(HoldRow(number, message, key, "record:1", "the patient is not known", NOON, peer))
        return number

    def code(self, code: str, to: str | None = None) -> None:
        """A person's entry for a code of the EMR's, or one that came without an entry."""
        if to is None:
            self.rows.codes_seen.append(CodeSeen("emr", "provider", code, 1, NOON))
        else:
            self.rows.codes.append(CodeEntry("emr", "provider", code, to, "api 127.0.0.1", NOON, "they share a desk"))

    def close_hold(self, number: int, how: ClosedHow, by: str | None, reason: str | None) -> None:
        self.rows.closed_holds.append(ClosedHold(number, NOON + 60, how, by, reason))

    def merge(
        self, retired: Patient, survivor: Patient, state: MergeState, pm: float | None = None, emr: float | None = None
    ) -> int:
        number = self._next("merge")
        self.rows.merges[number] = Merge(number, retired.id, survivor.id, pm, emr, state, 1)
        return number

    def drift(self, message: int, patient: Patient) -> int:
        number = self._next("drift")
        self.rows.drift.append(DriftRow(number, message, patient.id, "emr", "PID-11", "1 New St", "2 Old St", "#5", NOON))
        return number

    def roll_up(self, *charges: int, claim: str = "C-1") -> int:
        number = self._next("roll_up")
        self.rows.roll_ups[number] = RollUp(number, NOON, "api 127.0.0.1", claim, "", charges)
        return number

    def audit(self, action: str) -> None:
        self.rows.audit.append(AuditRow(NOON, "api 127.0.0.1", action, "message 1", ""))

    async def commit(self) -> None:
        store = SqliteStore(self.path)
        await store.open()
        try:
            await store.commit(self.rows)
        finally:
            await store.close()
        self.rows = Rows()


LINK: Mapping[str, Any] = {
    "peer": "pm",
    "profile": {"name": "generic", "product": None, "source": None, "verified": False},
    "listener": {"address": "127.0.0.1:2575", "connections": 1, "tls": True, "state": "open", "drained_because": None},
    "destination": {
        "url": "mllp://127.0.0.1:6661",
        "state": "up",
        "queued": 2,
        "oldest_seconds": 3.4,
        "parked": 1,
        "last_error": None,
        "paused_because": None,
    },
}


PLAN = UnmergePlan(
    merge=1,
    side="pm",
    retired=2,
    survivor=1,
    charts=(2,),
    lane_parts=True,
    processed=(Processed(1, "emr", NOON, "DFT^P03", "accepted", "#44", 1, "pm", "accepted"),),
    copies=(PlannedCopy(1, 1, "pm", True, "queued", ""), PlannedCopy(2, 1, "pm", True, "sending", "it may have been tried")),
    holds=(1,),
    appointments=(PlannedAppointment(1, "F1", moved=True),),
    by_hand=("look there",),
)


@dataclass
class Desk:
    """What the face was handed, and a client that holds the token. audited: (actor, action, target, reason).

    acts: what people ordered; outcome: what came of it.
    """

    reads: Reads
    audited: list[tuple[str, str, str, str]] = field(default_factory=list)
    explicit: bool = True
    acts: list[Act] = field(default_factory=list)
    purges: list[str] = field(default_factory=list)
    unmerges: list[Unmerge] = field(default_factory=list)
    unmerged: UnmergePlan | CannotUnmerge = field(default_factory=lambda: PLAN)
    outcome: Done | NotDone | Exception = field(default_factory=lambda: Done(NOON + 60, "accepted", "accepted", (), 2))
    dispatches: list[DeliveryAct | LinkAct] = field(default_factory=list)
    dispatched: Dispatched | NotDispatched | Exception = field(default_factory=lambda: Dispatched(NOON + 60, "queued", "D1"))
    noted: list[NoteRollUp | TakeBack] = field(default_factory=list)
    roll_up: RollUp | NotNoted = field(default_factory=lambda: RollUp(1, NOON, "api 127.0.0.1", "C-1", "", (1, 2)))
    now: float = NOON + 3600
    replays: list[Replaying] = field(default_factory=list)
    replayed: Replayed | NotDone | Exception = field(
        default_factory=lambda: Replayed(NOON, 9, 1, "accepted", "#4", "", (), ((7, "emr"),), ("pm",), 0)
    )
    entries: list[Entry] = field(default_factory=list)
    alarms: list[AlarmRow] = field(default_factory=list)
    acknowledged: list[tuple[int, str, str]] = field(default_factory=list)
    acknowledging: AlarmRow | Exception | None = None
    entered: Entered | NotDone | Exception = field(default_factory=lambda: Entered(NOON + 60, 3))
    profiles: dict[Side, Profile] = field(default_factory=lambda: dict(MAPPED))
    ready: tuple[int, dict[str, Any]] = (200, {"ready": True, "checks": {"store": {"ok": True, "reason": None}}})

    async def audit(self, actor: str, action: str, target: str, reason: str) -> None:
        self.audited.append((actor, action, target, reason))

    async def act(self, act: Act) -> Done | NotDone:
        self.acts.append(act)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def dispatch(self, act: DeliveryAct) -> Dispatched | NotDispatched:
        self.dispatches.append(act)
        if isinstance(self.dispatched, Exception):
            raise self.dispatched
        return self.dispatched

    async def switch(self, act: LinkAct) -> float | NotDispatched:
        self.dispatches.append(act)
        if isinstance(self.dispatched, Exception):
            raise self.dispatched
        return NOON + 60

    async def replay(self, order: Replaying) -> Replayed | NotDone:
        self.replays.append(order)
        if isinstance(self.replayed, Exception):
            raise self.replayed
        return self.replayed

    async def explain(self, peer: Side, raw: bytes) -> list[Explained]:
        parts = load_parts()
        router = Router(parts.handlers, parts.rules)
        now = partial(datetime.fromtimestamp, NOON, UTC)
        store = MemoryStore()
        explainer = Explainer(store, router, policy(), Runner(Watchdog(5.0)), Clocks(), now)
        return await explainer.explain(Ids(await store.open()), peer, raw)

    async def enter_code(self, entry: Entry) -> Entered | NotDone:
        self.entries.append(entry)
        if isinstance(self.entered, Exception):
            raise self.entered
        return self.entered

    async def unmerge(self, act: Unmerge) -> UnmergePlan | CannotUnmerge:
        self.unmerges.append(act)
        return self.unmerged

    async def acknowledge(self, number: int, actor: str, reason: str) -> AlarmRow | None:
        self.acknowledged.append((number, actor, reason))
        if isinstance(self.acknowledging, Exception):
            raise self.acknowledging
        return self.acknowledging

    def face(self) -> Face:
        return Face(
            reads=self.reads,
            token=TOKEN,
            token_is_explicit=self.explicit,
            ready=lambda: self.ready,
            alive=lambda: True,
            exposition=lambda: (b"ophl7_build_info 1\n", "text/plain; version=0.0.4; charset=utf-8"),
            links=lambda: [dict(LINK)],
            audit=self.audit,
            act=self.act,
            dispatch=self.dispatch,
            switch=self.switch,
            replay=self.replay,
            explain=self.explain,
            enter_code=self.enter_code,
            profiles=self.profiles,
            unmerge=self.unmerge,
            routes=lambda: [{"event": "ADT^A08", "handlers": ["patient"]}],
            plugins=lambda: [{"name": "patient_authority"}],
            zone=ZONE,
            authorities={"pm": "PM", "emr": "EMR"},
            namings={"pm": Naming("PM"), "emr": Naming("EMR")},
            version="0.1",
            alarms=lambda: [row for row in self.alarms if row.resolved_at is None],
            acknowledge=self.acknowledge,
            books=books(self),
            retention=lambda: dict(RETENTION),
            purge=lambda: self.purges.append("run"),
            resends=resend_face(),
        )

    def client(self, *, token: str | None = TOKEN, host: str = "127.0.0.1") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(make_app(self.face()), raise_app_exceptions=False, client=(host, 40000))
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.AsyncClient(transport=transport, base_url="http://desk", headers=headers)

    async def get(self, path: str, **query: str | int) -> httpx.Response:
        async with self.client() as client:
            return await client.get(path, params=query or None)

    async def post(self, path: str, body: object) -> httpx.Response:
        async with self.client() as client:
            return await client.post(f"/api/v1{path}", json=body)

    async def items(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        answer = await self.get(f"/api/v1{path}", **query)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def reader(path: Path, *, limit: float = 30.0) -> SqliteReader:
    return SqliteReader(path, limit=limit)


def verdicts(*lines: list[str], **more: object) -> str:
    """The journal's provenance row."""
    return json.dumps({"changes": list(lines), **more})


def books(desk: Desk) -> Books:
    """The books of the desk's database. noted: what was to be noted."""
    assert isinstance(desk.reads, SqliteReader)

    async def note(wanted: NoteRollUp) -> RollUp | NotNoted:
        desk.noted.append(wanted)
        return desk.roll_up

    async def take_back(wanted: TakeBack) -> RollUp | NotNoted:
        desk.noted.append(wanted)
        return desk.roll_up

    return Books(
        reads=SqliteBooks(desk.reads),
        note=note,
        take_back=take_back,
        now=lambda: datetime.fromtimestamp(desk.now, UTC),
        encodings={"pm": None, "emr": None},
        user_fields={"pm": "", "emr": ""},
    )


def body_for(path: str) -> dict[str, Any]:
    """What a POST to this path takes."""
    if path.endswith("/roll-ups"):
        return {"claim": "C-1", "charges": [1]}
    if path.endswith("/maps"):
        return {"peer": "emr", "table": "provider", "code": "DRS", "to": "101", **WHY}
    if path.endswith("/redirect"):
        return {"patient": "PM:7050", **WHY}
    if path.endswith("/resend"):
        return {"since": "1970-01-01T00:10:00+00:00", **WHY}
    return {"to": "101", **WHY} if path.endswith("/map") else dict(WHY)
