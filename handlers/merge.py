"""Merges: each side's staff merge their own charts and say so; both halves are tracked, none is done for them (decisions 6)."""

from __future__ import annotations

from ophl7.kit import (
    Change,
    Context,
    Deliver,
    Handlers,
    Hold,
    Identifier,
    Ignore,
    LinkIdentifier,
    Location,
    MergePair,
    MergePatients,
    Note,
    Patient,
    Reject,
    Segment,
    Wanted,
    paired,
    planned,
    read_merges,
)

handlers = Handlers("merge")

ONE_OF_THEM = (
    "a release cannot say which of them is meant: merge the two in the system that owns the patients and release it then, "
    "or have it sent again with the ids of one and discard it"
)

EACH_ALONE = "have that system send one merge for each chart; then discard this message"

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


# More would keep everybody else waiting while they are worked in; nobody merges so many charts at once.
MOST_PAIRS = 50


@handlers.on(*MERGES)
async def merge(_msh: Segment, ctx: Context) -> list[Change]:
    """Every pair of the message; it is taken, held or refused as one."""
    wanted: list[Wanted] = []
    people: dict[int, Patient] = {}
    for pair in _pairs(ctx):
        survivors, survivor = await _survivor(pair, ctx)
        if survivors is None:
            wanted += await _paired(pair, ctx)
            continue
        if not survivors:
            text = "the merge names the same id as source and target"
            raise Reject.because("#67", "M01", text, error=205, location=Location("MRG", field=1))
        wanted += [Wanted(one, await ctx.patient(one), survivors, survivor) for one in pair.retired.keys]
    if len(wanted) > MOST_PAIRS:
        raise Reject.because("#68", "M02", f"more than {MOST_PAIRS} merges in one message; send them in several", error=199)
    for one in wanted:
        for patient in (one.retired, one.survivor):
            if patient is not None:
                people.update({mate.id: mate for mate in ctx.same_person(patient)})
    changes: list[Change] = list(planned(ctx.peer, wanted, people.values()))
    # Nobody else hears of a merge as a merge, unless his system is known to take it (decisions 6).
    news = any(isinstance(change, MergePatients) and change.relation != "again" for change in changes)
    if news and ctx.policy.peers[ctx.other].profile.merges.forward:
        changes.append(Deliver(ctx.other, "record"))
    return changes


@handlers.on(*CHANGED_IDS)
async def changed_id(_msh: Segment, ctx: Context) -> list[Change]:
    """The old id stays an alias of the same patient, and every id that the message names is his (#72)."""
    links = [link for pair in _pairs(ctx) for link in await _same_person(pair, ctx)]
    if not links:
        raise Ignore("#72", "all these ids are the patient's already")
    return [Note("#72", "the old id stays an alias of the same patient"), *links]


async def _same_person(pair: MergePair, ctx: Context) -> list[Change]:
    """The ids of one pair that nobody has yet: they are his who has the others."""
    said = [*pair.survivor.keys, *pair.retired.keys]
    found = {one.key: await ctx.patient(one) for one in said}
    holders = {patient.id: patient for patient in found.values() if patient is not None}
    if not holders:
        raise Hold("#72", f"patient:{pair.retired.keys[0]}", "the patient whose id was changed is not known yet")
    if len(holders) > 1:
        reason = "the ids belong to different patients: was this a merge?"
        instead = "if it was, have that system send a merge; then discard this message"
        raise Hold("#72", f"merge:{pair.retired.keys[0]}", reason, instead=instead)
    (holder,) = holders.values()
    return [LinkIdentifier(one, of=holder, first=one in pair.survivor.keys) for one in said if found[one.key] is None]


@handlers.on(*BY_HAND)
async def by_hand(_msh: Segment, ctx: Context) -> list[Change]:
    """Moves, and merges of visits, are a person's (#70), who releases the message when it is done."""
    ctx.hold("#70", f"merge:{ctx.match.key or 'no id'}", BY_HAND[ctx.event])
    return [Note("#70", "a person has carried it over")]


def _pairs(ctx: Context) -> list[MergePair]:
    """The PID/MRG pairs, each with ids on both sides. Raises Reject for a message that has none (#15, #68)."""
    pairs = read_merges(ctx.message, ctx.policy.namings[ctx.peer])
    if not ctx.match.named.keys or any(not pair.survivor.keys for pair in pairs):
        raise Reject.because("#15", "", "PID names no patient", error=101, location=Location("PID", field=3))
    if not pairs or any(not pair.retired.keys for pair in pairs):
        text = "MRG does not say which id goes away"
        raise Reject.because("#68", "M02", text, error=101, location=Location("MRG", field=1 if pairs else 0))
    return pairs


async def _paired(pair: MergePair, ctx: Context) -> list[Wanted]:
    """Several ids on both sides, of several charts that stay: each id of MRG goes into its partner (domain 2.2).

    Raises Hold where it is not certain which that is.
    """
    partners = paired(pair)
    if partners is None:
        reason = "by position other ids are merged than by the system that gave them: which into which?"
        raise Hold("#66", f"merge:{pair.retired.keys[0]}", reason, instead=EACH_ALONE)
    found: list[Wanted] = []
    for one in pair.retired.keys:
        partner = partners.get(one.key)
        if partner is not None and partner.key != one.key:  # one without a partner stays untouched
            found.append(Wanted(one, await ctx.patient(one), (partner,), await ctx.patient(partner)))
    return found


async def _survivor(pair: MergePair, ctx: Context) -> tuple[tuple[Identifier, ...] | None, Patient | None]:
    """The ids by which a pair names the chart that stays, a known one first, and whose they are.

    A PID may list the id that goes away, too: that one does not count. No ids: PID and MRG name the same. None: they are those
    of several charts, so each id goes its own way. Raises Hold when they are and MRG names one id alone (#10).
    """
    retired = {identifier.key for identifier in pair.retired.keys}
    named = [identifier for identifier in pair.survivor.keys if identifier.key not in retired]
    found: dict[int, tuple[Identifier, Patient]] = {}
    for identifier in named:
        patient = await ctx.patient(identifier)
        if patient is not None:
            found.setdefault(patient.id, (identifier, patient))
    if len(found) > 1 and len(pair.retired.keys) > 1:
        return None, None
    if len(found) > 1:
        known = next(iter(found.values()))[0]
        reason = "the ids of the surviving chart belong to different patients"
        raise Hold("#10", f"identity:{known}", reason, instead=ONE_OF_THEM)
    if not found:
        return tuple(named), None
    ((identifier, patient),) = found.values()
    return (identifier, *(one for one in named if one != identifier)), patient
