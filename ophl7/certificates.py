"""The practice's own certificates: read at the start, and watched, because they end on a day that nobody remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ophl7.domain.patient import Side
from ophl7.engine.ports import Clock
from ophl7.errors import SettingsError
from ophl7.links import SIDES
from ophl7.mllp.tls import Files, Names, Tls, read
from ophl7.mllp.validity import Validity
from ophl7.observe.alarms import Alarms
from ophl7.observe.metrics import Metrics
from ophl7.settings import Settings

SOON: Final = timedelta(days=14)  # time enough to get a new one from somebody who is on holiday
_LOOK_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class PeerTls:
    """How we speak with one peer. listener, sender: None for plain MLLP. validity: of our certificate, None without one."""

    listener: Tls | None = None
    sender: Tls | None = None
    validity: Validity | None = None


def read_tls(settings: Settings) -> dict[Side, PeerTls]:
    """Both peers' TLS. Raises SettingsError with all that is wrong with any of the files."""
    faults: list[str] = []
    found: dict[Side, PeerTls] = {}
    for side in SIDES:
        try:
            found[side] = _of_peer(settings, side)
        except SettingsError as error:
            faults += error.faults
    if faults:
        raise SettingsError(faults)
    return found


def _of_peer(settings: Settings, side: Side) -> PeerTls:
    peer = settings.peer(side)
    material = read(Files(peer.tls_cert, peer.tls_key, peer.tls_ca), Names.of_peer(side))
    listener = material.for_listening(peer.tls_client_auth) if peer.tls_cert is not None else None
    sender = material.for_sending() if peer.url is not None and peer.url.tls else None
    return PeerTls(listener, sender, material.validity)


class CertificateWatch:
    """Rings the alarm `certificate` when one of ours is about to end, and `certificate_expired` when it has ended.

    An expired certificate does not stop the start: a broker that runs goes on with it too, the other peer's messages would
    wait for nothing, and a peer that checks certificates keeps its messages until there is a new one (docs/decisions/0023).
    """

    def __init__(self, peers: Mapping[Side, PeerTls], clock: Clock, alarms: Alarms) -> None:
        self._validities = {side: peer.validity for side, peer in peers.items() if peer.validity is not None}
        self._clock = clock
        self._alarms = alarms

    @property
    def watching(self) -> bool:
        """Whether there is any certificate of ours."""
        return bool(self._validities)

    def look(self) -> list[str]:
        """What there is to say about them now, a sentence each; what is new rings, what is over ends."""
        now = self._clock.now()
        said: list[str] = []
        for side in SIDES:
            validity = self._validities.get(side)
            kind, words = _judge(validity, now, Names.of_peer(side).cert) if validity is not None else ("", "")
            for known in ("certificate", "certificate_expired"):
                if kind != known:
                    self._alarms.clear(known, side)
            if kind:
                said.append(words)
                self._alarms.ring(kind, side, reason=words)
        return said

    async def run(self) -> None:
        """Looks every hour, for ever."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def add_gauge(self, metrics: Metrics) -> None:
        """`ophl7_tls_cert_expiry_timestamp_seconds{peer}`. Raises ValueError for a second time."""
        metrics.gauge(
            "ophl7_tls_cert_expiry_timestamp_seconds",
            "When our certificate for a peer, or one that it is signed by, expires.",
            ("peer",),
            lambda: {(side,): validity.ends.timestamp() for side, validity in self._validities.items()},
        )


def _judge(validity: Validity, now: datetime, name: str) -> tuple[str, str]:
    """The kind of alarm, empty when all is well, and the sentence."""
    renew = "put a new one and its key there and restart ophl7"
    if now >= validity.ends:
        return (
            "certificate_expired",
            f"the certificate in {name} expired on {_day(validity.ends)}: who checks it does not talk to us; {renew}",
        )
    if now < validity.begins:
        return (
            "certificate",
            f"the certificate in {name} is valid from {_day(validity.begins)} on only; is this machine's clock right?",
        )
    if validity.ends - now < SOON:
        return "certificate", f"the certificate in {name} expires on {_day(validity.ends)}; {renew} before that"
    return "", ""


def _day(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")
