"""A booking outside of the opening hours is taken, and its answer carries a warning."""

from __future__ import annotations

from ophl7.kit import Change, Context, Rules, SetAppointment, Verdict, apply

FIRST_HOUR, LAST_HOUR = 7, 20

rules = Rules("opening_hours")


@rules.judge("appointment.set")
async def hours(change: Change, ctx: Context) -> Verdict | None:
    """Looks at the hour as it was written (YYYYMMDDHHMM...), which is the practice's own."""
    assert isinstance(change, SetAppointment)
    hour = change.booking.start[8:10]
    if not hour.isdigit() or FIRST_HOUR <= int(hour) < LAST_HOUR:
        return None
    return apply("opening_hours", text="the booking begins outside of the opening hours")
