"""Whom a message is about: identifiers to patient, on what is loaded (decisions 2)."""

from __future__ import annotations

from ophl7.domain.identifiers import NOBODY, Identifier, NamedPatient
from ophl7.domain.merge import unified
from ophl7.domain.patient import Patient, Side
from ophl7.domain.policy import Policy
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.kit import Match

NO_MATCH = Match(NOBODY, None, ambiguous=False, unknown=())


def match(uow: UnitOfWork, named: NamedPatient, peer: Side, policy: Policy) -> Match:
    """The patient whom these ids name. peer: who names him.

    Two ids of different patients are ambiguous (#10), whatever their charts look like, unless a merge made them one.
    """
    if not named.keys:
        return Match(named, None, ambiguous=False, unknown=())
    found: list[tuple[Identifier, Patient]] = []
    unknown: list[Identifier] = []
    several = False
    for identifier in named.keys:
        patient = uow.patient(identifier.key)
        if patient is None:
            unknown.append(identifier)
        else:
            several = several or (bool(found) and patient.id != found[0][1].id)
            found.append((identifier, patient))
    if not several:
        return Match(named, found[0][1] if found else None, ambiguous=False, unknown=tuple(unknown))
    one = unified(found, peer, policy.owners, uow.state.patients)
    return Match(named, one, ambiguous=one is None, unknown=tuple(unknown))
