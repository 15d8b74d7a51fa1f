"""Merges: each side's staff merge their own charts and say so; both halves are tracked, none is done for them (decisions 6)."""

from __future__ import annotations

from ophl7.kit import (
    Change,
    Context,
    Handlers,
    Hold,
    Identifier,
    Ignore,
    LinkIdentifier,
    Location,
    MergePair,
    Note,
    Patient,
    Reject,
    Segment,
    Wanted,
    planned,
    read_merges,
)

handlers = Handlers("merge")

ONE_OF_THEM = (
    "a release cannot say which of them is meant: merge the two in the system that owns the patients and release it then, "
    "or have it sent again with the ids of one and discard it"
)

MERGES = ("ADT^A18", "ADT^A30", "ADT^A34", "ADT^A36", "ADT^A39", "ADT^A40")
CHANGED_IDS = ("ADT^A46", "ADT^A47")

# What only a person can carry over to the other system, in words for that person (#70).
BY_HAND = {
    "ADT^A42": "visits were merged; bring the visits of the other system together by hand",
    "ADT^A43": "a patient record was moved to another patient; move what belongs to it in the other system by hand",
    "ADT^A44": "an account was moved to another patient; move it in the other system by hand",
    "ADT^A45": "a visit was moved to another patient; move it in the other system by hand",
    "ADT^A49": "an account number was changed; change it in the other system by hand",
    "ADT^A50": "a visit number was changed; change it in the other system by hand",
    "ADT^A51": "an alternate visit number was changed; change it in the other system by hand",
}


@handlers.on(*MERGES)
async def merge(_msh: Segment, ctx: Context) -> list[Change]:
    """Every pair of the message; it is taken, held or refused as one."""
    wanted: list[Wanted] = []
    people: dict[int, Patient] = {}
    for pair in _pairs(ctx):
        survivor_id, survivor = await _survivor(pair, ctx)
        named = {identifier.key for identifier in pair.survivor.keys}
        others = [identifier for identifier in pair.retired.keys if identifier.key not in named]
        if not others:
            text = "the merge names the same id as source and target"
            raise Reject.because("#67", "M01", text, error=205, location=Location("MRG", field=1))
        wanted += [Wanted(identifier, await ctx.patient(identifier), survivor_id, survivor) for identifier in others]
    for one in wanted:
        for patient in (one.retired, one.survivor):
            if patient is not None:
                people.update({mate.id: mate for mate in ctx.same_person(patient)})
    return list(planned(ctx.peer, wanted, people.values()))


@handlers.on(*CHANGED_IDS)
async def changed_id(_msh: Segment, ctx: Context) -> list[Change]:
    """The old id stays an alias of the same patient (#72); two patients under the two ids would be a merge."""
    (pair, *_) = _pairs(ctx)
    new, patient = await _survivor(pair, ctx)
    old = pair.retired.keys[0]
    holder = await ctx.patient(old)
    if holder is None and patient is None:
        raise Hold("#72", f"patient:{old}", "the patient whose id was changed is not known yet")
    if holder is not None and patient is not None:
        if holder.id == patient.id:
            raise Ignore("#72", "both ids are the patient's already")
        reason = "the new id belongs to another patient: was this a merge?"
        raise Hold("#72", f"merge:{old}", reason, instead="if it was, have that system send a merge; then discard this message")
    link = LinkIdentifier(new, of=holder, first=True) if holder is not None else LinkIdentifier(old, of=patient)
    return [Note("#72", "the old id stays an alias of the same patient"), link]


@handlers.on(*BY_HAND)
async def by_hand(_msh: Segment, ctx: Context) -> list[Change]:
    """Moves, and merges of visits, are a person's (#70), who releases the message when it is done."""
    ctx.hold("#70", f"merge:{ctx.match.key or 'no id'}", BY_HAND[ctx.event])
    return [Note("#70", "a person has carried it over")]


def _pairs(ctx: Context) -> list[MergePair]:
    """The PID/MRG pairs, each with ids on both sides. Raises Reject for a message that has none (#15, #68)."""
    pairs = read_merges(ctx.message, ctx.policy.authority_of(ctx.peer))
    if not ctx.match.named.keys or any(not pair.survivor.keys for pair in pairs):
        raise Reject.because("#15", "", "PID names no patient", error=101, location=Location("PID", field=3))
    if not pairs or any(not pair.retired.keys for pair in pairs):
        text = "MRG does not say which id goes away"
        raise Reject.because("#68", "M02", text, error=101, location=Location("MRG", field=1 if pairs else 0))
    return pairs


async def _survivor(pair: MergePair, ctx: Context) -> tuple[Identifier, Patient | None]:
    """Whom the PID of a pair names. Raises Hold when its ids belong to different patients (#10)."""
    found: dict[int, tuple[Identifier, Patient]] = {}
    for identifier in pair.survivor.keys:
        patient = await ctx.patient(identifier)
        if patient is not None:
            found.setdefault(patient.id, (identifier, patient))
    if len(found) > 1:
        reason = "the ids of the surviving chart belong to different patients"
        raise Hold("#10", f"identity:{pair.survivor.keys[0]}", reason, instead=ONE_OF_THEM)
    return next(iter(found.values()), (pair.survivor.keys[0], None))
