"""A listener on loopback whose engine, clock and observer belong to the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from ophl7.mllp.listener import Listener
from ophl7.mllp.session import Limits
from ophl7.mllp.tls import Names, Tls, read
from tests.authority import Authority, Issued, files
from tests.integration.mllp.desk import Desk, ManualClock, Observed, Open, Speaking


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def observed() -> Observed:
    return Observed()


@pytest.fixture
async def listen(desk: Desk, clock: ManualClock, observed: Observed) -> AsyncIterator[Open]:
    """Starts a listener for `pm` with the given limits; all are stopped at the end."""
    listeners: list[Listener] = []

    async def start(allow: Sequence[IPv4Network | IPv6Network] = (), tls: Tls | None = None, **limits: float) -> Listener:
        listener = Listener("pm", "127.0.0.1", 0, Limits(**limits), allow, desk, clock, observed, tls)  # type: ignore[arg-type]
        listeners.append(listener)
        await listener.start()
        return listener

    yield start
    for listener in listeners:
        await listener.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Issued:
    return authority.issue("ophl7")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


@pytest.fixture
def tls(ours: Issued, authority: Authority) -> Speaking:
    return lambda auth: read(files(ours, authority), Names.of_peer("pm")).for_listening(auth)
