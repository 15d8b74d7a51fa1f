"""The copy that leaves: byte for byte what came, but for our control id and what a rule, or the receiver, makes necessary."""

from __future__ import annotations

from ophl7.domain.changes import AddCharge, SetField
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Outcome
from ophl7.engine.ruling import Ruling
from ophl7.hl7v2.delimiters import STANDARD
from ophl7.hl7v2.escapes import escape
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.rewrite import DropSegment, Edit, InsertAfter, rewrite
from ophl7.hl7v2.rewrite import SetField as WriteField


def render(
    message: Message, peer: Side, control_id: str, ruling: Ruling, patient: Patient | None, policy: Policy
) -> bytes | None:
    """The body to send, None when it is the received bytes with our control id (the usual case: stored once).

    Raises Unwritable when an owner's value cannot be written in the message's charset.
    """
    edits: list[Edit] = []
    if any(not judged.applies for judged in ruling.judged):
        edits += _owners_values(message, ruling)
        edits += _without_known_charges(ruling)
    if patient is not None:
        edits += _owners_id(message, peer, ruling, patient, policy)
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


def _owners_id(message: Message, peer: Side, ruling: Ruling, patient: Patient, policy: Policy) -> list[Edit]:
    """The id by which the patients' owner knows him, when the other side named him without it (contract 4).

    Nothing is supplied to what the owner says itself: by whichever id it names him, it leaves as it came.
    """
    authority = policy.authority_of(policy.patient_authority)
    if peer == policy.patient_authority or any(one.authority == authority for one in ruling.match.named.keys):
        return []
    owned = patient.identifier_of(authority)
    pid = message.first("PID")
    if owned is None or pid is None:
        return []
    ours = f"{escape(owned.value, STANDARD)}^^^{escape(owned.authority, STANDARD)}^{owned.type or 'MR'}"
    theirs = pid.canonical(3)
    return [WriteField(pid.index, 3, f"{ours}~{theirs}" if theirs else ours)]
