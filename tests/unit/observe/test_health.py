"""Readiness: check by check, with reasons, and a broken check is no readiness."""

from __future__ import annotations

import pytest

from ophl7.observe.health import Health


def test_ready_means_that_every_check_passed() -> None:
    health = Health()
    health.add("store", lambda: None)
    health.add("listeners", lambda: None)
    readiness = health.readiness()
    assert (readiness.ready, readiness.status) == (True, 200)
    assert readiness.document() == {
        "ready": True,
        "checks": {"store": {"ok": True, "reason": None}, "listeners": {"ok": True, "reason": None}},
    }


def test_one_check_that_fails_gives_503_and_its_reason() -> None:
    health = Health()
    health.add("store", lambda: None)
    health.add("disk", lambda: "12 MiB free, 256 MiB are kept in reserve")
    readiness = health.readiness()
    assert (readiness.ready, readiness.status) == (False, 503)
    assert readiness.document()["checks"]["disk"] == {"ok": False, "reason": "12 MiB free, 256 MiB are kept in reserve"}


def test_checks_are_asked_anew_each_time() -> None:
    reasons: list[str | None] = ["draining", None]
    health = Health()
    health.add("draining", lambda: reasons.pop(0))
    assert not health.readiness().ready
    assert health.readiness().ready


def test_a_check_that_breaks_counts_as_not_well() -> None:
    def broken() -> None:
        raise RuntimeError("EVERYWOMAN")

    health = Health()
    health.add("store", broken)
    assert health.readiness().reasons == {"store": "the check itself failed (RuntimeError)"}


def test_a_name_is_taken_once() -> None:
    health = Health()
    health.add("store", lambda: None)
    with pytest.raises(ValueError, match="store"):
        health.add("store", lambda: None)
