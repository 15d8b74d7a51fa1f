"""Which charges pass (decisions 5): from the EMR, complete, for a known patient, and once.

What the EMR sends is read by its own profile (codes of FT1-6, places, service dates); what becomes of a correction or a payment
goes by the PM's, who has to take it. Decision record 0039 has the cases behind #49, #50 and #57.
"""

from __future__ import annotations

from datetime import datetime

from ophl7.kit import (
    AddCharge,
    Change,
    Charge,
    ChargeLine,
    Context,
    Deliver,
    Location,
    Patient,
    Rules,
    Verdict,
    apply,
    hold,
    is_to_come,
    is_too_old,
    reject,
    service_day,
    strip,
)

rules = Rules("charge_authority")


@rules.judge("message.receive")
async def from_the_emr(_change: Change, ctx: Context) -> Verdict | None:
    """The PM bills; it does not send charges (#55)."""
    if ctx.message.type != "DFT" or ctx.peer == "emr":
        return None
    location = Location("MSH", field=9)
    return reject("#55", "C02", "charges are taken from the EMR only", error=200, header=True, location=location)


@rules.judge("charge.add")
async def completeness(change: Change, _ctx: Context) -> Verdict | None:
    """What could not be billed goes back to the EMR's biller (#41)."""
    assert isinstance(change, AddCharge)
    if not change.faults:
        return None
    first = change.faults[0]
    location = Location(first.segment, first.sequence, first.field)
    return reject("#41", "C01", first.problem, error=first.error, location=location)


@rules.judge("charge.add")
async def patient(change: Change, ctx: Context) -> Verdict | None:
    """A charge for somebody unknown waits for his registration (#43), unless the practice still goes live (decisions 2)."""
    known = ctx.match.patient
    if known is None:
        if ctx.match.ambiguous or ctx.introduces is not None:
            return None
        return hold("#43", f"patient:{ctx.match.key}", "the patient is not known yet")
    if known.marked or len(ctx.same_person(known)) > 1:
        inactive = _inactive(change, ctx, known)
        if inactive is not None:
            return inactive
    return apply("#40", text="the patients' owner has not confirmed this patient yet") if known.provisional else None


def _inactive(change: Change, ctx: Context, named: Patient) -> Verdict | None:
    """What was done before the chart was inactivated is billed; anything later waits until it is in use again (#45)."""
    assert isinstance(change, AddCharge)
    owner = ctx.policy.patient_authority
    known = ctx.survivor(named, owner)
    since = known.inactive_since(owner)
    if since is None:
        return None
    day = datetime.fromtimestamp(since, ctx.policy.zone).date()
    served = service_day(change.line.until or change.line.date, ctx.policy.zone)
    if served is not None and served < day:
        return apply("#45", text="the chart is inactive by now; the service was before that")
    reason = "the chart is inactive; it is billed once the chart is in use again"
    return hold("#45", f"patient:{known.key}", reason, instead="")  # he is known: a person may bill him all the same


@rules.judge("charge.add")
async def once(change: Change, ctx: Context) -> Verdict | None:
    """The same charge again has no second effect; another content under its id goes by the PM's profile (#40, #48 to #52)."""
    assert isinstance(change, AddCharge)
    line, known = change.line, change.known
    if line.verb == "payment" and ctx.policy.peers["pm"].profile.charges.payments == "hold":
        return hold("#52", f"payment:{line.transaction_id or 'without id'}", "payments and adjustments need a biller")
    if known is not None and known.content == line.content and known.kind == line.kind:
        return _again(line, known)
    if line.verb == "void" or (line.verb == "update" and (known is None or known.state == "held")):
        return _follows(change, ctx)
    if known is None:
        return apply("#52" if line.verb == "payment" else "#40")
    if known.verb in {"void", "update"} and known.state == "held":
        return apply("#40")  # it came first and waits for just this charge (#51)
    return _corrects(change, known)


def _again(line: ChargeLine, known: Charge) -> Verdict:
    """The same identity and content (#48)."""
    key = f"charge:{line.transaction_id}"
    if known.state == "held":  # nobody knows yet whether it will be sent: until then neither may be left out
        return hold("#48", key, "it repeats a charge that itself waits", instead=_behind(known))
    if known.skipped:  # whether that was billed by hand, only a person knows
        return hold("#48", key, "it repeats a charge that a person has skipped")
    return strip("#48", "the charge is known already", code="")


def _corrects(change: AddCharge, known: Charge) -> Verdict:
    """Another content under a known FT1-2: by the PM's profile after a void, as an update, or never without a person (#49)."""
    key = f"charge:{change.line.transaction_id}"
    if change.correction:
        return apply("#49")
    if known.verb == "void" and known.state == "sent":
        return hold("#49", key, "the charge was credited or voided already")
    return hold("#49", key, "the charge is known with another content")


def _follows(change: AddCharge, ctx: Context) -> Verdict:
    """A credit, or an update, leaves after its charge, so it waits for one that is unknown or itself in custody (#50, #51).

    Later charges of the lane wait with it (decisions 11); the charge itself releases it. What the PM has refused for good, or
    a person has skipped, it does not have: nothing is taken back of that.
    """
    line, known = change.line, change.known
    does = "credits" if line.verb == "void" else "updates"
    blocks = f"charges:{ctx.match.patient.lane}" if ctx.match.patient is not None else ""
    key = f"charge:{line.transaction_id or 'without id'}"
    if known is None:
        return hold("#51", key, f"it {does} a charge that is not known", blocks=blocks)
    if known.state == "held":
        return hold("#50", key, f"it {does} a charge that itself waits", blocks=blocks, instead=_behind(known))
    if known.skipped:
        return hold("#50", key, f"it {does} a charge that a person has skipped")
    if known.verb == "void":
        return hold("#50", key, "the charge was credited or voided already")
    return apply("#50")


def _behind(known: Charge) -> str:
    return f"release or discard message {known.message}, which brings that charge, first; this one then follows"


@rules.judge("charge.add")
async def repetition(change: Change, _ctx: Context) -> Verdict | None:
    """The same charges for that visit and day again, none of them named by an FT1-2: a biller knows whether they are (#57)."""
    assert isinstance(change, AddCharge)
    if change.repeats is None:
        return None
    reason = f"the same charges for that visit and day came in message {change.repeats}; were they done twice?"
    return hold("#57", f"repeat:{change.repeats}", reason)


@rules.judge("charge.add")
async def service_date(change: Change, ctx: Context) -> Verdict | None:
    """A service in the future, or older than the EMR's profile expects (#54)."""
    assert isinstance(change, AddCharge)
    profile = ctx.policy.peers["emr"].profile.charges
    now, zone = ctx.received_at, ctx.policy.zone
    if is_to_come(change.line, now, zone):
        reason = "the service date is in the future"
    elif is_too_old(change.line, profile.oldest_days, now, zone):
        reason = f"the service is more than {profile.oldest_days} days old"
    else:
        return None
    if profile.service_date == "forward":
        return apply("#54", text=reason)
    return hold("#54", f"date:{change.line.transaction_id or 'without id'}", reason)


@rules.judge("message.deliver")
async def visit(change: Change, ctx: Context) -> Verdict | None:
    """A visit number that is no appointment of the patient's is told, and holds nothing up (#47)."""
    assert isinstance(change, Deliver)
    patient = ctx.match.patient
    number = ctx.message.text("PV1-19")
    if change.stream != "charges" or patient is None or not number:
        return None
    found = await ctx.appointment(ctx.policy.schedule_authority, number)
    if found is not None and any(found.patient == mate.id for mate in ctx.same_person(patient)):
        return None
    return apply("#47", text="the visit number is none of the patient's appointments")
