"""Merges: what a merge message says, and the two redirect maps as a forest of patients (decisions 6, domain 2).

Each side merges its own charts, so each has a map of its own; both ids live on in both systems. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ophl7.domain.identifiers import Identifier, NamedPatient, Naming, named_in
from ophl7.domain.patient import Patient, Side, other_side
from ophl7.hl7v2.message import Message

# Events that carry MRG: merges (#60), merges of accounts (#69), moves (#70) and changes of an id (#72).
MERGE_TRIGGERS = frozenset(
    {"A18", "A30", "A34", "A35", "A36", "A39", "A40", "A41", "A42", "A43", "A44", "A45", "A46", "A47", "A49", "A50", "A51"}
)

# unmerged: a person has taken it apart (#73), and no side's map leads from the one to the other any more.
MergeState = Literal["one_sided", "two_sided", "conflict", "unmerged"]

# What a merge is against the maps as they are: new; the same again (#63); against the other side's direction (#62); of a chart
# that is merged elsewhere already, or one that would close a cycle (#66).
Relation = Literal["new", "again", "opposite", "elsewhere", "cycle"]


@dataclass(frozen=True, slots=True)
class MergePair:
    """One PID with its MRG. survivor: whom PID names; retired: whom MRG names (MRG-1, else MRG-4)."""

    survivor: NamedPatient
    retired: NamedPatient


@dataclass(frozen=True, slots=True)
class Merge:
    """One pair of charts that a side has merged. retired, survivor: patient ids; pm_at, emr_at: when that side did it.

    message: journal id of the first message that said so; pm_message, emr_message: of that by which the side holds
    them for one, None where it does not. noted_at: when we heard of it first. Times in seconds since the epoch.
    """

    id: int
    retired: int
    survivor: int
    pm_at: float | None
    emr_at: float | None
    state: MergeState
    message: int
    pm_message: int | None = None
    emr_message: int | None = None
    noted_at: float = 0.0

    def at(self, side: Side) -> float | None:
        """When that side did it."""
        return self.pm_at if side == "pm" else self.emr_at

    def message_of(self, side: Side) -> int:
        """The message by which that side did it, as well as we know."""
        own = self.pm_message if side == "pm" else self.emr_message
        return self.message if own is None else own


class MergedAccount(NamedTuple):
    """One account that goes away (MRG-3), and the one that takes its place (PID-18), both as PID-18 is kept."""

    retired: str
    survivor: str


def read_account_merges(message: Message) -> list[MergedAccount]:
    """The accounts of a message's PID/MRG pairs, as far as they say something (#69)."""
    found: list[MergedAccount] = []
    stays = ""
    for segment in message.segments:
        if segment.name == "PID":
            stays = segment.canonical(18)
        elif segment.name == "MRG" and segment.lead(3) and number_of(stays):
            found.append(MergedAccount(segment.lead(3), stays))
    return found


def number_of(account: str) -> str:
    """The account number of a PID-18: its first component; "" where there is none or it is to be deleted."""
    number = account.split("~", maxsplit=1)[0].split("^", maxsplit=1)[0].strip()
    return "" if number == '""' else number


def account_of(patient: Patient) -> str:
    """The number of a patient's account."""
    return number_of(patient.fields.get("PID-18", ""))


def paired(pair: MergePair) -> dict[tuple[str, str], Identifier] | None:
    """Which id of PID each id of MRG goes into, where a message lists several of both; None where the readings disagree.

    By authority and type where both carry them, else by position (domain 2.2); an id without a partner stays untouched.
    """
    found: dict[tuple[str, str], Identifier] = {}
    stay = pair.survivor.keys
    for place, retired in enumerate(pair.retired.keys):
        alike = [one for one in stay if one.authority == retired.authority and one.type == retired.type]
        by_kind = alike[0] if len(alike) == 1 else None
        by_place = stay[place] if place < len(stay) else None
        if by_kind is not None and by_place is not None and by_kind.key != by_place.key:
            return None
        chosen = by_kind if by_kind is not None else by_place
        if chosen is not None:
            found[retired.key] = chosen
    return found


def restated(merge: Merge, patients: Mapping[int, Patient], said_at: float, message: int) -> Merge:
    """The pair as both maps have it now; a side that has just joined the two did it then, by that message.

    Raises KeyError when one of the two is not among `patients`.
    """
    one, other = patients[merge.retired], patients[merge.survivor]
    known: dict[Side, tuple[float | None, int | None]] = {
        "pm": (merge.pm_at, merge.pm_message),
        "emr": (merge.emr_at, merge.emr_message),
    }
    for side, (at, _) in known.items():
        if not joined(side, one, other, patients):
            known[side] = (None, None)
        elif at is None:
            known[side] = (said_at, message)
    (pm_at, pm_message), (emr_at, emr_message) = known["pm"], known["emr"]
    return replace(
        merge,
        pm_at=pm_at,
        emr_at=emr_at,
        pm_message=pm_message,
        emr_message=emr_message,
        state=state_of(one, other, patients),
    )


def read_merges(message: Message, naming: Naming) -> list[MergePair]:
    """The PID/MRG pairs of a message, in order; each MRG belongs to the PID before it. naming: the sender's."""
    pairs: list[MergePair] = []
    survivor: NamedPatient | None = None
    for segment in message.segments:
        if segment.name == "PID":
            survivor = named_in(segment, naming)
        elif segment.name == "MRG" and survivor is not None:
            pairs.append(MergePair(survivor, named_in(segment, naming.in_mrg)))
    return pairs


def survivor_on(side: Side, patient: Patient, patients: Mapping[int, Patient]) -> Patient:
    """Whose chart this is on that side by now, along the whole chain; himself when it was never merged away there.

    Raises KeyError when a patient of the chain is not among `patients`.
    """
    passed = {patient.id}
    while (following := patient.merged_into(side)) is not None and following not in passed:
        passed.add(following)
        patient = patients[following]
    return patient


def leads_to(side: Side, start: Patient, goal: Patient, patients: Mapping[int, Patient]) -> bool:
    """Whether that side's map leads from `start` to `goal`; from a chart to itself it does not."""
    passed = {start.id}
    while (following := start.merged_into(side)) is not None and following not in passed:
        if following == goal.id:
            return True
        passed.add(following)
        start = patients[following]
    return False


def relation(side: Side, retired: Patient, survivor: Patient, patients: Mapping[int, Patient]) -> Relation:
    """What the merge of `retired` into `survivor` by that side is, against both maps (#60 to #63, #66)."""
    if survivor_on(side, retired, patients).id == survivor_on(side, survivor, patients).id:
        return "cycle" if leads_to(side, survivor, retired, patients) else "again"
    if retired.retired_on(side):
        return "elsewhere"
    return "opposite" if leads_to(other_side(side), survivor, retired, patients) else "new"


def state_of(retired: Patient, survivor: Patient, patients: Mapping[int, Patient]) -> MergeState:
    """Where a pair stands: joined on one side, on both, or in opposite directions."""
    sides: tuple[Side, Side] = ("pm", "emr")
    if not any(leads_to(side, retired, survivor, patients) for side in sides):
        return "unmerged"
    if any(leads_to(side, survivor, retired, patients) for side in sides):
        return "conflict"
    return "two_sided" if all(joined(side, retired, survivor, patients) for side in sides) else "one_sided"


def joined(side: Side, one: Patient, other: Patient, patients: Mapping[int, Patient]) -> bool:
    """Whether that side holds both for one chart."""
    return survivor_on(side, one, patients).id == survivor_on(side, other, patients).id


def redirects(side: Side, lane: Iterable[Patient], patients: Mapping[int, Patient]) -> dict[tuple[str, str], Patient]:
    """Id -> survivor, for every id of the lane whose chart is retired on that side."""
    found: dict[tuple[str, str], Patient] = {}
    for patient in lane:
        if patient.retired_on(side):
            survivor = survivor_on(side, patient, patients)
            found.update({identifier.key: survivor for identifier in patient.identifiers})
    return found


def unified(
    found: Iterable[tuple[Identifier, Patient]], sender: Side, owners: Mapping[str, Side], patients: Mapping[int, Patient]
) -> Patient | None:
    """The one chart that several ids of a message mean once merges are followed; None when they stay different patients (#10).

    Each id is followed in the map of the side that gave it (owners: authority -> side), else in the sender's; then all in the
    sender's map, then all in the other's: whichever side's staff joined them knows that they are one.
    """
    pairs = list(found)
    ways = [
        [survivor_on(owners.get(identifier.authority, sender), patient, patients) for identifier, patient in pairs],
        [survivor_on(sender, patient, patients) for _, patient in pairs],
        [survivor_on(other_side(sender), patient, patients) for _, patient in pairs],
    ]
    for way in ways:
        if len({patient.id for patient in way}) == 1:
            return way[0]
    return None
