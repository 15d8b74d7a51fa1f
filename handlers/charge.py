"""Charges: each FT1 of a DFT, and the DFT as a whole for the PM (decisions 5)."""

from __future__ import annotations

from ophl7.kit import (
    AddCharge,
    Change,
    Context,
    Deliver,
    Handlers,
    Location,
    Reject,
    Segment,
    faults,
    read_charge,
    usable_ids,
)

handlers = Handlers("charge")

EVENTS = ("DFT^P03", "DFT^P11")


@handlers.on(*EVENTS)
async def forward(_msh: Segment, ctx: Context) -> list[Change]:
    """The whole DFT goes to the PM at once; it is taken, held or refused as one."""
    if ctx.message.first("FT1") is None:
        raise Reject.because("#41", "C01", "the message carries no charge", error=100, location=Location("FT1"))
    if not ctx.match.named.keys:
        raise Reject.because("#41", "C01", "PID names no patient", error=101, location=Location("PID", field=3))
    return [Deliver("pm", "charges")]


@handlers.on(*EVENTS, segment="FT1", each=True)
async def charge(ft1: Segment, ctx: Context) -> list[Change]:
    """One charge, with the ledger's own if it has the same identity."""
    siblings = ctx.message.all("FT1")
    number = next(position for position, segment in enumerate(siblings) if segment.index == ft1.index)
    line = read_charge(ctx.message, ft1, usable_ids(ctx.message))
    known = await ctx.charge(line.transaction_id) if line.usable_id else None
    return [AddCharge(line, number, known, faults(ft1, number + 1, line))]
