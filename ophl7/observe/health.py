"""Health: whether the broker is alive, and whether it would take a message now, check by check, with reasons for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Check = Callable[[], str | None]
"""None when all is well, else one sentence saying what is wrong. Quick, without I/O: it reads what its owner already knows."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The outcome of all checks: name -> None or the reason."""

    reasons: dict[str, str | None]

    @property
    def ready(self) -> bool:
        """Whether every check passed."""
        return all(reason is None for reason in self.reasons.values())

    @property
    def status(self) -> int:
        """200 or 503, for GET /readyz."""
        return 200 if self.ready else 503

    def document(self) -> dict[str, Any]:
        """The JSON document of GET /readyz: `{"ready": bool, "checks": {name: {"ok": bool, "reason": str | null}}}`."""
        checks = {name: {"ok": reason is None, "reason": reason} for name, reason in self.reasons.items()}
        return {"ready": self.ready, "checks": checks}


class Health:
    """Named checks, asked in the order in which they were added."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """Adds a check. Raises ValueError for a name that is taken."""
        if name in self._checks:
            raise ValueError(f"the health check {name} is there already")
        self._checks[name] = check

    def readiness(self) -> Readiness:
        """Asks every check now. One that fails itself counts as not well, so a fault of ours never looks like readiness."""
        return Readiness({name: _asked(check) for name, check in self._checks.items()})


def _asked(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - reported as the check's reason
        return f"the check itself failed ({type(error).__name__})"
