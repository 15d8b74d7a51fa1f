"""The public door for authors: everything a handler or a rule needs, and nothing else.

    from ophl7.kit import Change, Context, Handlers, Segment

    handlers = Handlers("visits")

    @handlers.on("ADT^A04", segment="PV1")
    async def arrived(pv1: Segment, ctx: Context) -> list[Change]: ...

A handler never writes, sends or acknowledges: it proposes changes. Rules judge each of them. What was proposed and not refused
is committed with everything else that follows from the message, and only then is the sender answered.
"""

from __future__ import annotations

from ophl7.domain.appointment import (
    CLINICAL_PROGRESS,
    STATUS_ORDER,
    Appointment,
    Booking,
    Progress,
    Resource,
    Status,
    differences,
    whole_resources,
)
from ophl7.domain.booking import read_booking, read_visit
from ophl7.domain.changes import (
    AddCharge,
    Change,
    ConfirmPatient,
    CreatePatient,
    Deliver,
    LinkIdentifier,
    MergePatients,
    Note,
    Receive,
    SetActive,
    SetAppointment,
    SetField,
    SetProgress,
    Translate,
    UpdatePatient,
)
from ophl7.domain.charge import CREDIT, PAYMENT_TYPES, Charge, ChargeLine, correction_of
from ophl7.domain.charge_reading import faults, read_charge, read_charges, usable_ids
from ophl7.domain.coding import mapping_key, table_of
from ophl7.domain.identifiers import Identifier, NamedPatient, deletes_key
from ophl7.domain.merge import MERGE_TRIGGERS, MergedAccount, MergePair, paired, read_account_merges, read_merges
from ophl7.domain.merging import Wanted, planned
from ophl7.domain.patient import BIRTH_DATE, NAME, SEX, Patient, Side, complete, deletes_identity, other_side, read_fields
from ophl7.domain.policy import PeerPolicy, Policy
from ophl7.domain.profile import PROGRESS_EVENTS
from ophl7.domain.service_date import is_to_come, is_too_old, service_day
from ophl7.domain.status_words import meaning
from ophl7.domain.verdicts import Condition, Hold, Ignore, Outcome, Reject, Verdict, apply, hold, reject, strip
from ophl7.hl7v2.ack import Location
from ophl7.hl7v2.message import Message, Null, Segment, Value
from ophl7.kit.context import Context, Match
from ophl7.kit.parts import Handlers, Rules

__all__ = [
    "BIRTH_DATE",
    "CLINICAL_PROGRESS",
    "CREDIT",
    "MERGE_TRIGGERS",
    "NAME",
    "PAYMENT_TYPES",
    "PROGRESS_EVENTS",
    "SEX",
    "STATUS_ORDER",
    "AddCharge",
    "Appointment",
    "Booking",
    "Change",
    "Charge",
    "ChargeLine",
    "Condition",
    "ConfirmPatient",
    "Context",
    "CreatePatient",
    "Deliver",
    "Handlers",
    "Hold",
    "Identifier",
    "Ignore",
    "LinkIdentifier",
    "Location",
    "Match",
    "MergePair",
    "MergePatients",
    "MergedAccount",
    "Message",
    "NamedPatient",
    "Note",
    "Null",
    "Outcome",
    "Patient",
    "PeerPolicy",
    "Policy",
    "Progress",
    "Receive",
    "Reject",
    "Resource",
    "Rules",
    "Segment",
    "SetActive",
    "SetAppointment",
    "SetField",
    "SetProgress",
    "Side",
    "Status",
    "Translate",
    "UpdatePatient",
    "Value",
    "Verdict",
    "Wanted",
    "apply",
    "complete",
    "correction_of",
    "deletes_identity",
    "deletes_key",
    "differences",
    "faults",
    "hold",
    "is_to_come",
    "is_too_old",
    "mapping_key",
    "meaning",
    "other_side",
    "paired",
    "planned",
    "read_account_merges",
    "read_booking",
    "read_charge",
    "read_charges",
    "read_fields",
    "read_merges",
    "read_visit",
    "reject",
    "service_day",
    "strip",
    "table_of",
    "usable_ids",
    "whole_resources",
]
