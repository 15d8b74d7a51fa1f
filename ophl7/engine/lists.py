"""What is remembered of a patient list that is loaded before go-live (decisions 2): how far it is, and what was not taken.

It is written in the commits of the patients themselves, so a load that was killed goes on exactly where it was. Nothing in here
names a patient: a refusal names a place in the file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, Protocol

from ophl7.domain.patient import Side

Fate = Literal["created", "linked", "changed", "unchanged", "refused", "held"]
"""What became of one patient of a list. refused, held: not taken; held: a person has to look at that chart."""

# Patient's number, field, the value that was offered, the value that was kept: a row of `drift` without its circumstances.
Difference = tuple[int, str, str, str | None]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many patients of a list came to what. differences: values that were not taken; released: messages that had waited."""

    created: int = 0
    linked: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    held: int = 0
    differences: int = 0
    released: int = 0

    @property
    def records(self) -> int:
        """Patients of the list that were judged."""
        return self.created + self.linked + self.changed + self.unchanged + self.refused + self.held

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


@dataclass(frozen=True, slots=True)
class ListProgress:
    """One run through one list. digest: SHA-256 of the file, "" for what cannot be read twice (standard input).

    offset: bytes of the file that are done; place: the last line (CSV) or message (HL7) in them. finished_at: None until all
    of it is done. Times in seconds since the epoch.
    """

    id: int
    peer: Side
    digest: str
    started_at: float
    finished_at: float | None = None
    offset: int = 0
    place: int = 0
    tally: Tally = Tally()


class ListRefusal(NamedTuple):
    """Why something of a list was not taken. list: the run's id; place: line or message number; fate: `refused` or `held`.

    row: of decisions.md. reason: one sentence without patient data.
    """

    list: int
    place: int
    fate: Fate
    row: str
    code: str
    reason: str


class ListBook(Protocol):
    """The reads that a load needs besides `Store.load`. Each raises StoreAway."""

    async def last_list(self) -> int:
        """The highest id of a run, 0 when there is none."""

    async def list_of(self, peer: Side, digest: str) -> ListProgress | None:
        """The newest run through the list with this digest, loaded for this peer."""

    async def refusals(self, number: int, *, after: int, limit: int) -> Sequence[ListRefusal]:
        """What a run did not take, by place; only places behind `after`."""

    async def differences(self, peer: Side, patients: Collection[int]) -> set[Difference]:
        """The values of these patients that this peer offered in vain before."""
