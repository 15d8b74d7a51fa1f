"""Whom a message introduces that is not about a patient as such: bookings (#30), and anything at go-live (decisions 2)."""

from __future__ import annotations

from ophl7.domain.changes import CreatePatient
from ophl7.domain.identifiers import NamedPatient
from ophl7.domain.patient import BIRTH_DATE, NAME, SEX, complete, read_fields
from ophl7.hl7v2.message import Message


def introduction(message: Message, named: NamedPatient, authority: str | None) -> CreatePatient | None:
    """A provisional patient out of key id, name, birth date and sex; None when one of them is missing.

    Nothing else of the message goes into the registry: the rest is the next ADT's to say. authority: whose id must be among the
    key ids, None when any will do.
    """
    said = read_fields(message)
    if not complete(named.keys, said):
        return None
    if authority is not None and all(identifier.authority != authority for identifier in named.keys):
        return None
    fields = {path: said[path] for path in (NAME, BIRTH_DATE, SEX)}
    return CreatePatient(named.keys, named.others, fields, announced=False, complete=True, provisional=True)
