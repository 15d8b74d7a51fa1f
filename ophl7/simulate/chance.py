"""Choices that depend on the seed and on what they are about, and on nothing else.

A generator that is asked one number after another gives other numbers when messages arrive in another order. So every choice
names its object, and the same object gets the same choice in every run, on every Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A seeded source of choices. Pure."""

    def __init__(self, *about: object) -> None:
        """about: what all choices have in common, for example a seed and a date."""
        self._about = about

    def number(self, below: int, *about: object) -> int:
        """A number from 0 to `below` - 1 for this object. Raises ValueError when `below` is not positive."""
        if below < 1:
            raise ValueError("there is no number below 1 to choose")
        text = "\x1f".join(map(str, (*self._about, *about)))
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % below

    def one(self, options: Sequence[T], *about: object) -> T:
        """One of the options for this object. Raises ValueError when there is none."""
        return options[self.number(len(options), *about)]


def turn(reference: str, every: int) -> int:
    """Whose turn it is, from 0 to `every` - 1: by the number at the end of a reference, so that each kind has its turn.

    `V251807004` has the turn 4 of 5. What ends in no number gets its turn by chance.
    """
    digits = reference[-3:]
    if digits.isascii() and digits.isdecimal():
        return int(digits) % every
    return Chance("turn").number(every, reference)
