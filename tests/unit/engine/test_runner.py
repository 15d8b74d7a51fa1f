"""An author's coroutine is driven without the event loop, and broken off when it waits, fails or never ends (#95)."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from ophl7.engine import runner as runner_module
from ophl7.engine.runner import Runner, TooSlow, Watchdog
from ophl7.errors import HandlerFailed
from ophl7.kit.context import Read, _load

LIMIT = 0.05
IN_MAIN_THREAD = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread only"
)


@pytest.fixture
def strict() -> Iterator[Runner]:
    with Watchdog(LIMIT) as watchdog:
        yield Runner(watchdog)


@pytest.fixture
def patient() -> Runner:
    return Runner(Watchdog(60.0))


async def no_reads(_request: Read) -> None:
    raise AssertionError("nothing is read here")


async def answer() -> str:
    return "done"


async def test_a_coroutine_that_returns_gives_its_result(patient: Runner) -> None:
    assert await patient.run("a", answer(), no_reads) == "done"


async def test_what_it_raises_is_raised(patient: Runner) -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await patient.run("a", fails(), no_reads)


async def test_a_context_read_suspends_is_served_and_goes_on(patient: Runner) -> None:
    served: list[Read] = []

    async def reads() -> int:
        await _load(Read("patient", ("PM", "1")))
        await _load(Read("charge", ("PM", "1", "T")))
        return len(served)

    async def serve(request: Read) -> None:
        await asyncio.sleep(0)  # the engine itself may wait
        served.append(request)

    assert await patient.run("a", reads(), serve) == 2
    assert [request.kind for request in served] == ["patient", "charge"]


async def sleeps() -> None:
    await asyncio.sleep(3600)


async def yields_once() -> None:
    await asyncio.sleep(0)


async def waits_for_a_future() -> None:
    await asyncio.get_running_loop().create_future()


async def waits_for_a_task() -> None:
    await asyncio.gather(asyncio.sleep(0))


@pytest.mark.parametrize("coroutine", [sleeps, yields_once, waits_for_a_future, waits_for_a_task])
async def test_whoever_waits_for_something_else_is_broken_off_at_once(coroutine: object, patient: Runner) -> None:
    assert callable(coroutine)
    with pytest.raises(HandlerFailed, match=r"own\.part: it waited for something else"):
        await patient.run("own.part", coroutine(), no_reads)


async def test_whoever_is_broken_off_may_clean_up(patient: Runner) -> None:
    cleaned: list[bool] = []

    async def tidy() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append(True)

    with pytest.raises(HandlerFailed):
        await patient.run("a", tidy(), no_reads)
    assert cleaned == [True]


async def test_whoever_refuses_to_be_broken_off_fails_all_the_same(patient: Runner) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(3600)
        except GeneratorExit:
            await asyncio.sleep(3600)

    with pytest.raises((HandlerFailed, RuntimeError)):
        await patient.run("a", stubborn(), no_reads)


def spin() -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pass
    raise AssertionError("nobody interrupted it")


@IN_MAIN_THREAD
async def test_whoever_spins_for_ever_is_interrupted(strict: Runner) -> None:
    async def spins() -> None:
        spin()

    began = time.monotonic()
    with pytest.raises(HandlerFailed, match=r"spins: it took longer than 0\.05 s and was broken off"):
        await strict.run("spins", spins(), no_reads)
    assert time.monotonic() - began < 10
    assert await strict.run("next", answer(), no_reads) == "done"


@IN_MAIN_THREAD
async def test_catching_every_exception_does_not_swallow_the_interruption(strict: Runner) -> None:
    async def catches() -> None:
        while True:
            with suppress(Exception):
                spin()

    with pytest.raises(HandlerFailed, match="broken off"):
        await strict.run("catches", catches(), no_reads)


@IN_MAIN_THREAD
async def test_swallowing_it_by_force_only_brings_the_next_one(strict: Runner) -> None:
    interruptions: list[int] = []

    async def swallows() -> None:
        while True:
            try:
                spin()
            except BaseException:
                interruptions.append(1)
                if len(interruptions) == 3:
                    raise

    with pytest.raises(HandlerFailed, match="broken off"):
        await strict.run("swallows", swallows(), no_reads)
    assert len(interruptions) == 3


@IN_MAIN_THREAD
async def test_swallowing_it_and_returning_is_late_all_the_same(strict: Runner) -> None:
    async def swallows() -> str:
        try:
            spin()
        except TooSlow:
            return "late"
        return "never"

    with pytest.raises(HandlerFailed, match="it took longer than"):
        await strict.run("swallows", swallows(), no_reads)


async def test_time_spent_in_reads_is_not_the_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(runner_module, "monotonic", lambda: now[0])

    async def reads() -> str:
        await _load(Read("patient", ("PM", "1")))
        return "done"

    async def slow(_request: Read) -> None:
        now[0] += 1000

    assert await Runner(Watchdog(1.0)).run("a", reads(), slow) == "done"


async def test_without_a_signal_a_slow_handler_is_found_when_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(runner_module, "monotonic", lambda: now[0])

    async def slow() -> str:
        now[0] += 1.5
        return "done"

    with pytest.raises(HandlerFailed, match="it took longer than 1 s"):
        await Runner(Watchdog(1.0)).run("slow", slow(), no_reads)


async def test_a_signal_that_comes_when_the_handler_has_just_returned_does_not_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    watchdog = Watchdog(1.0)
    now = [100.0]
    inside: list[bool] = []

    def clock() -> float:
        if now[0] > 101 and not inside:
            inside.append(True)
            watchdog._interrupt(signal.SIGUSR2, None)  # as it would at the first call after the return
        return now[0]

    monkeypatch.setattr(runner_module, "monotonic", clock)

    async def slow() -> str:
        now[0] += 1.5
        return "done"

    with pytest.raises(HandlerFailed, match="it took longer than"):
        await Runner(watchdog).run("slow", slow(), no_reads)
    assert inside == [True]


@IN_MAIN_THREAD
async def test_a_stray_signal_interrupts_nobody(strict: Runner) -> None:
    signal.raise_signal(signal.SIGUSR2)

    async def signalled() -> str:
        signal.raise_signal(signal.SIGUSR2)
        return "done"

    assert await strict.run("a", signalled(), no_reads) == "done"


@IN_MAIN_THREAD
def test_the_watchdog_gives_the_signal_back() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with Watchdog(LIMIT):
        assert signal.getsignal(signal.SIGUSR2) is not before
    assert signal.getsignal(signal.SIGUSR2) is before
    assert not any(thread.name == "ophl7-watchdog" for thread in threading.enumerate())


async def test_outside_of_the_main_thread_it_watches_without_a_signal() -> None:
    def enter() -> bool:
        with Watchdog(LIMIT) as watchdog:
            return watchdog._thread is None

    assert await asyncio.to_thread(enter)


async def test_awaiting_what_is_cancelled_already_breaks_off_the_handler_and_not_the_loop(patient: Runner) -> None:
    async def cancelled() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone.cancel()
        await gone

    with pytest.raises(HandlerFailed, match="CancelledError"):
        await patient.run("a", cancelled(), no_reads)


async def test_a_handler_that_says_exit_does_not_end_the_broker(patient: Runner) -> None:
    async def leaves() -> None:
        raise SystemExit(1)

    with pytest.raises(HandlerFailed, match="SystemExit"):
        await patient.run("a", leaves(), no_reads)
