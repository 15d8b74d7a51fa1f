"""The plan to take a merge apart (#73): what would happen, what has happened, what only a person can mend. Values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from ophl7.domain.patient import Side
from ophl7.engine.storage import DeliveryState, Processed

_JSON = json.JSONEncoder(separators=(",", ":"), sort_keys=True)
_NAMES: dict[Side, str] = {"pm": "PM", "emr": "EMR"}

# What settles a copy for good, in words.
_CAME = {
    "accepted": "accepted by the {to}",
    "queued": "waits to be sent to the {to}",
    "sending": "is on its way to the {to}",
    "held": "refused by the {to}: it does not know the patient",
    "unknown": "sent to the {to}, no answer came",
    "parked": "refused by the {to}",
    "rejected": "refused by the {to} and closed by a person",
    "skipped": "skipped by a person",
}


@dataclass(frozen=True, slots=True)
class PlannedCopy:
    """A delivery that waits. stays: why its bytes stay as they are, "" where they are made anew without the redirect."""

    delivery: int
    message: int
    destination: Side
    charges: bool
    state: DeliveryState
    stays: str


@dataclass(frozen=True, slots=True)
class PlannedAppointment:
    """reference: SCH-2, else SCH-1. moved: it is the surviving chart's by now and stays there."""

    id: int
    reference: str
    moved: bool


@dataclass(frozen=True, slots=True)
class UnmergePlan:
    """retired, survivor: patient ids of the edge of that side's map. charts: who follows the retired chart back.

    lane_parts: whether no map joins the two any more, so that they are two patients again. holds: what is judged again.
    by_hand: sentences for a person, without patient data. at: when it was carried out, None for a plan.
    """

    merge: int
    side: Side
    retired: int
    survivor: int
    charts: tuple[int, ...]
    lane_parts: bool
    processed: tuple[Processed, ...]
    copies: tuple[PlannedCopy, ...]
    holds: tuple[int, ...]
    appointments: tuple[PlannedAppointment, ...]
    by_hand: tuple[str, ...]
    at: float | None = None
    released: int = 0

    @property
    def token(self) -> str:
        """The same for the same plan: whoever agrees to it names it, and nothing else is carried out."""
        said = [
            self.merge,
            self.side,
            self.retired,
            self.survivor,
            self.charts,
            self.lane_parts,
            [tuple(one) for one in self.processed],
            [(one.delivery, one.state, one.stays) for one in self.copies],
            self.holds,
            [(one.id, one.moved) for one in self.appointments],
        ]
        return sha256(_JSON.encode(said).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CannotUnmerge:
    """Nothing was changed. reason: one sentence, with what to do instead. plan: the new one, where just that has changed."""

    reason: str
    plan: UnmergePlan | None = None


def what_came(one: Processed) -> str:
    """What became of a message that was processed through the redirect, in words."""
    if one.destination is None or one.copy is None:
        return {"accepted": "taken, not passed on"}.get(one.state, one.state)
    return _CAME[one.copy].format(to=_NAMES[one.destination])


def by_hand(
    side: Side, processed: Sequence[Processed], copies: Sequence[PlannedCopy], moved: int, *, elsewhere: bool, empty: bool
) -> tuple[str, ...]:
    """What cannot be undone here. elsewhere: the other side's map joins them still; empty: nobody has registered the chart."""
    own, other = _NAMES[side], _NAMES["emr" if side == "pm" else "pm"]
    said: list[str] = []
    arrived = sorted({one.message for one in processed if one.destination == side and one.copy == "accepted"})
    if arrived:
        said.append(
            f"the {own} has taken {_counted(len(arrived), 'message')} under the surviving chart (marked above): "
            f"move in the {own} what they brought"
        )
    stuck = sum(bool(one.stays) for one in copies)
    if stuck:
        said.append(f"{_counted(stuck, 'copy', 'copies')} may have been tried, or names both charts, and stays as it is")
    kept = sum(one.peer == side and one.row == "#8" for one in processed)
    if kept:
        said.append(f"{_counted(kept, 'update')} of the chart were kept and not passed on: have them sent again")
    if moved:
        said.append(f"{_counted(moved, 'appointment')} went over to the surviving chart by a later booking and stays there")
    if elsewhere:
        said.append(f"in the {other} both are still one chart: separate them there, and take that side apart here too")
    if empty:
        said.append("nobody has registered the chart that comes back: its registration confirms it")
    said.append(f"what the {own} said since then under the surviving id stays with that chart")
    return tuple(said)


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
