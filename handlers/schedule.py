"""The schedule: bookings, their changes and their end, and progress that an ADT says (decisions 4)."""

from __future__ import annotations

from dataclasses import replace

from ophl7.kit import (
    PROGRESS_EVENTS,
    Appointment,
    Booking,
    Change,
    Context,
    Deliver,
    Handlers,
    Location,
    Note,
    Reject,
    Resource,
    Segment,
    SetActive,
    SetAppointment,
    SetProgress,
    Side,
    differences,
    meaning,
    read_booking,
    read_visit,
    table_of,
    whole_resources,
)

handlers = Handlers("schedule")

BOOKINGS = ("SIU^S12", "SIU^S13", "SIU^S14", "SIU^S27")
ENDINGS = ("SIU^S15", "SIU^S16", "SIU^S17", "SIU^S26")
RESOURCE_CHANGES = ("SIU^S18", "SIU^S19", "SIU^S20", "SIU^S21", "SIU^S22")
BLOCKS = ("SIU^S23", "SIU^S24")


@handlers.on(*BOOKINGS, *ENDINGS, *RESOURCE_CHANGES, *BLOCKS)
async def book(_msh: Segment, ctx: Context) -> list[Change]:
    """The appointment as the message has it, and a copy for the other side when the sender owns the schedule."""
    booking = _booking(ctx)
    about_patient = ctx.message.first("PID") is not None
    if about_patient and not ctx.match.named.keys:
        raise Reject.because("#15", "", "PID names no patient", error=101, location=Location("PID", field=3))
    # An appointment about a patient is always the owner's; a block belongs to whoever enters it (#27).
    origin = ctx.policy.schedule_authority if about_patient else ctx.peer
    known = await _known(ctx, origin, booking)
    whole = whole_resources(known.resources if known is not None else (), booking)
    if ctx.owns_schedule and ctx.event in RESOURCE_CHANGES and not whole:
        key = f"appointment:{ctx.policy.authority_of(origin)}:{booking.reference}"
        reason = "a resource change without all its resources: send the whole appointment"
        ctx.hold("#24", key, reason, blocks=f"resources:{booking.reference}")
    if not ctx.owns_schedule and about_patient:
        return await _from_the_other_side(ctx, booking, known)
    changes: list[Change] = []
    if about_patient and ctx.introduces is not None:
        changes.append(ctx.introduces)  # a booking that says who it is for needs no registration before it (#30)
    if ctx.event in BOOKINGS and ctx.owns_schedule and ctx.owns_patients and _inactive(ctx):
        changes.append(SetActive(active=True))  # somebody who comes again (#9)
    whole = whole or ctx.event in ENDINGS
    changes.append(SetAppointment(booking, known, about_patient, origin, "booked", frozenset(), whole))
    if ctx.owns_schedule or ctx.policy.peers[ctx.other].profile.schedule.forward_blocks:
        changes.append(Deliver(ctx.other, "record"))
    return changes


@handlers.on(*PROGRESS_EVENTS)
async def progress(_msh: Segment, ctx: Context) -> list[Change]:
    """Status by an ADT of the schedule's owner, where his profile says so and the visit is that patient's appointment (#23).

    What the ADT says of the patient is read by the patient's own handler, whatever becomes of the visit (#18).
    """
    rules = ctx.policy.peers[ctx.peer].profile.schedule
    status = rules.progress_events.get(ctx.event)
    if status is None:
        return []
    if not ctx.owns_schedule:
        return [Note("#18", "the visit was noted; the schedule is kept by the other system")]
    visit = read_visit(ctx.message, rules)
    patient = ctx.match.patient
    known = await ctx.appointment(ctx.peer, visit) if visit and patient is not None else None
    if (
        known is None
        or patient is None
        or patient.retired_on(ctx.peer)
        or known.status == "entered_in_error"
        or all(mate.id != known.patient for mate in ctx.same_person(patient))
    ):
        return [Note("#18", "the visit was noted; it names no known appointment of this patient")]
    # What somebody else's patient is like is not the schedule's owner's to say: only what the receiver wants to hear (#5).
    only = None if ctx.owns_patients else ctx.policy.peers[ctx.other].profile.fields.takes
    return [SetProgress(known, status, ""), Deliver(ctx.other, "record", only)]


def _booking(ctx: Context) -> Booking:
    """Raises Reject for a SIU that names no appointment."""
    if ctx.message.first("SCH") is None:
        raise Reject.because("#20", "", "the SCH segment is missing", error=100, location=Location("SCH"))
    booking = read_booking(ctx.message, ctx.policy.peers[ctx.peer].profile.schedule)
    if booking is None:
        raise Reject.because("#20", "", "SCH names no appointment", error=101, location=Location("SCH", field=2))
    return booking


async def _known(ctx: Context, origin: Side, booking: Booking) -> Appointment | None:
    known = await ctx.appointment(origin, booking.filler) if booking.filler else None
    if known is None and booking.placer:
        # SCH-1 is asked where there is no SCH-2 (#20), or where the row was made without one: never another appointment's.
        found = await ctx.appointment(origin, booking.placer)
        if found is not None and found.placer == booking.placer and (not booking.filler or not found.filler):
            known = found
    return known


async def _from_the_other_side(ctx: Context, booking: Booking, known: Appointment | None) -> list[Change]:
    """What the other system says of a patient's appointment: nothing new, progress, or what only the owner may change."""
    origin = ctx.policy.schedule_authority
    if known is None:
        return [SetAppointment(booking, None, True, origin, "booked", frozenset({"unknown"}))]
    owners_word = meaning(ctx.policy.peers[origin].profile.schedule.words, booking.status_raw, "")
    differing = differences(await _as_told(ctx, known), booking, _number(ctx, known), ctx.policy.zone, owners_word=owners_word)
    if differing == {"status"} and booking.status is not None:
        return [SetProgress(known, booking.status, booking.status_raw), Deliver(ctx.other, "record")]
    return [SetAppointment(booking, known, True, origin, "booked", differing)]


async def _as_told(ctx: Context, known: Appointment) -> Appointment:
    """The appointment as the other system was told of it: its echo names the resources by its own codes (#37)."""
    tables = ctx.policy.peers[known.origin].profile.maps
    if known.origin == ctx.peer or not tables:
        return known
    told: list[Resource] = []
    for resource in known.resources:
        table = table_of(tables, f"{resource.kind}-3")
        first, caret, rest = resource.id.partition("^")  # of a place its first part is the code
        code = await ctx.translated(table, first, known.origin) if table is not None else None
        told.append(resource if code is None else replace(resource, id=f"{code}{caret}{rest}"))
    return replace(known, resources=tuple(told))


def _inactive(ctx: Context) -> bool:
    return ctx.match.patient is not None and ctx.match.patient.inactive_since(ctx.peer) is not None


def _number(ctx: Context, known: Appointment) -> int | None:
    """The patient's id, for comparing: who is merged with the appointment's patient is no other patient (#33)."""
    patient = ctx.match.patient
    if patient is None:
        return None
    if any(mate.id == known.patient for mate in ctx.same_person(patient)):
        return known.patient
    return patient.id
