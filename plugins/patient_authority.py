"""Who may create and change patients (decisions 3 and 9)."""

from __future__ import annotations

from ophl7.kit import (
    BIRTH_DATE,
    NAME,
    SEX,
    Change,
    Context,
    CreatePatient,
    Location,
    Null,
    Rules,
    SetActive,
    SetField,
    Verdict,
    apply,
    deletes_identity,
    hold,
    reject,
    strip,
)

rules = Rules("patient_authority")

_IDENTITY = (NAME, BIRTH_DATE, SEX)


@rules.judge("patient.create")
async def creation(change: Change, ctx: Context) -> Verdict | None:
    """Only the patients' owner creates; the other side's updates wait for him, or are refused (#1, #3, #6)."""
    assert isinstance(change, CreatePatient)
    if ctx.match.ambiguous:
        return None  # held by #10, whoever sent it
    key = f"patient:{change.identifiers[0]}"
    if change.provisional:
        if ctx.message.type == "SIU" and ctx.owns_patients and ctx.owns_schedule:
            return apply("#30")
        return apply("#3", text="the practice goes live: the patient was learned from this message")
    if ctx.owns_patients:
        if change.announced:
            return apply("#1" if ctx.peer == "pm" else "#6")
        if change.complete or ctx.peer == "emr":
            return apply("#3" if ctx.peer == "pm" else "#6")
        return hold("#3", key, "the update does not say enough to create the patient; a registration releases it")
    if ctx.peer == "pm" and not change.announced:
        return hold("#3", key, "the EMR has not announced this patient yet")
    row = "#1" if ctx.peer == "pm" else "#6"
    return reject(row, "P01", "patients are created by the other system only")


@rules.judge("patient.create", "patient.field")
async def deleted_identity(change: Change, ctx: Context) -> Verdict | None:
    """A delete indicator on name, birth date or sex is never carried out unseen (#11).

    A profile may make one out of a blank field (blank = "delete"): it is held all the same.
    """
    if isinstance(change, SetField):
        if change.path not in _IDENTITY:
            return None
        said = {change.path: change.value}
    else:
        assert isinstance(change, CreatePatient)
        said = {path: change.fields[path] for path in _IDENTITY if path in change.fields}
    pid = ctx.message.first("PID")
    if not any(value is Null.NULL or deletes_identity(pid, path) for path, value in said.items()):
        return None
    patient = ctx.match.patient
    blocks = f"record:{patient.subject}" if patient is not None else ""
    return hold("#11", _demographics(ctx), "it deletes the name, birth date or sex", blocks=blocks)


@rules.judge("patient.active")
async def standing(change: Change, ctx: Context) -> Verdict | None:
    """Only the patients' owner inactivates a chart, with nothing open about it, and uses it again (#9, #12, #13)."""
    assert isinstance(change, SetActive)
    if not ctx.owns_patients:
        return reject("#13", "P03", "patients are deleted by the other system only")
    if change.active:
        return apply("#9", text="the chart was inactive and is in use again")
    if change.open_business:
        return hold("#12", f"delete:{ctx.match.key}", f"the chart cannot be inactivated yet: there is {change.open_business}")
    return apply("#12")


@rules.judge("patient.field")
async def ownership(change: Change, ctx: Context) -> Verdict | None:
    """Each field has an owner; what the sender does not own is left out, with a drift row (#4, #5)."""
    assert isinstance(change, SetField)
    row = "#4" if ctx.owns_patients else "#5"
    if ctx.policy.field_owners.may_write(change.path, ctx.peer, blank=change.current is None):
        return apply(row)
    reason = f"{change.path} is kept by the other system"
    if ctx.policy.foreign_fields == "reject":
        segment, _, number = change.path.partition("-")
        return reject(row, "P02", reason, location=Location(segment, field=int(number) if number else 0))
    if ctx.policy.foreign_fields == "hold":
        return hold(row, f"fields:{ctx.match.key}", reason)
    return strip(row, reason)


@rules.judge("patient.field")
async def overwritten_chart(change: Change, ctx: Context) -> Verdict | None:
    """Another birth date together with another given name or sex is probably another child (#7)."""
    assert isinstance(change, SetField)
    patient = ctx.match.patient
    if change.path != BIRTH_DATE or not ctx.owns_patients or patient is None or change.current is None:
        return None
    known_name = patient.fields.get(NAME, "").split("^")
    given = ctx.message.text("PID-5.2")
    known_given = known_name[1] if len(known_name) > 1 else ""
    sex = ctx.message.text("PID-8")
    other_given = bool(given and known_given and given.casefold() != known_given.casefold())
    other_sex = bool(sex and SEX in patient.fields and sex != patient.fields[SEX])
    if not (other_given or other_sex):
        return None
    return hold(
        "#7",
        _demographics(ctx),
        "birth date and given name or sex change at once: a chart may be overwritten",
        blocks=f"record:{patient.subject}",
    )


def _demographics(ctx: Context) -> str:
    return f"demographics:{ctx.match.key}"
