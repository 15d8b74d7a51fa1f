"""The programs that are measured: how each is started, known to be ready, looked at, and stopped by its own process id."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .load import ZONE, Address

HERE = Path(__file__).resolve().parents[2]
"""The root of this checkout."""
READY_LIMIT = 30.0  # seconds from the start of a process to its listeners
STOP_LIMIT = 40.0  # seconds; longer than OPHL7_SHUTDOWN_GRACE's default
_LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections, so that none of the load's is in our way.
_PORTS = range(20_000, 32_000)


class StartFailed(Exception):
    """A measured program ended, or did not listen in time; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something to measure. `command` runs in `folder` with `environment` added to ours (without its OPHL7_* names)."""

    name: str
    command: tuple[str, ...]
    pm: Address
    emr: Address
    folder: Path = HERE
    environment: Mapping[str, str] = field(default_factory=dict)
    keeps_patients: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took so far: processor seconds, resident memory now and at most, in MiB. Zeros where /proc is missing."""

    cpu: float
    rss: float
    peak: float


class Running:
    """A started program."""

    def __init__(self, process: subprocess.Popen[str], startup: float) -> None:
        """`startup`: seconds from its start until all its listeners took a connection."""
        self._process = process
        self.startup = startup
        self.pid = process.pid

    def usage(self) -> Usage:
        """Reads /proc."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii", errors="replace")
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except FileNotFoundError:
            return Usage(0.0, 0.0, 0.0)
        sizes = {name: rest.split() for name, _, rest in (line.partition(":") for line in status.splitlines())}
        ticks = int(fields[11]) + int(fields[12])  # utime and stime, fields 14 and 15 of proc(5)
        return Usage(
            cpu=ticks / os.sysconf("SC_CLK_TCK"),
            rss=int(sizes["VmRSS"][0]) / 1024,
            peak=int(sizes["VmHWM"][0]) / 1024,
        )

    def ask(self) -> dict[str, int]:
        """How many messages each port of a :mod:`peer` has received."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: dict[str, int] = json.loads(self._process.stdout.readline())
        return counts


def free_ports(count: int) -> list[int]:
    """Distinct ports of loopback that nobody listens on at this moment."""
    found: list[int] = []
    for port in random.sample(_PORTS, k=len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise StartFailed(f"fewer than {count} free ports from {_PORTS.start} to {_PORTS.stop}")


def peer(name: str) -> Program:
    """A peer that answers AA at once: the limit of the load itself, or the broker's two destinations."""
    pm, emr = free_ports(2)
    command = (sys.executable, "-m", "tests.benchmarks.peer", "--port", str(pm), "--port", str(emr))
    return Program(name, command, (_LOOPBACK, pm), (_LOOPBACK, emr))


def baseline(name: str) -> Program:
    """hl7.mllp, hl7.parse, create_ack: one listener for everything, nothing stored."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "tests.benchmarks.baseline", "--port", str(port))
    return Program(name, command, (_LOOPBACK, port), (_LOOPBACK, port))


def ophl7(name: str, checkout: Path, scratch: Path, destinations: Program | None, lines: int) -> Program:
    """The broker of `checkout` as a practice runs it, on a new database in `scratch`.

    destinations: the peer that it delivers to over `lines` connections a side; None leaves both destinations unset.
    Raises StartFailed when another checkout has no environment of its own.
    """
    python = Path(sys.executable) if checkout == HERE else checkout / ".venv" / "bin" / "python"
    if not python.exists():
        raise StartFailed(f"{name}: no environment in that checkout; run `make env` there first")
    pm, emr, http = free_ports(3)
    environment = {
        "OPHL7_PM_LISTEN": f"{_LOOPBACK}:{pm}",
        "OPHL7_EMR_LISTEN": f"{_LOOPBACK}:{emr}",
        "OPHL7_HTTP_LISTEN": f"{_LOOPBACK}:{http}",
        "OPHL7_DATABASE_URL": f"sqlite:///{scratch / 'bench.db'}",
        "OPHL7_TIMEZONE": ZONE,
    }
    if destinations is not None:
        environment |= {
            "OPHL7_PM_URL": f"mllp://{_LOOPBACK}:{destinations.pm[1]}",
            "OPHL7_EMR_URL": f"mllp://{_LOOPBACK}:{destinations.emr[1]}",
            "OPHL7_PM_CONNECTIONS": str(lines),
            "OPHL7_EMR_CONNECTIONS": str(lines),
        }
    command = (str(python), "-m", "ophl7", "serve")
    return Program(name, command, (_LOOPBACK, pm), (_LOOPBACK, emr), checkout, environment, keeps_patients=True)


@contextmanager
def started(program: Program, scratch: Path, core: int | None = None) -> Iterator[Running]:
    """Runs `program` until the block ends; its standard error, and all of the broker's output, go to a file in `scratch`.

    core: the processor to keep it on. Raises StartFailed when it does not listen within :data:`READY_LIMIT`.
    """
    log = scratch / f"{program.command[2].rpartition('.')[2]}.log"
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OPHL7_")}
    with log.open("a", encoding="utf-8") as out:
        begun = time.monotonic()
        process = subprocess.Popen(
            program.command,
            cwd=program.folder,
            env=ours | dict(program.environment),
            stdin=subprocess.PIPE,
            # A peer answers questions there; everybody else's output is a log.
            stdout=out if program.keeps_patients else subprocess.PIPE,
            stderr=out,
            text=True,
        )
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            for address in (program.pm, program.emr):
                _wait_for(address, process, begun + READY_LIMIT, program.name, log)
            yield Running(process, time.monotonic() - begun)
        finally:
            _stop(process)


def _wait_for(address: Address, process: subprocess.Popen[str], limit: float, name: str, log: Path) -> None:
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            if process.poll() is not None:
                raise StartFailed(f"{name} ended with status {process.returncode}:\n{tail(log)}") from None
            if time.monotonic() > limit:
                raise StartFailed(f"{name} does not listen after {READY_LIMIT:g} s:\n{tail(log)}") from None
            time.sleep(0.01)
        else:
            return


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        print(f"process {process.pid} did not end {STOP_LIMIT:g} s after SIGTERM and was killed", file=sys.stderr)
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
