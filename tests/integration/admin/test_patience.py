"""A client that does not come to the end of its request does not keep a connection of the console for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from ophl7.admin.patience import PatientProtocol
from ophl7.admin.server import HttpServer

LIMIT_SECONDS = 5.0
HEAD = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"


async def quick(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("here")


async def posted(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[HttpServer, asyncio.Event]]:
    monkeypatch.setattr(PatientProtocol, "seconds", 0.05)
    more = asyncio.Event()

    async def slow(_request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first"
            await more.wait()
            yield b"last"

        return StreamingResponse(parts())

    routes = [Route("/quick", quick), Route("/slow", slow), Route("/posted", posted, methods=["POST"])]
    server = HttpServer(Starlette(routes=routes), "127.0.0.1", 0)
    await server.start()
    yield server, more
    more.set()
    await server.stop()


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /quick HT",
        HEAD % b"quick" + b"GET /quick HTTP/1.1\r\nHo",
        b"POST /posted HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    ],
)
async def test_a_request_that_does_not_end_is_broken_off(served: tuple[HttpServer, asyncio.Event], beginning: bytes) -> None:
    server, _ = served
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(beginning)
    async with asyncio.timeout(LIMIT_SECONDS):
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
    writer.close()


async def test_an_answer_that_takes_its_time_is_not(served: tuple[HttpServer, asyncio.Event]) -> None:
    server, more = served
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(HEAD % b"slow")
    async with asyncio.timeout(LIMIT_SECONDS):
        await reader.readuntil(b"first")
        quiet, other = await asyncio.open_connection(*server.address)  # its time begins later: ours has passed when it ends
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await quiet.readexactly(1)
        more.set()
        assert b"last" in await reader.readuntil(b"last")
    other.close()
    writer.close()
