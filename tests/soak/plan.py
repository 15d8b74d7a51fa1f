"""What a practice sends over a long time: the mix, its repeats and refusals, charges that wait for their patient. Pure.

Of a thousand messages some 750 come from the PM and 250 from the EMR. 960 are charts, appointments and charges of patients that
are known, 20 are sent a second time, 10 are refused, 5 are charges of a child that nobody knows yet, and 5 are that child's
registration.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tests.benchmarks.messages import FIRST_PATIENT, MARK, Patient, Templates, patients, stamp, templates

Side = Literal["pm", "emr"]

REPEAT_AFTER = 500  # messages: its first copy was answered by then, also where several are under way
REGISTERED_AFTER = 200  # messages after the charge that waits for it

_REPEATED, _REFUSED, _NEWCOMER = 0.02, 0.01, 0.005
_CHARGES = 0.24
_STRANGERS = 50_000_000  # numbers that no patient of the practice has


@dataclass(frozen=True, slots=True)
class Step:
    """One message. expected: how its MSA begins. delivers: whether exactly one copy goes to the other side because of it."""

    side: Side
    frame: bytes
    expected: bytes
    kind: str
    delivers: bool


class Plan:
    """The same messages for the same numbers. `serial` is the next one's control id."""

    def __init__(self, people: int, seed: int, now: datetime, first_serial: int = 0, newcomer: int = 0) -> None:
        """now: the practice's local time. newcomer: how many patients were added to the first `people` before."""
        self._dice = random.Random(seed * 1_000_003 + first_serial)
        self._now = now
        self._known: Templates = templates(patients(people, seed), now)
        self._next_number = FIRST_PATIENT + people + newcomer
        self._seed = seed
        self._sent: deque[Step] = deque(maxlen=REPEAT_AFTER)
        self._to_register: deque[tuple[int, bytes]] = deque()
        self._drawn = 0
        self.serial = first_serial
        self.newcomers = newcomer

    def registrations(self) -> Iterator[Step]:
        """Everybody who is known when it begins."""
        for template in self._known.registrations:
            yield self._fresh("pm", template, "A28")

    def mixed(self, count: int) -> Iterator[Step]:
        """`count` messages; all that waits is released by the end."""
        end = self._drawn + count
        while self._drawn < end:
            self._drawn += 1
            step = self._draw(closing=end - self._drawn <= 2 * REGISTERED_AFTER + len(self._to_register))
            if step.delivers and step.kind != "repeat":
                self._sent.append(step)
            yield step

    def _draw(self, *, closing: bool) -> Step:
        if self._to_register and (closing or self._drawn - self._to_register[0][0] >= REGISTERED_AFTER):
            return self._fresh("pm", self._to_register.popleft()[1], "A28")
        dice = self._dice.random()
        if dice < _REPEATED and len(self._sent) == REPEAT_AFTER:
            first = self._sent[0]
            return Step(first.side, first.frame, first.expected, "repeat", delivers=False)
        dice -= _REPEATED
        if 0 <= dice < _REFUSED:
            return self._refused(self._dice.choice(self._known.updates), emr=dice < _REFUSED / 2)
        dice -= _REFUSED
        if 0 <= dice < _NEWCOMER and not closing:
            return self._charge_of_nobody()
        if self._dice.random() < _CHARGES:
            return self._fresh("emr", self._dice.choice(self._known.charges), "DFT")
        if self._dice.random() < 0.75:
            return self._fresh("pm", self._dice.choice(self._known.updates), "A08")
        return self._fresh("pm", self._dice.choice(self._known.bookings), "S12")

    def _charge_of_nobody(self) -> Step:
        """It waits until the PM has announced the child (decisions #43)."""
        child = self._child(self._next_number)
        self._next_number += 1
        self.newcomers += 1
        made = templates([child], self._now)
        self._to_register.append((self._drawn, made.registrations[0]))
        return self._fresh("emr", made.charges[0], "held")

    def _child(self, number: int) -> Patient:
        (one,) = patients(1, self._seed + number)
        return Patient(number, one.family, one.given, one.birth_date, one.sex)

    def _refused(self, template: bytes, *, emr: bool) -> Step:
        """A test message for a system in use (decisions #81), or a patient whom the EMR may not create (#6)."""
        if emr:
            stranger = templates([self._child(_STRANGERS + self.serial)], self._now).registrations[0]
            return self._fresh("emr", stranger, "refused", b"AE", delivers=False)
        return self._fresh("pm", template.replace(b"|P|2.5.1", b"|T|2.5.1", 1), "refused", b"AR", delivers=False)

    def _fresh(self, side: Side, template: bytes, kind: str, code: bytes = b"AA", *, delivers: bool = True) -> Step:
        digits = stamp(self.serial)
        self.serial += 1
        return Step(side, template.replace(MARK, digits), b"\rMSA|%b|B%b" % (code, digits), kind, delivers)
