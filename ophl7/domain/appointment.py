"""Appointments: what a SIU says, the status model, and when two of them are the same (decisions 4, domain 1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from ophl7.domain.patient import Side
from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.message import Message, Segment

Status = Literal[
    "pending",
    "booked",
    "confirmed",
    "arrived",
    "checked_in",
    "roomed",
    "seen",
    "checked_out",
    "no_show",
    "cancelled",
    "discontinued",
    "entered_in_error",
]

# SCH-25 of the generic profile, code or text, any case, blanks and dashes left out (contract 3, HL7 table 0278).
STATUS_CODES: Mapping[str, Status] = MappingProxyType(
    {
        "pending": "pending",
        "booked": "booked",
        "confirmed": "confirmed",
        "arrived": "arrived",
        "checkedin": "checked_in",
        "roomed": "roomed",
        "started": "seen",
        "seen": "seen",
        "complete": "checked_out",
        "completed": "checked_out",
        "checkedout": "checked_out",
        "noshow": "no_show",
        "cancelled": "cancelled",
        "canceled": "cancelled",
        "discontinued": "discontinued",
        "deleted": "entered_in_error",
    }
)

# Events that say the status themselves (#21, #22).
EVENT_STATUS: Mapping[str, Status] = MappingProxyType(
    {"S15": "cancelled", "S16": "discontinued", "S17": "entered_in_error", "S26": "no_show"}
)

# Nobody comes to these any more.
ENDED: frozenset[Status] = frozenset({"checked_out", "no_show", "cancelled", "discontinued", "entered_in_error"})

# Progress that only the EMR's staff see happen (#28).
CLINICAL_PROGRESS: frozenset[Status] = frozenset({"roomed", "seen"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One AIS, AIG, AIL or AIP. id: the code alone, so that two spellings of a name are the same resource."""

    kind: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of an appointment. at: seconds since the epoch, by the sender's clock; message: journal id."""

    status: Status
    at: float
    message: int


@dataclass(frozen=True, slots=True)
class Appointment:
    """One row of the schedule. origin: the side whose numbering `filler` and `placer` belong to.

    start: HL7 text as sent, in the practice's zone unless it carries its own; duration in minutes as text, "" if not said.
    subject: the patient's, or the block's own; patient: None when it is not about a patient, or not known yet.
    """

    id: int
    origin: Side
    filler: str
    placer: str
    subject: int
    patient: int | None
    start: str
    starts_at: float | None
    duration: str
    status: Status
    status_raw: str
    resources: tuple[Resource, ...]
    progress: tuple[Progress, ...]
    message: int
    mark_pm: str | None = None
    mark_emr: str | None = None

    def mark_of(self, side: Side) -> str | None:
        """The watermark of what that side said last of this appointment (domain.watermark)."""
        return self.mark_pm if side == "pm" else self.mark_emr

    def with_mark(self, side: Side, mark: str) -> Appointment:
        """The same with another watermark of that side."""
        return replace(self, mark_pm=mark) if side == "pm" else replace(self, mark_emr=mark)


@dataclass(frozen=True, slots=True)
class Booking:
    """What one SIU says. status None: nothing said, or a code that is not known (`unknown_status`)."""

    filler: str
    placer: str
    start: str
    duration: str
    status: Status | None
    status_raw: str
    unknown_status: bool
    resources: tuple[Resource, ...]

    @property
    def reference(self) -> str:
        """SCH-2, else SCH-1 (#20)."""
        return self.filler or self.placer


def read_status(code: str, text: str) -> Status | None:
    """A status from a code or its text; None for one that the generic table lacks."""
    for word in (code, text):
        found = STATUS_CODES.get("".join(ch for ch in word.lower() if ch.isalnum()))
        if found is not None:
            return found
    return None


def read_booking(message: Message) -> Booking | None:
    """The appointment of a SIU; None without a SCH, or with neither SCH-1 nor SCH-2."""
    sch = message.first("SCH")
    if sch is None:
        return None
    filler, placer = sch.lead(2), sch.lead(1)
    if not filler and not placer:
        return None
    code, text = sch.text("25.1"), sch.text("25.2")
    said: Status | None = EVENT_STATUS.get(message.trigger)
    mapped = read_status(code, text)
    return Booking(
        filler=filler,
        placer=placer,
        start=_start(message, sch),
        duration=sch.lead(9) or sch.text("11.3"),
        status=said or mapped,
        status_raw=code or text,
        unknown_status=said is None and mapped is None and bool(code or text),
        resources=_resources(message),
    )


# Where the start stands: the old timing field, TQ1 from 2.5 on, else the first resource that has one (domain 1.3).
_RESOURCE_STARTS = (("AIS", 4), ("AIG", 8), ("AIL", 6), ("AIP", 6))


def _start(message: Message, sch: Segment) -> str:
    start = sch.text("11.4")
    if start:
        return start
    for name, number in (("TQ1", 7), *_RESOURCE_STARTS):
        start = message.text(f"{name}-{number}.1")
        if start:
            return start
    return ""


def _resources(message: Message) -> tuple[Resource, ...]:
    found: list[Resource] = []
    for name in ("AIS", "AIG", "AIL", "AIP"):
        for segment in message.all(name):
            code = segment.lead(3)
            if code:
                found.append(Resource(name, code, segment.text("3.2")))
    return tuple(found)


def starts_at(start: str, zone: ZoneInfo) -> float | None:
    """The instant of a start in seconds since the epoch; None when it is not a time."""
    read = timestamps.parse(start, zone)
    return None if read is None else read.instant.timestamp()


def differences(known: Appointment, said: Booking, patient: int | None, zone: ZoneInfo) -> frozenset[str]:
    """What a booking from the other side would change: filler, patient, start, duration, status, resources (#26, #28, #37).

    Texts, notes, SCH-1 and SCH-6 are not compared; what the booking does not say is no difference.
    """
    changed: set[str] = set()
    if said.filler and known.filler and said.filler != known.filler:
        changed.add("filler")
    if patient is not None and patient != known.patient:
        changed.add("patient")
    if said.start and said.start != known.start:
        moment = starts_at(said.start, zone)
        if moment is None or moment != known.starts_at:
            changed.add("start")
    if said.duration and said.duration != known.duration:
        changed.add("duration")
    if (said.status is not None and said.status != known.status) or (
        said.unknown_status and said.status_raw != known.status_raw
    ):
        changed.add("status")
    if said.resources and {(r.kind, r.id) for r in said.resources} != {(r.kind, r.id) for r in known.resources}:
        changed.add("resources")
    return frozenset(changed)
