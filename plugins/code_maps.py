"""Codes that the profile has tables for, and no entry (#36, #42, #46)."""

from __future__ import annotations

from ophl7.kit import Change, Context, Rules, Translate, Verdict, apply, hold, mapping_key

rules = Rules("code_maps")


@rules.judge("code.translate")
async def no_entry(change: Change, ctx: Context) -> Verdict | None:
    """A charge waits until somebody says what its code is called in the PM: billed under a wrong code it would be wrong money.

    A booking or a patient must not wait for that: the code goes on as it came, and somebody is told.
    """
    assert isinstance(change, Translate)
    if change.to is not None:
        return None
    if ctx.message.type == "DFT":
        key = mapping_key(change.table, change.code)
        return hold("#46", key, f"a code has no entry in the table {change.table}; map it, and the charge goes on")
    return apply("#36", text=f"a code has no entry in the table {change.table}; it was passed on as it came")
