"""Who is it: identifiers, and how a message names its patient (decisions 2).

Only identifiers match, with their authority and type; never name and birth date (twins, siblings).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ophl7.hl7v2.charset import readable
from ophl7.hl7v2.escapes import unescape
from ophl7.hl7v2.segment import Segment

# The generic profile's key id: PID-3 repetitions of one of these types (CX.5, HL7 table 0203), or without a type.
KEY_TYPES = frozenset({"MR", "PI", "PT", "MRN", ""})


@dataclass(frozen=True, slots=True)
class Identifier:
    """One id of a patient: `value` as `authority` assigned it. type: CX.5, "" when not said."""

    authority: str
    value: str
    type: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """What makes it unique: (authority, value). The type is a remark."""
        return (self.authority, self.value)

    def __str__(self) -> str:
        return f"{self.authority}:{self.value}"


@dataclass(frozen=True, slots=True)
class NamedPatient:
    """How a message names its patient. keys: what may match, in message order; others: kept and shown, never matched."""

    keys: tuple[Identifier, ...]
    others: tuple[Identifier, ...]


NOBODY = NamedPatient((), ())


def identifier_from_cx(segment: Segment, text: str, default_authority: str) -> Identifier | None:
    """One CX repetition as an identifier; None when it holds no id, or only the delete indicator.

    A bare id has the peer's default authority (decisions 2). CX.4 may be an HD with a name, a universal id, or both.
    """
    parts = segment.components(text)
    value = parts[0].strip()
    if not value or value == '""':
        return None
    authority = ""
    if len(parts) > 3 and parts[3]:
        hd = segment.subcomponents(parts[3])
        authority = hd[0].strip() or (hd[1].strip() if len(hd) > 1 else "")
    kind = parts[4].strip() if len(parts) > 4 else ""
    if segment.message.damaged:
        value, authority, kind = readable(value), readable(authority), readable(kind)
    return Identifier(authority or default_authority, unescape(value, segment.message.delimiters), kind)


def named_patient(pid: Segment | None, default_authority: str) -> NamedPatient:
    """The identifiers that a PID names: PID-3 repetitions of a key type, else PID-2 (decisions 2, `generic`)."""
    return NOBODY if pid is None else named_in(pid, (3, 2), default_authority)


def named_in(segment: Segment, places: tuple[int, int], default_authority: str) -> NamedPatient:
    """The same for any segment. places: the field of the key ids, and the one that counts where it holds none."""
    # By key, in message order; the type is a remark: an id that is repeated under another one is the same id.
    keys: dict[tuple[str, str], Identifier] = {}
    others: dict[tuple[str, str], Identifier] = {}
    for repetition in segment.repetitions(places[0]):
        found = identifier_from_cx(segment, repetition, default_authority)
        if found is None:
            continue
        (keys if found.type in KEY_TYPES else others).setdefault(found.key, found)
    if not keys:
        for repetition in segment.repetitions(places[1]):
            found = identifier_from_cx(segment, repetition, default_authority)
            if found is not None and found.type in KEY_TYPES:
                keys.setdefault(found.key, found)
    return NamedPatient(tuple(keys.values()), tuple(others.values()))


def deletes_key(pid: Segment | None) -> bool:
    """Whether a PID carries the delete indicator in place of a key id (#11): in PID-3, or in PID-2 where PID-3 is empty."""
    if pid is None:
        return False
    for repetition in pid.repetitions(3) or pid.repetitions(2):
        parts = pid.components(repetition)
        if parts[0].strip() == '""' and (parts[4].strip() if len(parts) > 4 else "") in KEY_TYPES:
            return True
    return False


def stable_hash(text: str) -> int:
    """A 63-bit number that is the same in every process: the built-in hash() is not."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big") >> 1


def subject_of(identifier: Identifier) -> int:
    """The number under which a patient's messages are found, known or not: that of the first key id seen.

    It is given before the patient exists, so what was held for an unknown id and what comes after its registration are
    in one place.
    """
    return stable_hash(f"patient {identifier.authority}\x1f{identifier.value}")


def subject_of_block(origin: str, reference: str) -> int:
    """The same for an appointment that is not about a patient."""
    return stable_hash(f"block {origin}\x1f{reference}")
