"""What a session does with a transport that misbehaves: cases that real sockets do not produce on demand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from ophl7.engine.ports import Clock, Envelope, Intake
from ophl7.mllp.framing import frame
from ophl7.mllp.session import Limits, ListenerObserver, Session


class Transport(asyncio.Transport):
    """Keeps what is written; `broken` writes fail as uvloop's do on a closed handle."""

    def __init__(self, broken: Exception | None = None) -> None:
        super().__init__()
        self.broken = broken
        self.written: list[bytes] = []
        self.calls: list[str] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.broken is not None:
            raise self.broken
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.calls.append("close")

    def abort(self) -> None:
        self.closing = True
        self.calls.append("abort")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


class House:
    """The listener's place, and the engine's, and the clock's."""

    peer = "emr"
    limits = Limits()

    def __init__(self) -> None:
        self.intake: Intake = self
        self.clock: Clock = self
        self.observer: ListenerObserver = self
        self.envelopes: list[Envelope] = []
        self.told: list[tuple[object, ...]] = []
        self.seconds = 1000.0

    def admit(self, session: Session, transport: asyncio.Transport) -> int:
        return 7

    def forget(self, session: Session) -> None:
        self.told.append(("forgotten",))

    def spoke_tls(self, transport: asyncio.Transport) -> None:
        self.told.append(("tls",))

    def offer(self, envelope: Envelope) -> bool:
        self.envelopes.append(envelope)
        return True

    def connected(self, peer: str) -> None:
        pass

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def opened(self, *event: object) -> None:
        self.told.append(("opened", *event))

    def closed(self, *event: object) -> None:
        self.told.append(("closed", *event))

    def refused(self, *event: object) -> None:
        self.told.append(("refused", *event))

    def tls_failed(self, *event: object) -> None:
        self.told.append(("tls_failed", *event))

    def junk(self, *event: object) -> None:
        self.told.append(("junk", *event))

    def stalled(self, *event: object) -> None:
        self.told.append(("stalled", *event))


@pytest.fixture
async def house() -> House:
    return House()


def begin(house: House, transport: Transport, *payloads: bytes) -> Session:
    session = Session(house)
    session.connection_made(transport)
    session.data_received(b"".join(frame(payload) for payload in payloads))
    return session


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), OSError("broken pipe")])
async def test_a_transport_that_refuses_the_answer_does_not_reach_the_engine(house: House, error: Exception) -> None:
    transport = Transport(broken=error)
    session = begin(house, transport, b"one", b"two")
    session.answer(b"a")
    session.answer(b"b")
    session.answer(b"c")
    session.abandon()
    assert transport.calls == ["abort"]
    session.connection_lost(None)
    assert house.told == [("forgotten",), ("closed", "emr", 7, "lost")]


async def test_nothing_is_written_to_a_transport_that_is_closing(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    transport.closing = True
    session.answer(b"a")
    assert transport.written == []


async def test_the_answers_of_one_commit_leave_in_one_write(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one", b"two", b"three")
    for answer in (b"a", b"b", b"c"):
        session.answer(answer)
    assert transport.written == [frame(b"a") + frame(b"b") + frame(b"c")]


async def test_the_answers_of_half_a_commit_leave_with_the_next_turn_of_the_loop(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one", b"two", b"three")
    session.answer(b"a")
    session.answer(b"b")
    await asyncio.sleep(0)
    assert transport.written == [frame(b"a") + frame(b"b")]
    session.answer(b"c")
    assert transport.written[1:] == [frame(b"c")]


async def test_a_peer_that_does_not_read_its_answers_is_not_read(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    session.pause_writing()
    session.resume_writing()
    assert transport.calls == ["pause", "resume"]


async def test_after_a_recent_answer_only_our_half_is_closed_and_the_rest_is_dropped(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    session.finish("drained")
    session.answer(b"a")
    assert transport.calls == ["pause", "resume", "write_eof"]
    session.data_received(frame(b"two"))
    assert len(house.envelopes) == 1
    assert session.eof_received() is False


async def test_a_peer_that_never_closes_its_half_is_closed_after_a_second(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    session.finish("drained")
    session.answer(b"a")
    session.sweep(house.seconds + 0.9)
    assert "close" not in transport.calls
    session.sweep(house.seconds + 1.0)
    assert transport.calls[-1] == "close"


async def test_long_after_the_last_answer_a_connection_is_just_closed(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    session.answer(b"a")
    house.seconds += 1.5
    session.finish("idle")
    assert transport.calls == ["pause", "close"]


async def test_a_close_that_the_peer_holds_up_becomes_an_abort(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one", b"two")
    session.answer(b"a")
    session.abandon()
    session.sweep(house.seconds + 29)
    assert transport.calls == ["close"]
    session.sweep(house.seconds + 31)
    assert transport.calls == ["close", "abort"]
    assert ("stalled", "emr", 7, "answers") in house.told


async def test_finishing_twice_or_after_the_end_changes_nothing(house: House) -> None:
    transport = Transport()
    session = begin(house, transport, b"one")
    session.finish("drained")
    session.finish("idle")
    session.abandon()
    session.finish("idle")
    session.connection_lost(None)
    assert house.told[-1] == ("closed", "emr", 7, "drained")
    assert transport.calls == ["pause", "close"]


async def test_an_engine_that_answers_while_it_is_offered_is_understood(house: House) -> None:
    transport = Transport()

    def offer(envelope: Envelope) -> bool:
        envelope.session.answer(b"at once:" + envelope.payload)
        return True

    house.offer = offer  # type: ignore[method-assign]
    begin(house, transport, b"one", b"two")
    assert b"".join(transport.written) == frame(b"at once:one") + frame(b"at once:two")


async def test_a_refused_connection_tells_nobody_and_takes_nothing(house: House) -> None:
    house.admit = lambda session, transport: 0  # type: ignore[method-assign]
    session = begin(house, Transport(), b"one")
    session.eof_received()
    session.connection_lost(None)
    assert (house.envelopes, house.told) == ([], [])


async def test_a_hello_of_tls_is_told_and_closed_and_no_later_bytes_are_taken(house: House) -> None:
    session, transport = Session(house), Transport()
    session.connection_made(transport)
    session.data_received(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    session.data_received(frame(b"one"))
    assert house.told == [("tls",)]
    assert (house.envelopes, transport.calls) == ([], ["close"])


async def test_the_same_bytes_later_are_junk_between_frames(house: House) -> None:
    session, transport = Session(house), Transport()
    session.connection_made(transport)
    session.data_received(frame(b"one"))
    session.data_received(b"\x16\x03" + frame(b"two"))
    assert [envelope.payload for envelope in house.envelopes] == [b"one", b"two"]
    assert ("tls",) not in house.told
