"""A whole simulated system: what it says by itself, what it says to what it hears, and when its day is over. Pure."""

from __future__ import annotations

from datetime import date
from typing import Final, Literal

from ophl7.simulate.clinic import Clinic
from ophl7.simulate.desk import Desk
from ophl7.simulate.follower import Follower
from ophl7.simulate.hand import Hand
from ophl7.simulate.reading import Heard, read
from ophl7.simulate.steps import Side, Step
from ophl7.simulate.tries import Tries

SetUp = Literal["pm/pm", "emr/emr"]
SET_UPS: Final[tuple[SetUp, ...]] = ("pm/pm", "emr/emr")


class Role:
    """The PM or the EMR of one set-up. The same arguments and the same deliveries make the same bytes."""

    def __init__(self, side: Side, set_up: SetUp, *, seed: int, version: str, patients: int) -> None:
        """set_up: who owns patients / schedule. patients: children a day, for the owner. Raises ValueError as Desk does."""
        owner: Side = "pm" if set_up == "pm/pm" else "emr"
        self.side: Side = side
        self.set_up: SetUp = set_up
        self.seed = seed
        self.hand = Hand(side, version)
        self._desk = Desk(side, seed, version, patients) if side == owner else None
        self._follower = Follower(side, seed, version) if side != owner else None
        self._clinic = Clinic(seed, version, owner) if side == "emr" else None
        self._tries = Tries(self.hand, seed)
        self.days_heard_closed = 0

    @property
    def owns(self) -> bool:
        """Whether it owns patients and schedule: then it begins the day, otherwise it waits for what it hears."""
        return self._desk is not None

    def opens(self, day: date) -> list[Step]:
        """What it says on that day without being told anything. Raises ValueError for a day before 2020."""
        if self._desk is None:
            return []
        return [*self._desk.day(day), *(self._tries.of_the_pm(day) if self.side == "pm" else [])]

    def hears(self, heard: Heard) -> list[Step]:
        """What it says because of a delivery; nothing, unless a simulator wrote it."""
        if not heard.simulated:
            return []
        steps: list[Step] = []
        if self._follower is not None:
            steps += self._follower.hears(heard)
        if self._clinic is not None:
            steps += self._clinic.hears(heard)
        if heard.booking is not None and heard.booking.kind == "CLOSED":
            self.days_heard_closed += 1
        return steps

    def said(self, step: Step, payload: bytes) -> list[Step]:
        """What it says because the broker has taken one of its own messages: the EMR's charges for visits of its own."""
        if self._clinic is None or self._desk is None or step.code != "AA":
            return []
        return self._clinic.hears(read(payload))
