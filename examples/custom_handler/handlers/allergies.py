"""Allergies that the EMR reports by ADT^A60, an event that no shipped handler takes."""

from __future__ import annotations

from ophl7.kit import Change, Context, Handlers, Hold, Location, Reject, Segment, SetField, read_fields

handlers = Handlers("allergies")


@handlers.on("ADT^A60", segment="PID")
async def update(pid: Segment, ctx: Context) -> list[Change]:
    """The whole set of IAM segments takes the place of the one before; the PM gets no copy."""
    if ctx.match.key is None:
        raise Reject.because("allergies", "", "PID names no patient", error=101, location=Location("PID", field=3))
    if ctx.match.patient is None:
        raise Hold("allergies", f"patient:{ctx.match.key}", "the patient is not known yet")
    said = read_fields(ctx.message).get("IAM")
    known = ctx.match.patient.fields.get("IAM")
    if said is None or said == known:
        return []
    return [SetField("IAM", said, known)]
