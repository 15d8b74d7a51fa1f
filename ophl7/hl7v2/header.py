"""What of a header can be read from a message that cannot: enough to answer it (decisions #90)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from ophl7.errors import Unreadable
from ophl7.hl7v2.delimiters import STANDARD, Delimiters, read_delimiters

_MSH = re.compile(rb"(?:^|[\s\x00\x0b\x1c])(?:\xef\xbb\xbf)?MSH([^A-Za-z0-9\s\x00-\x1f\x7f-\xff\"][^\r\n\x1c\x0b]{0,2000})")


class Answerable(Protocol):
    """What an answer needs of the message that it answers: a Message or a Header."""

    @property
    def delimiters(self) -> Delimiters: ...
    @property
    def encoding(self) -> str: ...
    @property
    def trigger(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def reply_fields(self) -> tuple[str, str, str, str, str, str, str]: ...
    @property
    def wanted_answers(self) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Header:
    """Fields as sent, "" where missing. encoding: one that holds every byte.

    reply_fields: MSH-3 to MSH-6, -10, -11, -12. wanted_answers: MSH-15 (accept acknowledgment) and MSH-16 (application's).
    """

    delimiters: Delimiters
    type: str
    trigger: str
    reply_fields: tuple[str, str, str, str, str, str, str]
    encoding: str = "latin-1"
    wanted_answers: tuple[str, str] = ("", "")

    @property
    def sending(self) -> tuple[str, str, str, str]:
        """MSH-3 to MSH-6."""
        return self.reply_fields[:4]

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.reply_fields[4]

    @property
    def event(self) -> str:
        """`ADT^A08`, or the type alone."""
        return f"{self.type}^{self.trigger}" if self.trigger else self.type

    @property
    def version(self) -> str:
        """MSH-12.1."""
        return self.reply_fields[6].split(self.delimiters.component)[0].strip()

    @property
    def processing_id(self) -> str:
        """MSH-11.1."""
        return self.reply_fields[5].split(self.delimiters.component)[0].strip()


def read_header(raw: bytes) -> Header | None:
    """The first MSH found anywhere at the start of a line of `raw`; None when there is none. Never raises.

    Where MSH-2 is unusable the fields are read all the same, and the answer is written in the standard ones.
    """
    found = _MSH.search(raw)
    if found is None:
        return None
    line = found[1].decode("latin-1")
    separator = line[0]
    fields = ["MSH", *line[1:].split(separator), *[""] * 15]
    try:
        delimiters = read_delimiters(separator, fields[1])
    except Unreadable:
        # The sender's own separator even where it is one of those: no field holds it, so each is echoed as it came.
        delimiters = Delimiters(separator, *STANDARD.encoding_characters.replace(separator, "#"))
    kind = fields[8].split(delimiters.component)
    return Header(
        delimiters=delimiters,
        type=kind[0].strip(),
        trigger=kind[1].strip() if len(kind) > 1 else "",
        reply_fields=(fields[2], fields[3], fields[4], fields[5], fields[9], fields[10], fields[11]),
        wanted_answers=(fields[14], fields[15]),
    )
