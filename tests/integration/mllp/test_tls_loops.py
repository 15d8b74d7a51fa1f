"""TLS on both event loops that `ophl7 serve` may run on: asyncio's own, and uvloop where it is installed."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from ophl7.errors import LinkDown
from ophl7.mllp.framing import frame
from ophl7.mllp.listener import Listener
from ophl7.mllp.sender import MllpSender
from ophl7.mllp.session import Limits
from ophl7.mllp.tls import Names, read
from ophl7.testing.peers import acknowledgment
from tests.authority import Authority, files
from tests.integration.mllp.desk import LIMIT_SECONDS, Desk, ManualClock, Observed
from tests.integration.mllp.strangers import Caller

LOOPS = [asyncio.new_event_loop]
if importlib.util.find_spec("uvloop") is not None:
    import uvloop

    LOOPS.append(uvloop.new_event_loop)

MESSAGE = b"MSH|^~\\&|EMR|E|PM|P|20260302080000||DFT^P03|A1|P|2.5\r"


@pytest.fixture(params=LOOPS, ids=lambda make: make.__module__.partition(".")[0])
def on_loop(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Runs a coroutine to its end on one of the loops; what the loop has to complain of fails the test."""

    def run(work: Callable[[], object]) -> None:
        complaints: list[object] = []
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
            runner.run(work())  # type: ignore[arg-type]
        assert complaints == []

    return run


class Both:
    """Our listener, and certificates for whoever calls."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.stranger = Authority(folder), Authority(folder, "stranger")
        material = read(files(self.authority.issue("ophl7"), self.authority), Names.of_peer("pm"))
        self.tls = material.for_listening("must")
        self.desk, self.observed, self.clock = Desk(), Observed(), ManualClock()

    async def __aenter__(self) -> Self:
        self.desk.answering = lambda envelope: acknowledgment(envelope.payload)
        self.listener = Listener("pm", "127.0.0.1", 0, Limits(), (), self.desk, self.clock, self.observed, self.tls)
        await self.listener.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.listener.stop()

    @property
    def caller(self) -> Caller:
        return Caller(self.listener.address[1])


def test_our_sender_and_our_listener_understand_each_other(on_loop: Callable[..., None], tmp_path: Path) -> None:
    async def talk() -> None:
        async with Both(tmp_path) as both:
            theirs = read(files(both.authority.issue("sender"), both.authority), Names.of_peer("emr"))
            sender = MllpSender(*both.listener.address, LIMIT_SECONDS, tls=theirs.for_sending())
            for _ in range(50):
                assert (await sender.exchange(MESSAGE, "A1")).code == "AA"
            await sender.close()
            assert both.observed.of("tls_failed") == []

    on_loop(talk)


def test_who_is_turned_away_learns_why_and_so_do_we(on_loop: Callable[..., None], tmp_path: Path) -> None:
    async def talk() -> None:
        async with Both(tmp_path) as both:
            assert await both.caller.refused(both.authority.trusting()) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
            wrong = both.authority.trusting(both.stranger.issue("pm"))
            assert await both.caller.refused(wrong) == "TLSV1_ALERT_UNKNOWN_CA"
            await both.caller.plain(frame(MESSAGE))
            await both.observed.seen("tls_failed", "pm", "no_tls")
            theirs = read(files(None, both.authority), Names.of_peer("emr"))
            with pytest.raises(LinkDown, match="wants a certificate of ours") as caught:
                await MllpSender(*both.listener.address, LIMIT_SECONDS, tls=theirs.for_sending()).exchange(MESSAGE, "A1")
            assert caught.value.kind == "tls"
            kinds = [event[1] for event in both.observed.of("tls_failed")]
            assert kinds == ["no_certificate", "certificate", "no_tls", "no_certificate"]

    on_loop(talk)


def test_a_half_closed_line_and_a_drain_end_as_on_a_plain_port(on_loop: Callable[..., None], tmp_path: Path) -> None:
    async def talk() -> None:
        async with Both(tmp_path) as both:
            trusted = both.authority.trusting(both.authority.issue("pm"))
            answer = frame(acknowledgment(MESSAGE))
            assert await both.caller.secured(trusted, frame(MESSAGE) * 3, half_close=True) == answer * 3
            both.desk.answering = None
            asked = asyncio.ensure_future(both.caller.secured(trusted, frame(MESSAGE) * 2 + b"\x0bhalf"))
            await both.desk.arrived(5)
            draining = asyncio.ensure_future(both.listener.drain(LIMIT_SECONDS))
            await asyncio.sleep(0)
            for envelope in both.desk.envelopes[3:]:
                envelope.session.answer(b"at last")
            assert await asked == frame(b"at last") * 2
            assert await draining is True

    on_loop(talk)
