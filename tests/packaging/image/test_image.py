"""The image, built and run: the short form, which is part of `make test` where an image can be built at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.acceptance.practice import Ledger
from tests.packaging.image.engine import ROOT, Container, run

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.timeout(600)]

TOUR = ROOT / "examples" / "tour"


def test_the_image_takes_a_registration_under_a_read_only_root_stops_with_0_and_remembers_it(image: str, data: Path) -> None:
    flags = (*Container.LOCKED, "--volume", f"{TOUR}:/tour:ro")
    with Container(image, data, flags=flags) as broker:
        assert broker.becomes(0).strip() == "ready"
        to = f"mllp://127.0.0.1:{broker.pm}"
        outside = run(sys.executable, "-m", "ophl7", "send", str(TOUR / "1-registration.hl7"), "--to", to)
        assert (outside.returncode, outside.stdout) == (0, "AA PM0001\n"), outside.stderr
        inside = broker.exec("ophl7", "send", "/tour/2-booking.hl7", "--to", to)
        assert (inside.returncode, inside.stdout) == (0, "AA PM0002\n"), inside.stderr
        status, seconds = broker.stop(grace=30)
        assert status == 0, broker.logs
        assert seconds < 30
        assert "Stopped." in broker.logs
    assert Ledger(data / "ophl7.db").decided("PM0001") == ("accepted", "#1")
    with Container(image, data, flags=flags) as again:
        again.becomes(0)
        to = f"mllp://127.0.0.1:{again.pm}"
        assert again.exec("ophl7", "send", "/tour/1-registration.hl7", "--to", to).stdout == "AA PM0001\n"
        assert again.stop()[0] == 0
    states = [row["state"] for row in Ledger(data / "ophl7.db").rows("SELECT state FROM journal ORDER BY id")]
    assert states == ["accepted", "accepted", "duplicate"]
