"""Runs an author's coroutine inside the batch, and breaks it off when it misbehaves (#95).

While a batch is open nothing else is judged, so a handler may not wait for anything but a Context read: whoever awaits a sleep
or a socket is broken off at once. Whoever computes for too long is broken off by the watchdog.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

from ophl7.errors import HandlerFailed
from ophl7.kit.context import Read

T = TypeVar("T")

Reader = Callable[[Read], Awaitable[None]]


class TooSlow(BaseException):
    """The watchdog's interruption. Not an Exception, so that an author's `except Exception` does not swallow it."""


class Watchdog:
    """Interrupts a handler that keeps the loop busy: a thread that looks, and a signal that reaches the main thread.

    Where the loop does not run in the main thread, or the platform has no such signal, a slow handler is only found when it
    returns.
    """

    def __init__(self, limit: float) -> None:
        """limit: seconds that one handler or rule may take."""
        self.limit = limit
        self.since: float | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._previous: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGUSR2"):
            self._previous = signal.signal(signal.SIGUSR2, self._interrupt)
            self._thread = threading.Thread(target=self._watch, name="ophl7-watchdog", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            signal.signal(signal.SIGUSR2, self._previous)

    def late(self) -> bool:
        """Whether what is running now has used up its time."""
        since = self.since
        return since is not None and monotonic() - since > self.limit

    def _watch(self) -> None:
        while not self._stop.wait(self.limit / 4):
            if self.late():
                with suppress(ProcessLookupError):
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        # The signal may arrive after the handler has returned: then nothing is late any more. An author's `except:` may swallow
        # the interruption; so the time begins anew, and ends again.
        if self.late():
            self.since = monotonic()
            raise TooSlow


class Runner:
    """Drives coroutines step by step, without the event loop."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    async def run(self, name: str, call: Coroutine[Any, Any, T], read: Reader) -> T:
        """The coroutine's result. Raises whatever it raises; HandlerFailed when it suspends or takes too long.

        name: the part that is running, for the message. read: loads what a suspended Context read asks for.
        """
        finished, value = self.step(name, call)
        return value if finished else await self.go_on(name, call, value, read)

    async def go_on(self, name: str, call: Coroutine[Any, Any, T], value: object, read: Reader) -> T:
        """The rest of a coroutine whose first step asked for `value`."""
        finished = False
        while not finished:
            if type(value) is not Read:
                call.close()
                raise HandlerFailed(name, "it waited for something else than a Context read; handlers may not do that")
            await read(value)
            finished, value = self.step(name, call)
        result: T = value  # type: ignore[assignment]  # what it returned
        return result

    def step(self, name: str, call: Coroutine[Any, Any, T]) -> tuple[bool, Any]:
        """Runs until the coroutine returns, (True, its result), or suspends, (False, what it asks for).

        Nearly every handler and rule returns at once, so the judge calls this first: `run` would cost a coroutine more.
        """
        watchdog = self._watchdog
        watchdog.since = began = monotonic()
        try:
            return False, call.send(None)
        except StopIteration as stop:
            watchdog.since = None  # first, and without a call: an interruption from here on would escape all of this
            if monotonic() - began > watchdog.limit:
                raise HandlerFailed(name, f"it took longer than {watchdog.limit:g} s") from None
            return True, stop.value
        except TooSlow:
            raise HandlerFailed(name, f"it took longer than {watchdog.limit:g} s and was broken off") from None
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an author's, of whatever kind, is a hold
            # Awaiting what is cancelled already does not suspend, and exit() is one word: neither may look like our own end.
            raise HandlerFailed(name, f"it raised {type(error).__name__}") from None
        finally:
            watchdog.since = None
