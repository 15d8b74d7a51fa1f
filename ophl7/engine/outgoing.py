"""The copy that leaves: byte for byte what came, but for our control id and what a rule, or the receiver, makes necessary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ophl7.domain.changes import AddCharge, SetField
from ophl7.domain.identifiers import Identifier, NamedPatient, Naming, identifier_from_cx, named_patient
from ophl7.domain.patient import SNAPSHOT_SEGMENTS, Patient, Side, first_field
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Outcome
from ophl7.engine.coding import beside
from ophl7.engine.ruling import Ruling
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, InsertAfter, rewrite
from ophl7.hl7v2.rewrite import SetField as WriteField
from ophl7.hl7v2.segment import Segment

_KEY_IDS = 3  # PID-3, the list of key ids
DELETE = '""'


def render(
    message: Message,
    control_id: str,
    ruling: Ruling,
    patient: Patient | None,
    address: Address | None,
    only: Collection[str] | None = None,
    more: Sequence[Edit] = (),
) -> bytes | None:
    """The body to send, None when it is the received bytes with our control id (the usual case: stored once).

    patient: whom the message is about, as he is by now; None for none. address: None when it names him as the receiver knows
    him. only: see domain.changes.Deliver. more: what the profiles change, where the rules leave it alone.
    Raises Unwritable for a value that the message's charset lacks.
    """
    edits = _deletions(message, ruling, only)
    if any(not judged.applies for judged in ruling.judged):
        edits += _owners_values(message, ruling, only)
        edits += _without_known_charges(ruling)
    if patient is not None and address is not None:
        if only is not None:
            edits = beside(edits, _as_known(message, patient, only, address))
        supplied, expected = address.supplied(ruling.match.named, patient), address.expected
        edits += _addressed(message, address.mapping, supplied, address.naming, address.receiver, address.policy, expected)
    edits = beside(edits, more) if more else edits
    return rewrite(message, control_id, edits) if edits else None


@dataclass(frozen=True, slots=True)
class Address:
    """How the receiving side `to` knows the patient. mapping: id -> survivor, for charts that it has merged away.

    own: whose chart it is on the sender's side by now; theirs: on the receiver's.
    """

    peer: Side
    to: Side
    policy: Policy
    mapping: Mapping[tuple[str, str], Patient]
    own: Patient | None = None
    theirs: Patient | None = None

    @property
    def naming(self) -> Naming:
        """How the sender names patients."""
        return self.policy.namings[self.peer]

    @property
    def receiver(self) -> Naming:
        """How the receiver does."""
        return self.policy.namings[self.to]

    @property
    def expected(self) -> Identifier | None:
        """The receiver's own id of the patient, where it looks for it elsewhere than in the list of ids (`expects`)."""
        naming = self.receiver
        if naming.expects == _KEY_IDS or self.theirs is None:
            return None
        return self.theirs.identifier_of(naming.authority, naming.types)

    def supplied(self, said: NamedPatient, patient: Patient) -> Identifier | None:
        """The id by which the patients' owner knows him, when the other side named him without it (contract 4).

        Nothing is supplied to what the owner says itself: by whichever id it names him, it leaves as it came. An id of the
        owner's that stands elsewhere by the sender's profile (`ours`) is not where the owner looks for it.
        """
        authority = self.policy.authority_of(self.policy.patient_authority)
        if self.peer == self.policy.patient_authority:
            return None
        elsewhere = bool(self.naming.ours) and self.receiver.expects == _KEY_IDS
        if not elsewhere and any(one.authority == authority for one in said.keys):
            return None
        named = next((self.mapping[one.key] for one in said.keys if one.key in self.mapping), patient)
        types = self.policy.key_types(authority)
        known = named.identifier_of(authority, types)
        # A chart that only its own side knew, and has merged: the owner knows the one that it went into (#64).
        return known if known is not None or self.own is None else self.own.identifier_of(authority, types)


def readdressed(
    body: bytes, control_id: str, mapping: Mapping[tuple[str, str], Patient], policy: Policy, sender: Side, to: Side
) -> bytes | None:
    """A body that waits, for the survivors of `mapping`; None when it names nobody whom that changes."""
    message = Message.parse_lenient(body, policy.peers[sender].encoding)
    edits = _addressed(message, mapping, None, policy.namings[sender], policy.namings[to], policy)
    return rewrite(message, control_id, edits) if edits else None


def addressed_again(
    original: Message, body: bytes, control_id: str, address: Address, patient: Patient, back: Collection[tuple[str, str]]
) -> bytes | None:
    """A body that waits, with the ids of its message as the receiver knows them without a redirect (#73).

    back: ids that the redirect led away. None when that changes nothing.
    """
    naming, encoding = address.naming, address.policy.peers[address.peer].encoding
    sent, came = Message.parse_lenient(body, encoding), original.first("PID")
    pid = sent.first("PID")
    if pid is None or came is None:
        return None
    expects = address.receiver.expects
    edits: list[Edit] = [
        WriteField(pid.index, number, came.canonical(number))
        for number in sorted({_KEY_IDS, 2, 4, *naming.keys, *naming.ours, expects})
        if number in {_KEY_IDS, expects} or not _keys_in(came, number, naming.authority_in(number)).isdisjoint(back)
    ]
    as_it_came = Message.parse_lenient(rewrite(sent, control_id, edits), encoding)
    supplied = address.supplied(named_patient(came, naming), patient)
    edits = _addressed(as_it_came, address.mapping, supplied, naming, address.receiver, address.policy, address.expected)
    again = rewrite(as_it_came, control_id, edits)
    return None if again == rewrite(sent, control_id) else again


def _keys_in(pid: Segment, number: int, authority: str) -> set[tuple[str, str]]:
    found = [identifier_from_cx(pid, raw, authority) for raw in pid.repetitions(number)]
    return {one.key for one in found if one is not None}


def _owners_values(message: Message, ruling: Ruling, only: Collection[str] | None) -> list[Edit]:
    """Where a value was not taken, the owner's current one leaves in its place (decisions 3). only: see `_as_known`."""
    edits: list[Edit] = []
    for judged in ruling.judged:
        change, verdict = judged.change, judged.verdict
        if not isinstance(change, SetField) or verdict is None or verdict.outcome is not Outcome.STRIP:
            continue
        if only is not None and change.path not in only:
            continue
        name, _, number = change.path.partition("-")
        segments = message.all(name)
        if number:
            edits += [WriteField(segment.index, int(number), change.current or "") for segment in segments]
            continue
        edits += [DropSegment(segment.index) for segment in segments]
        if change.current and segments:
            before = segments[0].index - 1
            edits += [InsertAfter(before, line) for line in change.current.split("\r")]
    return edits


def _deletions(message: Message, ruling: Ruling, only: Collection[str] | None) -> list[Edit]:
    """A blank that means delete by its sender's profile leaves as the delete indicator: to others it says nothing (P5)."""
    edits: list[Edit] = []
    for judged in ruling.judged:
        change = judged.change
        if not isinstance(change, SetField) or isinstance(change.value, str) or not judged.applies:
            continue
        if only is not None and change.path not in only:
            continue
        name, _, number = change.path.partition("-")
        segments = message.all(name)
        if number:
            fields = [(segment, int(number)) for segment in segments if '""' not in segment.canonical(int(number))]
            edits += [WriteField(segment.index, field, DELETE) for segment, field in fields]
        elif segments and '""' not in segments[0].canonical_line:
            edits.append(WriteField(segments[0].index, first_field(name), DELETE))
            edits += [DropSegment(segment.index) for segment in segments[1:]]
    return edits


def _without_known_charges(ruling: Ruling) -> list[Edit]:
    """A DFT leaves with its new charges only (decisions 5)."""
    return [
        DropSegment(index)
        for judged in ruling.judged
        if isinstance(judged.change, AddCharge) and not judged.applies
        for index in judged.change.line.segments
    ]


def _as_known(message: Message, patient: Patient, only: Collection[str], address: Address) -> list[Edit]:
    """The other side's edit, for the owner: the fields of which it wants to hear, and its own as the registry has them (#5).

    So nothing leaves that was not taken or is not wanted, and no field of the owner's leaves empty that has a value. Ids are
    left as they are.
    """
    pid = message.first("PID")
    edits: list[Edit] = []
    ids = {"PID-1", "PID-3", *address.naming.own_places}
    owner_of = address.policy.field_owners.of
    unwanted = {path for path in patient.fields if path not in only and owner_of(path) == address.peer}
    ours = {path: value for path, value in patient.fields.items() if path not in unwanted}
    if pid is not None:
        known = [int(path.removeprefix("PID-")) for path in ours if path.startswith("PID-")]
        for number in range(1, max(len(pid), *known, 0) + 1):
            path, said = f"PID-{number}", pid.canonical(number)
            current = ours.get(path, "")
            if path not in ids and said != current and not (path in only and said.strip("^~& ")):
                edits.append(WriteField(pid.index, number, current))
    for name in SNAPSHOT_SEGMENTS:
        segments = message.all(name)
        if name not in only and segments:
            edits += [DropSegment(segment.index) for segment in segments]
            edits += [InsertAfter(segments[0].index - 1, line) for line in ours.get(name, "").split("\r") if line]
    return edits


def _addressed(
    message: Message,
    mapping: Mapping[tuple[str, str], Patient],
    supplied: Identifier | None,
    sender: Naming,
    receiver: Naming,
    policy: Policy,
    expected: Identifier | None = None,
) -> list[Edit]:
    """The ids in PID as the receiver knows him: retired ones become the survivor's of the same authority (decisions 6)."""
    pid = message.first("PID")
    if pid is None or not (mapping or supplied or expected):
        return []
    edits: list[Edit] = []
    ids = _Ids(pid, _KEY_IDS, mapping, sender, policy.key_types)
    numbers = sorted({2, 4, *sender.keys, *sender.ours, receiver.expects} - {_KEY_IDS}) if mapping else ()
    others = [(number, _Ids(pid, number, mapping, sender, policy.key_types, receiver)) for number in numbers]
    there = bool(sender.ours) and supplied is not None and ids.has(supplied.authority, policy.key_types(supplied.authority))
    if supplied is not None and not there:
        ids.put_first(supplied)
    for lost in (ids.lost, *(one.lost for _, one in others)):
        if lost is not None:  # he was named by an id that the survivor has none like: he is named by his own
            ids.put_first(lost.key)
    for number, one in ((_KEY_IDS, ids), *others):
        if one.changed:
            edits.append(WriteField(pid.index, number, one.text))
    if expected is not None:
        value = escape(expected.value, STANDARD)
        if value != pid.canonical(receiver.expects):
            edits.append(WriteField(pid.index, receiver.expects, value))
    return edits


class _Ids:
    """One list of ids (CX), rewritten."""

    def __init__(
        self,
        pid: Segment,
        number: int,
        mapping: Mapping[tuple[str, str], Patient],
        sender: Naming,
        types_of: Callable[[str], Collection[str]],
        receiver: Naming | None = None,
    ) -> None:
        """types_of: authority -> types of its key ids. receiver: where it expects its own id, that was put there by us."""
        self._kept: list[str] = []
        self.changed = False
        canonical = pid.canonical(number).split("~") if pid.field(number) else []
        ours = receiver is not None and number == receiver.expects
        authority = receiver.authority if ours and receiver is not None else sender.authority_in(number)
        read = [identifier_from_cx(pid, raw, authority) for raw in pid.repetitions(number)]
        keys = number in sender.ours or ours
        leads = [mapping.get(one.key) if one is not None and (keys or one.type in sender.types) else None for one in read]
        # What is named anyway is not named twice: a retired id beside the survivor's own just leaves.
        self._named = {one.key for one, survivor in zip(read, leads, strict=True) if one is not None and survivor is None}
        self._read = [one for one in read if one is not None]
        self.lost: Patient | None = None  # the survivor, where nothing in this list names him any more
        for identifier, survivor, text in zip(read, leads, canonical, strict=True):
            if identifier is None or survivor is None:
                self._kept.append(text)
                continue
            self.changed = True
            own = survivor.identifier_of(identifier.authority, types_of(identifier.authority))
            if own is None:
                self.lost = survivor  # he has no id of that authority: a retired one beside his would name two charts
            elif own.key not in self._named:
                self._named.add(own.key)
                self._kept.append("^".join([escape(own.value, STANDARD), *text.split("^")[1:]]))
        if self.lost is not None and not self._named.isdisjoint(one.key for one in self.lost.identifiers):
            self.lost = None

    def has(self, authority: str, types: Collection[str]) -> bool:
        """Whether a key id of this authority stands there."""
        return any(one.authority == authority and one.type in types for one in self._read)

    def put_first(self, identifier: Identifier) -> None:
        """This id stands before the others, unless it is there already."""
        if identifier.key in self._named:
            return
        self._named.add(identifier.key)
        value, authority = escape(identifier.value, STANDARD), escape(identifier.authority, STANDARD)
        self._kept.insert(0, f"{value}^^^{authority}^{identifier.type or 'MR'}")
        self.changed = True

    @property
    def text(self) -> str:
        """The field, in the standard delimiters."""
        return "~".join(self._kept)
