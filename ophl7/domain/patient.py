"""The patient as the broker knows it: identifiers, fields by HL7 path, what each side did to the chart."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ophl7.domain.identifiers import KEY_TYPES, Identifier
from ophl7.hl7v2.charset import readable
from ophl7.hl7v2.message import NULL, Message, Segment, Value

Side = Literal["pm", "emr"]

# Identity fields: a patient is not created without them, and a delete indicator on one of them is held (#3, #11).
NAME, BIRTH_DATE, SEX = "PID-5", "PID-7", "PID-8"

# PID-1 is the set id, and PID-3 has its own place: the identifiers. The rest of PID's fields by number, beyond what 2.9 knows.
_PID_PATHS = tuple("" if number in {1, 3} else f"PID-{number}" for number in range(1, 100))

# Their first field is a set id, which says nothing by itself.
_WITH_SET_ID = frozenset({"NK1", "GT1", "IN1", "IN3", "AL1", "IAM", "DG1"})

# Repeating segments that are kept whole, as snapshots (domain 3.8): the set in a message replaces the one before.
SNAPSHOT_SEGMENTS = ("PD1", "NK1", "GT1", "IN1", "IN2", "IN3", "AL1", "IAM", "DG1")


@dataclass(frozen=True, slots=True)
class Patient:
    """One row of the registry.

    fields: HL7 path -> canonical text (`PID-5`; whole segments under their name, lines joined by CR).
    lane: the set of patients joined by either redirect map (design, hard cases); alone, its own subject.
    origins: where each of the fields came from, see domain.provenance.
    merged_pm, merged_emr: patient id of the survivor on that side. inactive_*: seconds since the epoch, or None.
    mark_*: the watermark of each side's messages, see domain.watermark.
    """

    id: int
    subject: int
    lane: int
    identifiers: tuple[Identifier, ...]
    fields: Mapping[str, str]
    created_at: float
    message: int
    provisional: bool = False
    merged_pm: int | None = None
    merged_emr: int | None = None
    inactive_pm: float | None = None
    inactive_emr: float | None = None
    origins: str = ""
    mark_pm: str | None = None
    mark_emr: str | None = None

    def mark_of(self, side: Side) -> str | None:
        """The watermark of what that side said last of this record (domain.watermark)."""
        return self.mark_pm if side == "pm" else self.mark_emr

    def with_mark(self, side: Side, mark: str) -> Patient:
        """The same with another watermark of that side."""
        return replace(self, mark_pm=mark) if side == "pm" else replace(self, mark_emr=mark)

    def merged_into(self, side: Side) -> int | None:
        """The survivor's patient id on that side."""
        return self.merged_pm if side == "pm" else self.merged_emr

    def retired_on(self, side: Side) -> bool:
        """Whether that side merged this chart away."""
        return self.merged_into(side) is not None

    def inactive_on(self, side: Side) -> bool:
        """Whether that side retired or inactivated this chart."""
        return self.retired_on(side) or (self.inactive_pm if side == "pm" else self.inactive_emr) is not None

    def merged(self, side: Side, survivor: int | None) -> Patient:
        """The same chart, merged away on that side into `survivor`; None: a chart of its own there again (#73)."""
        return replace(self, merged_pm=survivor) if side == "pm" else replace(self, merged_emr=survivor)

    def inactivated(self, side: Side, since: float | None) -> Patient:
        """The same chart, inactive on that side since then; None: in use."""
        return replace(self, inactive_pm=since) if side == "pm" else replace(self, inactive_emr=since)

    @property
    def marked(self) -> bool:
        """Whether either side has inactivated the chart."""
        return self.inactive_pm is not None or self.inactive_emr is not None

    def inactive_since(self, side: Side) -> float | None:
        """When that side inactivated the chart without merging it; None when it did not."""
        return None if self.retired_on(side) else self.inactive_pm if side == "pm" else self.inactive_emr

    def identifier_of(self, authority: str, types: Collection[str] = KEY_TYPES) -> Identifier | None:
        """The first key id that this authority gave; an account or a social security number names nobody."""
        return next((one for one in self.identifiers if one.authority == authority and one.type in types), None)

    @property
    def key(self) -> Identifier:
        """The key id by which we speak of him: the first that we knew."""
        return next((one for one in self.identifiers if one.type in KEY_TYPES), self.identifiers[0])


def other_side(side: Side) -> Side:
    """The other of the two."""
    return "emr" if side == "pm" else "pm"


def read_fields(message: Message, blank_deletes: Collection[str] | None = (), ids: Collection[str] = ()) -> dict[str, Value]:
    """What an ADT says about the patient: path -> canonical text, NULL (delete), never absent ones.

    Three states are apart (domain 3.8). Empty says nothing, unless its sender means delete by it: blank_deletes names the paths
    for which it does, None for all. What the segment does not reach, and a segment that is not there, is absent and says
    nothing ever. A component of `""` is deleted within its field. A snapshot segment whose first valued field is the delete
    indicator clears the set. ids: fields of PID that hold ids by its sender's profile, which are no fields of the patient.
    """
    pid = message.first("PID")
    said = _read_pid(pid, blank_deletes) if pid is not None else {}
    for path in ids:
        said.pop(path, None)
    for name in SNAPSHOT_SEGMENTS:
        lines = message.lines_of(name)
        if lines:
            value = _snapshot(message, name, lines)
            if value is not None or (value := _blank_set(name, blank_deletes)) is not None:
                said[name] = value
    if message.damaged:  # no database takes a lone surrogate; the bytes stay in the journal
        return {path: readable(value) if isinstance(value, str) else value for path, value in said.items()}
    return said


def _read_pid(pid: Segment, blank_deletes: Collection[str] | None) -> dict[str, Value]:
    said: dict[str, Value] = {}
    for path, text in zip(_PID_PATHS, pid.canonical_fields, strict=False):
        if text and path:
            if text[0] in _EMPTYING or '""' in text:
                found = _valued(text)
                if found is not None:
                    said[path] = found
            else:
                said[path] = text
    if blank_deletes is None or blank_deletes:
        _read_blanks(pid, said, blank_deletes)
    return said


# What a field begins with that may hold nothing but marks, or the delete indicator.
_EMPTYING = frozenset('^~&" ')


def _valued(text: str) -> Value:
    """A field that holds marks or delete indicators: without deleted components; None when it holds nothing at all."""
    if text == '""':
        return NULL
    if '""' not in text:
        return text if text.strip("^~& ") else None
    kept = _DELETED.sub("", text)
    return kept if kept.strip("^~& ") else NULL


# A component, subcomponent or repetition that consists of the delete indicator.
_DELETED = re.compile(r'(?:(?<=[\^~&])|\A)""(?=[\^~&]|\Z)')


def _read_blanks(pid: Segment, said: dict[str, Value], deletes: Collection[str] | None) -> None:
    """Fields that stand there empty: their sender means by it that there is nothing."""
    for path, text in zip(_PID_PATHS, pid.canonical_fields, strict=False):
        if path and path not in said and not text.strip("^~& ") and (deletes is None or path in deletes):
            said[path] = NULL


def _blank_set(name: str, deletes: Collection[str] | None) -> Value:
    return NULL if deletes is None or name in deletes else None


def _snapshot(message: Message, name: str, lines: list[str]) -> Value:
    """The set as it is said; None when all its segments are empty but for their set ids."""
    if len(lines) == 1 and '""' in lines[0] and _is_cleared(message.all(name)[0]):
        return NULL
    begin, separator = first_field(name), message.delimiters.field
    marks = separator + "^~& "
    if not any(len(rest := line.split(separator, begin)) > begin and rest[begin].strip(marks) for line in lines):
        return None
    if message.delimiters.standard:
        return "\r".join(lines)
    return "\r".join(segment.canonical_line for segment in message.all(name))


def first_field(name: str) -> int:
    """The number of the first field of a repeating segment that says anything."""
    return 2 if name in _WITH_SET_ID else 1


def _is_cleared(segment: Segment) -> bool:
    """One segment with the delete indicator in its first or key field clears the set; field 1 is mostly a set id."""
    return any(_TRAILING.sub("", segment.canonical(number)) == '""' for number in (1, 2, 3))


def deletes_identity(pid: Segment | None, path: str) -> bool:
    """Whether a PID deletes the family or given name, the birth date or the sex, in a field that is not deleted whole (#11)."""
    if pid is None or '""' not in (text := pid.canonical(int(path.removeprefix("PID-")))):
        return False
    parts = text.split("~", 1)[0].split("^")[: 2 if path == NAME else 1]
    return any(part.split("&", 1)[0] == '""' for part in parts)


def same_field(left: str, right: str) -> bool:
    """Whether two canonical values say the same: marks and blanks behind the last value of anything are no difference."""
    if left == right:
        return True
    # Nearly all values that differ do so in what is said, which takes no pattern to see.
    return _without_marks(left) == _without_marks(right) and _TRAILING.sub("", left) == _TRAILING.sub("", right)


def _without_marks(text: str) -> str:
    return text.replace("^", "").replace(" ", "").replace("|", "").replace("~", "").replace("&", "")


# Behind the last value of a component, repetition, field and line: what a receiver may leave out (HL7 v2.5.1, 2.6.1).
# Each run of marks is looked at once, from its begin: a field may be a megabyte of them.
_TRAILING = re.compile(
    "|".join(
        rf"(?<![{marks}])[{marks}]++(?={then})"
        for marks, then in [
            ("&^~| ", r"\r|\Z"),
            ("&^~ ", r"\|"),
            ("&^ ", "~"),
            ("& ", r"\^"),
            (" ", "&"),
        ]
    )
)


def complete(identifiers: tuple[Identifier, ...], fields: Mapping[str, Value]) -> bool:
    """Key id, name, birth date and sex: what a patient needs to be created from something other than a registration (#3)."""
    return bool(identifiers) and all(isinstance(fields.get(path), str) for path in (NAME, BIRTH_DATE, SEX))
