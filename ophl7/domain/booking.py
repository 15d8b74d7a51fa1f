"""Reads what a SIU says of an appointment, and what an ADT says of its progress (decisions 4, domain 1.3)."""

from __future__ import annotations

from ophl7.domain.appointment import EVENT_STATUS, Booking, Resource, Status
from ophl7.domain.duration import between, minutes, quantity_minutes
from ophl7.domain.profile import GENERIC, ScheduleRules
from ophl7.domain.status_words import meaning
from ophl7.hl7v2.message import Message, Segment

# Where the start and the duration with its units stand in each kind of resource; its code is in field 3, the action in 2.
_KINDS = (("AIS", 4, 7), ("AIG", 8, 11), ("AIL", 6, 9), ("AIP", 6, 9))
# A block is a block, whatever the table of statuses says (HL7 table 0278).
_BLOCKED = "blocked"


def read_booking(message: Message, rules: ScheduleRules = GENERIC.schedule) -> Booking | None:
    """The appointment of a SIU; None without a SCH, or with neither SCH-1 nor SCH-2. rules: of the sender's profile."""
    sch = message.first("SCH")
    if sch is None:
        return None
    filler, placer = sch.lead(2), sch.lead(1)
    if not filler and not placer:
        return None
    event: Status | None = EVENT_STATUS.get(message.trigger)
    mapped, raw = read_status(message, rules)
    unknown = event is None and mapped is None and bool(raw)
    if unknown and raw.casefold() == _BLOCKED and message.first("PID") is None:
        unknown = False
    resources, kinds = _resources(message)
    return Booking(
        filler=filler,
        placer=placer,
        start=_start(message, sch),
        duration=_duration(message, sch),
        status=event or mapped,
        status_raw=raw,
        unknown_status=unknown,
        resources=resources,
        resource_kinds=kinds,
        rebooks=message.trigger in {"S12", "S13"},
        by_event=event is not None,
    )


def read_status(message: Message, rules: ScheduleRules) -> tuple[Status | None, str]:
    """The status and the raw code, or else text, that said so: of the profile's places the first that is known.

    (None, "") where nothing is said, (None, raw) where nothing of it is known (#35).
    """
    first = ""
    for name, code_path, text_path in rules.places:
        for segment in message.all(name):
            code, text = segment.text(code_path), segment.text(text_path)
            found = meaning(rules.words, code, text)
            if found is not None:
                return found, code or text
            first = first or code or text
    return None, first


def read_visit(message: Message, rules: ScheduleRules) -> str:
    """The appointment that an ADT of the schedule's owner names for its progress (#23); "" when it is about none."""
    if message.event not in rules.progress_events:
        return ""
    return message.text(rules.visit if "." in rules.visit else f"{rules.visit}.1").strip()


def _start(message: Message, sch: Segment) -> str:
    """The old timing field, TQ1 from 2.5 on, else the first resource that has one (domain 1.3)."""
    start = sch.text("11.4") or message.text("TQ1-7.1")
    if start:
        return start
    for name, number, _ in _KINDS:
        for segment in message.all(name):
            start = segment.lead(number)
            if start:
                return start
    return ""


def _duration(message: Message, sch: Segment) -> str:
    """Minutes: SCH-9 with its units, else the old timing field, TQ1, the first resource that has one, else end minus start."""
    amount = sch.lead(9)
    if amount:
        return minutes(amount, sch.text("10.1"), sch.text("10.2"))
    amount = sch.text("11.3")
    if amount:
        return quantity_minutes(amount)
    amount = message.text("TQ1-6.1")
    if amount:
        return minutes(amount, message.text("TQ1-6.2.1"), message.text("TQ1-6.2.2"))
    for name, _, number in _KINDS:
        for segment in message.all(name):
            amount = segment.lead(number)
            if amount:
                return minutes(amount, segment.text(f"{number + 1}.1"), segment.text(f"{number + 1}.2"))
    for start, end in ((sch.text("11.4"), sch.text("11.5")), (message.text("TQ1-7.1"), message.text("TQ1-8.1"))):
        if start and end:
            return between(start, end)
    return ""


def _resources(message: Message) -> tuple[tuple[Resource, ...], frozenset[str]]:
    """What is there after the message, and of which kinds it says so: one that it takes away (action D) is not there."""
    found: list[Resource] = []
    kinds: set[str] = set()
    for name, _, _ in _KINDS:
        for segment in message.all(name):
            said = list(_named(name, segment))
            if said:
                kinds.add(name)
                if segment.lead(2).upper() != "D":
                    found += said
    return tuple(found), frozenset(kinds)


def _named(kind: str, segment: Segment) -> list[Resource]:
    """The resources of one segment; only a person (AIP-3) may be several."""
    code = segment.lead(3)
    if code and code == segment.field(3):  # nearly all are plain codes
        return [Resource(kind, code, "")]
    if kind == "AIL":
        place = "^".join([segment.text(f"3.{number}.1") for number in range(1, 5)]).rstrip("^")
        return [Resource(kind, place, segment.text("3.9"))] if place else []
    count = len(segment.repetitions(3)) if kind == "AIP" else 1
    if count < 2:
        return [Resource(kind, code, segment.text("3.2"))] if code else []
    codes = [(segment.text(f"3[{number}].1.1"), segment.text(f"3[{number}].2")) for number in range(1, count + 1)]
    return [Resource(kind, code, text) for code, text in codes if code]
