"""Whom a message is about: identifiers to patient, on what is loaded (decisions 2)."""

from __future__ import annotations

from ophl7.domain.identifiers import NOBODY, NamedPatient
from ophl7.domain.patient import Patient
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.kit import Match

NO_MATCH = Match(NOBODY, None, ambiguous=False, unknown=())


def match(uow: UnitOfWork, named: NamedPatient) -> Match:
    """The patient whom these ids name. Two ids of different patients are ambiguous (#10), whatever their charts look like."""
    if not named.keys:
        return Match(named, None, ambiguous=False, unknown=())
    patient: Patient | None = None
    ambiguous = False
    unknown = []
    for identifier in named.keys:
        found = uow.patient(identifier.key)
        if found is None:
            unknown.append(identifier)
        elif patient is None:
            patient = found
        elif found.id != patient.id:
            ambiguous = True
    return Match(named, None if ambiguous else patient, ambiguous, tuple(unknown))
