"""One program at a time: start it, make it know the patients, load it at each number of connections, stop it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .load import LoadFailed, Outcome
from .processes import HERE, Program, Running, peer, started

REGISTERING_LINES = 16
WARM_UP = 0.5  # seconds, at 8 connections, before anything is measured
DRAIN_LIMIT = 60.0  # seconds to wait for what is still on its way to the destinations

Maker = Callable[[Path, Program | None], Program]
"""Makes a program from a scratch folder and the peer that it delivers to (None: no destination is set)."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A row of the report. `delivers`: its destinations are set, and there is a peer behind them."""

    name: str
    make: Maker
    delivers: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for every contender. cores: the processors of the measured program and of the load."""

    connections: tuple[int, ...]
    seconds: float
    seed: int = 1
    cores: tuple[int, int] | None = None
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The outbound side of one measurement. rate: a second, while the load ran; drained: seconds, None if it did not end."""

    rate: float
    backlog: int
    drained: float | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """One contender at one number of connections in one round. cpu: share of one core; memory in MiB; startup in seconds."""

    round: int
    name: str
    outcome: Outcome
    startup: float
    cpu: float
    rss: float
    peak: float
    deliveries: Deliveries | None


@dataclass(frozen=True, slots=True)
class _Bench:
    """A started contender: what is measured, by whom it is loaded, and where it delivers to."""

    name: str
    round: int
    program: Program
    server: Running
    sink: Running | None
    terms: Terms

    def measure(self, connections: int, serial: int) -> Measurement:
        before = self.server.usage()
        delivered = _received(self.sink)
        outcome = load(self.program, self.terms, connections, self.terms.seconds, serial)
        deliveries = None
        if self.sink is not None:
            arrived = _received(self.sink)
            deliveries = Deliveries(
                rate=round((arrived - delivered) / outcome.seconds, 1),
                # Every message of the mix goes to the other side exactly once.
                backlog=max(0, outcome.next_serial - arrived),
                drained=_drain(self.sink, outcome.next_serial),
            )
        after = self.server.usage()
        return Measurement(
            round=self.round,
            name=self.name,
            outcome=outcome,
            startup=round(self.server.startup, 3),
            cpu=round((after.cpu - before.cpu) / outcome.seconds, 3),
            rss=round(after.rss, 1),
            peak=round(after.peak, 1),
            deliveries=deliveries,
        )


def measure(contender: Contender, number: int, terms: Terms) -> Iterator[Measurement]:
    """Yields one measurement per number of connections. Raises StartFailed or LoadFailed."""
    server_core, load_core = terms.cores or (None, None)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="ophl7-bench-", dir=terms.scratch)))
        destinations = peer("destinations") if contender.delivers else None
        sink = stack.enter_context(started(destinations, scratch, load_core)) if destinations else None
        program = contender.make(scratch, destinations)
        server = stack.enter_context(started(program, scratch, server_core))
        bench = _Bench(contender.name, number, program, server, sink, terms)
        serial = warm_up(program, terms)
        for connections in terms.connections:
            if sink is not None:
                _drain(sink, serial)
            measurement = bench.measure(connections, serial)
            serial = measurement.outcome.next_serial
            yield measurement


def warm_up(program: Program, terms: Terms) -> int:
    """Registers the patients where that means something, lets every path run once, and returns the next serial number."""
    serial = 0
    if program.keeps_patients:
        serial = load(program, terms, REGISTERING_LINES, 0.0, serial, register=True).next_serial
    return load(program, terms, 8, WARM_UP, serial).next_serial


def load(program: Program, terms: Terms, connections: int, seconds: float, serial: int, *, register: bool = False) -> Outcome:
    """Runs the load in a process of its own. Raises LoadFailed with its complaint."""
    command = [sys.executable, "-m", "tests.benchmarks.load", "--seed", str(terms.seed)]
    command += ["--pm", f"{program.pm[0]}:{program.pm[1]}", "--emr", f"{program.emr[0]}:{program.emr[1]}"]
    command += ["--connections", str(connections), "--seconds", str(seconds), "--first-serial", str(serial)]
    if terms.cores is not None:
        command += ["--core", str(terms.cores[1])]
    if register:
        command.append("--register")
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            # Not communicate(): the counts of the destinations are wanted at the moment when the load ends.
            line = process.stdout.readline()
        except BaseException:
            process.kill()
            raise
    if not line:
        raise LoadFailed(f"the load on {program.name} ended with status {process.returncode}")
    return Outcome(**json.loads(line))


def _received(sink: Running | None) -> int:
    return sum(sink.ask().values()) if sink is not None else 0


def _drain(sink: Running, expected: int) -> float | None:
    """Seconds until the destinations have `expected` messages; None when that takes longer than :data:`DRAIN_LIMIT`."""
    begun = time.monotonic()
    while _received(sink) < expected:
        if time.monotonic() - begun > DRAIN_LIMIT:
            return None
        time.sleep(0.02)
    return round(time.monotonic() - begun, 3)


def two_cores() -> tuple[int, int] | None:
    """A processor for the measured program and one for the load, where there are two and they can be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None
