"""What `ophl7.testing.proxy` promises: bytes pass unchanged unless a fault says otherwise, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme

from ophl7.mllp.framing import frame
from ophl7.testing import faults
from ophl7.testing.faults import Fault
from ophl7.testing.peers import Client, ScriptedPeer, acknowledgment, silence
from ophl7.testing.proxy import FaultProxy

MESSAGE = b"MSH|^~\\&|EMR|E|PM|P|20260302080000||DFT^P03|A1|P|2.5\r"
ANSWER = acknowledgment(MESSAGE)


@pytest.fixture
async def peer() -> AsyncIterator[ScriptedPeer]:
    async with ScriptedPeer() as there:
        yield there


@pytest.fixture
async def proxy(peer: ScriptedPeer) -> AsyncIterator[FaultProxy]:
    before = asyncio.all_tasks()
    async with FaultProxy(peer.host, peer.port) as between:
        yield between
    await peer.stop()
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}, "a task was left behind"


async def test_without_a_fault_everything_passes(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    async with Client(proxy.host, proxy.port) as client:
        assert await client.pipeline(MESSAGE, MESSAGE) == [ANSWER, ANSWER]
        client.half_close()
        await client.closed()
    assert peer.payloads == [MESSAGE, MESSAGE]
    assert proxy.to_server.bytes_seen == 2 * len(frame(MESSAGE))


@pytest.mark.parametrize("fault", [faults.in_pieces(), faults.in_pieces(7), faults.merged(2 * len(frame(MESSAGE)))])
async def test_however_the_bytes_are_cut_they_arrive(proxy: FaultProxy, fault: Fault) -> None:
    proxy.to_server.fault = fault
    async with Client(proxy.host, proxy.port) as client:
        assert await client.pipeline(MESSAGE, MESSAGE) == [ANSWER, ANSWER]


async def test_what_is_kept_back_at_the_end_of_the_stream_arrives(proxy: FaultProxy) -> None:
    proxy.to_server.fault = faults.merged(10_000)
    async with Client(proxy.host, proxy.port) as client:
        await client.send_raw(frame(MESSAGE))
        client.half_close()
        assert await client.read_answer() == ANSWER


@pytest.mark.parametrize("rst", [False, True])
async def test_a_cut_lets_so_many_bytes_pass(proxy: FaultProxy, peer: ScriptedPeer, rst: bool) -> None:
    proxy.to_client.fault = faults.cut_after(10, rst=rst)
    async with Client(proxy.host, proxy.port) as client:
        await client.send_raw(frame(MESSAGE))
        with pytest.raises((EOFError, ValueError)):  # nothing, or ten bytes of a block
            await client.read_answer()
    assert peer.payloads == [MESSAGE]


async def test_what_stalls_arrives_when_the_fault_is_over(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    proxy.to_client.fault = faults.stall
    async with Client(proxy.host, proxy.port) as client:
        await client.send_raw(frame(MESSAGE))
        await peer.received(1)
        with pytest.raises(TimeoutError):
            await client.read_answer(0.02)
        proxy.heal()
        assert await client.read_answer() == ANSWER


async def test_what_is_swallowed_never_arrives(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    proxy.to_server.fault = faults.swallow
    async with Client(proxy.host, proxy.port) as client:
        await client.send_raw(frame(MESSAGE))
        with pytest.raises(TimeoutError):
            await client.read_answer(0.02)
        client.half_close()
        await client.closed()
    assert peer.payloads == []


async def test_a_reset_is_a_reset_for_both_sides(proxy: FaultProxy) -> None:
    proxy.to_server.fault = faults.reset
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    writer.write(frame(MESSAGE))
    with pytest.raises(ConnectionResetError):
        await reader.read(1)
    writer.close()


async def test_a_half_closed_direction_leaves_the_other_open(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    peer.then = silence
    proxy.to_client.fault = faults.half_close
    async with Client(proxy.host, proxy.port) as client:
        peer.script.append(lambda message: message.reply(b"anything"))
        await client.send_raw(frame(MESSAGE))
        await client.closed()
        await client.send_raw(frame(MESSAGE))
        assert len(await peer.received(2)) == 2


async def test_bytes_are_put_in_and_changed_where_it_says(proxy: FaultProxy) -> None:
    async with Client(proxy.host, proxy.port) as client:
        proxy.to_client.fault = faults.insert(b"XY", at=1)
        assert await client.send(MESSAGE) == b"XY" + ANSWER
    async with Client(proxy.host, proxy.port) as client:
        proxy.to_client.fault = faults.corrupt(1, 0x20)
        assert await client.send(MESSAGE) == b"m" + ANSWER[1:]


async def test_a_slow_line_asks_its_own_clock(proxy: FaultProxy) -> None:
    waited: list[float] = []

    async def pace(seconds: float) -> None:
        waited.append(seconds)

    proxy.to_server.fault = faults.slow(100, pace)
    async with Client(proxy.host, proxy.port) as client:
        assert await client.send(MESSAGE) == ANSWER
    assert sum(waited) == pytest.approx(len(frame(MESSAGE)) / 100)


async def test_refusing_and_accepting_again_keeps_the_port(proxy: FaultProxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(proxy.host, proxy.port)
    await proxy.accept()
    async with Client(proxy.host, proxy.port) as client:
        assert await client.send(MESSAGE) == ANSWER


async def test_a_silent_proxy_accepts_and_that_is_all(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    proxy.silent = True
    async with Client(proxy.host, proxy.port) as client:
        await client.send_raw(frame(MESSAGE))
        with pytest.raises(TimeoutError):
            await client.read_answer(0.02)
        await proxy.cut()
        await client.closed()
    assert peer.connections == 0


async def test_a_server_that_is_away_ends_the_connection(proxy: FaultProxy, peer: ScriptedPeer) -> None:
    await peer.stop()
    async with Client(proxy.host, proxy.port) as client:
        await client.closed()


@pytest.mark.parametrize("rst", [False, True])
async def test_leaving_it_or_cutting_ends_what_is_open(proxy: FaultProxy, rst: bool) -> None:
    async with Client(proxy.host, proxy.port) as client:
        assert await client.send(MESSAGE) == ANSWER
        await proxy.cut(rst=rst)
        await client.closed()


async def test_it_stands_in_front_of_tls() -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    async with ScriptedPeer(tls=server) as peer, FaultProxy(peer.host, peer.port) as proxy:
        proxy.to_server.fault = proxy.to_client.fault = faults.in_pieces(3)
        async with Client(proxy.host, proxy.port, tls=trusting) as client:
            assert await client.send(MESSAGE) == ANSWER
        proxy.to_client.fault = faults.corrupt(500)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(proxy.host, proxy.port, ssl=trusting)
