"""Patients as the API names them: `{identifier}` to patient, and rows to the text of an identifier."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ophl7.admin.ports import Face, Registry
from ophl7.admin.problems import Problem
from ophl7.domain.identifiers import KEY_TYPES, Identifier, Naming, named_patient, subject_of
from ophl7.domain.patient import Patient, Side
from ophl7.errors import Unreadable
from ophl7.hl7v2.message import Message


@dataclass(frozen=True, slots=True)
class Found:
    """Whom an identifier names. subjects: where his messages, appointments and charges stand, known or not.

    Charts that either side has merged are one patient's: whoever asks for one of them sees what stands under the others, too.
    """

    patient: Patient | None
    subjects: frozenset[int]


async def find(face: Registry, text: str) -> Found:
    """`text`: a bare id or AUTHORITY:id. Raises Problem 409 with the list where a bare id is that of several patients."""
    for value, authority in _readings(text):
        owners = await face.reads.named(value, authority)
        if len({patient.id for _, patient in owners}) > 1:
            raise Problem(
                409, "several patients have this id; ask for one of them", patients=sorted(str(one) for one, _ in owners)
            )
        if owners:
            patient = owners[0][1]
            mates = await face.reads.patients(lane=patient.lane)
            own = {subject_of(one) for mate in (patient, *mates) for one in mate.identifiers if one.type in KEY_TYPES}
            # A bare id is also that of somebody who is not known yet, whose charges wait for him (#43).
            return Found(patient, frozenset({mate.subject for mate in mates} | own | _unknown(face, value, authority)))
    value, authority = _readings(text)[0]
    return Found(None, frozenset(_unknown(face, value, authority) | _unknown(face, text, None)))


async def subjects_of(face: Face, text: str | None) -> frozenset[int] | None:
    """The subjects that a `patient=` filter asks for; None where it was not given."""
    return None if text is None else (await find(face, text)).subjects


def _readings(text: str) -> list[tuple[str, str | None]]:
    """A colon parts authority and id; but an id may hold one itself."""
    authority, colon, value = text.strip().partition(":")
    whole: list[tuple[str, str | None]] = [(text.strip(), None)]
    return [(value.strip(), authority.strip()), *whole] if colon and authority and value else whole


def _unknown(face: Registry, value: str, authority: str | None) -> set[int]:
    authorities = face.authorities.values() if authority is None else (authority,)
    return {subject_of(Identifier(one, value)) for one in authorities}


def name_of(patient: Patient) -> str | None:
    """The identifier by which lists name a patient: the first that we knew."""
    return str(patient.identifiers[0]) if patient.identifiers else None


async def names_by_subject(face: Face, subjects: Iterable[int | None]) -> Mapping[int, str | None]:
    """Subject -> identifier text, for those that are known patients."""
    wanted = {subject for subject in subjects if subject is not None}
    return {patient.subject: name_of(patient) for patient in await face.reads.patients(subjects=wanted)} if wanted else {}


async def names_by_number(face: Face, numbers: Collection[int]) -> Mapping[int, str | None]:
    """Patient id -> identifier text."""
    return {patient.id: name_of(patient) for patient in await face.reads.patients(numbers=numbers)} if numbers else {}


async def names_on_side(face: Face, numbers: Collection[int], side: Side) -> Mapping[int, str]:
    """Patient id -> identifier text, that side's own where it has one."""
    rows = await face.reads.patients(numbers=numbers) if numbers else ()
    return {row.id: str(row.identifier_of(face.authorities[side]) or row.key) for row in rows}


def named_in(head: bytes | None, naming: Naming) -> str | None:
    """The identifier that a message itself names, from its first bytes; None when it names none or cannot be read."""
    if not head:
        return None
    try:
        message = Message.parse(head)
    except Unreadable:
        return None
    keys = named_patient(message.first("PID"), naming).keys
    return str(keys[0]) if keys else None


def side(text: str) -> Side:
    """A peer out of the database."""
    return "pm" if text == "pm" else "emr"
