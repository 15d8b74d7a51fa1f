"""A message against the structures of its HL7 version, by hl7apy's tables: for those who ask, never on the road of a message.

Findings say where and what was expected, and never hold a value of the message (contract 7). Not hl7apy's own validator: it
quotes values, tells no places, loses segments that it cannot place, and takes `2024-01-01` for a date
(docs/decisions/0026).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from ophl7.hl7v2 import timestamps
from ophl7.hl7v2.grammar import misfits
from ophl7.hl7v2.message import Message
from ophl7.hl7v2.redact import safe_event
from ophl7.hl7v2.segment import Segment
from ophl7.hl7v2.structures import NEAREST, VERSIONS, Reference, grammar_of, segment_of, structure_of, table_of

MOST_FINDINGS: Final = 1000
"""Of one message; what is more is only counted."""

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_SEQUENCE = re.compile(r"[0-9]{1,4}")
_TIME = re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:[0-5][0-9](?:\.[0-9]{1,4})?)?)?(?:[+-](?:0[0-9]|1[0-4])[0-5][0-9])?")
_ANYWHERE = ZoneInfo("UTC")  # only the form of a time is looked at
_WITHDRAWN = frozenset({"WD", "wd"})
_VALUELESS = frozenset({"", "varies", "CM"})  # types of which nothing can be said
# Which components must be there is defined from 2.5 on; what hl7apy has for older versions is a guess.
_COMPONENTS_DEFINED = frozenset(VERSIONS[VERSIONS.index("2.5") :])


_LOCAL, _UNKNOWN = "Z??", "???"


@dataclass(frozen=True, slots=True)
class Finding:
    """severity: `error` does not conform; `note` is for a person to look at. Numbers begin at 1; 0: not more exactly known.

    segment: its name, `Z??` for a local one, `???` for what no version of HL7 has (it may be a piece of a value), "" for the
    message as a whole. occurrence: among the segments of that name.
    """

    severity: Literal["error", "note"]
    problem: str
    segment: str = ""
    occurrence: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0
    subcomponent: int = 0

    @property
    def place(self) -> str:
        """`PID-3[2].4.1`, `OBX[2]-5`, `PV1`, "" for the message: as paths are written everywhere here."""
        text = self.segment + (f"[{self.occurrence}]" if self.occurrence > 1 else "")
        if self.field:
            text += f"-{self.field}" + (f"[{self.repetition}]" if self.repetition > 1 else "")
            text += f".{self.component}" if self.component else ""
            text += f".{self.subcomponent}" if self.subcomponent else ""
        return text


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, in the order of the message. version: the one it was checked as. structure: "" for none."""

    event: str
    version: str
    structure: str
    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing is worse than a note."""
        return all(finding.severity != "error" for finding in self.findings)


def check(raw: bytes, forced_encoding: str | None = None) -> Report:
    """Checks one message. Raises Unreadable for what is none."""
    message = Message.parse(raw, forced_encoding)
    event = safe_event(message.event)
    version = NEAREST.get(message.version, message.version)
    if version not in VERSIONS:
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        return Report(event, "", "", (Finding("error", f"names no version that can be checked ({known})", "MSH", 1, 12),))
    structure = structure_of(version, message.type, message.trigger, message.structure)
    checker = _Checker(message, version, structure)
    found: list[Finding] = []
    more = 0
    for finding in checker.findings():
        if len(found) < MOST_FINDINGS:
            found.append(finding)
        else:
            more += 1
    if more:
        found.append(Finding("note", f"{more} more findings are left out"))
    return Report(event, version, structure, tuple(found))


class _Checker:
    def __init__(self, message: Message, version: str, structure: str) -> None:
        self._message = message
        self._version = version
        self._structure = structure

    def findings(self) -> Iterator[Finding]:
        yield from self._whole()
        order = self._misfits()
        counts: Counter[str] = Counter()
        for position, segment in enumerate(self._message.segments):
            yield from order.pop(position, ())
            name = _shown(segment.name)
            counts[name] += 1
            yield from self._segment(segment, name, counts[name])
        for left in order.values():
            yield from left

    def _whole(self) -> Iterator[Finding]:
        message, version = self._message, self._version
        if message.version != version and message.version:
            yield Finding("note", f"checked as {version}, the nearest version that is known here", "MSH", 1, 12)
        if message.damaged:
            yield Finding("error", "some bytes are not of the character set that is named here or assumed", "MSH", 1, 18)
        if message.structure and self._structure != message.structure:
            yield Finding("error", f"names a message structure that {version} does not have", "MSH", 1, 9, 1, 3)
        if not self._structure:
            local = message.type.startswith("Z") or message.trigger.startswith("Z")
            text = f"{version} has no structure for this event: only the single segments were checked"
            yield Finding("note" if local else "error", text, "MSH", 1, 9)

    # -- segments -----------------------------------------------------------------------------------------------------

    def _misfits(self) -> dict[int, list[Finding]]:
        """Position in the message -> what is wrong with the order there. Local and unknown segments are told on their own."""
        parts = grammar_of(self._version, self._structure) if self._structure else None
        if parts is None:
            return {}
        segments = self._message.segments
        places = [place for place, one in enumerate(segments) if self._is_known(one.name)]
        names = [segments[place].name for place in places]
        counts: Counter[str] = Counter()
        which: list[int] = []  # the how-many-th of its name each one is
        for name in names:
            counts[name] += 1
            which.append(counts[name])
        found: dict[int, list[Finding]] = {}
        for misfit in misfits(names, parts):
            place = places[misfit.position] if misfit.position < len(places) else len(segments)
            occurrence = 0 if misfit.kind == "missing" else which[misfit.position]
            text = {
                "missing": f"is required in {self._structure} and missing here",
                "often": f"occurs more often here than {self._structure} allows",
                "place": f"has no place here in {self._structure}",
            }[misfit.kind]
            found.setdefault(place, []).append(Finding("error", text, misfit.name, occurrence))
        return found

    def _is_known(self, name: str) -> bool:
        return name == _shown(name) and segment_of(self._version, name) is not None

    def _segment(self, segment: Segment, name: str, occurrence: int) -> Iterator[Finding]:
        if name == _UNKNOWN:
            text = f"segment {segment.index + 1} of the message does not begin with the name of a segment"
            yield Finding("error", text, name, occurrence)
            return
        if name == _LOCAL:
            yield Finding("note", "is a local segment: its content was not checked", name, occurrence)
            return
        fields = segment_of(self._version, name)
        if fields is None:
            yield Finding("error", f"is no segment of {self._version}", name, occurrence)
            return
        for reference in fields:
            if not (name == "MSH" and reference.number <= 2):  # the delimiters: without good ones nothing would be here
                yield from self._field(segment, reference, name, occurrence)
        last = fields[-1]
        if last.datatype != "varies":  # the last field of a query goes on for ever
            extra = (number for number in range(last.number + 1, len(segment) + 1) if segment.field(number).strip())
            for number in extra:
                text = f"{self._version} has no such field: {name} ends with {name}-{last.number}"
                yield Finding("error", text, name, occurrence, number)

    # -- fields -------------------------------------------------------------------------------------------------------

    def _field(self, segment: Segment, reference: Reference, name: str, occurrence: int) -> Iterator[Finding]:
        number = reference.number
        values = segment.repetitions(number) if segment.field(number).strip() else []
        if not values:
            if reference.least:
                yield Finding("error", "is required and empty", name, occurrence, number)
            return
        if reference.datatype in _WITHDRAWN or reference.most == 0:
            yield Finding("error", f"was withdrawn before {self._version} and must be empty", name, occurrence, number)
            return
        if 0 < reference.most < len(values):
            allowed = "may not repeat" if reference.most == 1 else f"may occur {reference.most} times"
            yield Finding("error", f"occurs {len(values)} times and {allowed}", name, occurrence, number)
        for repetition, value in enumerate(values, start=1):
            if value.strip() and value != '""':
                yield from self._value(segment, reference, value, Finding("error", "", name, occurrence, number, repetition))

    def _value(self, segment: Segment, reference: Reference, value: str, at: Finding) -> Iterator[Finding]:
        """A field's repetition or a component. at: the place so far."""
        inner = segment.subcomponents(value) if at.component else segment.components(value)
        kind = "subcomponents" if at.component else "components"
        if not reference.parts:
            if len(inner) > 1 and any(part.strip() for part in inner[1:]) and reference.datatype not in _VALUELESS:
                yield _at(at, f"has {kind}, and its type {reference.datatype} has none")
            else:
                yield from self._leaf(reference, inner[0].strip(), at)
            return
        known = {part.number: part for part in reference.parts}
        most = max(known)
        for number, text in enumerate(inner, start=1):
            place = _deeper(at, number)
            if not text.strip():
                continue
            if number > most:
                yield _at(place, f"its type {reference.datatype} has {most} {kind} only")
                break
            if number in known and text != '""':
                yield from self._part(segment, reference, known[number], text, place)
        if self._version in _COMPONENTS_DEFINED:
            for number, part in known.items():
                if part.least and not (number <= len(inner) and inner[number - 1].strip()):
                    yield _at(_deeper(at, number), f"is required in the type {reference.datatype} and empty")

    def _part(self, segment: Segment, whole: Reference, part: Reference, text: str, at: Finding) -> Iterator[Finding]:
        if whole.datatype == "TS" and part.number == 1:  # an ST before 2.5, but never meant as one
            part = part._replace(datatype="DTM", parts=())
        if part.datatype in _WITHDRAWN:
            yield _at(at, f"was withdrawn before {self._version} and must be empty")
        elif at.subcomponent:
            yield from self._leaf(part, text.strip(), at)
        else:
            yield from self._value(segment, part, text, at)

    def _leaf(self, reference: Reference, text: str, at: Finding) -> Iterator[Finding]:
        if not text or text == '""':
            return
        expected = _form(reference.datatype, text)
        if expected:
            yield _at(at, f"is no {expected}")
        elif reference.table:
            codes = table_of(self._version, reference.table)
            if codes and text not in codes:
                yield _at(at, f"holds a code that HL7 table {reference.table.removeprefix('HL7')} does not list", "note")


@lru_cache(maxsize=1024)
def _shown(name: str) -> str:
    """A segment's name as it may be shown: one that HL7 has. A broken line may begin with a patient's name."""
    if not _NAME.fullmatch(name):
        return _UNKNOWN
    if name.startswith("Z"):
        return _LOCAL
    return name if any(segment_of(version, name) is not None for version in VERSIONS) else _UNKNOWN


def _deeper(at: Finding, number: int) -> Finding:
    """The place of a part of what is at `at`."""
    if at.component:
        return Finding("error", "", at.segment, at.occurrence, at.field, at.repetition, at.component, number)
    return Finding("error", "", at.segment, at.occurrence, at.field, at.repetition, number)


def _at(at: Finding, problem: str, severity: Literal["error", "note"] = "error") -> Finding:
    return Finding(severity, problem, at.segment, at.occurrence, at.field, at.repetition, at.component, at.subcomponent)


def _form(datatype: str, text: str) -> str:
    """What the text should have been, "" where it may be that."""
    if datatype == "DTM":
        return "" if timestamps.parse(text, _ANYWHERE) else "time (YYYYMMDDHHMMSS, as far as it is known)"
    if datatype == "DT":
        found = timestamps.parse(text, _ANYWHERE) if len(text) in {4, 6, 8} else None
        return "" if found else "date (YYYYMMDD, as far as it is known)"
    if datatype == "TM":
        return "" if _TIME.fullmatch(text) else "time of day (HHMMSS, as far as it is known)"
    if datatype == "NM":
        return "" if _NUMBER.fullmatch(text) else "number"
    if datatype == "SI":
        return "" if _SEQUENCE.fullmatch(text) else "sequence number (up to 4 digits)"
    return ""
