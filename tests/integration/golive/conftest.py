"""An office for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.golive.lists import Office


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Office:
    return Office(tmp_path, monkeypatch, capsys)
