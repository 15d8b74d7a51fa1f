"""Misbehaviour by chance, the same for the same seed: behaviours of a receiver, manners of a sender, faults of a line."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, ParamSpec

from ophl7.testing import behaviours, faults, senders
from ophl7.testing.behaviours import Behaviour, Incoming
from ophl7.testing.client import Client
from ophl7.testing.faults import Fault, Flow
from ophl7.testing.senders import Manner

P = ParamSpec("P")

# Every behaviour that ends: the sender's own time limit is what bounds `silence`, `late`, `half_close` and `outwaited`.
BEHAVIOURS: Final[Mapping[str, Callable[[], Behaviour]]] = {
    "silence": lambda: behaviours.silence,
    "close": lambda: behaviours.close,
    "reset": lambda: behaviours.reset,
    "half_close": lambda: behaviours.half_close,
    "half_answer": lambda: behaviours.half_answer,
    "outwaited": lambda: behaviours.outwaited,
    "garbage": lambda: behaviours.garbage,
    "wrong_id": lambda: behaviours.wrong_id,
    "unframed": lambda: behaviours.unframed,
    "without_cr": lambda: behaviours.without_cr,
    "locked": lambda: behaviours.refuse("AE", 206),
    "in_pieces": behaviours.in_pieces,
    "twice": behaviours.twice,
    "twice_in_one_write": lambda: behaviours.in_one_write(behaviours.twice()),
    "after_junk": lambda: behaviours.after(b"HTTP/1.1 200 OK\r\n"),
    "late": behaviours.late,
    "accept_and_close": lambda: behaviours.followed_by(behaviours.close),
    "accept_and_reset": lambda: behaviours.followed_by(behaviours.reset),
}

MANNERS: Final[Mapping[str, Callable[[], Manner]]] = {
    "twice": lambda: senders.twice,
    "without_cr": lambda: senders.without_cr,
    "begun_twice": lambda: senders.begun_twice,
    "between_fillers": lambda: senders.between_fillers,
    "after_junk": lambda: senders.after_junk,
    "half_and_gone": lambda: senders.half_and_gone,
    "half_and_reset": lambda: senders.half_and_reset,
    "whole_and_reset": lambda: senders.whole_and_reset,
    "half_closing": lambda: senders.half_closing,
    "in_pieces": senders.in_pieces,
}

FAULTS: Final[Mapping[str, Callable[[], Fault]]] = {
    "reset": lambda: faults.reset,
    "half_close": lambda: faults.half_close,
    "in_pieces": faults.in_pieces,
    "cut_after": lambda: faults.cut_after(40),
    "cut_by_rst": lambda: faults.cut_after(40, rst=True),
    "insert": lambda: faults.insert(b"junk"),
    "swallow": lambda: faults.swallow,
}


class Chaos(Generic[P]):
    """Stands where one behaviour (or manner, or fault) would: for each call it draws one of several, or the calm one.

    The same seed and the same order of calls draw the same. After `most` misdeeds, or `end`, there is only calm.
    """

    def __init__(
        self,
        seed: int,
        choices: Mapping[str, Callable[[], Callable[P, Awaitable[None]]]],
        calm: Callable[P, Awaitable[None]],
        *,
        share: float = 0.5,
        most: int = 100,
    ) -> None:
        """choices: name -> what makes one; made once, so one that remembers (`late`) does. share: of misdeeds."""
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated is what it is for
        self._choices = {name: make() for name, make in sorted(choices.items())}
        self._names = tuple(self._choices)
        self._calm = calm
        self._share = share
        self._left = most
        self.drawn: list[str] = []

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Does what was drawn."""
        await self._draw()(*args, **kwargs)

    @property
    def misdeeds(self) -> int:
        """How many were drawn so far."""
        return sum(name != "calm" for name in self.drawn)

    def end(self) -> None:
        """From now on there is only calm."""
        self._left = 0

    def _draw(self) -> Callable[P, Awaitable[None]]:
        if not self._left or self._chance.random() >= self._share:
            self.drawn.append("calm")
            return self._calm
        self._left -= 1
        self.drawn.append(self._chance.choice(self._names))
        return self._choices[self.drawn[-1]]


def bad_receiver(seed: int, *, share: float = 0.5, most: int = 100) -> Chaos[[Incoming]]:
    """A behaviour for `ScriptedPeer(then=...)`: AA, or one of `BEHAVIOURS`."""
    return Chaos(seed, BEHAVIOURS, _accept, share=share, most=most)


def bad_sender(seed: int, *, share: float = 0.5, most: int = 100) -> Chaos[[Client, bytes]]:
    """A manner for `ScriptedSender(then=...)`: plainly, or one of `MANNERS`."""
    return Chaos(seed, MANNERS, _plainly, share=share, most=most)


def bad_line(seed: int, *, share: float = 0.5, most: int = 100) -> Chaos[[Flow, bytes]]:
    """A fault for one direction of a `FaultProxy`: none, or one of `FAULTS`."""
    return Chaos(seed, FAULTS, _passing, share=share, most=most)


# Said again with types that do not name their parameters.
_accept: Behaviour = behaviours.accept
_plainly: Manner = senders.plainly
_passing: Fault = faults.passing
