"""The HTTP server: uvicorn in our own loop, without its signal handlers, its log set-up or its access log."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from ophl7.admin.patience import PatientProtocol
from ophl7.errors import OperationsError

# Seconds: a connection may stay open this long between two requests; at the end it is given this long to finish.
_KEEP_ALIVE = 15
_FINISH = 3
# Beyond so many open connections or requests the face answers 503: it must never take the loop from the listeners.
_MOST_AT_ONCE = 200


class _Uvicorn(uvicorn.Server):
    """Leaves the signals to `app`, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class HttpServer:
    """Serves one application on one address, from `start` to `stop`."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """host: a name or address; port: 0 picks a free one."""
        self._app = app
        self._host = host
        self._port = port
        self._server: _Uvicorn | None = None
        self._task: asyncio.Task[None] | None = None
        self._address: tuple[str, int] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and the actual port. Raises RuntimeError before `start`."""
        if self._address is None:
            raise RuntimeError("the HTTP server was not started")
        return self._address

    async def start(self) -> None:
        """Returns when it takes connections. Raises OperationsError when the address cannot be had."""
        bound = self._bind()
        name = bound.getsockname()
        self._address = (name[0], name[1])
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http=PatientProtocol,
            proxy_headers=False,  # what a proxy says of its client decides nothing here
            server_header=False,
            limit_concurrency=_MOST_AT_ONCE,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=_FINISH,
        )
        self._server = _Uvicorn(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]), name="ophl7-http")
        listening = asyncio.create_task(self._server.listening.wait())
        try:
            await asyncio.wait({self._task, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
        if self._task.done():
            bound.close()
            ended, self._task = self._task, None  # `stop` has nothing left to do
            await ended  # raises what ended it
            raise OperationsError("the HTTP server ended before it listened")

    async def wait(self) -> None:
        """Returns when the server has ended; raises what ended it. For whoever supervises it."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Lets running requests finish for a few seconds, then closes everything. Idempotent. Raises what ended the server."""
        server, task = self._server, self._task
        self._server = self._task = None
        if server is not None and task is not None:
            server.should_exit = True
            await task

    def _bind(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            family, _, _, _, address = found[0]
            return socket.create_server(address, family=family, backlog=128)
        except OSError as error:
            raise OperationsError(f"the console cannot listen on {self._host}:{self._port}: {_why(error)}") from error


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port; stop it, or set OPHL7_HTTP_LISTEN to another one"
    if error.errno == errno.EACCES:
        return "ports below 1024 need a privilege; set OPHL7_HTTP_LISTEN to a higher one"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "this machine has no such address; set OPHL7_HTTP_LISTEN to one of its own"
    return f"{error.strerror}; look at OPHL7_HTTP_LISTEN"


def serve(app: ASGIApp, host: str, port: int) -> HttpServer:
    """A server that is not started yet: `await server.start()`, `server.address`, `await server.stop()`."""
    return HttpServer(app, host, port)
