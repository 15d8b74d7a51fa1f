"""`make fuzz`: every target in a process of its own, as many at once as asked for; then what came of it.

FUZZ_SECONDS a target (1800), FUZZ_TARGETS (all), FUZZ_JOBS at once (2), FUZZ_FOLDER for corpus and finds (.fuzz).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.names import NAMES

LONGEST = {"framer": 4096, "growth": 1024, "intake": 8192, "profiles": 8192}
MEMORY_MB = 1024
STUCK_SECONDS = 300  # of one input; processor time is bounded more tightly by the target itself
MOST_STARTS = 20  # of one target, should the process itself die
_PROGRESS = re.compile(r"^#(\d+)\s.*\bcov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)

HOW = """\
These inputs broke the sentence at the top of tests/fuzz/targets/{target}.py; each has its traceback beside it.
To turn one into a test:
  1. copy it to tests/fuzz/finds/{target}/WORDS-THAT-SAY-WHAT (no .txt): from then on `make test` runs it, and it fails;
  2. write the plain test of what went wrong where its room is tested (tests/unit/...), see it fail too;
  3. mend the code, see both pass, and start `make fuzz FUZZ_TARGETS={target}` again: its clock begins anew.
To see one again: .venv/bin/python -m pytest tests/fuzz, after step 1.
"""


@dataclass
class Outcome:
    """What became of a target. Times in seconds."""

    name: str
    wall: float = 0.0
    processor: float = 0.0
    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    finds: int = 0
    starts: int = 0


def run(name: str, seconds: int, folder: Path) -> Outcome:
    """Runs a target for that long, also when its process dies meanwhile."""
    outcome, began = Outcome(name), time.monotonic()
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    while (left := round(seconds - outcome.wall)) > 0 and outcome.starts < MOST_STARTS:
        outcome.starts += 1
        told = once(name, left, place, outcome)
        outcome.wall = time.monotonic() - began
        for found in _PROGRESS.finditer(told):
            outcome.edges = max(outcome.edges, int(found[2]))
            outcome.features = max(outcome.features, int(found[3]))
            outcome.corpus = int(found[4])
        counts = [int(found[1]) for found in _PROGRESS.finditer(told)]
        outcome.executions += max(counts, default=0)
    finds = [path for path in (place / "finds").glob("*") if path.suffix != ".txt"]
    outcome.finds = len(finds)
    if finds:
        (place / "finds" / "HOW.txt").write_text(HOW.format(target=name), encoding="utf-8")
    return outcome


def once(name: str, seconds: int, place: Path, outcome: Outcome) -> str:
    """One process; what it printed. Its processor time is added to the outcome."""
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST.get(name, 2048)}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={STUCK_SECONDS}",
        f"-report_slow_units={STUCK_SECONDS}",
        "-print_final_stats=1",
    ]
    log = place / "log.txt"
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", "tests.fuzz.drive", name, str(place), *options], stdout=out, stderr=out)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    outcome.processor += used.ru_utime + used.ru_stime
    return log.read_text(encoding="utf-8", errors="replace")


def table(outcomes: list[Outcome]) -> str:
    """One line a target."""
    head = "| target | wall s | CPU s | executions | edges | features | corpus | finds |\n|---|---|---|---|---|---|---|---|"
    rows = [
        f"| {one.name} | {one.wall:.0f} | {one.processor:.0f} | {one.executions} | {one.edges} | {one.features} "
        f"| {one.corpus} | {one.finds} |"
        for one in sorted(outcomes, key=lambda one: one.name)
    ]
    return "\n".join([head, *rows])


def main() -> int:
    """0 when nothing was found, 1 when something was, 2 for a target that is none or did not run."""
    names = os.environ.get("FUZZ_TARGETS", "").replace(",", " ").split() or NAMES
    if unknown := sorted(set(names) - set(NAMES)):
        print(f"FUZZ_TARGETS names {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    seconds, jobs = int(os.environ.get("FUZZ_SECONDS") or 1800), int(os.environ.get("FUZZ_JOBS") or 2)
    folder = Path(os.environ.get("FUZZ_FOLDER") or ".fuzz")
    print(f"{len(names)} targets, {seconds} s each, {jobs} at once; corpus, log and finds in {folder}", flush=True)
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(jobs) as pool:
        for outcome in pool.map(lambda name: run(name, seconds, folder), names):
            outcomes.append(outcome)
            print(table([outcome]).splitlines()[-1], flush=True)
    print(table(outcomes))
    broken = [one.name for one in outcomes if not one.executions]
    found = [one.name for one in outcomes if one.finds]
    for name in broken:
        print(f"{name} did not run: {folder / name / 'log.txt'} says why", file=sys.stderr)
    for name in found:
        print(f"{name}: {folder / name / 'finds'} holds what was found; HOW.txt there says what to do with it", file=sys.stderr)
    return 2 if broken else 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
