"""Appointments: the status model, what a message makes of one, and when two of them are the same (decisions 4, domain 1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal
from zoneinfo import ZoneInfo

from ophl7.domain.patient import Side
from ophl7.hl7v2 import timestamps

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

# Events that say the status themselves (#21, #22); S23 blocks time and S24 opens it again (#25).
EVENT_STATUS: Mapping[str, Status] = MappingProxyType(
    {
        "S15": "cancelled",
        "S16": "discontinued",
        "S17": "entered_in_error",
        "S23": "booked",
        "S24": "cancelled",
        "S26": "no_show",
    }
)

# Nobody comes to these any more.
ENDED: frozenset[Status] = frozenset({"checked_out", "no_show", "cancelled", "discontinued", "entered_in_error"})

# What did not take place, or not yet, may be booked again under its number (decision 0037).
REBOOKABLE: frozenset[Status] = ENDED - {"checked_out"}

# How a visit goes. No ladder: a step back is taken like any other (#34).
STATUS_ORDER: tuple[Status, ...] = (
    "pending",
    "booked",
    "confirmed",
    "arrived",
    "checked_in",
    "roomed",
    "seen",
    "checked_out",
)

# Progress that only the EMR's staff see happen (#28).
CLINICAL_PROGRESS: frozenset[Status] = frozenset({"roomed", "seen"})


@dataclass(frozen=True, slots=True)
class Resource:
    """One AIS, AIG, AIL or AIP. id: the code alone, so that two spellings of a name are the same resource.

    Of a place (AIL) the id is point of care, room, bed and facility, `CLINIC^ROOM1`: they name it only together.
    """

    kind: str
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of an appointment, backwards or forwards (#34).

    at: seconds since the epoch, by the sender's clock. message: journal id.
    """

    status: Status
    at: float
    message: int


@dataclass(frozen=True, slots=True)
class Appointment:
    """One row of the schedule. origin: the side whose numbering `filler` and `placer` belong to.

    start: HL7 text as sent, in the practice's zone unless it carries its own; duration: minutes as text, "" if not said.
    status_raw: the code or text that came last for the status, "" when an event alone said it.
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
    """What one SIU says. status None: nothing said, or a code that is not known (`unknown_status`).

    resource_kinds: of which kinds (AIS, AIG, AIL, AIP) it says what there is, be it nothing any more. rebooks: its event makes
    an appointment out of one that was over (S12, S13). by_event: the event itself says the status, whatever the code is.
    """

    filler: str
    placer: str
    start: str
    duration: str
    status: Status | None
    status_raw: str
    unknown_status: bool
    resources: tuple[Resource, ...]
    resource_kinds: frozenset[str] = frozenset()
    rebooks: bool = False
    by_event: bool = False

    @property
    def reference(self) -> str:
        """SCH-2, else SCH-1 (#20)."""
        return self.filler or self.placer


def starts_at(start: str, zone: ZoneInfo) -> float | None:
    """The instant of a start in seconds since the epoch; None when it is not a time."""
    read = timestamps.parse(start, zone)
    return None if read is None else read.instant.timestamp()


def status_after(known: Appointment | None, said: Booking, default: Status) -> Status:
    """The status that an appointment has after the owner's message. default: of a new one that says none (#20, #34, #35).

    What is booked or moved again after it was cancelled is booked, if its message says no status at all (decision 0037).
    """
    if said.status is not None:
        return said.status
    if known is None:
        return default
    if said.rebooks and not said.unknown_status and known.status in REBOOKABLE:
        return default
    return known.status


def status_raw_after(known: Appointment | None, said: Booking) -> str:
    """The raw code beside it: never one that another message gave for another status."""
    if said.status_raw or known is None:
        return said.status_raw
    return "" if status_after(known, said, "booked") != known.status else known.status_raw


def resources_after(known: tuple[Resource, ...], said: Booking) -> tuple[Resource, ...]:
    """Each kind is a list of its own: the one in the message takes the place of the old one, a kind it lacks stays (P5)."""
    if not said.resource_kinds:
        return known
    kept = [one for one in known if one.kind not in said.resource_kinds]
    return tuple(sorted((*kept, *said.resources), key=lambda one: one.kind)) if kept else said.resources


def whole_resources(known: tuple[Resource, ...], said: Booking) -> bool:
    """Whether a resource change (S18 to S22) brings the full set, and not only what changed (#24): every kind there is."""
    return bool(said.resources) and {one.kind for one in known} <= said.resource_kinds


def differences(
    known: Appointment, said: Booking, patient: int | None, zone: ZoneInfo, *, owners_word: Status | None = None
) -> frozenset[str]:
    """What a booking from the other side would change: filler, patient, start, duration, status, resources (#26, #28, #37).

    Texts, notes, SCH-1 and SCH-6 are not compared; what the booking does not say is no difference. owners_word: the status
    that its code means where the owner uses it.
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
    if _other_status(known, said, owners_word):
        changed.add("status")
    if said.resource_kinds:
        there = {(one.kind, one.id) for one in known.resources if one.kind in said.resource_kinds}
        if {(one.kind, one.id) for one in said.resources} != there:
            changed.add("resources")
    return frozenset(changed)


def _other_status(known: Appointment, said: Booking, owners_word: Status | None) -> bool:
    if said.status is None and not said.unknown_status:
        return False
    if said.status == known.status:
        return False
    if said.by_event:  # a cancellation is one, also when it still carries the code of the booking
        return True
    # The owner's own code comes back: an echo, also where the other product's profile does not know it, or reads it otherwise.
    return said.status_raw != known.status_raw or not said.status_raw or owners_word not in (None, known.status)
