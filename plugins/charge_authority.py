"""Which charges pass (decisions 5): from the EMR, complete, for a known patient, and once."""

from __future__ import annotations

from datetime import datetime

from ophl7.kit import (
    CREDIT,
    PAYMENT_TYPES,
    AddCharge,
    Change,
    Charge,
    Context,
    Location,
    Patient,
    Rules,
    Verdict,
    apply,
    hold,
    reject,
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
    day = datetime.fromtimestamp(since, ctx.policy.zone).strftime("%Y%m%d")
    if change.line.date and change.line.date[:8] < day:
        return apply("#45", text="the chart is inactive by now; the service was before that")
    reason = "the chart is inactive; it is billed once the chart is in use again"
    return hold("#45", f"patient:{known.key}", reason, instead="")  # he is known: a person may bill him all the same


@rules.judge("charge.add")
async def once(change: Change, ctx: Context) -> Verdict | None:
    """The same charge again has no second effect; another content under its id is a person's to judge (#40, #48 to #52)."""
    assert isinstance(change, AddCharge)
    line, known = change.line, change.known
    if line.kind in PAYMENT_TYPES:
        return hold("#52", f"payment:{line.transaction_id or 'without id'}", "payments and adjustments need a biller")
    if known is not None and known.content == line.content and known.kind == line.kind:
        if known.state == "held":  # nobody knows yet whether it will be sent: until then neither may be left out
            key = f"charge:{line.transaction_id}"
            return hold("#48", key, "it repeats a charge that itself waits", instead=_behind(known))
        return strip("#48", "the charge is known already", code="")
    if line.kind == CREDIT:
        return _credit(change, ctx)
    if known is not None and known.kind == CREDIT and known.state == "held":
        return apply("#40")  # the credit came first and waits for just this charge (#51)
    if known is not None:
        return hold("#49", f"charge:{line.transaction_id}", "the charge is known with another content")
    return apply("#40")


def _credit(change: AddCharge, ctx: Context) -> Verdict:
    """It leaves after the charge that it credits, so it waits for one that is unknown or itself in custody (#50, #51).

    Later charges of the lane wait with it (decisions 11); the charge itself releases it.
    """
    line, known = change.line, change.known
    if known is not None and known.state == "sent":
        return apply("#50")
    blocks = f"charges:{ctx.match.patient.lane}" if ctx.match.patient is not None else ""
    key = f"charge:{line.transaction_id or 'without id'}"
    if known is None:
        return hold("#51", key, "it credits a charge that is not known", blocks=blocks)
    return hold("#50", key, "it credits a charge that itself waits", blocks=blocks, instead=_behind(known))


def _behind(known: Charge) -> str:
    return f"release or discard message {known.message}, which brings that charge, first; this one then follows"
