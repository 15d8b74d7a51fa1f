"""Patients: what a registration, an update or any other ADT says about somebody (decisions 3)."""

from __future__ import annotations

from ophl7.kit import (
    Change,
    ConfirmPatient,
    Context,
    CreatePatient,
    Deliver,
    Handlers,
    Hold,
    Ignore,
    LinkIdentifier,
    Location,
    Note,
    Patient,
    Reject,
    Segment,
    SetActive,
    SetField,
    UpdatePatient,
    Value,
    complete,
    deletes_key,
    read_account_merges,
    read_fields,
)

handlers = Handlers("patient")

# Registrations announce a patient; updates presume that he is known (#1, #3).
REGISTRATIONS = ("ADT^A01", "ADT^A04", "ADT^A05", "ADT^A28")
UPDATES = ("ADT^A08", "ADT^A31")
_ABOUT_PATIENTS = frozenset((*REGISTRATIONS, *UPDATES))  # the other events are about visits, which the owner does not hear of

# They undo a visit, not the patient (#17).
UNDONE_VISITS = ("ADT^A11", "ADT^A23", "ADT^A38")
DELETION = "ADT^A29"
ACCOUNT = "PID-18"
LINKS = ("ADT^A24", "ADT^A37")
ACCOUNT_MERGES = ("ADT^A35", "ADT^A41")
BOTH_MERGED = "ADT^A36"
_OF_MERGES = ("A18", "A30", "A34", "A36", "A39", "A40", "A42", "A43", "A44", "A45", "A46", "A47", "A49", "A50", "A51")
_NAMED = {
    *REGISTRATIONS,
    *UPDATES,
    *UNDONE_VISITS,
    DELETION,
    *LINKS,
    *ACCOUNT_MERGES,
    *(f"ADT^{event}" for event in _OF_MERGES),
}

# All others are about a visit, or about nothing that we keep; what they say of the patient counts all the same (#18).
OTHERS = tuple(event for event in (f"ADT^A{number:02}" for number in range(1, 100)) if event not in _NAMED)


@handlers.on(*REGISTRATIONS, *UPDATES)
async def record(_msh: Segment, ctx: Context) -> list[Change]:
    """The patient's fields, the ids that were not known, and a copy for the other side when the sender owns the patients."""
    return _record(ctx)


@handlers.on(*OTHERS)
async def other(_msh: Segment, ctx: Context) -> list[Change]:
    """Demographics as in an update; the visit is noted (#18)."""
    return [Note("#18", "the visit was noted, nothing else depends on it"), *_record(ctx)]


@handlers.on(*ACCOUNT_MERGES)
async def accounts(_msh: Segment, ctx: Context) -> list[Change]:
    """The account that PID names takes the place of the old one, for everybody who has that, and nothing else does (#69).

    It is never passed on as a merge.
    """
    _key(ctx)
    if ctx.match.patient is None and not ctx.match.ambiguous:
        raise Hold("#69", f"patient:{ctx.match.key}", "the patient whose account was merged is not known yet")
    said = [_account_only(change) for change in _record(ctx) if not isinstance(change, Deliver)]
    own = ctx.match.patient.id if ctx.match.patient is not None else None  # his PID-18 is among what the message says of him
    moved = [change for change in await _moved_accounts(ctx) if change.of is not None and change.of.id != own]
    return [Note("#69", "the account that PID names is the patient's from now on"), *said, *moved]


@handlers.on(BOTH_MERGED)
async def accounts_of_merged(_msh: Segment, ctx: Context) -> list[Change]:
    """A36 merges the accounts besides the charts, which the merge itself sees to."""
    return list(await _moved_accounts(ctx))


async def _moved_accounts(ctx: Context) -> list[SetField]:
    """Everybody with an account that was merged away gets the one that stays: a family shares it."""
    return [
        SetField(ACCOUNT, merged.survivor, holder.fields.get(ACCOUNT), of=holder)
        for merged in read_account_merges(ctx.message)
        for holder in await ctx.account_holders(merged.retired)
    ]


def _account_only(change: Change) -> Change:
    """A merge changes no demographics (decisions 6)."""
    if not isinstance(change, UpdatePatient):
        return change
    return UpdatePatient({path: value for path, value in change.fields.items() if path == ACCOUNT})


@handlers.on(*UNDONE_VISITS)
async def undone_visit(_msh: Segment, ctx: Context) -> list[Change]:
    """That visit only; the patient is untouched (#17)."""
    if ctx.match.patient is None or not ctx.owns_patients or ctx.match.patient.retired_on(ctx.peer):
        return [Note("#18", "the visit was noted, nothing else depends on it"), *_record(ctx)]
    return [Note("#17", "a visit was undone; the patient is untouched"), Deliver(ctx.other, "record")]


@handlers.on(DELETION)
async def deletion(_msh: Segment, ctx: Context) -> list[Change]:
    """The chart becomes inactive on the sender's side, if nothing is open about the patient; nobody is ever removed (#12)."""
    _key(ctx)
    patient = ctx.match.patient
    if not ctx.owns_patients or patient is None:
        return [SetActive(active=False), Deliver(ctx.other, "record")]  # from the other side it is refused (#13)
    if patient.retired_on(ctx.peer):
        return [Note("#8", "the chart was merged away before", warning=True)]
    if patient.inactive_on(ctx.peer):
        raise Ignore("#12", "the chart is inactive already")
    return [SetActive(active=False, open_business=await ctx.open_business(patient)), Deliver(ctx.other, "record")]


@handlers.on(*LINKS)
async def links(_msh: Segment, _ctx: Context) -> list[Change]:
    """Two ids are linked or unlinked, which is no merge (#14)."""
    raise Ignore("#14", "a link is noted and changes nothing")


def _key(ctx: Context) -> None:
    """Raises Reject for a PID that names nobody (#15)."""
    if not ctx.match.named.keys:
        raise Reject.because(
            "#15", "", "PID names no patient", error=101, location=Location("PID", field=ctx.policy.namings[ctx.peer].keys[0])
        )


def _record(ctx: Context) -> list[Change]:
    patient = ctx.match.patient
    if not ctx.match.named.keys and deletes_key(ctx.message.first("PID"), ctx.policy.namings[ctx.peer]):
        ctx.hold("#11", "demographics:no id", "it deletes a key id")  # beside another id: plugins/identity.py
    _key(ctx)
    if patient is None:
        changes = _newcomer(ctx)
    elif patient.retired_on(ctx.peer):
        return _retired(ctx)
    else:
        changes = _known(ctx, patient)
    if ctx.owns_patients:
        changes.append(Deliver(ctx.other, "record"))
    elif patient is not None and (takes := ctx.policy.peers[ctx.other].profile.fields.takes) and ctx.event in _ABOUT_PATIENTS:
        changes.append(Deliver(ctx.other, "record", only=takes))  # what the owner wants to hear of the other's edits (#5)
    return changes


def _said(ctx: Context) -> dict[str, Value]:
    """What the message says of a known patient, as its sender's profile means it (decisions 2 and 3)."""
    rules = ctx.policy.peers[ctx.peer].profile.fields
    deletes = None if rules.blank == "delete" else rules.blank_deletes
    return read_fields(ctx.message, deletes, ctx.policy.namings[ctx.peer].own_places)


def _newcomer(ctx: Context) -> list[Change]:
    """Somebody new; while the practice goes live also from the side that does not own the patients (decisions 2)."""
    learned = ctx.introduces if not ctx.owns_patients else None
    if learned is not None:
        return [learned]
    # Where there is nothing yet, a blank has nothing to delete.
    named, fields = ctx.match.named, read_fields(ctx.message, (), ctx.policy.namings[ctx.peer].own_places)
    announced = ctx.event in REGISTRATIONS
    return [CreatePatient(named.keys, named.others, fields, announced, complete=complete(named.keys, fields))]


def _retired(ctx: Context) -> list[Change]:
    """A chart that the sender's own side has merged away: kept on that chart, not passed on (#8)."""
    if ctx.event in REGISTRATIONS:
        ctx.hold("#8", f"retired:{ctx.match.key}", "it registers a patient whose chart the same system has merged away")
    told = Note("#8", "the chart was merged away by the same system; it was kept there and not passed on", warning=True)
    return [told, UpdatePatient(_said(ctx))]


def _known(ctx: Context, patient: Patient) -> list[Change]:
    changes: list[Change] = [UpdatePatient(_said(ctx))]
    authority = ctx.policy.authority_of(ctx.peer)
    changes += [LinkIdentifier(identifier) for identifier in ctx.match.unknown if identifier.authority == authority]
    if ctx.owns_patients:
        known = patient.identifiers
        changes += [LinkIdentifier(other, key=False) for other in ctx.match.named.others if other not in known]
        if patient.provisional:
            changes.append(ConfirmPatient())
        if ctx.event in REGISTRATIONS and patient.inactive_on(ctx.peer):
            changes.append(SetActive(active=True))
    # Also an update that says nothing new was decided by a row, which stands in the journal.
    changes.append(Note("#4" if ctx.owns_patients else "#5", "an update of a known patient"))
    return changes
