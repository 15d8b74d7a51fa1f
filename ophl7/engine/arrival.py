"""A message on the road: read once, with the keys of everything that it can touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ophl7.domain.booking import read_visit
from ophl7.domain.charge_reading import read_charges, usable_ids
from ophl7.domain.coding import codes_in
from ophl7.domain.identifiers import NOBODY, Identifier, NamedPatient, Naming, named_patient, subject_of, subject_of_block
from ophl7.domain.merge import MERGE_TRIGGERS, read_merges
from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.engine.storage import HeldMessage, Keys
from ophl7.errors import Unreadable
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import SetField, rewrite

Timing = Literal["judged", "by_hand", "never"]


@dataclass(frozen=True, slots=True)
class Replay:
    """message: the one that came. settled: runs of it whose charges count no more, for this one's do.

    taken: whether it has been taken already, so that a copy that arrives meets that answer (#84).
    """

    message: int
    settled: tuple[int, ...]
    taken: bool


@dataclass(slots=True)
class Arrival:
    """One message of a frame. message: None when it is unreadable, `trouble` then says why.

    raw: the bytes of the whole frame; start, end: the member's place in it. notes: what is wrong with the frame around it.
    timing: whether it may be stale (#87); by_hand: a person applies it although it is; never: it leaves no watermark either.
    replay: what it repeats, when a person has it judged again. spared: sides that get no copy of it: they have had one.
    renamed: it names another patient than it did when it came: a person has said whose it is.
    """

    peer: Side
    connection: int
    received_at: float
    raw: bytes
    start: int
    end: int
    message: Message | None
    trouble: Unreadable | None
    named: NamedPatient
    digest: bytes
    subject: int | None
    weak: bool
    notes: tuple[str, ...] = ()
    timing: Timing = "judged"
    replay: Replay | None = None
    spared: tuple[Side, ...] = ()
    renamed: bool = False

    @property
    def body(self) -> bytes:
        """The member's own bytes."""
        return self.raw if self.start == 0 and self.end == len(self.raw) else self.raw[self.start : self.end]


def read_arrival(peer: Side, connection: int, received_at: float, raw: bytes, start: int, end: int, policy: Policy) -> Arrival:
    """Reads a member's header and its names; never raises."""
    body = raw if start == 0 and end == len(raw) else raw[start:end]
    peer_policy = policy.peers[peer]
    try:
        message = Message.parse(body, peer_policy.encoding)
    except Unreadable as trouble:
        return Arrival(peer, connection, received_at, raw, start, end, None, trouble, NOBODY, b"", None, weak=False)
    named = named_patient(message.first("PID"), policy.namings[peer])
    weak = peer_policy.weak_control_ids or not message.control_id
    return Arrival(
        peer,
        connection,
        received_at,
        raw,
        start,
        end,
        message,
        None,
        named,
        message.digest(weak),
        _subject(peer, message, named),
        weak,
    )


def read_held(held: HeldMessage, policy: Policy) -> tuple[Arrival, Message]:
    """The same for a message in our custody. Raises Unreadable when the peer's settings make it so: it was readable then."""
    arrival = read_arrival(held.peer, 0, held.received_at, held.raw, held.start, held.end, policy)
    if arrival.message is None:
        raise arrival.trouble or Unreadable("a message in custody cannot be read any more")
    arrival.spared = held.spared
    if held.taken_for is None:
        return arrival, arrival.message
    raw = renamed(arrival.message, held.taken_for, f"HELD{held.message}", policy.namings[held.peer])
    arrival = read_arrival(held.peer, 0, held.received_at, raw, 0, len(raw), policy)
    if arrival.message is None:
        raise arrival.trouble or Unreadable("a redirected message cannot be read")
    arrival.spared, arrival.renamed = held.spared, True
    return arrival, arrival.message


def renamed(message: Message, patient: Identifier, control_id: str, naming: Naming) -> bytes:
    """The message as if it had named this patient: his id stands alone where its sender puts key ids, the others are empty."""
    pid = message.first("PID")
    if pid is None:
        return rewrite(message, control_id)
    place, *_ = naming.keys
    kind = patient.type if patient.type in naming.types else "MR" if "MR" in naming.types else min(naming.types)
    value, authority = (escape(part, STANDARD) for part in (patient.value, patient.authority))
    edits = [SetField(pid.index, place, f"{value}^^^{authority}^{kind}")]
    others = {2, 3, 4, *naming.keys, *naming.ours} - {place}
    edits += [SetField(pid.index, number, "") for number in sorted(others) if pid.field(number)]
    return rewrite(message, control_id, edits)


def _subject(peer: Side, message: Message, named: NamedPatient) -> int | None:
    if named.keys:
        return subject_of(named.keys[0])
    if message.type == "SIU":
        references = _references(message)
        if references:
            return subject_of_block(peer, references[0])
    return None


def _references(message: Message) -> list[str]:
    """SCH-2 and SCH-1, as far as they are there."""
    sch = message.first("SCH")
    return [] if sch is None else [reference for reference in (sch.lead(2), sch.lead(1)) if reference]


def collect_keys(arrival: Arrival, keys: Keys, policy: Policy) -> None:
    """Adds what this message can touch: its duplicate, its patient, its appointment, its charges."""
    message = arrival.message
    if message is None:
        return
    if not arrival.weak:
        keys.controls.add((arrival.peer, message.control_id, arrival.digest))
    elif arrival.subject is not None:
        authority, value = arrival.named.keys[0].key if arrival.named.keys else ("", "")
        keys.last.add((arrival.peer, arrival.subject, authority, value))
    for identifier in arrival.named.keys:
        keys.identifiers.add(identifier.key)
    tables = policy.peers[arrival.peer].profile.maps
    if tables:
        keys.maps |= {(arrival.peer, table, code) for table, code in codes_in(message, tables)}
    if message.type == "ADT":
        keys.identifiers |= _merged(arrival, message, policy)
        keys.appointments |= _visited(arrival, message, policy)
    elif message.type == "SIU":
        origin = policy.schedule_authority if arrival.named.keys else arrival.peer
        keys.appointments |= {(origin, reference) for reference in _references(message)}
        keys.blocks |= {f"resources:{reference}" for reference in _references(message)}
    elif message.type == "DFT":
        _collect_charges(arrival, message, keys, policy)


def _collect_charges(arrival: Arrival, message: Message, keys: Keys, policy: Policy) -> None:
    """By FT1-2, and what has none of its own as a set (#57); the visit may be an appointment of the patient's (#47)."""
    charges = message.all("FT1")
    for transaction in {ft1.lead(2) for ft1 in charges}:
        if transaction:
            for identifier in arrival.named.keys:
                keys.charges.add((*identifier.key, transaction))
    if len(usable_ids(message)) < len(charges):
        for line in read_charges(message, policy.peers[arrival.peer].profile.charges):
            if line.same_set:
                keys.sets |= {(*identifier.key, line.same_set) for identifier in arrival.named.keys}
    visit = message.first("PV1")
    number = visit.lead(19) if visit is not None else ""
    if number:
        keys.appointments.add((policy.schedule_authority, number))


def _visited(arrival: Arrival, message: Message, policy: Policy) -> set[tuple[Side, str]]:
    """The appointment whose progress an ADT of the schedule's owner says (#23); nothing for nearly all."""
    if arrival.peer != policy.schedule_authority:
        return set()
    visit = read_visit(message, policy.peers[arrival.peer].profile.schedule)
    return {(arrival.peer, visit)} if visit else set()


def _merged(arrival: Arrival, message: Message, policy: Policy) -> set[tuple[str, str]]:
    """Both ends of every pair of a merge message; nothing for any other."""
    if message.trigger not in MERGE_TRIGGERS:
        return set()
    pairs = read_merges(message, policy.namings[arrival.peer])
    return {identifier.key for pair in pairs for identifier in (*pair.survivor.keys, *pair.retired.keys)}
