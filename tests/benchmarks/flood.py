"""One peer floods: what is left for the other, beside what it has alone, in turn in one run.

    python -m tests.benchmarks.flood --connections 64 --rounds 3

The PM keeps 64 messages under way. Beside it the EMR sends one after the other (how long does its answer take?), then keeps 64
under way itself (how much of the whole does it get?). Only the ratios mean anything; see README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from . import processes
from .figures import markdown
from .load import ZONE, LoadFailed, Outcome, drive, mixed_line, outcome, parse_address
from .messages import PATIENTS, patients, templates
from .processes import HERE, Program, StartFailed, started
from .rounds import Terms, two_cores, warm_up

_SERIALS = 400_000  # of each sender, so that no control id is used twice
_LEAD = 0.5  # seconds by which the flood begins earlier and ends later


@dataclass(frozen=True, slots=True)
class Round:
    """What the EMR had alone, beside the flood with one message under way, and with as many as the flood."""

    alone: Outcome
    beside: Outcome
    equal: Outcome
    flood: Outcome  # of the PM, while the EMR had as many under way

    @property
    def share(self) -> float:
        """Of the answers while both had as many under way, the EMR's as a part of its fair share."""
        return self.equal.rate / ((self.equal.rate + self.flood.rate) / 2)


class Flood:
    """One broker on a new database."""

    def __init__(self, program: Program, seconds: float, connections: int, core: int | None, serial: int) -> None:
        self._program = program
        self._seconds = seconds
        self._connections = connections
        self._core = core
        self._serial = serial

    def round(self) -> Round:
        """Raises LoadFailed."""
        alone = _read(self._sender("emr", 1, self._seconds))
        flood, beside = self._both(1)
        flood, equal = self._both(self._connections)
        return Round(alone, beside, equal, flood)

    def _both(self, connections: int) -> tuple[Outcome, Outcome]:
        flood = self._sender("pm", self._connections, self._seconds + 2 * _LEAD)
        other = self._sender("emr", connections, self._seconds, wait=_LEAD)
        return _read(flood), _read(other)

    def _sender(self, side: str, connections: int, seconds: float, wait: float = 0.0) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.benchmarks.flood", "--sender", side, "--connections", str(connections)]
        command += ["--seconds", str(seconds), "--wait", str(wait), "--first-serial", str(self._serial)]
        command += ["--pm", "{}:{}".format(*self._program.pm), "--emr", "{}:{}".format(*self._program.emr)]
        if self._core is not None:
            command += ["--core", str(self._core)]
        self._serial += _SERIALS
        return subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, text=True)


def _read(process: subprocess.Popen[str]) -> Outcome:
    with process:
        text, _ = process.communicate()
    if process.returncode:
        raise LoadFailed(f"a sender ended with status {process.returncode}")
    return Outcome(**json.loads(text))


def table(rounds: Sequence[Round]) -> str:
    """A row a round, and the medians."""
    heads = (
        "round",
        "alone p99 ms",
        "beside the flood p99 ms",
        "ratio",
        "PM answers/s",
        "EMR answers/s",
        "part of its fair share",
    )
    rows = [
        (
            str(number),
            f"{one.alone.p99_ms:.1f}",
            f"{one.beside.p99_ms:.1f}",
            f"{one.beside.p99_ms / one.alone.p99_ms:.1f}",
            f"{one.flood.rate:,.0f}",
            f"{one.equal.rate:,.0f}",
            f"{one.share:.2f}",
        )
        for number, one in enumerate(rounds, start=1)
    ]
    beside = statistics.median(one.beside.p99_ms for one in rounds)
    share = statistics.median(one.share for one in rounds)
    return f"{markdown(heads, rows)}\n\nMedian: p99 beside the flood {beside:.1f} ms, part of its fair share {share:.2f}."


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.flood", description="What a flood of one peer leaves.")
    parser.add_argument("--connections", type=int, default=64, help="of the flood (default 64)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the raw figures instead of a table")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the database lives (default: temporary)")
    parser.add_argument("--sender", choices=("pm", "emr"), help=argparse.SUPPRESS)
    parser.add_argument("--pm", type=parse_address, help=argparse.SUPPRESS)
    parser.add_argument("--emr", type=parse_address, help=argparse.SUPPRESS)
    parser.add_argument("--wait", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--first-serial", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, help=argparse.SUPPRESS)
    return parser


def send(wanted: argparse.Namespace) -> None:
    """One sender, in a process of its own; prints its outcome."""
    if wanted.core is not None:
        os.sched_setaffinity(0, {wanted.core})
    prepared = templates(patients(PATIENTS, 1), datetime.now(ZoneInfo(ZONE)))
    time.sleep(wanted.wait)
    share = 1.0 if wanted.sender == "pm" else 0.0
    lines = [mixed_line(prepared, share, wanted.pm, wanted.emr, place) for place in range(wanted.connections)]
    tally = drive(lines, wanted.seconds, wanted.first_serial)
    print(json.dumps(asdict(outcome(tally, wanted.connections))), flush=True)


def run(wanted: argparse.Namespace) -> int:
    server_core, load_core = two_cores() or (None, None)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ophl7-flood-", dir=wanted.scratch)))
        program = processes.ophl7("ophl7", HERE, scratch, None, 1)
        stack.enter_context(started(program, scratch, server_core))
        serial = warm_up(program, Terms((1,), wanted.seconds, cores=two_cores(), scratch=wanted.scratch))
        flood = Flood(program, wanted.seconds, wanted.connections, load_core, serial)
        rounds = [flood.round() for _ in range(wanted.rounds)]
    print(json.dumps([asdict(one) for one in rounds], indent=1) if wanted.json else table(rounds))
    return 1 if any(one.refusals for each in rounds for one in (each.alone, each.beside, each.equal, each.flood)) else 0


def main() -> int:
    wanted = arguments().parse_args()
    try:
        if wanted.sender is None:
            return run(wanted)
        send(wanted)
    except (StartFailed, LoadFailed) as failure:
        print(failure, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
