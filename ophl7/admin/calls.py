"""What a call of the API is: a path, who answers it, what it takes and what its answer looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem

_LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for one thing. actor: who asks, as the audit names them. query: the parameters that the call takes."""

    request: Request
    actor: str
    query: Query

    @property
    def key(self) -> str:
        """The caller's Idempotency-Key, "" for none. Raises Problem 400 for one that cannot be kept."""
        given = self.request.headers.get("idempotency-key", "").strip()
        if len(given) > _LONGEST_KEY or not given.isprintable():
            raise Problem(400, f"Idempotency-Key: at most {_LONGEST_KEY} characters that can be shown")
        return given


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. next: the cursor of the next part, None at the end."""

    items: Sequence[Document]
    next: str | None = None


def page(items: Sequence[Document], limit: int) -> Page:
    """`items` were read one beyond the limit, to see whether there are more."""
    return Page(items[:limit], str(items[limit - 1]["id"]) if len(items) > limit else None)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query, for `/openapi.json`. choices: all its values, () for free text."""

    name: str
    text: str
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """A call that answers with a page of items. fields: name -> JSON schema of each field of an item."""

    path: str
    answer: Callable[[Face, Query], Awaitable[Page]]
    summary: str
    fields: Mapping[str, Any]
    parameters: Sequence[Parameter] = ()
    paged: bool = True

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all parameters that it takes."""
        return (*(one.name for one in self.parameters), *(("limit", "cursor") if self.paged else ()))


@dataclass(frozen=True, slots=True)
class Single:
    """A call that answers with one object or with bytes. fields: of the object; content: the media type of bytes, else JSON.

    parameters: of the query.
    """

    path: str
    answer: Callable[[Face, Asked], Awaitable[Document | Response]]
    summary: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    content: str = "application/json"
    parameters: Sequence[Parameter] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all parameters that it takes."""
        return tuple(one.name for one in self.parameters)


@dataclass(frozen=True, slots=True)
class Deed:
    """A call that changes something: POST with a JSON object.

    body: its members that are required; optional: those that may be left out; fields: of the answer.
    """

    path: str
    answer: Callable[[Face, Asked, Mapping[str, Any]], Awaitable[Document]]
    summary: str
    body: Mapping[str, Any]
    fields: Mapping[str, Any]
    optional: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> tuple[str, ...]:
        """All members of its body."""
        return (*self.body, *self.optional)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A call that is asked about bytes and changes nothing: POST with the bytes themselves. fields: of each item."""

    path: str
    answer: Callable[[Face, Query, bytes], Awaitable[Sequence[Document]]]
    summary: str
    fields: Mapping[str, Any]
    parameters: Sequence[Parameter]
    content: str

    @property
    def known(self) -> tuple[str, ...]:
        """The names of all parameters that it takes."""
        return tuple(one.name for one in self.parameters)


Call = Listing | Single | Deed | Inquiry
