"""Charges: a DFT as a whole for the PM, and each of its FT1 (decisions 5).

What an FT1 says is read by the EMR's profile, how a correction leaves goes by the PM's.
"""

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
    correction_of,
    faults,
    read_charges,
)

handlers = Handlers("charge")


@handlers.on("DFT^P03", "DFT^P11")
async def forward(_msh: Segment, ctx: Context) -> list[Change]:
    """The whole DFT goes to the PM at once, and each FT1 into the ledger; it is taken, held or refused as one."""
    message = ctx.message
    charges = message.all("FT1")
    if not charges:
        raise Reject.because("#41", "C01", "the message carries no charge", error=100, location=Location("FT1"))
    if not ctx.match.named.keys:
        raise Reject.because("#41", "C01", "PID names no patient", error=101, location=Location("PID", field=3))
    changes: list[Change] = [Deliver("pm", "charges")]
    if ctx.introduces is not None:
        changes.insert(0, ctx.introduces)  # the practice goes live: the patient is learned (decisions 2)
    sender = ctx.policy.peers[ctx.peer]
    receiver = ctx.policy.peers["pm"].profile.charges
    lines = read_charges(message, sender.profile.charges, weak=sender.weak_control_ids)
    for number, (ft1, line) in enumerate(zip(charges, lines, strict=True)):
        known = await ctx.charge(line) if line.usable_id and not line.supplied else None
        repeats = await ctx.repeated(line)
        correction = correction_of(line, known, receiver)
        changes.append(AddCharge(line, number, known, faults(ft1, number + 1, line), correction, repeats))
    return changes
