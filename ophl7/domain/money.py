"""Counts and amounts of charges, exact: decimal numbers as they were sent, never rounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact

from ophl7.domain.charge_reading import is_number

# An amount of more characters is no amount of money; with fewer, any sum of a database full of them is exact.
LONGEST_AMOUNT = 64
_EXACT = Context(prec=256, traps=[Inexact])

ZERO = Decimal(0)


def amount_of(text: str) -> Decimal | None:
    """The amount of a ledger row; None where the receiver prices the charge, or what was sent is no number."""
    text = text.strip()
    return Decimal(text) if len(text) <= LONGEST_AMOUNT and is_number(text) else None


def plus(one: Decimal, other: Decimal) -> Decimal:
    """The exact sum."""
    return _EXACT.add(one, other)


@dataclass(slots=True)
class Sum:
    """How many charges, and how much. without_amount: how many of them name no amount."""

    count: int = 0
    amount: Decimal = ZERO
    without_amount: int = 0

    def add(self, amount: Decimal | None) -> None:
        """One more charge."""
        self.count += 1
        if amount is None:
            self.without_amount += 1
        else:
            self.amount = plus(self.amount, amount)

    def __add__(self, other: Sum) -> Sum:
        return Sum(self.count + other.count, plus(self.amount, other.amount), self.without_amount + other.without_amount)


def total(sums: Iterable[Sum]) -> Sum:
    """All of them together."""
    found = Sum()
    for one in sums:
        found = found + one
    return found
