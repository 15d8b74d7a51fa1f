"""Patients: what a registration or an update says about somebody (decisions 3)."""

from __future__ import annotations

from ophl7.kit import (
    Change,
    Context,
    CreatePatient,
    Deliver,
    Handlers,
    Hold,
    LinkIdentifier,
    Location,
    Reject,
    Segment,
    UpdatePatient,
    complete,
    deletes_key,
    read_fields,
)

handlers = Handlers("patient")

# Registrations announce a patient; updates presume that he is known (#1, #3).
REGISTRATIONS = ("ADT^A01", "ADT^A04", "ADT^A05", "ADT^A28")
UPDATES = ("ADT^A08", "ADT^A31")


@handlers.on(*REGISTRATIONS, *UPDATES)
async def record(_msh: Segment, ctx: Context) -> list[Change]:
    """The patient's fields, the ids that were not known, and a copy for the other side when the sender owns the patients."""
    named = ctx.match.named
    if deletes_key(ctx.message.first("PID")):
        patient = ctx.match.patient
        blocks = f"record:{patient.subject}" if patient is not None else ""
        raise Hold("#11", f"demographics:{ctx.match.key or 'no id'}", "it deletes a key id", blocks=blocks)
    if not named.keys:
        raise Reject.because("#15", "", "PID names no patient", error=101, location=Location("PID", field=3))
    fields = read_fields(ctx.message)
    changes: list[Change] = []
    if ctx.match.patient is None:
        changes.append(
            CreatePatient(named.keys, named.others, fields, ctx.event in REGISTRATIONS, complete=complete(named.keys, fields))
        )
    else:
        changes.append(UpdatePatient(fields))
        authority = ctx.policy.authority_of(ctx.peer)
        changes += [LinkIdentifier(identifier) for identifier in ctx.match.unknown if identifier.authority == authority]
        if ctx.owns_patients:
            known = ctx.match.patient.identifiers
            changes += [LinkIdentifier(other, key=False) for other in named.others if other not in known]
    if ctx.owns_patients:
        changes.append(Deliver(ctx.other, "record"))
    return changes
