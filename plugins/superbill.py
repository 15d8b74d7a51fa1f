"""The superbill form is off for everybody: claims and superbills never pass (#56)."""

from __future__ import annotations

from ophl7.kit import Change, Context, Location, Rules, Verdict, reject

rules = Rules("superbill")

_CLAIM_EVENTS = frozenset({"BAR^P01", "BAR^P02", "BAR^P05", "BAR^P06", "BAR^P10", "BAR^P12"})


@rules.judge("message.receive")
async def never(_change: Change, ctx: Context) -> Verdict | None:
    """Whoever sends one sees why it was refused, and the refusal is counted by user (`ophl7 superbills`)."""
    more = ctx.policy.peers[ctx.peer].profile.superbill.events
    if ctx.event not in _CLAIM_EVENTS and ctx.message.type != "EHC" and ctx.event not in more:
        return None
    error = 200 if ctx.message.type == "EHC" else 201  # of the other types we take some events
    text = "claims and superbills are made in the PM only"
    return reject("#56", "C03", text, error=error, header=True, location=Location("MSH", field=9))
