"""Sending: the same bytes until somebody answers."""

from __future__ import annotations

import pytest

from ophl7.errors import LinkDown
from ophl7.mllp.sender import Address
from ophl7.simulate.line import Line, Reply
from ophl7.testing.peers import ScriptedPeer, accept, close, garbage, half_answer, wrong_id

MESSAGE = b"MSH|^~\\&|DEMOPM|DEMO|X|Y|20260105080000||ADT^A28|P1|P|2.5.1\rPID|1\r"


class Rests:
    """Lets no time pass, and remembers how much would have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_the_same_bytes_go_out_again_until_there_is_an_answer() -> None:
    rest, told = Rests(), list[str]()
    async with ScriptedPeer(close, garbage, half_answer, wrong_id, accept) as peer:
        line = Line(Address(peer.host, peer.port), rest, 60.0, told.append)
        answer = await line.exchange(MESSAGE, "P1")
        await line.hang_up()
    assert answer.code == "AA"
    assert peer.payloads == [MESSAGE] * 5
    assert line.tried_again == 4
    assert rest.seconds == [0.25, 0.5, 1.0, 2.0]
    assert len(told) == 1
    assert "trying again" in told[0]


async def test_a_broker_that_is_not_up_yet_is_waited_for() -> None:
    peer = ScriptedPeer()
    await peer.start()
    await peer.stop()

    async def rest(seconds: float) -> None:
        if rests.seconds:
            await peer.start()
        await rests(seconds)

    rests = Rests()
    line = Line(Address(peer.host, peer.port), rest, 0.0, lambda _: None)
    assert (await line.exchange(MESSAGE, "P1")).control_id == "P1"
    assert len(rests.seconds) == 2
    await line.hang_up()
    await peer.stop()


async def test_it_gives_up_when_the_patience_is_over_and_waits_longer_each_time() -> None:
    rest = Rests()
    async with ScriptedPeer(then=close) as peer:
        line = Line(Address(peer.host, peer.port), rest, 5.0, lambda _: None)
        with pytest.raises(LinkDown, match=r"given up after 5\.75 s") as caught:
            await line.exchange(MESSAGE, "P1")
    assert caught.value.kind == "closed"
    assert rest.seconds == [0.25, 0.5, 1.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("segments", "read"),
    [
        ("MSA|AA|P1\r", ("AA", "P1", "", "")),
        ("MSA|AE|P1|P01 created elsewhere\rERR|PID^1^3^204&Unknown&HL70357\r", ("AE", "P1", "P01", "created elsewhere")),
        ("MSA|AE|P1|P01 created elsewhere\rERR||PID|207|E|P01^x^OPHL7\r", ("AE", "P1", "P01", "created elsewhere")),
        ("MSA|AE|P1\rERR||PID|207|E|P01^x^OPHL7|||created elsewhere\r", ("AE", "P1", "P01", "created elsewhere")),
        ("MSA|AR|P1|the event is not supported\rERR|||201|E\r", ("AR", "P1", "", "the event is not supported")),
    ],
)
def test_the_reason_of_a_refusal_is_read_in_every_version(segments: str, read: tuple[str, ...]) -> None:
    raw = f"MSH|^~\\&|A|B|C|D|20260105||ACK|1|P|2.5\r{segments}".encode()
    assert Reply.read(raw) == Reply(raw, *read)


@pytest.mark.parametrize("raw", [b"nothing", b"MSH|^~\\&|A|B|C|D|20260105||ACK|1|P|2.5\r"])
def test_what_is_no_answer_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(LinkDown):
        Reply.read(raw)
