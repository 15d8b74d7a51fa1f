"""The journal's provenance row (`detail`, as engine.custody writes it) in words that carry their names."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ophl7.admin.ports import Document

# What may follow at the end of a line is left out where there is nothing to say.
_VERDICT = ("change", "path", "outcome", "row", "code", "text")
_WARNING = ("row", "code", "text")


def provenance(detail: str) -> Document:
    """`verdicts` (each change with what the rules said) and `warnings`; empty for an empty text."""
    found = json.loads(detail) if detail else {}
    return {
        "verdicts": _named(found.get("changes", ()), _VERDICT),
        "warnings": _named(found.get("warnings", ()), _WARNING),
    }


def _named(lines: Iterable[Sequence[str]], names: Sequence[str]) -> list[Document]:
    return [{name: line[at] if at < len(line) else "" for at, name in enumerate(names)} for line in lines]
