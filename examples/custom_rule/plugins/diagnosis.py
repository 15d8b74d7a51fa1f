"""A practice's own rule: a charge without a diagnosis goes back to the EMR."""

from __future__ import annotations

from ophl7.kit import CREDIT, AddCharge, Change, Context, Location, Rules, Verdict, reject

rules = Rules("diagnosis")


@rules.judge("charge.add")
async def needed(change: Change, ctx: Context) -> Verdict | None:
    """No opinion on charges that name a diagnosis, and on credits, which only take back."""
    assert isinstance(change, AddCharge)
    if change.line.diagnoses or change.line.kind == CREDIT:
        return None
    where = Location("FT1", change.number + 1, 19)
    return reject("diagnosis", "", "this practice charges nothing without a diagnosis", error=101, location=where)
