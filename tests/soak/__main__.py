"""`make soak`: a long time of mixed messages at a steady rate, and what of the broker has grown or become slower by its end.

SOAK_MESSAGES=1000000 make soak SOAK="--out docs/benchmarks/"
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.benchmarks.load import LoadFailed
from tests.benchmarks.machine import commit, describe, in_memory
from tests.benchmarks.processes import HERE, StartFailed
from tests.benchmarks.rounds import two_cores
from tests.soak import report
from tests.soak.running import SHARE, Soak, Terms


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Load ophl7 for long, and look what grows.")
    count = int(os.environ.get("SOAK_MESSAGES", "1000000"))
    parser.add_argument("--messages", type=int, default=count, help=f"default {count:,}, or SOAK_MESSAGES")
    parser.add_argument("--patients", type=int, default=20_000, help="known at the beginning (default 20000)")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second (default: a share of what goes through)")
    parser.add_argument("--share", type=float, default=SHARE, help=f"of what goes through (default {SHARE})")
    parser.add_argument("--lines", type=int, default=16, help="connections to each destination (default 16)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="DIR", help="write soak-DATE-COMMIT.md and .json there")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where the database lives (default: temporary)")
    parser.add_argument("--no-pin", action="store_true", help="leave the choice of processors to the system")
    return parser


def run(wanted: argparse.Namespace) -> int:
    scratch = wanted.scratch or Path(tempfile.gettempdir())
    facts = describe(scratch)
    if in_memory(str(facts["filesystem"])):
        print("The database would live in memory, where a durable write costs nothing: use --scratch.", file=sys.stderr)
        return 2
    cores = None if wanted.no_pin else two_cores()
    terms = Terms(wanted.messages, wanted.patients, wanted.rate, wanted.share, wanted.lines, wanted.seed, cores)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ophl7-soak-", dir=wanted.scratch) as folder:
        soaked = Soak(terms, Path(folder), partial(print, file=sys.stderr, flush=True)).run()
    facts |= {
        "commit": commit(HERE),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "patients": terms.patients,
        "seed": terms.seed,
        "lines": terms.lines,
        "rate": soaked.rate,
        "capacity": soaked.capacity,
        "share": round(soaked.rate / soaked.capacity, 3),
        "pinning": "chosen by us" if cores else "chosen by the system",
        "minutes": round((time.monotonic() - begun) / 60, 1),
    }
    text = report.document(facts, soaked.stretches, soaked.books)
    print(text)
    if wanted.out is not None:
        wanted.out.mkdir(parents=True, exist_ok=True)
        stem = f"soak-{facts['date']}-{facts['commit']}".replace("+", "-changed")
        raw = {"facts": facts, "stretches": [asdict(one) for one in soaked.stretches], "books": asdict(soaked.books)}
        (wanted.out / f"{stem}.md").write_text(text, encoding="utf-8")
        (wanted.out / f"{stem}.json").write_text(f"{json.dumps(raw, indent=1)}\n", encoding="utf-8")
    kept = all(kept for *_, kept in report.bounds(soaked.stretches))
    return 0 if kept and not report.faults(soaked.stretches, soaked.books) else 1


def main() -> int:
    try:
        return run(arguments().parse_args())
    except (StartFailed, LoadFailed) as failure:
        print(failure, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
