"""The store in memory: the reference that the others are tested against, and what authors test with. Nothing survives it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge, counting
from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.merge import Merge, account_of
from ophl7.domain.patient import Patient, Side
from ophl7.engine.alarm_rows import AlarmRow, AlarmsKept
from ophl7.engine.code_rows import CodeEntry
from ophl7.engine.ids import longest, number_in
from ophl7.engine.lists import ListProgress, ListRefusal
from ophl7.engine.originals import Original, Run
from ophl7.engine.resend_rows import Deed, Resend
from ophl7.engine.retention import Ages, Stage, Step
from ophl7.engine.roll_ups import Entry, RollUp
from ophl7.engine.storage import (
    MOST_OF_AFTERMATH,
    Aftermath,
    AftermathKey,
    AuditRow,
    ClosedHold,
    Counters,
    DeliveryMark,
    DeliveryRow,
    DriftRow,
    HeldMessage,
    HoldRow,
    JournalRow,
    Keys,
    OpenDelivery,
    Origin,
    PauseMark,
    Processed,
    QueuedBytes,
    Restored,
    Rows,
    Seen,
    State,
    UnmergeRow,
    claim,
    was_taken,
)
from ophl7.errors import StoreAway, StoreRefused
from ophl7.store.memory_retention import retire

_OPEN = frozenset({"queued", "sending", "held", "unknown", "parked"})


class MemoryStore:
    """See engine.storage.Store. Its tables are plain dictionaries, to be looked into by tests.

    away: while set, every call raises StoreAway. refuse: ids of journal rows, by control id, that are refused.
    """

    def __init__(self) -> None:
        self.journal: dict[int, JournalRow] = {}
        self.patients: dict[int, Patient] = {}
        self.aliases: dict[tuple[str, str], int] = {}
        self.appointments: dict[int, Appointment] = {}
        self.charges: dict[tuple[int, int], tuple[Charge, int | None]] = {}
        self.holds: dict[int, HoldRow] = {}
        self.closed_holds: dict[int, tuple[HoldRow, ClosedHold]] = {}
        self.deliveries: dict[int, DeliveryRow] = {}
        self.marks: dict[int, DeliveryMark] = {}
        self.merges: dict[int, Merge] = {}
        self.unmerges: list[UnmergeRow] = []
        self.links: dict[Side, bool] = {}
        self.pauses: dict[Side, PauseMark] = {}
        self.drains: dict[Side, str] = {}
        self.drift: list[DriftRow] = []
        self.audit: list[AuditRow] = []
        self.codes: dict[tuple[Side, str, str], CodeEntry] = {}
        self.codes_seen: dict[tuple[Side, str, str], list[int]] = {}  # the messages, oldest first
        self.lists: dict[int, ListProgress] = {}
        self.list_refusals: list[ListRefusal] = []
        self.roll_ups: dict[int, RollUp] = {}
        self.taken_back: set[tuple[int, int]] = set()
        self.kept_alarms: dict[int, AlarmRow] = {}
        self.heard: dict[Side, float] = {}
        self.bodies_removed: dict[int, float] = {}  # messages whose bytes retention has removed, and when
        self.resends: dict[int, Resend] = {}
        self.deeds: dict[str, Deed] = {}
        self.renewed = ""  # the last control id that was given to one made anew
        self.commits = 0
        self.away: str | None = None
        self.refuse: set[str] = set()

    async def open(self) -> Counters:
        """Starts at the rows that are there."""
        return Counters(
            max(self.journal, default=0),
            max(self.patients, default=0),
            max(self.appointments, default=0),
            max((charge.id for charge, _ in self.charges.values()), default=0),
            max((*self.holds, *self.closed_holds), default=0),
            max(max(self.deliveries, default=0), number_in(self.renewed, "TEST")),
            max((row.id for row in self.drift), default=0),
            max(self.merges, default=0),
            "TEST",
        )

    async def close(self) -> None:
        """Nothing to give back."""

    async def probe(self) -> None:
        """Raises StoreAway while `away` is set."""
        self._check()

    def _check(self) -> None:
        if self.away is not None:
            raise StoreAway(self.away)

    # -- load ---------------------------------------------------------------------------------------------------------

    async def load(self, keys: Keys, *, small: bool) -> State:
        """The rows behind these keys."""
        del small
        self._check()
        state = State()
        for key in keys.controls:
            self._seen(key, state)
        identifiers = keys.identifiers | {(authority, value) for authority, value, _ in (*keys.charges, *keys.sets)}
        identifiers |= {(authority, value) for _, _, authority, value in keys.last if value}
        for identifier in identifiers:
            state.aliases[identifier] = self.aliases.get(identifier)
        for origin, reference in keys.appointments:
            state.appointments[origin, reference] = None
            for one in self.appointments.values():
                if one.origin == origin and reference in (one.filler, one.placer):
                    state.appointment_rows[one.id] = one
        for _, one in sorted(state.appointment_rows.items()):
            claim(state, one)
        state.merges.update({(one.retired, one.survivor): one for one in self.merges.values() if one.id in keys.pairs})
        state.accounts = {
            account: tuple([one.id for one in self.patients.values() if account_of(one) == account])
            for account in keys.accounts
        }
        self._patients(state)
        self._ledger(keys, state)
        for peer, subject, authority, value in keys.last:
            number = state.aliases.get((authority, value)) if value else None
            actual = subject if number is None else self.patients[number].subject
            rows = [r for r in self.journal.values() if r.subject == actual and r.peer == peer and r.state != "duplicate"]
            rows = [row for row in rows if row.replay_of is None]
            state.last[peer, subject] = _as_seen(max(rows, key=lambda row: row.id)) if rows else None
        self._find_holds(identifiers, keys, state)
        self._around_merges(keys, state)
        self._roll_ups(keys, state)
        state.maps.update({place: entry.to if (entry := self.codes.get(place)) is not None else None for place in keys.maps})
        state.deeds = {key: self.deeds.get(key) for key in keys.deeds}
        state.restored.update({number: self._restored(number) for number in keys.restored})
        for number in keys.held:
            row = self.journal[number]
            spared = tuple(_side(one) for one in row.spared.split())
            taken_for = self._taken_for(number)
            state.held[number] = HeldMessage(number, row.peer, row.raw, row.start, row.end, row.received_at, spared, taken_for)
            state.holds.update({hold.id: hold for hold in self.holds.values() if hold.message == number})
            ended = [hold for hold, closed in self.closed_holds.values() if hold.message == number and closed.how == "accepted"]
            if ended:
                state.accepted[number] = tuple((hold.key, hold.reason) for hold in sorted(ended, key=lambda hold: hold.id))
        return state

    def _original(self, asked: int) -> Original:
        first = self.journal[self.journal[asked].replay_of or asked]
        runs: list[Run] = []
        for row in (one for _, one in sorted(self.journal.items()) if first.id in (one.id, one.replay_of)):
            copies = {delivery.destination for delivery in self.deliveries.values() if delivery.message == row.id}
            runs.append(Run(row.id, row.state, tuple(sorted(copies))))
        place = (None if first.id in self.bodies_removed else first.raw, first.start, first.end)
        return Original(first.id, first.peer, first.event, first.row, *place, tuple(runs))

    def _answers(self, row: JournalRow) -> bool:
        """Of replays, only what was taken in the place of a refusal answers for a copy."""
        if row.replay_of is None:
            return True
        return row.state not in {"rejected", "error"} and self.journal[row.replay_of].state in {"rejected", "error"}

    def _restored(self, patient: int) -> tuple[Restored, ...]:
        sent = [one for one in self.drift if one.patient == patient and one.restored == "sent"]
        return tuple(Restored(one.peer, one.field, one.offered, one.at) for one in sent)

    def _seen(self, key: tuple[str, str, bytes], state: State) -> None:
        peer, control_id, digest = key
        same_id = [
            row
            for row in self.journal.values()
            if row.peer == peer and row.control_id == control_id and row.state != "duplicate" and control_id
        ]
        if same_id:
            state.reused.add((peer, control_id))
        same = [row for row in same_id if row.digest == digest and self._answers(row)]
        state.controls[key] = _as_seen(max(same, key=lambda row: row.id)) if same else None

    def _patients(self, state: State) -> None:
        wanted = {number for number in state.aliases.values() if number is not None}
        wanted |= {row.patient for row in state.appointment_rows.values() if row.patient is not None}
        wanted |= {number for pair in (*state.merges, *state.accounts.values()) for number in pair}
        asked: set[int] = set()
        while wanted:
            asked |= wanted
            lanes = {self.patients[number].lane for number in wanted if number in self.patients}
            for patient in self.patients.values():
                if patient.lane in lanes:
                    state.patients[patient.id] = patient
            for lane in lanes:
                state.lanes[lane] = tuple(sorted(p.id for p in self.patients.values() if p.lane == lane))
            survivors = {p.merged_pm for p in state.patients.values()} | {p.merged_emr for p in state.patients.values()}
            wanted = {number for number in survivors if number is not None} - set(state.patients) - asked

    def _lane(self, authority: str, value: str, state: State) -> Sequence[int]:
        number = state.aliases[authority, value]
        if number is None:
            return [subject_of(Identifier(authority, value))]
        return [state.patients[mate].subject for mate in state.lanes[state.patients[number].lane]]

    def _ledger(self, keys: Keys, state: State) -> None:
        for authority, value, transaction in keys.charges:
            for subject in self._lane(authority, value, state):
                state.charges[subject, transaction] = None
                for charge in self._live(subject):
                    if charge.transaction_id == transaction:
                        place = (subject, charge.identity)
                        state.charges[place] = counting(state.charges.get(place), charge)
        for authority, value, same_set in keys.sets:
            for subject in self._lane(authority, value, state):
                same = [charge for charge in self._live(subject) if charge.same_set == same_set]
                state.sets[subject, same_set] = tuple(sorted(same, key=lambda charge: (charge.message, charge.line)))
        for lost in keys.lost:
            back = [number for of, number in sorted(self.taken_back) if of == lost]
            state.taken_back[lost] = tuple(number for number in back if self.deliveries[number].state == "queued")

    def _live(self, subject: int) -> list[Charge]:
        """What is compared with later charges: what waits or was sent, but for what the receiver refused for good."""
        found: list[Charge] = []
        for charge, number in self.charges.values():
            delivery = self.deliveries.get(number) if number is not None else None
            became = delivery.state if delivery is not None else ""
            if charge.subject == subject and charge.state in {"held", "sent"} and became != "rejected":
                found.append(charge._replace(delivery=number, skipped=became == "skipped"))
        return found

    def _around_merges(self, keys: Keys, state: State) -> None:
        for number in keys.originals & self.journal.keys():
            state.originals[number] = self._original(number)
        for merge in self.merges.values():
            if {merge.retired, merge.survivor} & keys.merges:
                state.merges[merge.retired, merge.survivor] = merge
        for number in keys.queued:
            row = self.deliveries[number]
            state.queued[number] = QueuedBytes(self.journal[row.message].peer, self._bytes(number), row.destination)
        for number in keys.origins:
            row = self.deliveries[number]
            message = self.journal[row.message]
            raw = message.raw[message.start : message.end]
            taken_for = self._taken_for(message.id)
            state.origins[number] = Origin(message.id, message.subject, message.peer, raw, row.body, taken_for)
        for key in keys.aftermath:
            state.aftermath[key] = self._aftermath(key)
        for subject, now in keys.open_for:
            theirs = [found for found in self.charges.values() if found[0].subject == subject]
            state.unanswered[subject] = sum(self._unanswered(charge, delivery) for charge, delivery in theirs)
            for one in self.appointments.values():
                if one.subject == subject and one.starts_at is not None and one.starts_at > now:
                    state.appointment_rows[one.id] = one

    def _taken_for(self, message: int) -> Identifier | None:
        said = [closed.taken_for for _, (row, closed) in sorted(self.closed_holds.items()) if row.message == message]
        return next((one for one in reversed(said) if one is not None), None)

    def _aftermath(self, key: AftermathKey) -> Aftermath:
        rows = [row for _, row in sorted(self.journal.items()) if row.subject in key.subjects]
        processed: list[Processed] = []
        for row in rows:
            if row.id <= key.after or row.state == "duplicate" or row.subject is None:
                continue
            copies = [one for _, one in sorted(self.deliveries.items()) if one.message == row.id]
            said = (row.id, row.peer, row.received_at, row.event, row.state, row.row, row.subject)
            processed += [Processed(*said, one.destination, one.state) for one in copies] or [Processed(*said, None, None)]
        own = {row.id for row in rows if row.event.startswith("SIU")}
        schedule = [one for _, one in sorted(self.appointments.items())]
        theirs = [one for one in schedule if one.subject in key.others]
        return Aftermath(
            tuple(processed[:MOST_OF_AFTERMATH]),
            tuple([one for one in schedule if one.subject in key.subjects][:MOST_OF_AFTERMATH]),
            tuple([one for one in theirs if any(step.message in own for step in one.progress)][:MOST_OF_AFTERMATH]),
        )

    def _unanswered(self, charge: Charge, delivery: int | None) -> bool:
        row = self.deliveries.get(delivery) if delivery is not None else None
        if charge.state != "sent" or row is None:
            return charge.state in {"held", "sent"}
        return row.state not in {"accepted", "rejected", "skipped"}

    def _roll_ups(self, keys: Keys, state: State) -> None:
        state.roll_ups.update({number: self.roll_ups.get(number) for number in keys.roll_ups})
        if not keys.entries:
            return
        state.last_roll_up = max(self.roll_ups, default=0)
        standing = {number: one.id for one in self.roll_ups.values() if one.taken_back_at is None for number in one.charges}
        state.entries.update(dict.fromkeys(keys.entries))
        for charge, delivery in self.charges.values():
            if charge.id in keys.entries:
                row = self.deliveries.get(delivery) if delivery is not None else None
                stands = charge.state if charge.state != "sent" else row.state if row is not None else "queued"
                state.entries[charge.id] = Entry(charge.id, charge.message, stands, standing.get(charge.id))

    def _find_holds(self, identifiers: Collection[tuple[str, str]], keys: Keys, state: State) -> None:
        waiting = {f"{kind}:{authority}:{value}" for authority, value in identifiers for kind in ("patient", "target")}
        waiting |= keys.waiting
        waiting |= {f"charge:{transaction}" for _, _, transaction in keys.charges}
        subjects = {patient.subject for patient in state.patients.values()}
        subjects |= {subject_of(Identifier(*key)) for key, number in state.aliases.items() if number is None}
        blocks = {f"record:{subject}" for subject in subjects} | {f"charges:{lane}" for lane in (*state.lanes, *subjects)}
        blocks |= {f"appointment:{reference}" for _, reference in keys.appointments} | keys.blocks
        for row in self.holds.values():
            about = row.key.startswith("appointment:") and self.journal[row.message].subject in keys.appointments_of
            if about or row.key in waiting or (row.blocks and row.blocks in blocks):
                state.holds[row.id] = row

    # -- commit -------------------------------------------------------------------------------------------------------

    async def commit(self, rows: Rows) -> None:
        """All or nothing: what could fail is checked first."""
        self._check()
        if any(row.control_id in self.refuse for row in rows.journal) or self._breaks_a_rule(rows):
            raise StoreRefused("the store refused a row")
        self.commits += 1
        self.patients.update({number: self._kept(patient) for number, patient in rows.patients.items()})
        for identifier, number in rows.aliases:
            self.aliases[identifier.key] = number
        self.journal.update({row.id: row for row in rows.journal})
        for update in rows.updates:
            row = self.journal[update.id]
            self.journal[update.id] = row._replace(
                state=update.state,
                subject=update.subject if update.subject is not None else row.subject,
                row=update.row if update.row is not None else row.row,
                reason=update.reason,
                detail=update.detail if update.detail is not None else row.detail,
            )
        self.appointments.update(rows.appointments)
        for charge, delivery in rows.charges:
            known = self.charges.get((charge.message, charge.line))
            kept = charge if known is None else known[0]._replace(subject=charge.subject, state=charge.state)
            self.charges[charge.message, charge.line] = (kept, delivery)
        for moved in rows.charge_updates:
            known = self.charges.get((moved.message, moved.line))
            if known is not None:
                self.charges[moved.message, moved.line] = (
                    known[0]._replace(state=moved.state, subject=moved.subject),
                    moved.delivery,
                )
        for place, (charge, _) in self.charges.items():
            if charge.message in rows.cancelled and charge.state == "held":
                self.charges[place] = (charge._replace(state="cancelled"), None)
        self.holds.update({row.id: row for row in rows.holds})
        for closed in rows.closed_holds:
            if closed.id in self.holds:
                self.closed_holds[closed.id] = (self.holds.pop(closed.id), closed)
        self._commit_deliveries(rows)
        self.merges.update(rows.merges)
        self.unmerges += rows.unmerges
        self.links.update({one.destination: one.reachable for one in rows.links})
        self.pauses.update({one.destination: one for one in rows.pauses if one.way == "pause"})
        self.drains.update({one.destination: one.reason for one in rows.pauses if one.way == "drain"})
        self.roll_ups.update(rows.roll_ups)
        self.drift += rows.drift
        self.audit += rows.audit
        self._commit_codes(rows)
        self.kept_alarms.update(rows.alarms)
        self.heard.update(rows.heard)

    def _commit_codes(self, rows: Rows) -> None:
        for seen in rows.codes_seen:
            messages = self.codes_seen.setdefault((seen.peer, seen.table, seen.code), [])
            if not messages or seen.message > messages[-1]:
                messages.append(seen.message)
        for entry in rows.codes:
            place = (entry.peer, entry.table, entry.code)
            self.codes.pop(place, None)
            if entry.to is not None:
                self.codes[place] = entry
                self.codes_seen.pop(place, None)

    def _commit_deliveries(self, rows: Rows) -> None:
        self.deliveries.update({row.id: row for row in rows.deliveries})
        self.taken_back.update(rows.taken_back)
        self.resends.update(rows.resends)
        self.deeds.update({one.key: one for one in rows.deeds})
        for mark in rows.marks:
            self.marks[mark.id] = mark
            self.deliveries[mark.id] = self.deliveries[mark.id]._replace(state=mark.state)
        for number, lane in rows.moved:
            self.deliveries[number] = self.deliveries[number]._replace(lane=lane)
        for number in rows.sending:
            if self.deliveries[number].state == "queued":
                self.deliveries[number] = self.deliveries[number]._replace(state="sending")
        for one in {one.id: one for one in rows.rendered}.values():
            known_as = self.deliveries[one.id]
            self.deliveries[one.id] = known_as._replace(body=one.body)
            if one.renewed:
                self.renewed = longest((self.renewed, one.renewed))
                self.deliveries[one.id] = known_as._replace(body=one.body, control_id=one.renewed, state="queued")
                self.marks.pop(one.id, None)
        self.lists.update({progress.id: progress for progress in rows.lists})
        self.list_refusals += rows.list_refusals

    def _breaks_a_rule(self, rows: Rows) -> bool:
        """The unique keys of the schema, as after all of these rows: what a database would refuse."""
        ids: list[tuple[Iterable[int], list[int]]] = [
            (self.journal, [row.id for row in rows.journal]),
            ({**self.holds, **self.closed_holds} if rows.holds else (), [row.id for row in rows.holds]),
            (self.deliveries, [row.id for row in rows.deliveries]),
            ([row.id for row in self.drift] if rows.drift else (), [row.id for row in rows.drift]),
        ]
        if any(len(set(new)) < len(new) or not set(new).isdisjoint(known) for known, new in ids):
            return True
        return self._twin_charges(rows) or self._twin_patients(rows) or self._twin_appointments(rows)

    def _twin_charges(self, rows: Rows) -> bool:
        places = {charge.id: place for place, (charge, _) in self.charges.items()} if rows.charges else {}
        for charge, _ in rows.charges:
            place = (charge.message, charge.line)
            if place not in self.charges and places.setdefault(charge.id, place) != place:
                return True
        return False

    def _twin_patients(self, rows: Rows) -> bool:
        if not rows.patients:
            return False
        patients = {**self.patients, **{number: self._kept(patient) for number, patient in rows.patients.items()}}
        return len({patient.subject for patient in patients.values()}) < len(patients)

    def _twin_appointments(self, rows: Rows) -> bool:
        if not rows.appointments:
            return False
        fillers = [(row.origin, row.filler) for row in ({**self.appointments, **rows.appointments}).values() if row.filler]
        return len(set(fillers)) < len(fillers)

    def _kept(self, patient: Patient) -> Patient:
        """A patient's subject and birth in the registry never change."""
        known = self.patients.get(patient.id)
        return patient if known is None else replace(patient, subject=known.subject, created_at=known.created_at)

    async def retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        """A step of retention."""
        self._check()
        return retire(self, stage, after, ages)

    # -- the outbox's reads -------------------------------------------------------------------------------------------

    async def unreachable(self) -> Collection[Side]:
        """Destinations to which nothing can have been on its way."""
        self._check()
        return [side for side, reachable in self.links.items() if not reachable]

    async def paused(self) -> Mapping[Side, PauseMark]:
        """Destinations to which nothing is sent, each with its mark."""
        self._check()
        return {side: mark for side, mark in self.pauses.items() if mark.reason}

    async def drained(self) -> Mapping[Side, str]:
        """Peers from which nothing is taken, each with why."""
        self._check()
        return {side: reason for side, reason in self.drains.items() if reason}

    async def alarms(self) -> AlarmsKept:
        """What a start finds of them."""
        self._check()
        still = tuple(row for _, row in sorted(self.kept_alarms.items()) if row.resolved_at is None)
        return AlarmsKept(still, max(self.kept_alarms, default=0), tuple(self.heard.items()))

    async def open_deliveries(self) -> Sequence[OpenDelivery]:
        """Everything that is not settled, oldest first."""
        self._check()
        found: list[OpenDelivery] = []
        for row in sorted(self.deliveries.values(), key=lambda row: row.id):
            if row.state in _OPEN:
                mark = self.marks.get(row.id)
                attempts, next_at = (mark.attempts, mark.next_at) if mark is not None else (0, None)
                found.append(
                    OpenDelivery(
                        row.id,
                        row.destination,
                        row.lane,
                        row.stream,
                        row.control_id,
                        row.state,
                        attempts,
                        next_at,
                        row.created_at,
                    )
                )
        return found

    async def body_of(self, delivery: int) -> bytes:
        """The delivery's own bytes, or its message's."""
        self._check()
        if delivery not in self.deliveries:
            raise StoreRefused(f"delivery {delivery} has no bytes")
        return self._bytes(delivery)

    def _bytes(self, delivery: int) -> bytes:
        row = self.deliveries[delivery]
        if row.body is not None:
            return row.body
        message = self.journal[row.message]
        if message.id in self.bodies_removed:
            raise StoreRefused(f"delivery {delivery} has no bytes: they were removed when their retention was over")
        return message.raw[message.start : message.end]


def _side(text: str) -> Side:
    return "pm" if text == "pm" else "emr"


def _as_seen(row: JournalRow) -> Seen:
    return Seen(row.id, row.digest, row.received_at, was_taken(row.ack_code, row.state), row.ack_code, row.answer)
