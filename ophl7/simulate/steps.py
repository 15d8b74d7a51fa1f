"""What a simulator is about to say, and what the broker must hold once it was said. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

Side = Literal["pm", "emr"]
Code = Literal["AA", "AE", "AR"]


def other_side(side: Side) -> Side:
    """The other of the two."""
    return "emr" if side == "pm" else "pm"


@dataclass(frozen=True, slots=True)
class PatientIs:
    """A chart as its owner has it now. id: `AUTHORITY:number`; fields: HL7 path -> text; active: on the owner's side."""

    id: str
    family: str
    given: str
    birth: str
    sex: str
    fields: Mapping[str, str]
    active: bool = True


@dataclass(frozen=True, slots=True)
class FieldIs:
    """A value that the other side owns in somebody's chart."""

    patient: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class NoPatient:
    """An id under which nobody may be found: its registration had to be refused."""

    id: str


@dataclass(frozen=True, slots=True)
class VisitIs:
    """An appointment. patient: None for time that is not about a patient; start: YYYYMMDDHHMMSS; status: contract 6."""

    filler: str
    patient: str | None
    start: str
    status: str


@dataclass(frozen=True, slots=True)
class NoVisit:
    """An appointment number under which nothing may be found."""

    filler: str


@dataclass(frozen=True, slots=True)
class ChargeIs:
    """One FT1 that the broker took. state: accepted (by the PM), rejected or held; modifiers in order."""

    transaction: str
    kind: str
    patient: str
    procedure: str
    modifiers: tuple[str, ...]
    units: str
    amount: str
    state: Literal["accepted", "rejected", "held"] = "accepted"


@dataclass(frozen=True, slots=True)
class Merged:
    """This side merged `retired` into `survivor`."""

    side: Side
    retired: str
    survivor: str


Record = PatientIs | FieldIs | NoPatient | VisitIs | NoVisit | ChargeIs | Merged


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a simulator's day.

    at: the practice's clock. event: MSH-9 (`ADT^A28`). lines: the segments after MSH and EVN. words: what happens, for people.
    code, reason: the MSA-1 that must come back, and the broker's application code. records: what is true once it came back.
    again: the sender missed the answer and sends the same bytes once more. fresh: the sender connects anew first.
    """

    at: datetime
    event: str
    lines: tuple[str, ...]
    words: str
    code: Code = "AA"
    reason: str = ""
    records: tuple[Record, ...] = ()
    again: bool = False
    fresh: bool = False
    control_id: str = field(default="", kw_only=True)


def numbered(steps: Iterable[Step], prefix: str) -> list[Step]:
    """The steps in the order of the clock, each with its MSH-10, and within a minute each with a second of its own."""
    found: list[Step] = []
    for _, minute in groupby(sorted(steps, key=lambda step: step.at), key=lambda step: step.at):
        for second, step in enumerate(minute):
            at = step.at + timedelta(seconds=min(second, 59))
            found.append(replace(step, at=at, control_id=f"{prefix}{len(found) + 1:04d}"))
    return found
