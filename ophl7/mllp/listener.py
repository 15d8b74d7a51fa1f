"""The listening socket of one peer: who may connect, how many, and how they are let go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from ophl7.engine.ports import Clock, Intake
from ophl7.errors import SettingsError
from ophl7.mllp.door import Door, remote_of
from ophl7.mllp.keepalive import keep_alive
from ophl7.mllp.session import Limits, ListenerObserver, Session
from ophl7.mllp.tls import Names, Tls
from ophl7.mllp.tls_faults import TlsFault, tls_on_plain_port

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
        tls: Tls | None = None,
    ) -> None:
        """peer: `pm` or `emr`. port: 0 picks a free one. allow: who may connect; empty for everybody. tls: None for plain."""
        self.peer = peer
        self.limits = limits
        self.intake = intake
        self.clock = clock
        self.observer = observer
        self._host = host
        self._port = port
        self._allow = tuple(allow)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._doors: set[Door] = set()  # connections that do not speak TLS with us yet
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
            server = await loop.create_server(self._protocol, self._host or None, self._port, backlog=_BACKLOG)
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
        self._shut_doors()
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
        for door in tuple(self._doors):
            door.sweep(now)

    # -- for sessions and doors (session.House, door.Hall) -------------------------------------------------------------

    def admit(self, session: Session, transport: asyncio.Transport) -> int:
        """The new session's number, or 0 after closing a connection that may not be."""
        if not self._may_be(transport):
            return 0
        keep_alive(transport)
        self._last_number += 1
        self._sessions.add(session)
        self._empty.clear()
        self.observer.opened(self.peer, self._last_number, remote_of(transport))
        return self._last_number

    def forget(self, session: Session) -> None:
        """The session's connection is gone."""
        self._sessions.discard(session)
        self._note_empty()

    def spoke_tls(self, transport: asyncio.Transport) -> None:
        """A client began with TLS on a plain port."""
        names = Names.of_peer(self.peer)
        self.turned_away(remote_of(transport), tls_on_plain_port(names.cert, names.key))

    def let_in(self, door: Door, raw: asyncio.Transport) -> bool:
        """Whether a connection may try TLS; one that does counts like those that have it."""
        if not self._may_be(raw):
            return False
        self._doors.add(door)
        self._empty.clear()
        return True

    def pass_on(self, door: Door) -> None:
        """The connection is gone, or is a session now."""
        self._doors.discard(door)
        self._note_empty()

    def turned_away(self, remote: str, fault: TlsFault) -> None:
        """There is no TLS with this client."""
        self.observer.tls_failed(self.peer, remote, fault.kind, fault.words)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _protocol(self) -> asyncio.Protocol:
        return Session(self) if self._tls is None else Door.opened(self, self._tls)

    def _may_be(self, transport: asyncio.Transport) -> bool:
        """Whether there may be one more connection, and this one; else it is told and closed."""
        peername = transport.get_extra_info("peername")
        if not self._allowed(str(peername[0]) if peername else ""):
            self.observer.refused(self.peer, "not_allowed", remote_of(transport))
            transport.abort()
            return False
        if self._server is None or len(self._sessions) + len(self._doors) >= self.limits.max_connections:
            self.observer.refused(self.peer, "not_accepting" if self._server is None else "too_many", remote_of(transport))
            transport.close()
            return False
        return True

    def _note_empty(self) -> None:
        if not (self._sessions or self._doors):
            self._empty.set()

    def _shut_doors(self) -> None:
        for door in tuple(self._doors):
            door.shut()

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
        self._shut_doors()
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
