"""What can be said of a proposed change: apply, strip, hold, reject (decisions 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType

from ophl7.hl7v2.ack import Location


class Outcome(IntEnum):
    """Strictest last: reject > hold > strip > apply."""

    APPLY = 0
    STRIP = 1
    HOLD = 2
    REJECT = 3


# Kinds of condition that only an event ends: setting them aside would not bring what is missing. What a person can do instead.
_ONLY_BY_EVENT: Mapping[str, str] = MappingProxyType(
    {
        "patient": "register the patient in the system that owns patients, and the message goes on by itself; or discard it",
        "target": "register the patient who remains in the system that owns patients, and it goes on by itself; or discard it",
        "handler": "mend that part or switch it off, restart ophl7, and release the message again; or discard it",
        "unwritable": "have its sender write in UTF-8 and say so in MSH-18, or the value changed in the other system, and "
        "release the message again; or discard it",
        "refused": "have the sender correct it and send it as a new message, and discard this one",
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a hold waits for (decisions 11).

    key: `kind:what`, e.g. `patient:PM:7050`. reason: one sentence for a person, without patient data.
    blocks: the object whose later messages must wait too (`charges:<lane>` ...), "" when it delays only itself.
    also_blocks: more such objects, of a message that several of them need.
    instead: what a person must do where setting the condition aside would not help; "" where that is enough; None as usual for
    its kind.
    """

    key: str
    reason: str
    blocks: str = ""
    instead: str | None = None
    also_blocks: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """`patient`, `identity`, `handler` ..."""
        return self.key.partition(":")[0]

    @property
    def way_out(self) -> str:
        """What a person must do, because he cannot set this condition aside; "" when he can."""
        return _ONLY_BY_EVENT.get(self.kind, "") if self.instead is None else self.instead

    def joined(self, other: Condition) -> Condition:
        """This one with what another of the same key adds: a person sees all that he would accept."""
        reason = self.reason if other.reason in self.reason else f"{self.reason}; {other.reason}"
        blocked = [one for one in dict.fromkeys((*self.all_blocks, *other.all_blocks)) if one] or [""]
        return Condition(self.key, reason, blocked[0], self.way_out or other.way_out, tuple(blocked[1:]))

    @property
    def all_blocks(self) -> tuple[str, ...]:
        """Every object whose later messages must wait; a single "" when it delays only itself."""
        return (self.blocks, *self.also_blocks)


Accepted = Sequence[tuple[str, str]]
"""Key and reason of each hold of a message that a person has released."""


def accepts(accepted: Accepted, condition: Condition) -> bool:
    """Whether a person has set just this condition aside: its key, and among the reasons that he was shown, its reason."""
    return not condition.way_out and any(key == condition.key and condition.reason in shown for key, shown in accepted)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's judgement on one change.

    code: an application code of decisions 10 (`P01`), "" for a warning or refusal without one. error: table 0357 where the code
    alone does not settle it. header: the header decided, so the answer is AR instead of AE (P2); of a warning: it is about the
    header alone. row: of decisions.md.
    """

    outcome: Outcome
    row: str = ""
    code: str = ""
    text: str = ""
    error: int = 0
    header: bool = False
    location: Location | None = None
    condition: Condition | None = None


# Verdicts are values, and nearly all of a day's are the same few: each is made once.
@lru_cache(maxsize=512)
def apply(row: str = "", *, warning: str = "", text: str = "") -> Verdict:
    """Take it. warning: W01 ... or "" with a text for a warning without a code."""
    return Verdict(Outcome.APPLY, row, warning, text)


@lru_cache(maxsize=512)
def strip(row: str, text: str, *, code: str = "W01") -> Verdict:
    """Leave this change out, take the rest; the value that was not taken becomes a drift row."""
    return Verdict(Outcome.STRIP, row, code, text)


def hold(row: str, key: str, reason: str, *, blocks: str = "", instead: str | None = None) -> Verdict:
    """Custody is taken (AA); the whole message waits for `key`. blocks, instead: see Condition."""
    return Verdict(Outcome.HOLD, row, condition=Condition(key, reason, blocks, instead), text=reason)


def reject(
    row: str, code: str, text: str, *, location: Location | None = None, error: int = 0, header: bool = False
) -> Verdict:
    """Refuse the whole message: AE, or AR where the header decided."""
    return Verdict(Outcome.REJECT, row, code, text, error, header, location)


class Reject(Exception):
    """Raised by a handler or rule to refuse the message."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict

    @classmethod
    def because(cls, row: str, code: str, text: str, *, location: Location | None = None, error: int = 0) -> Reject:
        """The usual way: `raise Reject.because("#41", "C01", "no FT1", error=100)`."""
        return cls(reject(row, code, text, location=location, error=error))


class Hold(Exception):
    """Raised by a handler or rule to keep the message until a condition clears."""

    def __init__(self, row: str, key: str, reason: str, *, blocks: str = "", instead: str | None = None) -> None:
        super().__init__(reason)
        self.verdict = hold(row, key, reason, blocks=blocks, instead=instead)


class Ignore(Exception):
    """Raised by a handler to keep the message without any effect: AA, and nobody else hears of it."""

    def __init__(self, row: str, reason: str) -> None:
        super().__init__(reason)
        self.verdict = strip(row, reason, code="")
