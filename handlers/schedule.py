"""The schedule: bookings, their changes and their end (decisions 4)."""

from __future__ import annotations

from dataclasses import replace

from ophl7.kit import (
    Appointment,
    Change,
    Context,
    Deliver,
    Handlers,
    Location,
    Reject,
    Resource,
    Segment,
    SetActive,
    SetAppointment,
    differences,
    read_booking,
    table_of,
)

handlers = Handlers("schedule")

BOOKINGS = ("SIU^S12", "SIU^S13", "SIU^S14", "SIU^S27")
ENDINGS = ("SIU^S15", "SIU^S16", "SIU^S17", "SIU^S26")
RESOURCE_CHANGES = ("SIU^S18", "SIU^S19", "SIU^S20", "SIU^S21", "SIU^S22")
BLOCKS = ("SIU^S23", "SIU^S24")


@handlers.on(*BOOKINGS, *ENDINGS, *RESOURCE_CHANGES, *BLOCKS)
async def book(_msh: Segment, ctx: Context) -> list[Change]:
    """The appointment as the message has it, and a copy for the other side when the sender owns the schedule."""
    message = ctx.message
    if message.first("SCH") is None:
        raise Reject.because("#20", "", "the SCH segment is missing", error=100, location=Location("SCH"))
    booking = read_booking(message)
    if booking is None:
        raise Reject.because("#20", "", "SCH names no appointment", error=101, location=Location("SCH", field=2))
    about_patient = message.first("PID") is not None
    if about_patient and not ctx.match.named.keys:
        raise Reject.because("#15", "", "PID names no patient", error=101, location=Location("PID", field=3))
    # An appointment about a patient is always the owner's; a block belongs to whoever enters it (#27).
    origin = ctx.policy.schedule_authority if about_patient else ctx.peer
    if ctx.owns_schedule and ctx.event in RESOURCE_CHANGES and not booking.resources:
        key = f"appointment:{ctx.policy.authority_of(origin)}:{booking.reference}"
        ctx.hold("#24", key, "a resource change without its resources: send the whole appointment")
    known = await ctx.appointment(origin, booking.filler) if booking.filler else None
    if known is None and booking.placer:
        # SCH-1 is asked where there is no SCH-2 (#20), or where the row was made without one: never another appointment's.
        found = await ctx.appointment(origin, booking.placer)
        if found is not None and found.placer == booking.placer and (not booking.filler or not found.filler):
            known = found
    differing = frozenset({"unknown"})
    if known is not None:
        differing = differences(await _as_told(ctx, known), booking, _number(ctx, known), ctx.policy.zone)
    changes: list[Change] = []
    if about_patient and ctx.introduces is not None and ctx.owns_schedule:
        changes.append(ctx.introduces)  # a booking that says who it is for needs no registration before it (#30)
    if ctx.event in BOOKINGS and ctx.owns_schedule and ctx.owns_patients and _inactive(ctx):
        changes.append(SetActive(active=True))  # somebody who comes again (#9)
    changes.append(SetAppointment(booking, known, about_patient, origin, "booked", differing))
    if ctx.owns_schedule:
        changes.append(Deliver(ctx.other, "record"))
    return changes


async def _as_told(ctx: Context, known: Appointment) -> Appointment:
    """The appointment as the other system was told of it: its echo names the resources by its own codes (#37)."""
    tables = ctx.policy.peers[known.origin].profile.maps
    if known.origin == ctx.peer or not tables:
        return known
    told: list[Resource] = []
    for resource in known.resources:
        table = table_of(tables, f"{resource.kind}-3")
        code = await ctx.translated(table, resource.id, known.origin) if table is not None else None
        told.append(resource if code is None else replace(resource, id=code))
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
