"""The characters that structure a message: MSH-1 and MSH-2 (HL7 v2.5.1, 2.5.4 and 2.15.9)."""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import lru_cache

from ophl7.errors import Unreadable

# A letter, a digit or a space as delimiter would cut names and codes apart; a double quote would make the delete
# indicator unreadable. Only punctuation remains, and only ASCII: then bytes and text split at the same places.
_USABLE = frozenset(string.punctuation) - {'"'}


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The five delimiters, one character each; "" where the sender left one out (MSH-2 may be shorter than four)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str

    @property
    def standard(self) -> bool:
        r"""Whether these are `|^~\&`."""
        return self is STANDARD or self == STANDARD

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as it is written."""
        return self.component + self.repetition + self.escape + self.subcomponent


STANDARD = Delimiters("|", "^", "~", "\\", "&")


@lru_cache(maxsize=64)
def read_delimiters(separator: str, encoding_characters: str) -> Delimiters:
    r"""MSH-1 and MSH-2 as delimiters; a fifth character (truncation, 2.7) is ignored.

    A doubled escape character (`^~\\&`), which an escaping mistake at many senders leaves behind, counts once.
    Raises Unreadable (code 102) when they cannot serve: missing, not punctuation, or one character for two purposes.
    """
    if separator not in _USABLE:
        raise Unreadable("MSH-1 is not usable as a field separator", error=102, field=1)
    marks = encoding_characters
    if len(marks) == 5 and marks[2] == marks[3]:
        marks = marks[:3] + marks[4:]
    used = separator + marks
    if not 1 <= len(marks) <= 5 or not _USABLE.issuperset(marks) or len(set(used)) != len(used):
        raise Unreadable("MSH-2 is not usable as encoding characters; send ^~\\&", error=102, field=2)
    if separator == "|" and marks[:4] == "^~\\&":
        return STANDARD
    if marks == "^~&":  # the same mistake the other way round: the backslash is lost
        return Delimiters(separator, "^", "~", "", "&")
    component, repetition, escape, subcomponent = (*marks[:4], "", "", "")[:4]
    return Delimiters(separator, component, repetition, escape, subcomponent)
