"""Which handlers see a message, in which order: a table made once, at start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ophl7.errors import RegistrationError
from ophl7.kit.parts import RegisteredHandler, RegisteredRule


class Router:
    """Event -> handlers, change kind -> rules; the order is that of registration, the same on every start."""

    def __init__(self, handlers: Iterable[RegisteredHandler], rules: Iterable[RegisteredRule]) -> None:
        self._plans: dict[str, tuple[RegisteredHandler, ...]] = {}
        self._rules: dict[str, tuple[RegisteredRule, ...]] = {}
        names: set[str] = set()
        for handler in handlers:
            self._claim(names, f"handler {handler.name}")
            for event in handler.events:
                self._plans[event] = (*self._plans.get(event, ()), handler)
        for rule in rules:
            self._claim(names, f"rule {rule.name}")
            for kind in rule.kinds:
                self._rules[kind] = (*self._rules.get(kind, ()), rule)
        self._types = frozenset(event.partition("^")[0] for event in self._plans)

    @staticmethod
    def _claim(names: set[str], name: str) -> None:
        if name in names:
            raise RegistrationError(f"two parts are called {name}; rename one, or switch the shipped one off")
        names.add(name)

    def plan(self, event: str) -> tuple[RegisteredHandler, ...]:
        """The handlers of an event, `()` when nobody takes it."""
        return self._plans.get(event, ())

    def knows_type(self, message_type: str) -> bool:
        """Whether any event of this message type is taken (#80: 200 or 201)."""
        return message_type in self._types

    def rules_for(self, kind: str) -> Sequence[RegisteredRule]:
        """The rules that judge this kind of change."""
        return self._rules.get(kind, ())

    @property
    def routes(self) -> Mapping[str, tuple[RegisteredHandler, ...]]:
        """The whole plan, to be shown."""
        return self._plans
