"""Where each current value of a patient came from: the message, the row of decisions.md that let it pass, and when.

Kept as one short text beside the fields, which is only read where somebody changes a field, or asks: nearly every message reads
a patient, and few change one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple


class Origin(NamedTuple):
    """message: journal id. rule: of decisions.md, "" where no rule had an opinion. at: seconds since the epoch."""

    message: int
    rule: str
    at: float


def noted(known: str, paths: Collection[str], origin: Origin, gone: Collection[str] = ()) -> str:
    """`known` with another origin of these paths; what is gone has none. "": nothing is known."""
    message, rule, at = origin
    # A row of a practice's own rule may be any text: it stays one word of its line.
    lines = [f"{message}\t{' '.join(rule.split())}\t{at!r}\t{' '.join(paths)}"] if paths else []
    left = {*paths, *gone}
    for line in known.split("\n") if known else ():
        head, _, said = line.rpartition("\t")
        there = said.split(" ")
        kept = there if left.isdisjoint(there) else [path for path in there if path not in left]
        if kept:
            lines.append(line if kept is there else f"{head}\t{' '.join(kept)}")
    return "\n".join(lines)


def origins_of(known: str) -> dict[str, Origin]:
    """Path -> origin; a value that was taken before origins were kept has none."""
    found: dict[str, Origin] = {}
    for origin, paths in _lines(known):
        found.update(dict.fromkeys(paths, origin))
    return found


def _lines(known: str) -> Iterator[tuple[Origin, list[str]]]:
    for line in known.split("\n") if known else ():
        message, rule, at, said = line.split("\t")
        yield Origin(int(message), rule, float(at)), said.split(" ")
