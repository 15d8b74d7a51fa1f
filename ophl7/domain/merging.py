"""The merges of one message against both maps, one after another: a chain in one message is a chain (decisions 6). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ophl7.domain.changes import MergePatients
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Relation, relation
from ophl7.domain.patient import Patient, Side


class Wanted(NamedTuple):
    """One merge as the message says it. None: an id that nobody has yet."""

    retired_id: Identifier
    retired: Patient | None
    survivor_ids: tuple[Identifier, ...]
    survivor: Patient | None


def planned(side: Side, wanted: Iterable[Wanted], people: Iterable[Patient]) -> list[MergePatients]:
    """A change for each merge. people: everybody in the lanes of those who are named.

    Each is judged as if those before it were done already; one into somebody unknown is "new" and waits for him (#65).
    """
    patients = {patient.id: patient for patient in people}
    empty: dict[tuple[str, str], Patient] = {}  # ids that nobody has, as charts of their own: one may be named twice
    found: list[MergePatients] = []
    for one in wanted:
        retired = patients.get(one.retired.id, one.retired) if one.retired is not None else empty.get(one.retired_id.key)
        if retired is None:
            retired = empty[one.retired_id.key] = _nobody(one.retired_id, -1 - len(empty))
            patients[retired.id] = retired
        how: Relation = "new"
        if one.survivor is not None:
            survivor = patients.get(one.survivor.id, one.survivor)
            how = relation(side, retired, survivor, patients)
            if how in {"new", "opposite"}:
                merged = retired.merged(side, survivor.id)
                patients[merged.id] = merged
                if merged.id < 0:
                    empty[one.retired_id.key] = merged
        found.append(MergePatients(one.retired_id, one.survivor_ids, one.retired, one.survivor, how))
    return found


def _nobody(identifier: Identifier, number: int) -> Patient:
    return Patient(number, number, number, (identifier,), {}, 0.0, 0)
