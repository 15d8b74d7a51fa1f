"""The listening socket of one peer: who may connect, how many, and how they are let go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from ophl7.engine.ports import Clock, Intake
from ophl7.errors import SettingsError
from ophl7.mllp.keepalive import keep_alive
from ophl7.mllp.session import Limits, ListenerObserver, Session

_BACKLOG: Final = 128
_SLOWEST_SWEEP: Final = 0.5
_FASTEST_SWEEP: Final = 0.02


class Listener:
    """Accepts one peer's connections and hands their frames to the engine."""

    def __init__(
        self,
        peer: str,
        host: str,
        port: int,
        limits: Limits,
        allow: Sequence[IPv4Network | IPv6Network],
        intake: Intake,
        clock: Clock,
        observer: ListenerObserver,
    ) -> None:
        """peer: `pm` or `emr`. port: 0 picks a free one. allow: who may connect; empty for everybody."""
        self.peer = peer
        self.limits = limits
        self.intake = intake
        self.clock = clock
        self.observer = observer
        self._host = host
        self._port = port
        self._allow = tuple(allow)
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._last_number = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host as configured, and the port that is bound (after `start`)."""
        return self._host, self._port

    @property
    def connections(self) -> int:
        """Accepted connections that are open."""
        return len(self._sessions)

    @property
    def accepting(self) -> bool:
        """Whether new connections are taken: the system is asked, not only our own memory of having bound."""
        sockets = self._server.sockets if self._server is not None else ()
        return bool(sockets) and all(
            sock.fileno() >= 0 and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in sockets
        )

    async def start(self) -> None:
        """Binds and accepts; after `stop`, the same port again. Raises SettingsError when the address cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(lambda: Session(self), self._host or None, self._port, backlog=_BACKLOG)
        except OSError as error:
            name = f"OPHL7_{self.peer.upper()}_LISTEN"
            raise SettingsError(
                [
                    (
                        f"{name}={self._host}:{self._port}: cannot listen there ({error.strerror or error}); "
                        f"stop the program that uses it, or give {name} an address of this machine and a free port"
                    )
                ]
            ) from error
        self._server = server
        self._port = server.sockets[0].getsockname()[1]
        if self._sweeper is None:
            self._sweeper = asyncio.create_task(self._sweep_forever(), name=f"mllp-sweeper-{self.peer}")
            self._sweeper.add_done_callback(_report_failure)

    async def stop_accepting(self) -> None:
        """Closes the listening socket; open connections live on. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()  # not wait_closed: from Python 3.12 on that waits for the connections too
            await asyncio.sleep(0)

    async def drain(self, deadline_seconds: float) -> bool:
        """Takes nothing more, lets what was read be answered, closes. True when everything was answered by the deadline.

        At the deadline the rest is closed without an answer: those senders send again.
        """
        await self.stop_accepting()
        for session in tuple(self._sessions):
            session.finish("drained")
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._empty.wait()
            finished = True
        except TimeoutError:
            finished = not any(session.unanswered for session in self._sessions)
            await self._abort_all()
        await self._stop_sweeper()
        return finished

    def close_all(self) -> None:
        """Our own trouble: closes every connection without an answer to what has none. New ones are still accepted."""
        for session in tuple(self._sessions):
            session.abandon()

    async def stop(self) -> None:
        """Closes the listening socket and every connection, at once. Idempotent; `start` opens again."""
        await self.stop_accepting()
        self.close_all()
        await self._abort_all()
        await self._stop_sweeper()

    def sweep(self) -> None:
        """Applies the time limits to every connection; the listener does this by itself about twice a second."""
        now = self.clock.monotonic()
        for session in tuple(self._sessions):
            session.sweep(now)

    # -- for sessions (session.House) ----------------------------------------------------------------------------------

    def admit(self, session: Session, transport: asyncio.Transport) -> int:
        """The new session's number, or 0 after closing a connection that may not be."""
        peername = transport.get_extra_info("peername")
        host, port = (str(peername[0]), int(peername[1])) if peername else ("", 0)
        remote = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not self._allowed(host):
            self.observer.refused(self.peer, "not_allowed", remote)
            transport.abort()
            return 0
        if self._server is None or len(self._sessions) >= self.limits.max_connections:
            self.observer.refused(self.peer, "not_accepting" if self._server is None else "too_many", remote)
            transport.close()
            return 0
        keep_alive(transport)
        self._last_number += 1
        self._sessions.add(session)
        self._empty.clear()
        self.observer.opened(self.peer, self._last_number, remote)
        return self._last_number

    def forget(self, session: Session) -> None:
        """The session's connection is gone."""
        self._sessions.discard(session)
        if not self._sessions:
            self._empty.set()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _allowed(self, host: str) -> bool:
        if not self._allow:
            return True
        if not host:
            return False  # gone before we could ask who it was
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # an IPv4 peer on a socket that takes both
        return any(address in network for network in self._allow)

    async def _sweep_forever(self) -> None:
        limits = self.limits
        shortest = min(limit for limit in (limits.frame_timeout, limits.idle_timeout, 4 * _SLOWEST_SWEEP) if limit > 0)
        while True:
            await asyncio.sleep(max(shortest / 4, _FASTEST_SWEEP))
            self.sweep()

    async def _abort_all(self) -> None:
        for session in tuple(self._sessions):
            session.abort("own_trouble")
        await self._empty.wait()

    async def _stop_sweeper(self) -> None:
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            await asyncio.wait((sweeper,))


def _report_failure(task: asyncio.Task[None]) -> None:
    """A sweeper that fails is a fault of ours: the loop's exception handler tells, not a line at garbage collection."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler(
            {"message": "the time limits of a listener stopped", "exception": error, "task": task}
        )
