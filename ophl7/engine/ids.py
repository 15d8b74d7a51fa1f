"""Ids of rows and of what we send, given in memory."""

from __future__ import annotations

from collections.abc import Iterable

from ophl7.engine.storage import Counters


class Ids:
    """Row ids, given in memory so that children know their parents before the insert. A batch that fails leaves gaps."""

    __slots__ = ("appointment", "charge", "delivery", "drift", "hold", "journal", "merge", "patient", "prefix")

    def __init__(self, last: Counters) -> None:
        self.journal = last.journal
        self.patient = last.patient
        self.appointment = last.appointment
        self.charge = last.charge
        self.hold = last.hold
        self.delivery = last.delivery
        self.drift = last.drift
        self.merge = last.merge
        self.prefix = last.prefix

    def next(self, table: str) -> int:
        """The next id of that table."""
        value: int = getattr(self, table) + 1
        setattr(self, table, value)
        return value

    def control_id(self, kind: str, number: int) -> str:
        """Our MSH-10: unique to this database for ever, at most 20 characters (HL7 2.x ST(20))."""
        return f"{self.prefix}{kind}{_base36(number)}"


def number_in(control_id: str, prefix: str) -> int:
    """The number of a control id of ours; 0 for none."""
    digits = control_id.removeprefix(prefix)[1:]
    return int(digits, 36) if control_id.startswith(prefix) and digits.isalnum() else 0


def longest(control_ids: Iterable[str]) -> str:
    """The one with the greatest number, of ids of one kind; "" for none."""
    return max(control_ids, key=lambda one: (len(one), one), default="")


def _base36(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
    return text or "0"
