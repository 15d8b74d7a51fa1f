"""The decision table as data: what each row says to people. Verdicts, the journal and tests name rows by these numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ophl7.domain.rows import charges, merges, messages, patients, schedule
from ophl7.domain.rows.row import DecisionRow, Domain, Sender

__all__ = ["DECISIONS", "DecisionRow", "Domain", "Sender"]

DECISIONS: Mapping[str, DecisionRow] = MappingProxyType(
    {row.number: row for rows in (patients.ROWS, schedule.ROWS, charges.ROWS, merges.ROWS, messages.ROWS) for row in rows}
)
