"""The server on a real socket."""

from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from ophl7.admin.app import make_app
from ophl7.admin.server import serve
from ophl7.errors import OperationsError
from tests.integration.admin.practice import TOKEN, Desk, Practice

LIMIT = 10.0


async def test_it_serves_on_a_free_port_until_it_is_stopped(practice: Practice, desk: Desk) -> None:
    practice.audit("start")
    await practice.commit()
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    await server.start()
    host, port = server.address
    base = f"http://{host}:{port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        health = await client.get("/healthz")
        metrics = await client.get("/metrics")
        api = await client.get("/api/v1/audit", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (health.status_code, health.json()) == (200, {"alive": True})
    assert (metrics.content, metrics.headers["content-type"]) == (
        b"ophl7_build_info 1\n",
        "text/plain; version=0.0.4; charset=utf-8",
    )
    assert api.json()["items"][0]["action"] == "start"
    assert "server" not in health.headers
    async with asyncio.timeout(LIMIT):
        await server.stop()
        await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)


async def test_readiness_comes_with_its_status_and_reasons(desk: Desk) -> None:
    checks = {"disk": {"ok": False, "reason": "12 MiB free"}}
    desk.ready = (503, {"ready": False, "checks": checks})
    answer = await desk.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (503, checks)


async def test_signals_stay_with_whoever_had_them(desk: Desk) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    await server.start()
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    await server.stop()
    assert during == before


async def test_a_port_in_use_says_what_to_do(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = serve(make_app(desk.face()), "127.0.0.1", port)
        with pytest.raises(OperationsError, match=rf"127\.0\.0\.1:{port}: another program uses this port.*OPHL7_HTTP_LISTEN"):
            await server.start()
        await server.stop()


async def test_an_address_of_another_machine_says_what_to_do(desk: Desk) -> None:
    server = serve(make_app(desk.face()), "192.0.2.1", 0)
    with pytest.raises(OperationsError, match="no such address"):
        await server.start()


async def test_an_address_is_told_only_after_the_start(desk: Desk) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = serve(make_app(desk.face()), "127.0.0.1", 0).address


async def test_a_connection_that_says_nothing_does_not_hold_up_the_end(desk: Desk) -> None:
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    await server.start()
    _, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    await writer.drain()
    async with asyncio.timeout(LIMIT):
        await server.stop()
    writer.close()


async def test_a_running_request_is_finished_at_the_end() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
        asked.set()
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    server = serve(slow, "127.0.0.1", 0)
    await server.start()
    host, port = server.address
    async with asyncio.timeout(LIMIT), httpx.AsyncClient(trust_env=False) as client:
        request = asyncio.create_task(client.get(f"http://{host}:{port}/"))
        await asked.wait()
        stopping = asyncio.create_task(server.stop())
        go.set()
        assert (await request).text == "done"
        await stopping


async def test_whoever_waits_for_the_server_sees_its_end(desk: Desk) -> None:
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    await server.wait()  # nothing to wait for
    await server.start()
    waiting = asyncio.create_task(server.wait())
    await server.stop()
    async with asyncio.timeout(LIMIT):
        await waiting


async def test_a_server_that_ends_before_it_listens_raises_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no more files")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", broken)
    server = serve(make_app(desk.face()), "127.0.0.1", 0)
    with pytest.raises(RuntimeError, match="no more files"):
        await server.start()
    await server.stop()


async def test_what_is_no_http_never_reaches_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    server = serve(app, "127.0.0.1", 0)
    await server.start()
    reader, writer = await asyncio.open_connection(*server.address)
    async with asyncio.timeout(LIMIT):
        writer.write(b"\x0bMSH|^~\\&|PM\r\x1c\r")
        writer.write_eof()
        assert b"400" in await reader.readline()
        writer.close()
        await server.stop()
    assert seen == []
