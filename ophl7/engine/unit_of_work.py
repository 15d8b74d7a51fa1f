"""The open batch: what was loaded, what its messages have changed so far, the rows to commit, and an undo log.

Later messages see earlier ones. A message that fails is undone to its mark and leaves nothing behind: row lists are cut back,
dictionary writes are taken back one by one. Records are immutable, so undoing is assignment, never copying.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ophl7.domain.appointment import ENDED, Appointment
from ophl7.domain.charge import Charge, ChargeLine, counting
from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.merge import Merge, account_of, survivor_on
from ophl7.domain.patient import Patient, Side
from ophl7.engine.code_rows import CodeEntry
from ophl7.engine.ids import Ids
from ophl7.engine.roll_ups import RollUp
from ophl7.engine.storage import (
    ChargeUpdate,
    ClosedHold,
    ClosedHow,
    HeldMessage,
    HoldRow,
    Keys,
    OpenDelivery,
    Parting,
    Rows,
    Seen,
    State,
    Store,
    takes_over,
)
from ophl7.kit import Match
from ophl7.kit.context import Read

if TYPE_CHECKING:
    from ophl7.engine.timing import SenderClock

_ABSENT: Final = object()
_LISTS: Final = (
    "journal",
    "updates",
    "aliases",
    "charges",
    "charge_updates",
    "cancelled",
    "holds",
    "closed_holds",
    "deliveries",
    "marks",
    "links",
    "pauses",
    "drift",
    "audit",
    "united",
    "unmerges",
    "moved",
    "rendered",
    "sending",
    "codes",
    "codes_seen",
    "taken_back",
    "deeds",
)

# The dictionaries of a State that a later load adds to; lanes, holds and what was reused have ways of their own.
_TABLES: Final = (
    "controls",
    "aliases",
    "patients",
    "appointments",
    "appointment_rows",
    "charges",
    "last",
    "held",
    "accepted",
    "merges",
    "queued",
    "unanswered",
    "entries",
    "roll_ups",
    "originals",
    "maps",
    "restored",
    "sets",
    "taken_back",
    "accounts",
    "origins",
    "aftermath",
    "resends",
    "resend_tallies",
    "windows",
    "copies",
    "deeds",
)

_lists_of = attrgetter(*_LISTS)

Mark = tuple[int, ...]
K = TypeVar("K")
V = TypeVar("V")


class UnitOfWork:
    """One batch. Reads raise LookupError for what was not loaded; `fetch` then loads it, and is counted."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store
        self.ids = ids
        self.rows = Rows()
        self.state = State()
        self.extra_reads = 0
        self.current = 0  # journal id of the message being judged
        self.cause: int | None = None  # that of the message whose effects release others
        # Deliveries whose lanes stand still for a merge of this batch: each with whether its bytes may have been tried.
        self.frozen: dict[int, tuple[OpenDelivery, bool]] = {}
        # Every hold ever seen here, by key, by what it blocks, and by message. Only `state.holds` says which are open, so
        # closing one, or undoing that, touches none of these.
        self._by_key: dict[str, list[int]] = {}
        self._by_block: dict[str, list[int]] = {}
        self._by_message: dict[int, list[int]] = {}
        self._cancelled: dict[int, None] = {}  # messages
        self.clocks: dict[Side, SenderClock] = {}  # what the batch has learned of its senders' clocks
        self._log: list[tuple[dict[Any, Any], Any, Any]] = []
        self._fresh: dict[tuple[int, Any], int] = {}  # writes of keys that were not there: (table, key) -> place in the log
        self._loaded = False
        self._asked: list[Keys] = []  # what was loaded, as far as nobody has asked yet which holds that were
        self._read_keys: set[str] = set()

    # -- loading ------------------------------------------------------------------------------------------------------

    async def load(self, keys: Keys, *, small: bool) -> None:
        """Loads the batch's rows."""
        self._asked.append(keys)
        self._merge(await self._store.load(keys, small=small))

    async def fetch(self, keys: Keys) -> None:
        """A read outside of what was loaded."""
        self.extra_reads += 1
        for authority, value, transaction in tuple(keys.charges):
            keys.charges |= {(*mate.key, transaction) for mate in self._lane_ids((authority, value))}
        for authority, value, same_set in tuple(keys.sets):
            keys.sets |= {(*mate.key, same_set) for mate in self._lane_ids((authority, value))}
        self._asked.append(keys)
        self._merge(await self._store.load(keys, small=True))

    def _lane_ids(self, identifier: tuple[str, str]) -> Iterator[Identifier]:
        """Every id of everybody in that patient's lane: the store does not know yet who was registered in this batch."""
        number = self.state.aliases.get(identifier)
        if number is not None:
            for mate in self.members_of(self.state.patients[number].lane):
                yield from mate.identifiers

    async def read(self, request: Read) -> None:
        """What a suspended Context read asks for."""
        keys = Keys()
        if request.kind == "patient":
            authority, value = request.key
            keys.identifiers.add((authority, value))
        elif request.kind == "appointment":
            origin, reference = request.key
            keys.appointments.add(("pm" if origin == "pm" else "emr", reference))
        elif request.kind == "account":
            keys.accounts.add(request.key[0])
        elif request.kind == "open":
            subject, now = request.key
            keys.open_for.add((int(subject), float(now)))
        elif request.kind == "map":
            peer, table, code = request.key
            keys.maps.add(("pm" if peer == "pm" else "emr", table, code))
        elif request.kind == "repeat":
            authority, value, same_set = request.key
            keys.sets.add((authority, value, bytes.fromhex(same_set)))
        else:
            authority, value, transaction = request.key
            keys.charges.add((authority, value, transaction))
        await self.fetch(keys)

    def _merge(self, loaded: State) -> None:
        """What this batch has written already wins over what the store still holds."""
        if not self._loaded and not self._log:  # the batch's own load
            self._loaded = True
            self.state = loaded
            for row in loaded.holds.values():
                self._index_hold(row)
            return
        state = self.state
        for name in _TABLES:
            ours: dict[Any, Any] = getattr(state, name)
            theirs: dict[Any, Any] = getattr(loaded, name)
            if ours:
                for key, value in theirs.items():
                    if key in ours:
                        self._load_under(ours, key, value)
                    else:
                        ours[key] = value
            else:
                ours.update(theirs)
        for lane, members in loaded.lanes.items():
            state.lanes[lane] = tuple(sorted({*members, *state.lanes.get(lane, ())}))
        state.reused |= loaded.reused
        state.last_roll_up = max(state.last_roll_up, loaded.last_roll_up)
        state.last_resend = max(state.last_resend, loaded.last_resend)
        closed = {closed.id for closed in self.rows.closed_holds}
        for row in loaded.holds.values():
            if row.id not in state.holds and row.id not in closed:
                state.holds[row.id] = row
                self._index_hold(row)

    def _load_under(self, table: dict[K, V], key: K, value: V) -> None:
        """What an undo would find under a write of this batch, where the key was not loaded when it was written."""
        position = self._fresh.pop((id(table), key), None)
        if position is not None:
            self._log[position] = (table, key, value)

    # -- undo ---------------------------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """Where a message begins."""
        return (len(self._log), *map(len, _lists_of(self.rows)))

    def undo(self, mark: Mark) -> None:
        """Takes everything back to the mark."""
        log = self._log
        while len(log) > mark[0]:
            table, key, old = log.pop()
            if old is _ABSENT:
                del table[key]
                self._fresh.pop((id(table), key), None)
            else:
                table[key] = old
        for name, length in zip(_LISTS, mark[1:], strict=True):
            del getattr(self.rows, name)[length:]

    def put(self, table: dict[K, V], key: K, value: V) -> None:
        """A dictionary write that can be undone."""
        old = table.get(key, _ABSENT)
        if old is _ABSENT:
            self._fresh[id(table), key] = len(self._log)
        self._log.append((table, key, old))
        table[key] = value

    def drop(self, table: dict[K, V], key: K) -> None:
        """A dictionary removal that can be undone."""
        self._log.append((table, key, table.pop(key)))

    # -- reading (kit.View) -------------------------------------------------------------------------------------------

    def patient(self, identifier: tuple[str, str]) -> Patient | None:
        """The patient with that id. Raises LookupError when it was not loaded."""
        number = self.state.aliases[identifier]
        return None if number is None else self.state.patients[number]

    def appointment(self, origin: Side, reference: str) -> Appointment | None:
        """The appointment with that reference. Raises LookupError when it was not loaded."""
        number = self.state.appointments[origin, reference]
        return None if number is None else self.state.appointment_rows[number]

    def charge(self, match: Match, line: ChargeLine) -> Charge | None:
        """The live charge of anybody in the patient's lane, but for what came later and waits; see kit.Context.charge.

        Raises LookupError when it was not loaded.
        """
        counts: Charge | None = None
        same: Charge | None = None
        for subject in self.subjects_of(match):
            found = self.state.charges[subject, line.transaction_id]  # loaded with it: what is compared under another name
            if line.identity != line.transaction_id:
                found = self.state.charges.get((subject, line.identity))
            found = self._alive(found)
            if found is None or found.message == self.current or (found.state == "held" and found.message > self.current):
                continue
            counts = counting(counts, found)
            if (found.kind, found.content) == (line.kind, line.content):
                same = counting(same, found)  # two charts of one patient may each have had their own (#48)
        # After a credit the same charge again is a new decision, a person's: then the credit counts.
        return same if same is not None and counts is not None and (same.state, same.verb) == ("sent", counts.verb) else counts

    def repeated(self, match: Match, same_set: bytes) -> int | None:
        """The first live message before this one with that set of charges (#57). Raises LookupError when it was not loaded."""
        found = [
            row.message for subject in self.subjects_of(match) for row in self.state.sets[subject, same_set] if self._alive(row)
        ]
        return min((number for number in found if number < self.current), default=None)

    def mates(self, patient: Patient) -> list[Patient]:
        """Everybody whom either side's merges join with this patient, himself included."""
        if len(self.state.lanes.get(patient.lane, ())) < 2:
            return [patient]  # nearly everybody
        return self.members_of(patient.lane) or [patient]

    def survivor(self, patient: Patient, side: Side) -> Patient:
        """Whose chart it is on that side by now."""
        return survivor_on(side, patient, self.state.patients)

    def open_business(self, subject: int, now: float) -> str:
        """What is still open about a patient (#12), "" for nothing. Raises LookupError when it was not loaded."""
        unanswered = self.state.unanswered[subject]
        unanswered += sum(charge.subject == subject and charge.state in {"held", "sent"} for charge, _ in self.rows.charges)
        if unanswered:
            return "charges that the PM has not answered"
        if any(_to_come(row, subject, now) for row in self.state.appointment_rows.values()):
            return "an appointment that is to come"
        return ""

    def entered(self, peer: Side, table: str, code: str) -> str | None:
        """A person's entry in a code table. Raises LookupError when it was not loaded."""
        return self.state.maps[peer, table, code]

    def account_holders(self, account: str) -> list[Patient]:
        """Everybody whose account (PID-18) that is by now. Raises LookupError when it was not loaded."""
        found = {number: self.state.patients[number] for number in self.state.accounts[account]}
        found |= self.rows.patients  # who has got it, or lost it, in this batch
        return [one for _, one in sorted(found.items()) if account_of(one) == account]

    def members_of(self, lane: int) -> list[Patient]:
        """Everybody in that lane, as the batch has them. `state.lanes` names all who ever were: it needs no undoing."""
        patients = self.state.patients
        found = (patients[number] for number in self.state.lanes.get(lane, ()) if number in patients)
        return [patient for patient in found if patient.lane == lane]

    def source_of(self, message: int) -> tuple[Side, bytes]:
        """Sender and bytes of a message of this batch, of one that left custody in it, or of which it sends a copy again."""
        held = self.state.held.get(message)
        if held is not None:
            return held.peer, held.raw[held.start : held.end]
        row = next((row for row in reversed(self.rows.journal) if row.id == message), None)
        if row is None:
            origin = next(one for one in self.state.origins.values() if one.message == message)
            return origin.peer, origin.raw
        return row.peer, row.raw[row.start : row.end]

    def subjects_of(self, match: Match) -> Iterator[int]:
        """Everybody whose charges are the same patient's: the lane's members, and ids that nobody has yet."""
        if match.patient is not None:
            for mate in self.mates(match.patient):
                yield mate.subject
        else:
            for identifier in match.named.keys:
                yield subject_of(identifier)

    # -- writing ------------------------------------------------------------------------------------------------------

    def save_patient(self, patient: Patient) -> None:
        """Adds or replaces a patient."""
        self.put(self.state.patients, patient.id, patient)
        self.put(self.rows.patients, patient.id, patient)
        members = self.state.lanes.get(patient.lane, ())
        if patient.id not in members:
            self.state.lanes[patient.lane] = (*members, patient.id)

    def link(self, identifier: Identifier, patient: Patient) -> None:
        """From now on this id means that patient."""
        self.put(self.state.aliases, identifier.key, patient.id)
        self.rows.aliases.append((identifier, patient.id))

    def save_appointment(self, appointment: Appointment) -> None:
        """Adds or replaces an appointment."""
        self.put(self.state.appointment_rows, appointment.id, appointment)
        self.put(self.rows.appointments, appointment.id, appointment)
        for reference in (appointment.filler, appointment.placer):
            place = (appointment.origin, reference)
            if reference and takes_over(self.state, self.state.appointments.get(place), appointment, reference):
                self.put(self.state.appointments, place, appointment.id)

    def add_charge(self, charge: Charge) -> None:
        """Adds a ledger row; a live one is found by later messages of this batch."""
        if charge.state in ("held", "sent"):
            self._make_known(charge)
        self.rows.charges.append((charge, charge.delivery))
        if any((moved.message, moved.line) == (charge.message, charge.line) for moved in self.rows.charge_updates):
            # What this batch had said of the same line is written after all inserts: so is what has become of it since.
            self.rows.charge_updates.append(
                ChargeUpdate(charge.message, charge.line, charge.state, charge.subject, charge.delivery)
            )

    def _make_known(self, charge: Charge) -> None:
        if charge.transaction_id:
            place = (charge.subject, charge.identity)
            known = self._alive(self.state.charges.get(place))
            own = known is not None and (known.message, known.line) == (charge.message, charge.line)
            self.put(self.state.charges, place, charge if own else counting(known, charge))
        if charge.same_set:
            subject_set = (charge.subject, charge.same_set)
            others = (row for row in self.state.sets.get(subject_set, ()) if row.message != charge.message)
            self.put(self.state.sets, subject_set, (*others, charge))

    def add_hold(self, row: HoldRow, message: HeldMessage | None) -> None:
        """Takes custody of a message; None when it is in custody already and was not loaded."""
        self.put(self.state.holds, row.id, row)
        if message is not None:
            self.put(self.state.held, row.message, message)
        self._index_hold(row)
        self.rows.holds.append(row)

    def close_hold(
        self,
        row: HoldRow,
        at: float,
        how: ClosedHow,
        by: str | None = None,
        reason: str | None = None,
        taken_for: Identifier | None = None,
    ) -> None:
        """The condition cleared, or a person decided. A hold made in this batch is closed in it all the same."""
        cause = self.cause if by is None else None
        self.rows.closed_holds.append(ClosedHold(row.id, at, how, by, reason, cause, taken_for))
        self.drop(self.state.holds, row.id)

    def accept(self, row: HoldRow) -> None:
        """A person sets this hold's condition aside, for its message and for good."""
        self.put(self.state.accepted, row.message, (*self.accepted_of(row.message), (row.key, row.reason)))

    def take_for(self, message: int, patient: Identifier) -> None:
        """A person says whose a held message is, for this message and for good."""
        self.put(self.state.held, message, replace(self.state.held[message], taken_for=patient))

    def accepted_of(self, message: int) -> tuple[tuple[str, str], ...]:
        """Key and reason of each condition that a person has set aside for a held message."""
        return self.state.accepted.get(message, ())

    def enter_code(self, entry: CodeEntry) -> None:
        """From now on this is what a person has said of a code."""
        self.put(self.state.maps, (entry.peer, entry.table, entry.code), entry.to)
        self.rows.codes.append(entry)

    def cancel_charges(self, message: int) -> None:
        """The charges of a held message will never be sent: nobody is compared with them any more."""
        self.put(self._cancelled, message, None)
        self.rows.cancelled.append(message)

    def _alive(self, charge: Charge | None) -> Charge | None:
        """What a batch has loaded may have been cancelled in it."""
        return None if charge is None or (charge.message in self._cancelled and charge.state == "held") else charge

    def holds_of(self, message: int) -> list[HoldRow]:
        """The open holds of one message, oldest first."""
        return [row for row in self._open(self._by_message.get(message, ())) if row.message == message]

    def waiting_for(self, key: str) -> list[HoldRow]:
        """The open holds with that key, oldest first."""
        return [row for row in self._open(self._by_key.get(key, ())) if row.key == key]

    def has_read_holds_of(self, key: str) -> bool:
        """Whether the store was asked for the holds with this key: with the ids and charges of a message, or by name."""
        for keys in self._asked:
            ids = keys.identifiers | {(authority, value) for authority, value, _ in keys.charges}
            self._read_keys |= {f"{kind}:{authority}:{value}" for authority, value in ids for kind in ("patient", "target")}
            self._read_keys |= keys.waiting
        self._asked.clear()
        return key in self._read_keys or key.startswith(("charge:", "appointment:"))

    def blocking(self, scope: str) -> list[HoldRow]:
        """The open holds that make later messages of that object wait, oldest first."""
        return [row for row in self._open(self._by_block.get(scope, ())) if row.blocks == scope]

    def _open(self, numbers: Collection[int]) -> list[HoldRow]:
        holds = self.state.holds
        return [holds[number] for number in sorted(set(numbers)) if number in holds]

    def save_merge(self, merge: Merge) -> None:
        """Adds or replaces a pair."""
        self.put(self.state.merges, (merge.retired, merge.survivor), merge)
        self.put(self.rows.merges, merge.id, merge)

    def save_roll_up(self, one: RollUp) -> None:
        """Adds or replaces a biller's note; whoever comes later in this batch sees whether its charges are taken."""
        self.put(self.state.roll_ups, one.id, one)
        self.put(self.rows.roll_ups, one.id, one)
        for number in one.charges:
            entry = self.state.entries.get(number)
            if entry is not None:
                self.put(self.state.entries, number, entry._replace(roll_up=one.id if one.taken_back_at is None else None))

    def unite(self, lane: int, into: int, at: float) -> None:
        """From now on everybody of `lane` belongs to `into`, and what blocks the one's charges blocks the other's."""
        for mate in self.members_of(lane):
            self.save_patient(replace(mate, lane=into))
        for row in self.blocking(f"charges:{lane}"):
            self.close_hold(row, at, "renewed")
            self.add_hold(replace(row, id=self.ids.next("hold"), blocks=f"charges:{into}"), self.state.held.get(row.message))
        self.rows.united.append((lane, into))

    def united_with(self, lanes: Collection[int]) -> set[int]:
        """These lanes, and those that they are made of in this batch: the outbox does not know of it yet."""
        found = set(lanes)
        for step in reversed(self.rows.united):
            lane, into = (step.lane, step.into) if isinstance(step, Parting) else step
            if into in found:
                found.add(lane)
        return found

    def part(self, people: Collection[Patient], into: int, deliveries: Collection[int]) -> None:
        """These people are a lane of their own again, with what waits for them (#73); the rest of theirs goes on as it is."""
        (lane,) = {one.lane for one in people}
        for one in people:
            self.save_patient(replace(one, lane=into))
        self.rows.moved += [(number, into) for number in sorted(deliveries)]
        self.rows.united.append(Parting(lane, into, frozenset(deliveries)))

    def remember(self, peer: Side, control_id: str, digest: bytes, seen: Seen) -> None:
        """A second copy, in this batch or later, meets this answer."""
        self.put(self.state.controls, (peer, control_id, digest), seen)
        self.state.reused.add((peer, control_id))

    def remember_last(self, peer: Side, subject: int, seen: Seen) -> None:
        """The last message of a lane whose sender's control ids are weak (#86)."""
        self.put(self.state.last, (peer, subject), seen)

    def _index_hold(self, row: HoldRow) -> None:
        self._by_key.setdefault(row.key, []).append(row.id)
        self._by_message.setdefault(row.message, []).append(row.id)
        if row.blocks:
            self._by_block.setdefault(row.blocks, []).append(row.id)


def _to_come(row: Appointment, subject: int, now: float) -> bool:
    return row.subject == subject and row.starts_at is not None and row.starts_at > now and row.status not in ENDED
