"""A soak from its start to its books: destinations, the broker, the load, each a process of its own."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

from tests.benchmarks import processes
from tests.benchmarks.load import LoadFailed
from tests.benchmarks.processes import HERE, Program, Running, started
from tests.soak.load import Tenth
from tests.soak.report import Books, Stretch
from tests.soak.watching import Sample, Watched

SHARE = 0.6  # of what went through to both destinations, so that no queue forms
LEAST_CALIBRATION = 500  # messages
DRAIN_LIMIT = 120.0  # seconds from the last answer to the last delivery
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Terms:
    """messages: of the measured time. rate: a second, 0 to find out. lines: connections to each destination."""

    messages: int
    patients: int = 20_000
    rate: float = 0.0
    share: float = SHARE
    lines: int = 16
    seed: int = 1
    cores: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it. capacity: messages a second that went through to both destinations, before it began."""

    stretches: list[Stretch]
    books: Books
    rate: float
    capacity: float


class Soak:
    """One run in a folder of its own."""

    def __init__(self, terms: Terms, folder: Path, say: Callable[[str], None]) -> None:
        self._terms = terms
        self._folder = folder
        self._say = say
        self._serial = 0
        self._newcomers = 0
        self._answered = 0
        self._expected = 0

    def run(self) -> Soaked:
        """Raises StartFailed, LoadFailed."""
        terms = self._terms
        server_core, load_core = terms.cores or (None, None)
        with ExitStack() as stack:
            destinations = processes.peer("destinations")
            sink = stack.enter_context(started(destinations, self._folder, load_core))
            program = processes.ophl7("ophl7", HERE, self._folder, destinations, terms.lines)
            server = stack.enter_context(started(program, self._folder, server_core))
            database = self._folder / "bench.db"
            watched = Watched(server.pid, database, f"http://{program.environment['OPHL7_HTTP_LISTEN']}/metrics")
            self._say(f"registering {terms.patients:,} patients")
            list(self._load(program, watched, 0, 0.0))
            self._drain(sink)
            capacity = self._capacity(program, watched, sink)
            rate = terms.rate or round(capacity * terms.share, 1)
            self._say(f"{capacity:,.0f} messages/s go through; {terms.messages:,} messages at {rate:,.0f} a second")
            stretches = list(self._load(program, watched, terms.messages, rate))
            arrived = self._drain(sink)
            last = stretches[-1]
            stretches[-1] = Stretch(last.tenth, self._quiet(watched), last.wal)  # memory at the very end, when all is delivered
        return Soaked(stretches, self._books(database, arrived), rate, capacity)

    def _capacity(self, program: Program, watched: Watched, sink: Running) -> float:
        """Messages a second, until the last one is with its destination; the paths are warm afterwards."""
        count = max(LEAST_CALIBRATION, min(20_000, self._terms.messages // 20))
        begun = time.monotonic()
        list(self._load(program, watched, count, 0.0))
        self._drain(sink)
        return round(count / (time.monotonic() - begun), 1)

    def _load(self, program: Program, watched: Watched, messages: int, rate: float) -> Iterator[Stretch]:
        """Runs the load, and looks at the broker twice a second meanwhile."""
        terms = self._terms
        command = [sys.executable, "-m", "tests.soak.load", "--patients", str(terms.patients), "--seed", str(terms.seed)]
        command += ["--pm", "{}:{}".format(*program.pm), "--emr", "{}:{}".format(*program.emr)]
        command += ["--messages", str(messages), "--rate", str(rate)]
        command += ["--first-serial", str(self._serial), "--newcomers", str(self._newcomers)]
        if terms.cores is not None:
            command = ["taskset", "-c", str(terms.cores[1]), *command]
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True) as process:
            try:
                for tenth, wal in _tenths(process, watched):
                    self._serial, self._newcomers = tenth.next_serial, tenth.newcomers
                    self._answered += tenth.answers
                    self._expected += tenth.delivers
                    stretch = Stretch(tenth, watched.look(), wal)
                    self._tell(stretch)
                    yield stretch
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise LoadFailed(f"the load ended with status {process.returncode}")

    def _tell(self, stretch: Stretch) -> None:
        tenth, sample = stretch.tenth, stretch.sample
        self._say(
            f"{self._answered:,} answered, {tenth.answers / tenth.seconds:,.0f}/s, p50 {tenth.p50_ms} ms, p99 {tenth.p99_ms} ms"
            f", late {tenth.late_ms} ms, RSS {sample.rss} MiB, queued {sample.queued}, WAL {stretch.wal} MiB, "
            f"wrong {tenth.wrong}"
        )

    def _drain(self, sink: Running) -> int:
        """Waits until the destinations have what they must have; how many messages they have."""
        limit = time.monotonic() + DRAIN_LIMIT
        while (arrived := sum(sink.ask().values())) < self._expected and time.monotonic() < limit:
            time.sleep(0.02)
        return arrived

    @staticmethod
    def _quiet(watched: Watched) -> Sample:
        """A look when the last answer of a destination is on disk as well."""
        limit = time.monotonic() + DRAIN_LIMIT
        while (sample := watched.look()).queued and time.monotonic() < limit:
            time.sleep(0.1)
        return sample

    def _books(self, database: Path, arrived: int) -> Books:
        """The database after the broker has ended."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:

            def one(sql: str) -> str:
                return str(connection.execute(sql).fetchone()[0])

            return Books(
                arrived=arrived,
                expected=self._expected,
                unsettled=int(one("SELECT count(*) FROM delivery WHERE state NOT IN ('accepted', 'skipped', 'rejected')")),
                open_holds=int(one("SELECT count(*) FROM hold WHERE closed_at IS NULL")),
                journal=int(one("SELECT count(*) FROM journal")),
                sent=self._answered,
                check=one("PRAGMA quick_check"),
            )


def _tenths(process: subprocess.Popen[str], watched: Watched) -> Iterator[tuple[Tenth, float]]:
    """Each tenth as it is printed, with the largest WAL that was seen meanwhile."""
    assert process.stdout is not None
    lines: Queue[str | None] = Queue()

    def read(stream: Iterator[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    reader = Thread(target=read, args=(process.stdout,), name="what the load prints")
    reader.start()
    largest, ended = 0.0, False
    try:
        while not ended:
            largest = max(largest, watched.wal())
            try:
                line = lines.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            if line is None:
                ended = True
            else:
                yield Tenth(**json.loads(line)), largest
                largest = 0.0
    finally:
        if not ended:
            process.kill()  # or the thread would wait for what nobody reads any more
        reader.join()
