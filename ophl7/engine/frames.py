"""One frame and its members: read into arrivals, answered in one frame again (decisions 7, below the table)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ophl7.domain.patient import Side
from ophl7.domain.policy import Policy
from ophl7.engine.arrival import Arrival, read_arrival
from ophl7.engine.ports import Damage, Envelope
from ophl7.hl7v2.ack import batch
from ophl7.hl7v2.batch import split


@dataclass(slots=True)
class Frame:
    """An envelope on its road. damage: it is quarantined instead of judged. envelope: its FHS/BHS, b"" when bare."""

    source: Envelope
    peer: Side
    arrivals: tuple[Arrival, ...]
    damage: Damage | None
    envelope: bytes

    @property
    def connection(self) -> int:
        """The number of the connection that it came in on."""
        return self.source.session.number


# A header that can be answered in kind has a field separator.
_ECHOED = re.compile(rb"(?:^|[\r\n])(?:FHS|BHS)[^\r\n\x0b\x1c]")

# More members than 1,000 are not judged: one frame must not hold up everybody else (decisions 7).
TOO_MANY = Damage("too_many", answer=True)
NO_MEMBERS = Damage("no_members", answer=True)


def read_frame(source: Envelope, policy: Policy) -> Frame:
    """Splits and reads a frame; never raises."""
    peer: Side = "pm" if source.peer == "pm" else "emr"
    if source.damage is not None:
        return Frame(source, peer, (), source.damage, b"")
    raw = source.payload
    parts = split(raw)
    envelope = raw[slice(*parts.head)] if parts.envelope != "none" else b""
    if not _ECHOED.search(envelope):
        envelope = b""
    if parts.too_many:
        return Frame(source, peer, (), TOO_MANY, envelope)
    if not parts.members and envelope:
        return Frame(source, peer, (), NO_MEMBERS, envelope)
    number = source.session.number
    # Neither a member nor an envelope that could be answered: read as one message, whose reader says what is wrong with it.
    places = parts.members or [(0, len(raw))]
    arrivals = tuple([read_arrival(peer, number, source.received_at, raw, *place, policy) for place in places])
    if parts.problems:
        # One member tells it, the first that is judged: said a thousand times it would hide what else was decided.
        first = next((one for one in arrivals if one.message is not None and one.message.type != "ACK"), arrivals[0])
        first.notes = parts.problems
    return Frame(source, peer, arrivals, None, envelope)


def join_answers(
    frame: Frame, answers: Sequence[bytes | None], control_id: str, when: datetime, zone: ZoneInfo
) -> bytes | None:
    """The one frame that answers: the ACK, several ACKs one after another, or an envelope of its own kind around them.

    None when no member gets an answer; an envelope is answered always.
    """
    given = [answer for answer in answers if answer is not None]
    if frame.envelope:
        return batch(frame.envelope, given, control_id, when, zone)
    if not given:
        return None
    return given[0] if len(given) == 1 else b"".join(given)
