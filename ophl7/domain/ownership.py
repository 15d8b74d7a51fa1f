"""Who owns which field (decisions 9): data, per path and per set-up."""

from __future__ import annotations

from typing import Literal

from ophl7.domain.patient import Side

Owner = Literal["pm", "emr", "shared"]

# Both sides keep these; the patient authority's last write wins, the other side only fills blanks.
_SHARED = frozenset({"PID-10", "PID-15", "PID-22"})

# Kept by the EMR alone when the PM owns the patients: allergies, problems, and the contact preference (PID-40, XTN-18).
_EMR_WHEN_PM_OWNS = frozenset({"AL1", "IAM", "DG1", "PID-40"})

# Insurance, guarantor and account stay the PM's even when the EMR owns the patients: the PM bills.
_PM_WHEN_EMR_OWNS = frozenset({"GT1", "IN1", "IN2", "IN3", "PID-18"})


def owner_of(path: str, patient_authority: Side) -> Owner:
    """The owner of a field: a path like `PID-11`, or a segment's name.

    A field that the table does not name belongs to the side that owns the patients. In the set-up where the EMR owns them, the
    EMR's own clinical fields stay its own: `docs/decisions/` says why "swapped" is read so.
    """
    if path in _SHARED:
        return "shared"
    if patient_authority == "pm":
        return "emr" if path in _EMR_WHEN_PM_OWNS else "pm"
    return "pm" if path in _PM_WHEN_EMR_OWNS else "emr"


def may_write(path: str, sender: Side, patient_authority: Side, *, blank: bool) -> bool:
    """Whether the sender's value for this path is taken. blank: whether the registry holds nothing there yet."""
    owner = owner_of(path, patient_authority)
    if owner == "shared":
        return sender == patient_authority or blank
    return owner == sender
