"""The audit as a chain: each row carries a digest over the row before it and itself, so that a change behind our back shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


class Link(NamedTuple):
    """One audit row with its place in the chain. digest: 32 bytes, None for a row that stands in no chain."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    reason: str
    digest: bytes | None


class Head(NamedTuple):
    """The last link, kept apart from the rows: without it nobody would miss the newest of them."""

    id: int
    digest: bytes

    def __str__(self) -> str:
        """As it is kept: `12 9f86d0...`."""
        return f"{self.id} {self.digest.hex()}"


# Before the first row.
BEGIN = Head(0, bytes(32))


def read_head(text: str | None) -> Head:
    """What `Head` was kept as. Raises ValueError for anything else; None is the chain that has no row yet."""
    if text is None:
        return BEGIN
    number, digest = text.split(" ")
    return Head(int(number), bytes.fromhex(digest))


def digest_of(before: bytes, row: Link) -> bytes:
    """SHA-256 over the digest of the row before and everything that this row says."""
    said = _JSON.encode([row.id, row.at, row.actor, row.action, row.target, row.reason])
    return sha256(before + said.encode("ascii")).digest()


def chained(head: Head, rows: Iterable[tuple[float, str, str, str, str]]) -> Iterator[Link]:
    """Rows (at, actor, action, target, reason) as the next links behind `head`."""
    number, before = head
    for at, actor, action, target, reason in rows:
        number += 1
        row = Link(number, at, actor, action, target, reason, None)
        before = digest_of(before, row)
        yield row._replace(digest=before)


class Walk:
    """Goes along the chain from its begin, in order of ids. `fault`: what is wrong and from where on, None while all fits."""

    def __init__(self, begin: Head = BEGIN) -> None:
        self._last = begin
        self.rows = 0
        self.first_bad: int | None = None
        self.fault: str | None = None

    @property
    def last(self) -> int:
        """The id of the last row that fits."""
        return self._last.id

    def pass_by(self, row: Link) -> bool:
        """Whether this row is what must come next; nothing is looked at after one that is not."""
        if self.fault is not None:
            return False
        if row.id != self._last.id + 1:
            self._broken(row.id, f"rows are missing between {self._last.id} and {row.id}")
        elif row.digest != digest_of(self._last.digest, row):
            self._broken(row.id, f"row {row.id} is not what was written, or what stood before it has changed")
        else:
            self._last = Head(row.id, row.digest)
            self.rows += 1
        return self.fault is None

    def end(self, head: Head) -> None:
        """There are no more rows. head: the last link as the database keeps it apart."""
        if self.fault is None and self._last != head:
            words = f"rows are missing behind {self._last.id}: the last one that was written is {head.id}"
            self._broken(self._last.id + 1, words)

    def _broken(self, number: int, words: str) -> None:
        self.first_bad, self.fault = number, words
