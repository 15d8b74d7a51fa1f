"""SQL stays SQL: named statements in files, one file a dialect, read once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

T = TypeVar("T")

_NAME = re.compile(r"^-- name: (?P<name>\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)


@cache
def statements(dialect: str, file: str = "queries") -> Mapping[str, str]:
    """Every statement of `sql/<dialect>/<file>.sql` under its name, without comments.

    `queries`: the road; `reads`: people; `lists`: patient lists; `books`: reports; `retention`: what is removed.
    """
    text = (files("ophl7.store") / "sql" / dialect / f"{file}.sql").read_text("utf-8")
    pieces = _NAME.split(text)[1:]
    return {name: _COMMENT.sub("", body).strip().rstrip(";") for name, body in zip(pieces[::2], pieces[1::2], strict=True)}


@cache
def with_keys(dialect: str, name: str, count: int, width: int = 1, file: str = "queries") -> str:
    """The statement for that many keys: places for an IN list where `width` is 1, rows of VALUES otherwise."""
    place = "?" if width == 1 else f"({', '.join('?' * width)})"
    return statements(dialect, file)[name].replace("{keys}", ", ".join([place] * count))


def padded(keys: Sequence[T]) -> list[T]:
    """The keys, the last one repeated up to a power of two: a handful of statement texts instead of one for each count."""
    size = 1 << (len(keys) - 1).bit_length()
    return [*keys, *[keys[-1]] * (size - len(keys))]
