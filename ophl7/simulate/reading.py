"""What a simulated system takes out of a delivery: about whom it is, which visit, which charges. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message, Segment
from ophl7.simulate.hand import NAMES
from ophl7.simulate.people import FIRST_DAY

_ANYWHERE = ZoneInfo("UTC")  # the practice's clock has no zone here: its times are compared with each other only
_PID_FIELDS = (5, 7, 8, 11, 13)


@dataclass(frozen=True, slots=True)
class Chart:
    """A patient as a delivery names him. ids: authority -> number, the first of each; fields: PID fields as written."""

    ids: Mapping[str, str]
    fields: Mapping[int, str]

    @property
    def same_child(self) -> tuple[str, ...]:
        """What two charts of one child have in common: name, birthday and sex."""
        return tuple(self.fields.get(number, "") for number in (5, 7, 8))


@dataclass(frozen=True, slots=True)
class Booking:
    """The appointment of a SIU. kind: code of the visit's type; status: SCH-25's code, in capitals without blanks."""

    filler: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class Line:
    """One FT1 of a DFT. kind: FT1-6."""

    transaction: str
    kind: str


@dataclass(frozen=True, slots=True)
class Heard:
    """One delivery. at: MSH-7 on the practice's clock; simulated: whether a simulator wrote it; chart: None if about nobody.

    A simulator reacts to simulated messages only, so it does nothing to a real one's chart.
    """

    event: str
    control_id: str
    at: datetime
    simulated: bool
    chart: Chart | None
    booking: Booking | None
    charges: tuple[Line, ...]


def read(payload: bytes) -> Heard:
    """Raises Unreadable for what is no HL7 message."""
    message = Message.parse(payload)
    sent = timestamps.parse(message.sent_at_text, _ANYWHERE)
    pid, sch = message.first("PID"), message.first("SCH")
    return Heard(
        message.event,
        message.control_id,
        sent.instant.replace(tzinfo=None) if sent is not None else datetime.min,  # noqa: DTZ901 - the practice's clock has no zone
        # No simulator plays a day before FIRST_DAY.
        sent is not None and sent.instant.date() >= FIRST_DAY and message.sending[0] in NAMES.values(),
        _chart(pid) if pid is not None else None,
        _booking(sch) if sch is not None else None,
        tuple(Line(ft1.text("2"), ft1.text("6")) for ft1 in message.all("FT1")),
    )


def _chart(pid: Segment) -> Chart:
    ids: dict[str, str] = {}
    for number in range(1, len(pid.repetitions(3)) + 1):
        ids.setdefault(pid.text(f"3[{number}].4.1"), pid.text(f"3[{number}].1"))
    return Chart(MappingProxyType(ids), MappingProxyType({number: pid.field(number) for number in _PID_FIELDS}))


def _booking(sch: Segment) -> Booking:
    return Booking(sch.text("2.1"), sch.text("8.1"), "".join(sch.text("25.1").upper().split()))
