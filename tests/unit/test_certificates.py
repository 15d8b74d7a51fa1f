"""Our own certificates: all faults of both peers at once, the contexts that are made, and the day on which one ends."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ophl7 import settings
from ophl7.certificates import SOON, CertificateWatch, PeerTls, read_tls
from ophl7.errors import SettingsError
from ophl7.mllp.validity import Validity
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from ophl7.observe.metrics import Metrics
from tests.authority import Authority

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class ManualClock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        raise AssertionError("days are not measured with this")


class Watched:
    """A watch over a certificate of each peer that ends after so many days; None for no certificate."""

    def __init__(self, pm: float | None, emr: float | None = None, begins: float = -100) -> None:
        self.clock = ManualClock()
        self.said = io.StringIO()
        self.alarms = Alarms(make_log("info", "json", stream=self.said, strict=True))

        def tls(days: float | None) -> PeerTls:
            validity = None if days is None else Validity(NOW + timedelta(days=begins), NOW + timedelta(days=days))
            return PeerTls(validity=validity)

        self.watch = CertificateWatch({"pm": tls(pm), "emr": tls(emr)}, self.clock, self.alarms)

    @property
    def rung(self) -> list[tuple[str, str]]:
        """Peer and reason of each alarm."""
        lines = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [(line["peer"], line["reason"]) for line in lines if line["event"] == "alarm_opened"]


def test_plain_mllp_needs_no_file() -> None:
    assert read_tls(settings.load({"OPHL7_PM_URL": "mllp://pm:1"})) == {"pm": PeerTls(), "emr": PeerTls()}


def test_the_faults_of_both_peers_are_told_at_once(tmp_path: Path) -> None:
    def of(peer: str) -> dict[str, str]:
        return {f"OPHL7_{peer}_TLS_{what}": str(tmp_path / what) for what in ("CERT", "KEY", "CA")}

    with pytest.raises(SettingsError) as caught:
        read_tls(settings.load(of("PM") | of("EMR")))
    named = [fault.partition(":")[0] for fault in caught.value.faults]
    assert named == [f"OPHL7_{peer}_TLS_{what}" for peer in ("PM", "EMR") for what in ("CERT", "KEY", "CA")]


def test_a_listener_speaks_tls_with_a_certificate_and_a_sender_with_mllps(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("ophl7")
    found = read_tls(
        settings.load(
            {
                "OPHL7_PM_TLS_CERT": str(ours.cert),
                "OPHL7_PM_TLS_KEY": str(ours.key),
                "OPHL7_PM_URL": "mllp://pm:1",
                "OPHL7_EMR_TLS_CA": str(authority.file),
                "OPHL7_EMR_URL": "mllps://emr:1",
            }
        )
    )
    assert (found["pm"].listener is None, found["pm"].sender is None, found["pm"].validity is None) == (False, True, False)
    assert (found["emr"].listener is None, found["emr"].sender is None, found["emr"].validity is None) == (True, False, True)


@pytest.mark.parametrize("days", [SOON.days + 1, 3650])
def test_a_certificate_with_time_left_rings_nothing(days: float) -> None:
    watched = Watched(days, days)
    assert watched.watch.look() == []
    assert watched.rung == []


def test_without_certificates_there_is_nothing_to_watch() -> None:
    assert not Watched(None).watch.watching
    assert Watched(None, 5).watch.watching


def test_a_certificate_that_ends_soon_rings_once_and_again_when_it_has_ended() -> None:
    watched = Watched(20)
    days: list[int] = []
    for day in range(25):
        watched.clock.instant = NOW + timedelta(days=day)
        before = len(watched.rung)
        watched.watch.look()
        days += [day] * (len(watched.rung) - before)
    assert days == [7, 20]
    soon, ended = watched.rung
    assert soon[0] == ended[0] == "pm"
    assert "OPHL7_PM_TLS_CERT expires on 2026-03-22 08:00 UTC; put a new one" in soon[1]
    assert "OPHL7_PM_TLS_CERT expired on 2026-03-22 08:00 UTC" in ended[1]
    assert watched.alarms.reading() == {("certificate_expired",): 1.0}


def test_what_is_wrong_is_said_at_every_look_and_rung_once() -> None:
    watched = Watched(-1, 3)
    first = watched.watch.look()
    assert watched.watch.look() == first
    assert [reason for _, reason in watched.rung] == first
    assert [peer for peer, _ in watched.rung] == ["pm", "emr"]


def test_a_certificate_of_tomorrow_points_at_the_clock() -> None:
    watched = Watched(300, begins=1)
    (said,) = watched.watch.look()
    assert "is valid from 2026-03-03 08:00 UTC on only; is this machine's clock right?" in said


def test_when_they_expire_is_a_metric_of_each_peer_that_has_one() -> None:
    watched, metrics = Watched(20, None), Metrics("test")
    watched.watch.add_gauge(metrics)
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith("ophl7_tls_cert")]
    (line,) = lines
    name, value = line.rsplit(" ", 1)
    assert name == 'ophl7_tls_cert_expiry_timestamp_seconds{peer="pm"}'
    assert float(value) == (NOW + timedelta(days=20)).timestamp()
