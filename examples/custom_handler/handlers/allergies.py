"""Allergies that the EMR reports in a referral, REF^I12, a message that no shipped handler takes."""

from __future__ import annotations

from ophl7.kit import Change, Context, Handlers, Hold, Location, Reject, Segment, SetField, read_fields

handlers = Handlers("allergies")


@handlers.on("REF^I12", segment="PID")
async def update(pid: Segment, ctx: Context) -> list[Change]:
    """The whole set of AL1 segments takes the place of the one before; the PM gets no copy."""
    if ctx.match.key is None:
        raise Reject.because("allergies", "", "PID names no patient", error=101, location=Location("PID", field=3))
    if ctx.match.patient is None:
        raise Hold("allergies", f"patient:{ctx.match.key}", "the patient is not known yet")
    said = read_fields(ctx.message).get("AL1")
    known = ctx.match.patient.fields.get("AL1")
    if said is None or said == known:
        return []
    return [SetField("AL1", said, known)]
