"""Where the time goes: the broker under load, its busy time by room.

    python -m tests.benchmarks.where --connections 32 --seconds 5
    python -m tests.benchmarks.where --with py-spy

cProfile is always there, but makes small Python calls look dearer than they are. py-spy, where it is installed, samples from
outside and sees SQLite and fsync from within; believe it when the two differ.
"""

from __future__ import annotations

import argparse
import marshal
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from . import processes
from .figures import markdown
from .load import LoadFailed, Outcome
from .processes import HERE, StartFailed, started
from .rooms import Stats, by_function, by_room, by_room_sampled, table
from .rounds import Terms, load, two_cores, warm_up

SAMPLES = 100  # a second, with py-spy, which stops the process for each one


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.where", description="Busy time of ophl7 by room.")
    parser.add_argument("--connections", type=int, default=32, help="default 32")
    parser.add_argument("--seconds", type=float, default=5.0, help="default 5")
    parser.add_argument("--with", dest="tool", choices=("cprofile", "py-spy"), default="cprofile", help="default cprofile")
    parser.add_argument("--delivering", action="store_true", help="with destinations")
    parser.add_argument("--lines", type=int, default=16, help="connections to each destination when delivering (default 16)")
    parser.add_argument("--top", type=int, default=25, help="how many functions to list with cprofile (default 25)")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the database lives (default: temporary)")
    return parser


def run(wanted: argparse.Namespace) -> None:
    terms = Terms((wanted.connections,), wanted.seconds, cores=two_cores(), scratch=wanted.scratch)
    server_core, load_core = terms.cores or (None, None)
    with TemporaryDirectory(prefix="ophl7-where-", dir=wanted.scratch) as folder:
        scratch = Path(folder)
        out = scratch / "profile"
        with ExitStack() as stack:
            destinations = processes.peer("destinations") if wanted.delivering else None
            if destinations is not None:
                stack.enter_context(started(destinations, scratch, load_core))
            program = processes.ophl7("ophl7", HERE, scratch, destinations, wanted.lines)
            if wanted.tool == "cprofile":
                under = (sys.executable, "-m", "tests.benchmarks.profiled", str(out), "serve")
                program = replace(program, command=under)
            server = stack.enter_context(started(program, scratch, server_core))
            serial = warm_up(program, terms)
            if wanted.tool == "cprofile":
                os.kill(server.pid, signal.SIGUSR1)
                outcome = load(program, terms, wanted.connections, wanted.seconds, serial)
            else:
                outcome = _sampled(out, server.pid, lambda: load(program, terms, wanted.connections, wanted.seconds, serial))
        print(f"{outcome.answers} messages in {outcome.seconds} s at {outcome.connections} connections, {wanted.tool}.\n")
        if wanted.tool == "cprofile":
            stats: Stats = marshal.loads(out.read_bytes())
            print(table(by_room(stats), outcome.answers))
            rows = [(name, f"{own:.2f}", f"{calls:,}") for name, own, calls in by_function(stats, wanted.top)]
            print("\n" + markdown(("function", "own seconds", "calls"), rows))
        else:
            print(table(by_room_sampled(out.read_text(encoding="utf-8"), SAMPLES), outcome.answers))


def _sampled(out: Path, pid: int, work: Callable[[], Outcome]) -> Outcome:
    """Samples process `pid` while `work` runs. Raises StartFailed without py-spy."""
    tool = shutil.which("py-spy")
    if tool is None:
        raise StartFailed("py-spy is not on the PATH; `--with cprofile` needs nothing")
    command = (tool, "record", "--pid", str(pid), "--rate", str(SAMPLES), "--native", "--full-filenames", "--format", "raw")
    with subprocess.Popen((*command, "--output", str(out), "--duration", "3600"), stdout=subprocess.DEVNULL) as spy:
        try:
            return work()
        finally:
            # On SIGINT py-spy writes what it has.
            spy.send_signal(signal.SIGINT)


def main() -> int:
    try:
        run(arguments().parse_args())
    except (StartFailed, LoadFailed) as failure:
        print(failure, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
