"""`make bench`: the broker beside the baseline, in interleaved rounds, as a table and as raw JSON.

python -m tests.benchmarks --connections 1,8,32 --seconds 3 --rounds 3 --out docs/benchmarks/
python -m tests.benchmarks --against ../other-checkout --only ophl7,other
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from . import processes, report
from .load import LoadFailed
from .machine import commit, describe, in_memory
from .processes import HERE, Program, StartFailed
from .rounds import Contender, Measurement, Terms, measure, two_cores

SHORT_NAMES = {
    "limit": report.LIMIT,
    "baseline": report.BASELINE,
    "ophl7": report.OURS,
    "delivering": report.OURS_DELIVERING,
    "other": report.OTHER,
    "other-delivering": report.OTHER_DELIVERING,
}


def counts(text: str) -> tuple[int, ...]:
    """`1,8,32` as numbers. Raises ValueError for anything else."""
    found = tuple(int(part) for part in text.split(","))
    if min(found) < 1:
        raise ValueError("a number of connections is at least 1")
    return found


def names(text: str) -> frozenset[str]:
    """`ophl7,other` as a set of rows. Raises ValueError for a name that is none."""
    found = frozenset(text.split(","))
    if not found <= SHORT_NAMES.keys():
        raise ValueError(f"one of {', '.join(sorted(found - SHORT_NAMES.keys()))} is no row")
    return found


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure ophl7 on this machine.")
    parser.add_argument("--connections", type=counts, default=(1, 8, 32), metavar="N,N", help="default 1,8,32")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="each measures every contender once (default 3)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write DATE-COMMIT.md and .json there")
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout, with its own .venv, to compare with")
    parser.add_argument("--only", type=names, metavar="NAMES", help=f"of {','.join(SHORT_NAMES)}")
    parser.add_argument("--lines", type=int, default=16, help="connections to each destination when delivering (default 16)")
    parser.add_argument("--seed", type=int, default=1, help="of patients and mix (default 1)")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where databases live while measured (default: temporary)")
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of processors to the system")
    return parser


def contenders(against: Path | None, only: frozenset[str] | None, lines: int) -> list[Contender]:
    """The rows of the report, in the order in which each round measures them."""

    def broker(name: str, checkout: Path, delivers: bool) -> Contender:
        def make(scratch: Path, destinations: Program | None) -> Program:
            return processes.ophl7(name, checkout, scratch, destinations, lines)

        return Contender(name, make, delivers)

    every = {
        "limit": Contender(report.LIMIT, lambda _scratch, _destinations: processes.peer(report.LIMIT)),
        "baseline": Contender(report.BASELINE, lambda _scratch, _destinations: processes.baseline(report.BASELINE)),
        "ophl7": broker(report.OURS, HERE, delivers=False),
        "delivering": broker(report.OURS_DELIVERING, HERE, delivers=True),
    }
    if against is not None:
        every["other"] = broker(report.OTHER, against.resolve(), delivers=False)
        every["other-delivering"] = broker(report.OTHER_DELIVERING, against.resolve(), delivers=True)
    return [contender for name, contender in every.items() if only is None or name in only]


def document(facts: dict[str, str | int | float], measured: list[Measurement]) -> str:
    """The whole report as Markdown."""
    parts = [
        f"# Benchmark of {facts['commit']}",
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, {facts['system']}, Python {facts['python']}, "
        f"{facts['filesystem']}, one durable write of 4 KiB takes {facts['durable_write_us']} us; load average before: "
        f"{facts['load_average']}. {facts['rounds']} rounds of {facts['seconds']} s, processors {facts['pinning']}, "
        f"{facts['lines']} connections to each destination when delivering"
        + (f"; `other` is {facts['other']}." if "other" in facts else "."),
        "Median (least-greatest). Only ratios within one run mean anything; README.md here says how to read them.",
        report.rates(measured),
        report.pairs(measured),
        report.deliveries(measured),
        "\n".join(f"- {line}" for line in report.notes(measured)),
    ]
    broken = report.faults(measured)
    if broken:
        parts.append("**Not valid**: these answers were not the one AA that each message must get.\n\n" + "\n".join(broken))
    return "\n\n".join(part for part in parts if part) + "\n"


def run(wanted: argparse.Namespace) -> int:
    scratch = wanted.scratch or Path(tempfile.gettempdir())
    facts = describe(scratch)
    if in_memory(str(facts["filesystem"])):
        print("The databases would live in memory, where a durable write costs nothing: use --scratch.", file=sys.stderr)
        return 2
    if not contenders(wanted.against, wanted.only, wanted.lines):
        print("Nothing to measure: `other` needs --against.", file=sys.stderr)
        return 2
    cores = None if wanted.no_pin else two_cores()
    terms = Terms(wanted.connections, wanted.seconds, wanted.seed, cores, wanted.scratch)
    facts |= {
        "commit": commit(HERE),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "rounds": wanted.rounds,
        "seconds": wanted.seconds,
        "lines": wanted.lines,
        "seed": wanted.seed,
        "pinning": "chosen by us" if cores else "chosen by the system",
    }
    if wanted.against is not None:
        facts["other"] = commit(wanted.against)
    say = partial(print, file=sys.stderr, flush=True)
    measured = []
    for number in range(1, wanted.rounds + 1):
        for contender in contenders(wanted.against, wanted.only, wanted.lines):
            for one in measure(contender, number, terms):
                measured.append(one)
                say(
                    f"round {number}: {one.name}, {one.outcome.connections} connections: {one.outcome.rate:,.0f} messages/s, "
                    f"p50 {one.outcome.p50_ms} ms, p99 {one.outcome.p99_ms} ms"
                )
    text = document(facts, measured)
    print(text)
    if wanted.out is not None:
        wanted.out.mkdir(parents=True, exist_ok=True)
        stem = f"{facts['date']}-{facts['commit']}".replace("+", "-changed")
        raw = json.dumps({"facts": facts, "measurements": [asdict(one) for one in measured]}, indent=1)
        (wanted.out / f"{stem}.md").write_text(text, encoding="utf-8")
        (wanted.out / f"{stem}.json").write_text(f"{raw}\n", encoding="utf-8")
    return 1 if report.faults(measured) else 0


def main() -> int:
    try:
        return run(arguments().parse_args())
    except (StartFailed, LoadFailed) as failure:
        print(failure, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
