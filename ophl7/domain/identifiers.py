"""Who is it: identifiers, and how a message names its patient (decisions 2).

Only identifiers match, with their authority and type; never name and birth date (twins, siblings).
"""

from __future__ import annotations

from collections.abc import Iterator
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

# Which field of MRG holds, of the chart that goes away, what this field of PID holds of the other (HL7 v2.5.1, 3.4.9).
_IN_MRG = {3: 1, 4: 2, 18: 3, 2: 4}


@dataclass(frozen=True, slots=True)
class Naming:
    """How one side names a patient in what it sends (decisions 2): the places of `[ids]` in its profile, as numbers of PID.

    authority: of its bare ids. keys: fields with its key ids, the first that holds one counts. types: CX.5 of a key id.
    ours: fields with the other side's id, whose authority is `others`. expects: where it looks for its own id. listed: the
    field whose ids of other types (SS, DL) are kept and shown.
    """

    authority: str
    keys: tuple[int, ...] = (3, 2)
    types: frozenset[str] = KEY_TYPES
    ours: tuple[int, ...] = ()
    others: str = ""
    expects: int = 3
    listed: int = 3

    def authority_in(self, field: int) -> str:
        """The authority of a bare id in a field of PID."""
        return self.others if field in self.ours else self.authority

    @property
    def in_mrg(self) -> Naming:
        """The same places in MRG."""
        keys = tuple(_IN_MRG[field] for field in self.keys if field in _IN_MRG) or (1, 4)
        ours = tuple(_IN_MRG[field] for field in self.ours if field in _IN_MRG)
        return Naming(self.authority, keys, self.types, ours, self.others, listed=1)

    @property
    def own_places(self) -> frozenset[str]:
        """Paths that hold ids by its profile, beyond what every sender may put into PID-2 and -3: they are no fields."""
        if not self.ours and self.keys == (3, 2) and self.expects == 3:
            return frozenset()
        return frozenset(f"PID-{field}" for field in (*self.keys, *self.ours, self.expects))


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


def named_patient(pid: Segment | None, naming: Naming) -> NamedPatient:
    """The identifiers that a PID names, by the places of its sender's profile (decisions 2)."""
    return NOBODY if pid is None else named_in(pid, naming)


def named_in(segment: Segment, naming: Naming) -> NamedPatient:
    """The same for any segment; its key ids come from one field, and beside them the other side's where they have a place."""
    # By key, in message order; the type is a remark: an id that is repeated under another one is the same id.
    keys: dict[tuple[str, str], Identifier] = {}
    others: dict[tuple[str, str], Identifier] = {}
    types = naming.types
    for field in naming.keys:
        for found in _ids(segment, field, naming.authority):
            if found.type in types:
                keys.setdefault(found.key, found)
            elif field == naming.listed:
                others.setdefault(found.key, found)
        if keys:
            break
    if naming.keys[0] != naming.listed and not others:
        listed = [found for found in _ids(segment, naming.listed, naming.authority) if found.type not in types]
        others = {found.key: found for found in listed}
    for field in naming.ours:
        for found in _ids(segment, field, naming.others):
            keys.setdefault(found.key, found)
    return NamedPatient(tuple(keys.values()), tuple(others.values()))


def _ids(segment: Segment, field: int, authority: str) -> Iterator[Identifier]:
    for repetition in segment.repetitions(field):
        found = identifier_from_cx(segment, repetition, authority)
        if found is not None:
            yield found


def deletes_key(pid: Segment | None, naming: Naming) -> bool:
    """Whether a PID carries the delete indicator in place of a key id (#11): in the first place that holds anything."""
    if pid is None:
        return False
    said = next((found for field in naming.keys if (found := pid.repetitions(field))), [])
    for repetition in said:
        parts = pid.components(repetition)
        if parts[0].strip() == '""' and (parts[4].strip() if len(parts) > 4 else "") in naming.types:
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
