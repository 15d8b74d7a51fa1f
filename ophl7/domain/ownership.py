"""Who owns which field (decisions 9): a table, from which the documentation is made, and a profile's changes to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Side = Literal["pm", "emr"]  # as in domain.patient, which this module must not need
Owner = Literal["pm", "emr", "shared"]


class OwnedField(NamedTuple):
    """One row of the table. path: `PID-11`, or a segment's name; name: what it is in words.

    pm, emr: its owner where the PM, and where the EMR owns the patients. shared: both sides keep it; the last write of the side
    that owns the patients wins, the other side only fills blanks.
    """

    path: str
    name: str
    pm: Owner
    emr: Owner


ANY_OTHER = "*"

# "Swapped" for the EMR's set-up does not hand its clinical fields to the PM, and what the PM bills by stays the PM's: see
# docs/decisions/0006.
FIELD_OWNERS: tuple[OwnedField, ...] = (
    OwnedField("PID-2", "patient id as older systems write it", "pm", "emr"),
    OwnedField("PID-3", "patient ids; each side's own stand beside the other's", "pm", "emr"),
    OwnedField("PID-4", "alternate patient id", "pm", "emr"),
    OwnedField("PID-5", "name", "pm", "emr"),
    OwnedField("PID-7", "birth date", "pm", "emr"),
    OwnedField("PID-8", "sex", "pm", "emr"),
    OwnedField("PID-10", "race", "shared", "shared"),
    OwnedField("PID-11", "address", "pm", "emr"),
    OwnedField("PID-13", "phone at home, and e-mail where it stands there", "pm", "emr"),
    OwnedField("PID-14", "phone at work", "pm", "emr"),
    OwnedField("PID-15", "language", "shared", "shared"),
    OwnedField("PID-16", "marital status", "pm", "emr"),
    OwnedField("PID-18", "account number", "pm", "pm"),
    OwnedField("PID-19", "social security number", "pm", "emr"),
    OwnedField("PID-22", "ethnicity", "shared", "shared"),
    OwnedField("PID-30", "death", "pm", "emr"),
    OwnedField("PID-40", "preferred contact method, e-mail of the portal", "emr", "emr"),
    OwnedField("NK1", "next of kin", "pm", "emr"),
    OwnedField("GT1", "guarantor", "pm", "pm"),
    OwnedField("IN1", "insurance", "pm", "pm"),
    OwnedField("IN2", "insurance, more", "pm", "pm"),
    OwnedField("IN3", "insurance, certification", "pm", "pm"),
    OwnedField("AL1", "allergies", "emr", "emr"),
    OwnedField("IAM", "allergies, with action codes", "emr", "emr"),
    OwnedField("DG1", "problems and diagnoses", "emr", "emr"),
    OwnedField(ANY_OTHER, "any other field of PID, and PD1", "pm", "emr"),
)


@dataclass(frozen=True, slots=True)
class FieldOwners:
    """The owners in one practice. authority: the side that owns the patients, and so every field that `table` does not name."""

    authority: Side
    table: Mapping[str, Owner]

    def of(self, path: str) -> Owner:
        """The owner of a field: a path like `PID-11`, or a segment's name."""
        return self.table.get(path, self.authority)

    def may_write(self, path: str, sender: Side, *, blank: bool) -> bool:
        """Whether the sender's value for this path is taken. blank: whether the registry holds nothing there yet."""
        owner = self.table.get(path, self.authority)
        return owner == sender or (owner == "shared" and (blank or sender == self.authority))


def owners_in(authority: Side, *changes: Mapping[str, Owner]) -> FieldOwners:
    """The table of decisions 9 for the side that owns the patients, with what the profiles say over it (later ones win)."""
    table: dict[str, Owner] = {row.path: row.pm if authority == "pm" else row.emr for row in FIELD_OWNERS}
    for said in changes:
        table.update(said)
    return FieldOwners(authority, {path: owner for path, owner in table.items() if path != ANY_OTHER})


def contradictions(one: Mapping[str, Owner], other: Mapping[str, Owner]) -> list[str]:
    """The paths to which two profiles give different owners."""
    return sorted(path for path, owner in one.items() if path in other and other[path] != owner)
