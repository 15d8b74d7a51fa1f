"""What the header alone decides, before any handler runs (#80, #81, #82)."""

from __future__ import annotations

from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Verdict, apply, reject
from ophl7.hl7v2.ack import Location, known_version
from ophl7.hl7v2.message import Message

# Types whose events are listed one by one (#80); every other type that nobody takes is unknown as a whole.
_TYPES_WITH_EVENTS = frozenset({"ADT", "SIU", "DFT", "BAR"})


def judge_header(message: Message, policy: Policy) -> Verdict | None:
    """A refusal by version or processing id, a warning for a blank processing id, or None."""
    if not known_version(message.version):
        return reject("#82", "", "MSH-12 is not 2.1 to 2.9", error=203, header=True, location=Location("MSH", field=12))
    wanted = policy.processing_ids
    if wanted is None:
        return None
    if not message.processing_id:
        if "P" in wanted:
            return apply("#81", text="MSH-11 is blank and was read as P")
    elif message.processing_id in wanted:
        return None
    return reject(
        "#81", "", "MSH-11 is not a processing id of this system", error=202, header=True, location=Location("MSH", field=11)
    )


def unknown_event(message: Message, *, known_type: bool) -> Verdict:
    """Nobody takes this event (#80): 200 for the type, 201 for the event."""
    if known_type or message.type in _TYPES_WITH_EVENTS:
        text = "this event is not supported" if message.trigger else "MSH-9 names no event"
        return reject("#80", "", text, error=201, header=True, location=Location("MSH", field=9, component=2))
    return reject("#80", "", "this message type is not supported", error=200, header=True, location=Location("MSH", field=9))
