"""Who may change the schedule (decisions 4)."""

from __future__ import annotations

from ophl7.kit import (
    CLINICAL_PROGRESS,
    STATUS_ORDER,
    Change,
    Context,
    Receive,
    Rules,
    SetAppointment,
    SetProgress,
    Status,
    Verdict,
    apply,
    hold,
    reject,
    strip,
)

rules = Rules("schedule_authority")

_ROWS = {"S15": "#21", "S16": "#21", "S17": "#21", "S26": "#22"}


@rules.judge("appointment.set")
async def owner(change: Change, ctx: Context) -> Verdict | None:
    """The owner's bookings are taken (#20 to #22, #25, #30, #31, #33, #35); blocks without a patient from anybody (#27)."""
    assert isinstance(change, SetAppointment)
    if not ctx.owns_schedule:
        return _from_the_other_side(change) if change.about_patient else apply("#27")
    held = _contradiction(change, ctx)
    if held is not None:
        return held
    known = change.known
    row = _ROWS.get(ctx.message.trigger, "#20")
    if not change.about_patient and (known is None or known.patient is None):
        row = "#25"
    patient = ctx.match.patient
    if change.about_patient and patient is None:
        if ctx.match.ambiguous:
            return None  # held by #10, for as long as it takes a person: no registration would release it
        if ctx.introduces is None:
            return hold("#30" if ctx.owns_patients else "#31", f"patient:{ctx.match.key}", "the patient is not known yet")
        row = "#30"
    elif row == "#20" and known is not None and _steps_back(known.status, change.booking.status, ctx.message.trigger):
        row = "#34"
    if change.booking.unknown_status:
        return apply("#35", warning="W03", text="the appointment's status code is not known; its status stays as it was")
    return apply(row)


def _steps_back(old: Status, new: Status | None, trigger: str) -> bool:
    """Whether a status lies before the one that was, which is no reason not to take it (#34); a new booking is one (#20)."""
    return (
        trigger != "S12"
        and new in STATUS_ORDER
        and (old not in STATUS_ORDER or STATUS_ORDER.index(new) < STATUS_ORDER.index(old))
    )


def _contradiction(change: SetAppointment, ctx: Context) -> Verdict | None:
    """A number that means two appointments: another patient's (#33), time for nobody, or one that was withdrawn (#21)."""
    known, patient, trigger = change.known, ctx.match.patient, ctx.message.trigger
    if known is None:
        return None
    row, reason = "#33", ""
    if known.patient is not None and patient is not None and all(one.id != known.patient for one in ctx.same_person(patient)):
        reason = "this appointment belongs to another patient"
    elif known.patient is not None and not change.about_patient and trigger in {"S23", "S24"}:
        reason = "it blocks or opens time under the number of a patient's appointment"
    elif known.status == "entered_in_error" and trigger == "S12":
        row, reason = "#21", "the number of this new appointment was withdrawn before, as entered in error"
    if not reason:
        return None
    reference = change.booking.reference
    key = f"appointment:{ctx.policy.authority_of(change.origin)}:{reference}"
    return hold(row, key, reason, blocks=f"appointment:{reference}")


def _from_the_other_side(change: SetAppointment) -> Verdict:
    """An echo of what we sent changes nothing; anything else is the owner's to decide (#26, #37)."""
    if change.known is not None and not change.differing:
        return strip("#37", "it says what we already know", code="")
    return _not_theirs()


def _not_theirs() -> Verdict:
    return reject("#26", "S01", "the schedule is kept by the other system; enter the change there")


@rules.judge("appointment.progress")
async def progress(change: Change, ctx: Context) -> Verdict | None:
    """The owner's word is taken (#23); what the other side saw, where the owner's profile wants to hear it (#28)."""
    assert isinstance(change, SetProgress)
    if ctx.owns_schedule:
        return apply("#23")
    if change.status not in ctx.policy.peers[ctx.other].profile.schedule.writeback:
        if change.status in CLINICAL_PROGRESS:
            return reject("#28", "S02", "progress is not taken from this system")
        return _not_theirs()
    if ctx.match.ambiguous:
        return None
    if ctx.match.patient is None:
        return hold("#28", f"patient:{ctx.match.key}", "the patient is not known yet")
    return apply("#28")


@rules.judge("message.receive")
async def requests(_change: Change, ctx: Context) -> Verdict | None:
    """Requests for appointments are not answered here (#29)."""
    if ctx.message.type != "SRM":
        return None
    assert isinstance(_change, Receive)
    return reject("#29", "", "schedule requests are not supported", error=200, header=True)
