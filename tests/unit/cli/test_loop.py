"""The event loop of the commands."""

from __future__ import annotations

import asyncio
import socket
from threading import Event

import pytest

from ophl7.cli import loop

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "find_spec", lambda _name: None)


def test_a_name_server_that_is_silent_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, asked = Event(), Event()

    def silent(*_about: object) -> list[object]:
        asked.set()
        answered.wait()
        return []

    async def work() -> str:
        looking = asyncio.ensure_future(asyncio.open_connection("alarms.example.org", 443))
        await asyncio.to_thread(asked.wait)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        return "stopped"

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", silent)
        assert loop.run(work()) == "stopped"  # it would wait for ever
    answered.set()


def test_a_name_that_is_nobodys_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_about: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", nobody)
        with pytest.raises(socket.gaierror, match="no such name"):
            loop.run(asyncio.open_connection("alarms.example.org", 443))


def test_a_name_is_found() -> None:
    async def work() -> int:
        return len(await asyncio.get_running_loop().getaddrinfo("localhost", 1))

    assert loop.run(work()) > 0
