"""What becomes of a merge, and of what is about a chart that was merged away (decisions 6, #8, #32, #44)."""

from __future__ import annotations

from ophl7.kit import BIRTH_DATE, SEX, Change, Context, Deliver, MergePatients, Rules, Verdict, apply, hold, strip

rules = Rules("merge_authority")

_ONE_WAY = "a release cannot turn that round: look there which chart is in use; if it is as it was, discard this message"


@rules.judge("patient.merge")
async def own_charts(change: Change, ctx: Context) -> Verdict | None:
    """Either side merges its own charts, in every set-up (#60 to #66)."""
    assert isinstance(change, MergePatients)
    if change.survivor is None:
        reason = "the chart that it merges into is not known yet; its registration releases it"
        return hold("#65", f"target:{change.survivor_id}", reason, blocks=_blocked(change, ctx))
    if change.relation == "again":
        return strip("#63", "this side has said so before", code="")
    if change.relation == "elsewhere":
        return hold("#66", f"merge:{change.retired_id}", "this side has merged the same chart into another one before")
    if change.relation == "cycle":
        reason = "this side has merged these charts the other way round before"
        return hold("#66", f"merge:{change.retired_id}", reason, instead=_ONE_WAY)
    if change.relation == "opposite":
        return apply("#62", text="the other system has merged these charts the other way round; a person must settle it")
    if change.retired is None:
        return apply("#64", text="the chart that goes away was not known; messages about it go to the survivor")
    survivor = ctx.survivor(change.survivor, ctx.other)
    both = ctx.survivor(change.retired, ctx.other).id == survivor.id
    return apply("#61" if both else "#60")


@rules.judge("patient.merge")
async def two_children(change: Change, _ctx: Context) -> Verdict | None:
    """Charts with another birth date or sex may be two children's: taken, and said loudly (#74)."""
    assert isinstance(change, MergePatients)
    if change.retired is None or change.survivor is None or change.relation == "again":
        return None
    one, other = change.retired.fields, change.survivor.fields
    if all(path not in one or path not in other or one[path] == other[path] for path in (BIRTH_DATE, SEX)):
        return None
    return apply("#74", text="birth date or sex of the merged charts differ: are they really one child?")


@rules.judge("message.deliver")
async def redirected(change: Change, ctx: Context) -> Verdict | None:
    """What is about a retired chart goes on under the id that is in use at the receiver (#32, #44)."""
    patient = ctx.match.patient
    if patient is None or len(ctx.same_person(patient)) == 1:
        return None
    assert isinstance(change, Deliver)
    named = [await ctx.patient(identifier) for identifier in ctx.match.named.keys]
    booked = ctx.message.type == "SIU" and (patient.retired_on("pm") or patient.retired_on("emr"))
    if not booked and not any(one is not None and one.retired_on(change.to) for one in named):
        return None
    schedule = ctx.message.type == "SIU"
    row = "#32" if schedule else "#44" if ctx.message.type == "DFT" else "#8"
    return apply(row, warning="W02", text="the chart was merged; the message goes on under the id that is in use there")


def _blocked(change: MergePatients, ctx: Context) -> str:
    """What needs the result: charges when the PM merges, else the record that the EMR has merged away."""
    if change.retired is None:
        return ""
    return f"charges:{change.retired.lane}" if ctx.peer == "pm" else f"record:{change.retired.subject}"
