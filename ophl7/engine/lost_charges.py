"""Charges that never reach the PM, because it refused them for good or a person skipped them: nothing takes them back (#50)."""

from __future__ import annotations

from collections.abc import Iterable

from ophl7.engine.storage import DeliveryMark, Keys
from ophl7.engine.unit_of_work import UnitOfWork

# What people read of such a copy in place of an answer.
CHARGE_LOST = "its charge was refused or skipped"

_LOST = frozenset({"rejected", "skipped"})


async def keep_back(uow: UnitOfWork, marks: Iterable[object], at: float) -> None:
    """Parks the credits, voids and updates that wait behind a charge which is lost by these marks, or by people in this batch.

    They stood in its lane behind it, so none of them has been tried; a person decides. What comes later finds the charge lost.
    """
    lost = {mark.id for mark in (*marks, *uow.rows.marks) if isinstance(mark, DeliveryMark) and mark.state in _LOST}
    if not lost:
        return
    await uow.fetch(Keys(lost=lost))
    waiting = {number for one in lost for number in uow.state.taken_back[one]}
    fresh = {number for one, number in uow.rows.taken_back if one in lost}
    uow.rows.deliveries = [row._replace(state="parked") if row.id in fresh else row for row in uow.rows.deliveries]
    uow.rows.marks += [DeliveryMark(number, "parked", 0, None, CHARGE_LOST, at) for number in sorted((waiting | fresh) - lost)]
