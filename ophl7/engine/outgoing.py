"""The copy that leaves: byte for byte what came, but for our control id and what a rule, or the receiver, makes necessary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ophl7.domain.changes import AddCharge, SetField
from ophl7.domain.identifiers import KEY_TYPES, Identifier, identifier_from_cx
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.domain.verdicts import Outcome
from ophl7.engine.ruling import Ruling
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, InsertAfter, rewrite
from ophl7.hl7v2.rewrite import SetField as WriteField
from ophl7.hl7v2.segment import Segment

_KEY_IDS = 3  # PID-3, the list of key ids


def render(
    message: Message,
    control_id: str,
    ruling: Ruling,
    patient: Patient | None,
    address: Address | None,
    more: Sequence[Edit] = (),
) -> bytes | None:
    """The body to send, None when it is the received bytes with our control id (the usual case: stored once).

    patient: whom the message is about, None for none. address: None when it names him as the receiver knows him.
    more: what the receiver wants to have written otherwise. Raises Unwritable for a value that the message's charset lacks.
    """
    edits: list[Edit] = [*more]
    if any(not judged.applies for judged in ruling.judged):
        edits += _owners_values(message, ruling)
        edits += _without_known_charges(ruling)
    if patient is not None and address is not None:
        edits += _addressed(message, address.mapping, address.supplied(ruling, patient), address.sender)
    return rewrite(message, control_id, edits) if edits else None


@dataclass(frozen=True, slots=True)
class Address:
    """How the receiving side knows the patient. mapping: id -> survivor, for charts that it has merged away.

    own: whose chart it is on the sender's side by now.
    """

    peer: Side
    policy: Policy
    mapping: Mapping[tuple[str, str], Patient]
    own: Patient | None = None

    @property
    def sender(self) -> PeerPolicy:
        """What the sender is like."""
        return self.policy.peers[self.peer]

    def supplied(self, ruling: Ruling, patient: Patient) -> Identifier | None:
        """The id by which the patients' owner knows him, when the other side named him without it (contract 4).

        Nothing is supplied to what the owner says itself: by whichever id it names him, it leaves as it came.
        """
        authority = self.policy.authority_of(self.policy.patient_authority)
        if self.peer == self.policy.patient_authority or any(one.authority == authority for one in ruling.match.named.keys):
            return None
        named = next((self.mapping[one.key] for one in ruling.match.named.keys if one.key in self.mapping), patient)
        known = named.identifier_of(authority)
        # A chart that only its own side knew, and has merged: the owner knows the one that it went into (#64).
        return known if known is not None or self.own is None else self.own.identifier_of(authority)


def readdressed(body: bytes, control_id: str, mapping: Mapping[tuple[str, str], Patient], sender: PeerPolicy) -> bytes | None:
    """A body that waits, for the survivors of `mapping`; None when it names nobody whom that changes."""
    message = Message.parse_lenient(body, sender.encoding)
    edits = _addressed(message, mapping, None, sender)
    return rewrite(message, control_id, edits) if edits else None


def _owners_values(message: Message, ruling: Ruling) -> list[Edit]:
    """Where a value was not taken, the owner's current one leaves in its place (decisions 3)."""
    edits: list[Edit] = []
    for judged in ruling.judged:
        change, verdict = judged.change, judged.verdict
        if not isinstance(change, SetField) or verdict is None or verdict.outcome is not Outcome.STRIP:
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


def _without_known_charges(ruling: Ruling) -> list[Edit]:
    """A DFT leaves with its new charges only (decisions 5)."""
    return [
        DropSegment(index)
        for judged in ruling.judged
        if isinstance(judged.change, AddCharge) and not judged.applies
        for index in judged.change.line.segments
    ]


def _addressed(
    message: Message, mapping: Mapping[tuple[str, str], Patient], supplied: Identifier | None, sender: PeerPolicy
) -> list[Edit]:
    """PID-2 to -4 as the receiver knows the patient: retired ids become the survivor's of the same authority (decisions 6)."""
    pid = message.first("PID")
    if pid is None or not (mapping or supplied):
        return []
    edits: list[Edit] = []
    ids = _Ids(pid, _KEY_IDS, mapping, sender.authority)
    others = [(number, _Ids(pid, number, mapping, sender.authority)) for number in (2, 4)] if mapping else []
    if supplied is not None:
        ids.put_first(supplied)
    for lost in (ids.lost, *(one.lost for _, one in others)):
        if lost is not None:  # he was named by an id that the survivor has none like: he is named by his own
            ids.put_first(lost.key)
    for number, one in ((_KEY_IDS, ids), *others):
        if one.changed:
            edits.append(WriteField(pid.index, number, one.text))
    return edits


class _Ids:
    """One list of ids (CX), rewritten."""

    def __init__(self, pid: Segment, number: int, mapping: Mapping[tuple[str, str], Patient], authority: str) -> None:
        self._kept: list[str] = []
        self.changed = False
        canonical = pid.canonical(number).split("~") if pid.field(number) else []
        read = [identifier_from_cx(pid, raw, authority) for raw in pid.repetitions(number)]
        leads = [mapping.get(one.key) if one is not None and one.type in KEY_TYPES else None for one in read]
        # What is named anyway is not named twice: a retired id beside the survivor's own just leaves.
        self._named = {one.key for one, survivor in zip(read, leads, strict=True) if one is not None and survivor is None}
        self.lost: Patient | None = None  # the survivor, where nothing in this list names him any more
        for identifier, survivor, text in zip(read, leads, canonical, strict=True):
            if identifier is None or survivor is None:
                self._kept.append(text)
                continue
            self.changed = True
            own = survivor.identifier_of(identifier.authority)
            if own is None:
                self.lost = survivor  # he has no id of that authority: a retired one beside his would name two charts
            elif own.key not in self._named:
                self._named.add(own.key)
                self._kept.append("^".join([escape(own.value, STANDARD), *text.split("^")[1:]]))
        if self.lost is not None and not self._named.isdisjoint(one.key for one in self.lost.identifiers):
            self.lost = None

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
