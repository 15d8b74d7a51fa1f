"""Runs a coroutine to its end, on uvloop where it is installed (extra `speed`)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from importlib.util import find_spec
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class _Loop(asyncio.SelectorEventLoop):
    """Looks names up in threads that nobody waits for: a name server that is silent must not hold up a stop."""

    async def getaddrinfo(
        self,
        host: Any,  # noqa: ANN401 - as the loop's own says
        port: Any,  # noqa: ANN401
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """As the loop's own, which asks in its executor; and that is waited for at the end."""
        found: asyncio.Future[list[Any]] = self.create_future()

        def settle(came: list[Any] | Exception) -> None:
            if found.done():
                return
            if isinstance(came, Exception):
                found.set_exception(came)
            else:
                found.set_result(came)

        def look() -> None:
            came: list[Any] | Exception
            try:
                came = socket.getaddrinfo(host, port, family, type, proto, flags)
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
                came = error
            with suppress(RuntimeError):  # the loop is closed: nobody asks any more
                self.call_soon_threadsafe(settle, came)

        Thread(target=look, name="ophl7-names", daemon=True).start()
        return await found


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, in a fresh event loop."""
    factory: Any = _Loop
    if find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)
