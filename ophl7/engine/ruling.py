"""What was decided about one message, before anything of it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ophl7.domain.changes import Change, SetAppointment
from ophl7.domain.verdicts import Accepted, Condition, Outcome, Verdict, accepts
from ophl7.kit import Match

if TYPE_CHECKING:
    from ophl7.engine.timing import Late

RulingState = Literal["accepted", "rejected", "held", "ignored", "stale"]


@dataclass(slots=True)
class Judged:
    """A change and the strictest verdict on it; verdict None: no rule had an opinion. applies: whether it is taken.

    said: all verdicts on it that were as strict and have something to tell.
    """

    change: Change
    verdict: Verdict | None
    applies: bool
    said: Sequence[Verdict] = ()


@dataclass(slots=True)
class Ruling:
    """The outcome for the message: reject > hold > strip > apply over all its changes (decisions 1).

    deciding: the verdict of a refusal. conditions: what a held message waits for, all reasons at once (#42). accepted: key and
    reason of each condition that a person has set aside for this message; set_aside: the keys of those that came up again.
    kinds: of all changes that were ever judged, so that whoever looks for one kind need not look at nearly every message.
    stale: why it comes too late. mark: the watermark that its object has afterwards, None: as before. late: see engine.timing.
    """

    match: Match
    accepted: Accepted = ()
    judged: list[Judged] = field(default_factory=list)
    kinds: set[type[Change]] = field(default_factory=set)
    warnings: list[Verdict] = field(default_factory=list)
    refusals: list[Verdict] = field(default_factory=list)
    conditions: dict[str, Condition] = field(default_factory=dict)
    hold_row: str = ""
    ignored: Verdict | None = None
    stale: Verdict | None = None
    mark: str | None = None
    late: Late | None = None
    set_aside: set[str] = field(default_factory=set)

    def add(self, change: Change, verdicts: Sequence[Verdict]) -> None:
        """Takes note of a judged change: the strictest verdict decides, and all that are as strict are heard (#42)."""
        if self.accepted:
            verdicts = [self._heard(verdict) for verdict in verdicts]
        strictest: Verdict | None = None
        for verdict in verdicts:
            if strictest is None or verdict.outcome > strictest.outcome:
                strictest = verdict
        applies = strictest is None or strictest.outcome is Outcome.APPLY
        said: list[Verdict] = []
        if strictest is not None:
            outcome = strictest.outcome
            said = [one for one in verdicts if one.outcome is outcome and (not applies or one.code or one.text)]
        self.kinds.add(type(change))
        self.judged.append(Judged(change, strictest, applies, said))
        for verdict in said:
            self.note(verdict)

    def note(self, verdict: Verdict) -> None:
        """Takes note of a verdict on the message as a whole."""
        if self.accepted:
            verdict = self._heard(verdict)
        self.take(verdict)

    def take(self, verdict: Verdict) -> None:
        """The same for a verdict that nobody can set aside: the part that gave it has done nothing else."""
        if verdict.outcome is Outcome.REJECT:
            self.refusals.append(verdict)
        elif verdict.outcome is Outcome.HOLD:
            condition = verdict.condition or Condition("review:rule", verdict.text)
            known = self.conditions.get(condition.key)
            self.conditions[condition.key] = condition if known is None else known.joined(condition)
            self.hold_row = self.hold_row or verdict.row
        elif (verdict.code or (verdict.outcome is Outcome.APPLY and verdict.text)) and verdict not in self.warnings:
            self.warnings.append(verdict)  # once: one code of a table without an entry, or ten

    def _heard(self, verdict: Verdict) -> Verdict:
        """A condition that a person has accepted for this message counts as apply: the very one that he was shown, no other."""
        condition = verdict.condition
        if verdict.outcome is not Outcome.HOLD or condition is None or not accepts(self.accepted, condition):
            return verdict
        self.set_aside.add(condition.key)
        return Verdict(Outcome.APPLY, verdict.row, text=f"accepted by a person: {condition.reason}")

    @property
    def state(self) -> RulingState:
        """A held or rejected message is never partly applied."""
        if self.refusals:
            return "rejected"
        if self.ignored is not None:
            return "ignored"
        if self.stale is not None:
            return "stale"
        if self.conditions:
            return "held"
        return "accepted"

    @property
    def unknown_status(self) -> bool:
        """Whether an appointment comes with a status code that is not known, taken now or in custody (#35)."""
        if self.refusals or SetAppointment not in self.kinds:
            return False
        changes = (judged.change for judged in self.judged)
        return any(isinstance(change, SetAppointment) and change.booking.unknown_status for change in changes)

    @property
    def deciding(self) -> Verdict | None:
        """The refusal that is answered: one by the header first, else the first."""
        return next((verdict for verdict in self.refusals if verdict.header), self.refusals[0] if self.refusals else None)
