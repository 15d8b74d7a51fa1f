"""What every test stands on: an environment in which nothing of ophl7 is set."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own OPHL7_* variables must not change what a test says."""
    for name in [name for name in os.environ if name.startswith("OPHL7_")]:
        monkeypatch.delenv(name)
