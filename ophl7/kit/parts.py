"""How handlers and rules are written down: under which name, for which events, segments and changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from inspect import iscoroutinefunction
from typing import Any

from ophl7.domain.changes import (
    KINDS,
    Change,
)
from ophl7.domain.verdicts import Verdict
from ophl7.errors import RegistrationError
from ophl7.hl7v2.message import Segment
from ophl7.kit.context import Context

Handler = Callable[[Segment, Context], Coroutine[Any, Any, Sequence[Change]]]
Rule = Callable[[Change, Context], Coroutine[Any, Any, Verdict | None]]

_EVENT = re.compile(r"[A-Z0-9]{3}\^[A-Z0-9]{3}")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class RegisteredHandler:
    """One handler. each: once per such segment, in message order; otherwise once, for the first."""

    name: str
    events: tuple[str, ...]
    segment: str
    each: bool
    call: Handler


@dataclass(frozen=True, slots=True)
class RegisteredRule:
    """One rule. kinds: the kinds of change that it judges."""

    name: str
    kinds: tuple[str, ...]
    call: Rule


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise RegistrationError(f"{name!r} is not a usable name: lower case letters, digits and _ only")
    return name


def _checked_coroutine(name: str, call: Callable[..., object]) -> str:
    if not iscoroutinefunction(call):
        raise RegistrationError(f"{name} is no coroutine; write it with `async def`")
    return name


@dataclass(slots=True)
class Handlers:
    """The handlers of one module. Registration happens when the loader asks for `registered`, never at import."""

    name: str
    registered: list[RegisteredHandler] = field(default_factory=list)

    def __post_init__(self) -> None:
        _checked_name(self.name)

    def on(self, *events: str, segment: str = "MSH", each: bool = False) -> Callable[[Handler], Handler]:
        """Registers a coroutine for trigger events (`ADT^A04`) and a segment; a segment that is absent calls nobody.

        Raises RegistrationError for something that is no event or no segment name.
        """
        for event in events:
            if not _EVENT.fullmatch(event):
                raise RegistrationError(f"handlers {self.name!r}: {event!r} is not an event; write it like 'ADT^A04'")
        if not events:
            raise RegistrationError(f"handlers {self.name!r}: no event given")
        if not _SEGMENT.fullmatch(segment):
            raise RegistrationError(f"handlers {self.name!r}: {segment!r} is not a segment name; write it like 'PID'")

        def register(call: Handler) -> Handler:
            name = _checked_coroutine(f"{self.name}.{call.__name__}", call)
            self.registered.append(RegisteredHandler(name, events, segment, each, call))
            return call

        return register


@dataclass(slots=True)
class Rules:
    """The authority rules of one module."""

    name: str
    registered: list[RegisteredRule] = field(default_factory=list)

    def __post_init__(self) -> None:
        _checked_name(self.name)

    def judge(self, *patterns: str) -> Callable[[Rule], Rule]:
        """Registers a coroutine that judges changes: kinds or patterns (`appointment.*`). None = no opinion.

        The strictest verdict of all rules wins; a rule that fails holds the message. Raises RegistrationError for a pattern
        that no kind of change has.
        """
        kinds: list[str] = []
        for pattern in patterns:
            matched = [kind for kind in KINDS if fnmatchcase(kind, pattern)]
            if not matched:
                raise RegistrationError(f"rules {self.name!r}: no change is called {pattern!r}; there are {', '.join(KINDS)}")
            kinds += [kind for kind in matched if kind not in kinds]
        if not kinds:
            raise RegistrationError(f"rules {self.name!r}: no kind of change given")

        def register(call: Rule) -> Rule:
            name = _checked_coroutine(f"{self.name}.{call.__name__}", call)
            self.registered.append(RegisteredRule(name, tuple(kinds), call))
            return call

        return register
