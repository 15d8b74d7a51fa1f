"""Connections are fitted to the file descriptors that the system gives."""

from __future__ import annotations

import resource

import pytest

from ophl7.descriptors import RESERVED, fitted, granted
from ophl7.domain.patient import Side

BOTH: dict[Side, int] = {"pm": 3000, "emr": 1000}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (RESERVED + 4002, {"pm": 3000, "emr": 1000}),
        (RESERVED + 402, {"pm": 300, "emr": 100}),
        (64, {"pm": 1, "emr": 1}),
    ],
)
def test_what_does_not_suffice_is_parted_as_the_settings_ask(limit: int, expected: dict[Side, int]) -> None:
    assert fitted(BOTH, 2, limit) == expected


def test_the_limit_is_raised_as_far_as_the_system_allows_and_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _what, both: asked.append(both))
    assert [granted(500), granted(2000), granted(9000)] == [500, 2000, 4096]
    assert asked == [(2000, 4096), (4096, 4096)]


def test_a_system_that_does_not_let_us_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _both: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert granted(2000) == 1024
