"""What these tests are not about."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_handler_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """#95 goes by the clock: where other work keeps the machine busy for seconds, a message would be held, which is no loss."""
    monkeypatch.setattr("ophl7.broker.HANDLER_SECONDS", 600.0)
