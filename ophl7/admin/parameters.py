"""The query of a request: only what a call knows, each value checked, faults named and never quoted."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from starlette.requests import Request

from ophl7.admin.instants import bounds
from ophl7.admin.problems import Problem, bad_parameter

LIMIT, MOST = 50, 500
_LARGEST = 2**63 - 1
_NAME = re.compile(r"[a-z_]{1,32}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_EVENT = re.compile(r"[A-Z][A-Z0-9]{2}(\^[A-Z0-9]{1,4})?")

T = TypeVar("T")


class Query:
    """The parameters of one request. Raises Problem 400 for one that is unknown or given twice."""

    def __init__(self, request: Request, known: Collection[str], zone: ZoneInfo) -> None:
        self._zone = zone
        self._values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in known:
                shown = name if _NAME.fullmatch(name) else "a parameter"
                raise Problem(400, f"{shown}: not known here; this call takes {', '.join(known) or 'none'}", parameter=shown)
            if name in self._values:
                raise bad_parameter(name, "given twice")
            self._values[name] = value

    def text(self, name: str) -> str | None:
        """The value, None when absent. Raises Problem 400 when it is empty: it was meant to say something."""
        value = self._values.get(name)
        if value is not None and not value.strip():
            raise bad_parameter(name, "it is empty")
        return value

    def one_of(self, name: str, choices: Collection[str]) -> str | None:
        """One of `choices`."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise bad_parameter(name, f"one of {', '.join(choices)}")
        return value

    def event(self, name: str) -> str | None:
        """`ADT^A08`, or `ADT` for all of that type."""
        value = self.text(name)
        if value is None:
            return None
        if not _EVENT.fullmatch(value.upper()):
            raise bad_parameter(name, "a message type and event like ADT^A08, or a type like ADT")
        return value.upper()

    def number(self, name: str) -> int | None:
        """An id."""
        value = self.text(name)
        if value is None:
            return None
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else 0
        if not 0 < number <= _LARGEST:
            raise bad_parameter(name, "a number")
        return number

    def day(self, name: str) -> date | None:
        """`2026-11-23`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            if _DAY.fullmatch(value) and value < "9999-12-31":  # a day has an end
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise bad_parameter(name, "a date like 2026-11-23")

    def instant(self, name: str, *, end: bool) -> float | None:
        """A time; without an offset it is in the practice's zone. A day alone is its begin, or with `end` the end of it."""
        value = self.text(name)
        if value is None:
            return None
        try:
            if _DAY.fullmatch(value):
                return bounds(date.fromisoformat(value), self._zone)[end]
            # A + that was not encoded arrives as a blank.
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone)).timestamp()
        except (ValueError, OverflowError):
            raise bad_parameter(name, "a time like 2026-11-23T08:30:00-05:00, or a date") from None

    @property
    def before(self) -> int | None:
        """The cursor: the id of the last item of the page before."""
        try:
            return self.number("cursor")
        except Problem:
            raise bad_parameter("cursor", "what `next` of the page before says") from None

    @property
    def limit(self) -> int:
        """How many items at most: 50 if not said, 500 if more is said."""
        if "limit" not in self._values:
            return LIMIT
        number = self.number("limit")
        return LIMIT if number is None else min(number, MOST)


def path_number(request: Request) -> int | None:
    """The `{id}` of the path; None when no row can have it."""
    text = str(request.path_params["id"])
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        return None
    number = int(text)
    return number if 0 < number <= _LARGEST else None
