"""Who may change the schedule (decisions 4)."""

from __future__ import annotations

from ophl7.kit import CLINICAL_PROGRESS, Change, Context, Receive, Rules, SetAppointment, Verdict, apply, hold, reject, strip

rules = Rules("schedule_authority")

_ROWS = {"S15": "#21", "S16": "#21", "S17": "#21", "S26": "#22"}


@rules.judge("appointment.set")
async def owner(change: Change, ctx: Context) -> Verdict | None:
    """The owner's bookings are taken (#20 to #22, #25, #30, #31, #33, #35); blocks without a patient from anybody (#27)."""
    assert isinstance(change, SetAppointment)
    if not change.about_patient:
        return apply("#25" if ctx.owns_schedule else "#27")
    if not ctx.owns_schedule:
        return _from_the_other_side(change)
    row = _ROWS.get(ctx.message.trigger, "#20")
    patient = ctx.match.patient
    if ctx.match.ambiguous:
        return None  # held by #10, for as long as it takes a person: no registration would release it
    if patient is None:
        if ctx.introduces is not None:
            return apply("#30")
        return hold("#30" if ctx.owns_patients else "#31", f"patient:{ctx.match.key}", "the patient is not known yet")
    known = change.known
    if known is not None and known.patient is not None and all(one.id != known.patient for one in ctx.same_person(patient)):
        key = f"appointment:{ctx.policy.authority_of(change.origin)}:{change.booking.reference}"
        return hold("#33", key, "this appointment belongs to another patient", blocks=f"appointment:{change.booking.reference}")
    if change.booking.unknown_status:
        return apply("#35", warning="W03", text="the appointment's status code is not known; its status stays as it was")
    return apply(row)


def _from_the_other_side(change: SetAppointment) -> Verdict:
    """An echo of what we sent changes nothing; anything else is the owner's to decide (#26, #28, #37)."""
    if change.known is not None and not change.differing:
        return strip("#37", "it says what we already know", code="")
    if change.known is not None and change.differing == {"status"} and change.booking.status in CLINICAL_PROGRESS:
        return reject("#28", "S02", "progress is not taken from this system")
    return reject("#26", "S01", "the schedule is kept by the other system; enter the change there")


@rules.judge("message.receive")
async def requests(_change: Change, ctx: Context) -> Verdict | None:
    """Requests for appointments are not answered here (#29)."""
    if ctx.message.type != "SRM":
        return None
    assert isinstance(_change, Receive)
    return reject("#29", "", "schedule requests are not supported", error=200, header=True)
