"""What the header alone decides, before any handler runs (#80 to #83)."""

from __future__ import annotations

from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.domain.verdicts import Outcome, Verdict, reject
from ophl7.hl7v2.ack import Location, known_version
from ophl7.hl7v2.message import Message

# Types whose events are listed one by one (#80); every other type that nobody takes is unknown as a whole.
_TYPES_WITH_EVENTS = frozenset({"ADT", "SIU", "DFT", "BAR"})


def judge_header(message: Message, policy: Policy, peer: PeerPolicy) -> list[Verdict]:
    """A refusal by version or processing id; warnings for a blank processing id and for names of somebody else."""
    if not known_version(message.version):
        return [reject("#82", "", "MSH-12 is not 2.1 to 2.9", error=203, header=True, location=Location("MSH", field=12))]
    found: list[Verdict] = []
    wanted = policy.processing_ids
    if wanted is not None and (message.processing_id or "P") not in wanted:
        text = "MSH-11 is not a processing id of this system"
        return [reject("#81", "", text, error=202, header=True, location=Location("MSH", field=11))]
    if not message.processing_id:
        found.append(header_warning("#81", "MSH-11 is blank and was read as P", Location("MSH", field=11)))
    if peer.names and not _is_named(message, peer.names):
        if peer.profile.messages.strict:
            text = "MSH-3 and MSH-4 are not the names of this link"
            return [reject("#83", "", text, error=207, header=True, location=Location("MSH", field=3))]
        found.append(header_warning("#83", "MSH-3 and MSH-4 are not the names of this link", Location("MSH", field=3)))
    return found


def header_warning(row: str, text: str, location: Location | None = None) -> Verdict:
    """About header or envelope only: a message that changes nothing stays one (#37, #48), whatever surrounds it."""
    return Verdict(Outcome.APPLY, row, text=text, header=True, location=location)


def _is_named(message: Message, names: frozenset[tuple[str, str | None]]) -> bool:
    """Whether MSH-3 and MSH-4 are listed: as a whole in the standard delimiters, or by their first component (HD.1)."""
    header = message.at(0)
    if header is None:
        return False
    applications, facilities = ({header.canonical(number).strip(), header.lead(number).strip()} for number in (3, 4))
    return any(name in applications and (place is None or place in facilities) for name, place in names)


def unknown_event(message: Message, *, known_type: bool) -> Verdict:
    """Nobody takes this event (#80): 200 for the type, 201 for the event."""
    if known_type or message.type in _TYPES_WITH_EVENTS:
        text = "this event is not supported" if message.trigger else "MSH-9 names no event"
        return reject("#80", "", text, error=201, header=True, location=Location("MSH", field=9, component=2))
    return reject("#80", "", "this message type is not supported", error=200, header=True, location=Location("MSH", field=9))
