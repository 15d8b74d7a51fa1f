"""Where each current value of a patient came from: the message, the row of decisions.md that let it pass, and when.

Kept as one short text beside the fields, which is only read where somebody changes a field, or asks: nearly every message reads
a patient, and few change one.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Origin(NamedTuple):
    """message: journal id. rule: of decisions.md, "" where no rule had an opinion. at: seconds since the epoch."""

    message: int
    rule: str
    at: float


def noted(known: str, paths: Collection[str], origin: Origin, gone: Collection[str] = ()) -> str:
    """`known` with another origin of these paths; what is gone has none. "": nothing is known."""
    groups = [[*origin, " ".join(paths)]] if paths else []
    if known:
        left = {*paths, *gone}
        for message, rule, at, said in json.loads(known):
            kept = [path for path in said.split(" ") if path not in left]
            if kept:
                groups.append([message, rule, at, " ".join(kept)])
    return _JSON.encode(groups) if groups else ""


def origins_of(known: str) -> dict[str, Origin]:
    """Path -> origin; a value that was taken before origins were kept has none."""
    found: dict[str, Origin] = {}
    if known:
        for message, rule, at, said in json.loads(known):
            found.update(dict.fromkeys(said.split(" "), Origin(message, rule, at)))
    return found
