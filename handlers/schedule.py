"""The schedule: bookings, their changes and their end (decisions 4)."""

from __future__ import annotations

from ophl7.kit import (
    Change,
    Context,
    Deliver,
    Handlers,
    Hold,
    Location,
    Reject,
    Segment,
    SetAppointment,
    differences,
    read_booking,
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
        raise Hold("#24", key, "a resource change without its resources: send the whole appointment")
    known = await ctx.appointment(origin, booking.filler) if booking.filler else None
    if known is None and booking.placer:
        # SCH-1 is asked where there is no SCH-2 (#20), or where the row was made without one: never another appointment's.
        found = await ctx.appointment(origin, booking.placer)
        if found is not None and found.placer == booking.placer and (not booking.filler or not found.filler):
            known = found
    patient = ctx.match.patient.id if ctx.match.patient is not None else None
    differing = differences(known, booking, patient, ctx.policy.zone) if known is not None else frozenset({"unknown"})
    changes: list[Change] = [SetAppointment(booking, known, about_patient, origin, "booked", differing)]
    if ctx.owns_schedule:
        changes.append(Deliver(ctx.other, "record"))
    return changes
