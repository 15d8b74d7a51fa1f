"""Along the whole chain of audit rows: from where retention has left it to the end that is kept apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ophl7.engine.chain import BEGIN, Head, Link, Walk, read_head

_STEP: Final = 2000  # rows of one read
REMOVED: Final = "remove-old-audit"  # what a row says that stands for rows whose time was over
_ANCHOR: Final = re.compile(r"audit rows \d+ to (\d+)\|\d+ rows, the last with the digest ([0-9a-f]{64})")


class ChainReads(Protocol):
    """What it takes of the database."""

    async def audit_links(self, *, after: int, limit: int) -> Sequence[Link]:
        """The rows behind that id, oldest first."""

    async def audit_head(self) -> str | None:
        """The last link as it is kept apart."""

    async def audit_anchor(self) -> str | None:
        """The last link that retention has removed, as it is kept apart; None: nothing was removed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """rows: those that are as they were written. first_bad, fault: None while all are. removed: by retention."""

    rows: int
    first_bad: int | None
    fault: str | None
    removed: int = 0

    def document(self) -> dict[str, Any]:
        """As the API has it."""
        return {
            "ok": self.fault is None,
            "rows": self.rows,
            "first_bad": self.first_bad,
            "fault": self.fault,
            "removed": self.removed,
        }


def anchored(row: Link) -> Head | None:
    """What an audit row says about the rows that it stands for; None for any other row."""
    if row.action != REMOVED:
        return None
    said = _ANCHOR.fullmatch(f"{row.target}|{row.reason}")
    return Head(int(said[1]), bytes.fromhex(said[2])) if said is not None else None


async def verify_chain(reads: ChainReads) -> Verified:
    """What is written meanwhile is left out.

    The chain begins at the anchor. Whoever changes it must change the first row's digest, and every digest behind it; and the
    last row that says what was removed must name the same link.
    """
    while True:
        anchor = _read(await reads.audit_anchor())
        found = await _verify(reads, anchor)
        if found.fault is None or anchor == _read(await reads.audit_anchor()):
            return found  # else retention was at work meanwhile: once more from where it begins now


async def _verify(reads: ChainReads, anchor: Head) -> Verified:
    head = _read(await reads.audit_head())
    walk, said = Walk(anchor), BEGIN
    while walk.fault is None and walk.last < head.id:
        links = await reads.audit_links(after=walk.last, limit=min(_STEP, head.id - walk.last))
        if not links:
            break
        for link in links:
            if not walk.pass_by(link):
                break
            said = anchored(link) or said
    walk.end(head)
    if walk.fault is None and head == BEGIN and await reads.audit_links(after=0, limit=1):
        return Verified(0, 1, "the end of the chain is not known any more")
    if walk.fault is None and await reads.audit_links(after=0, limit=1) != await reads.audit_links(after=anchor.id, limit=1):
        return Verified(0, 1, "rows are there that retention is said to have removed")
    if walk.fault is None and said != anchor:
        words = f"the audit is said to begin behind row {anchor.id}, and no row of it says so"
        return Verified(0, anchor.id + 1, words)
    return Verified(walk.rows, walk.first_bad, walk.fault, anchor.id)


def _read(text: str | None) -> Head:
    try:
        return read_head(text)
    except ValueError:
        return BEGIN  # whatever stands there was not written by us: nothing begins or ends there
