"""What a handler or rule is told and may ask: whom the message is about, the set-up, and reads of the registry."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import coroutine
from typing import Final, Protocol

from ophl7.domain.appointment import (
    Appointment,
)
from ophl7.domain.changes import (
    CreatePatient,
)
from ophl7.domain.charge import Charge, ChargeLine
from ophl7.domain.identifiers import Identifier, NamedPatient
from ophl7.domain.introduction import introduction
from ophl7.domain.patient import Patient, Side, other_side
from ophl7.domain.policy import Policy
from ophl7.domain.verdicts import Hold, Verdict, accepts
from ophl7.hl7v2.message import Message


@dataclass(frozen=True, slots=True)
class Match:
    """Whom the message is about. patient: the known one; None when nobody is named, known, or not one alone (`ambiguous`).

    named: the identifiers as sent. unknown: those key ids that no patient has yet.
    """

    named: NamedPatient
    patient: Patient | None
    ambiguous: bool
    unknown: tuple[Identifier, ...]

    @property
    def key(self) -> Identifier | None:
        """The first key id of the message."""
        return self.named.keys[0] if self.named.keys else None


@dataclass(frozen=True, slots=True)
class Read:
    """What a suspended Context read asks the engine to load."""

    kind: str
    key: tuple[str, ...]


class View(Protocol):
    """The loaded rows behind a Context. LookupError: not loaded yet."""

    def patient(self, identifier: tuple[str, str]) -> Patient | None:
        """The patient with that id."""

    def appointment(self, origin: Side, reference: str) -> Appointment | None:
        """The appointment with that SCH-2 or SCH-1."""

    def charge(self, match: Match, line: ChargeLine) -> Charge | None:
        """The charge of that patient's lane with the FT1-2 of `line`."""

    def repeated(self, match: Match, same_set: bytes) -> int | None:
        """The first earlier message that brought this set of charges for that patient's lane (#57)."""

    def mates(self, patient: Patient) -> list[Patient]:
        """Everybody whom either side's merges join with a loaded patient, himself included."""

    def survivor(self, patient: Patient, side: Side) -> Patient:
        """Whose chart a loaded patient's is on that side by now."""

    def open_business(self, subject: int, now: float) -> str:
        """What is still open about a patient, "" for nothing."""

    def entered(self, peer: Side, table: str, code: str) -> str | None:
        """What a person has said that a code of this peer's is called in the other system."""

    def account_holders(self, account: str) -> list[Patient]:
        """Everybody whose account (PID-18) that is."""


@coroutine
def _load(request: Read) -> Generator[Read, None, None]:
    yield request


class Context:
    """What a handler or rule may know besides its segment or change: the message, the set-up, and reads of the registry."""

    __slots__ = ("_accepted", "_view", "event", "match", "message", "other", "peer", "policy", "received_at", "set_aside")

    def __init__(
        self,
        message: Message,
        peer: Side,
        match: Match,
        policy: Policy,
        view: View,
        received_at: float = 0.0,
        accepted: Sequence[tuple[str, str]] = (),
    ) -> None:
        """received_at: seconds since the epoch. accepted: which holds of the message a person has released."""
        self.message: Final = message
        self.peer: Final = peer
        self.other: Final = other_side(peer)
        self.match: Final = match
        self.policy: Final = policy
        self.event: Final = message.event
        self.received_at: Final = received_at
        self._view = view
        self._accepted = accepted
        self.set_aside: Final[list[Verdict]] = []  # what `hold` has let pass

    @property
    def owns_patients(self) -> bool:
        """Whether the sender is the authority for patients."""
        return self.peer == self.policy.patient_authority

    @property
    def owns_schedule(self) -> bool:
        """Whether the sender is the authority for the schedule."""
        return self.peer == self.policy.schedule_authority

    @property
    def learning(self) -> bool:
        """Whether the practice still goes live: unknown patients are learned from any complete message (decisions 2)."""
        return self.received_at < self.policy.learn_until

    @property
    def introduces(self) -> CreatePatient | None:
        """The provisional patient whom this message may make: by a booking of the owner (#30), or at go-live (decisions 2).

        None when the patient is known, or is not one alone, or the message does not say enough of him.
        """
        if self.match.patient is not None or self.match.ambiguous:
            return None
        if self.message.type == "SIU" and self.owns_schedule and self.owns_patients:
            return introduction(self.message, self.match.named, None)
        if self.learning:
            return introduction(self.message, self.match.named, self.policy.authority_of(self.policy.patient_authority))
        return None

    def same_person(self, patient: Patient) -> list[Patient]:
        """Everybody whom the merges of either side join with the patient of this message, himself included."""
        return self._view.mates(patient)

    def survivor(self, patient: Patient, side: Side) -> Patient:
        """Whose chart the patient's is on that side by now; himself where that side has not merged him away."""
        return self._view.survivor(patient, side)

    async def open_business(self, patient: Patient) -> str:
        """What is still open about a patient, in words: an appointment to come, a charge without an answer; "" for nothing."""
        for mate in self._view.mates(patient):  # what stands under charts that were merged is his, too
            try:
                found = self._view.open_business(mate.subject, self.received_at)
            except LookupError:
                await _load(Read("open", (str(mate.subject), repr(self.received_at))))
                found = self._view.open_business(mate.subject, self.received_at)
            if found:
                return found
        return ""

    async def account_holders(self, account: str) -> list[Patient]:
        """Everybody whose account number (PID-18, its first component) that is: a family shares one (#69)."""
        try:
            return self._view.account_holders(account)
        except LookupError:
            await _load(Read("account", (account,)))
            return self._view.account_holders(account)

    def hold(self, row: str, key: str, reason: str, *, blocks: str = "", instead: str | None = None) -> None:
        """Raises Hold, unless a person has released just this hold: then the handler goes on, and the message is taken.

        For handlers; a rule returns its verdict, and the engine sees to the rest.
        """
        custody = Hold(row, key, reason, blocks=blocks, instead=instead)
        condition = custody.verdict.condition
        if condition is None or not accepts(self._accepted, condition):
            raise custody
        self.set_aside.append(custody.verdict)

    async def patient(self, identifier: Identifier) -> Patient | None:
        """The patient with that id; None when unknown."""
        try:
            return self._view.patient(identifier.key)
        except LookupError:
            await _load(Read("patient", identifier.key))
            return self._view.patient(identifier.key)

    async def appointment(self, origin: Side, reference: str) -> Appointment | None:
        """The appointment that `origin` numbered so (SCH-2, else SCH-1); None when unknown."""
        try:
            return self._view.appointment(origin, reference)
        except LookupError:
            await _load(Read("appointment", (origin, reference)))
            return self._view.appointment(origin, reference)

    async def translated(self, table: str, code: str, peer: Side | None = None) -> str | None:
        """What a code of the sender's (or of `peer`'s) is called in the other system by now.

        A person's entry, else the profile's. None where nobody has said, and where the profile has no such table: then the code
        is passed on as it is.
        """
        side = self.peer if peer is None else peer
        known = self.policy.peers[side].profile.maps.get(table)
        if known is None:
            return None
        try:
            entered = self._view.entered(side, table, code)
        except LookupError:
            await _load(Read("map", (side, table, code)))
            entered = self._view.entered(side, table, code)
        return entered if entered is not None else known.codes.get(code)

    async def charge(self, line: ChargeLine) -> Charge | None:
        """The charge of this message's patient with the FT1-2 of `line` (decisions 5: EMR, patient lane, FT1-2).

        None when it is unknown, or the patient is not one alone. Of several, as after a merge, the one that says the same.
        """
        if self.match.ambiguous:
            return None
        try:
            return self._view.charge(self.match, line)
        except LookupError:
            for key in self.match.named.keys:
                await _load(Read("charge", (*key.key, line.transaction_id)))
            return self._view.charge(self.match, line)

    async def repeated(self, line: ChargeLine) -> int | None:
        """The message that brought the same set of charges before, when `line` stands for one (#57); None for none."""
        if not line.same_set or self.match.ambiguous:
            return None
        try:
            return self._view.repeated(self.match, line.same_set)
        except LookupError:
            for key in self.match.named.keys:
                await _load(Read("repeat", (*key.key, line.same_set.hex())))
            return self._view.repeated(self.match, line.same_set)
