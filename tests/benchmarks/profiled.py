"""Runs `ophl7 ARGUMENTS` under cProfile, all of its threads, and writes what was spent after SIGUSR1.

    python -m tests.benchmarks.profiled OUT serve

What ran before the signal (start-up, registration of patients) is subtracted.
"""

from __future__ import annotations

import cProfile
import marshal
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import cast

from .rooms import Stats, add, subtract


class Recorder:
    """A profile per thread. From Python 3.12 on only one profile can be active at a time: the main thread's."""

    def __init__(self) -> None:
        self._profiles = [cProfile.Profile()]
        self._before: Stats = {}

    def enter_thread(self, *_: object) -> None:
        """Called by each new thread for its first event; the thread's own profile then takes this hook's place."""
        profile = cProfile.Profile()
        self._profiles.append(profile)
        profile.enable()

    def run(self, arguments: list[str]) -> None:
        """Runs `ophl7` until it ends by itself or by SystemExit."""
        if sys.version_info < (3, 12):
            threading.setprofile(self.enter_thread)
        signal.signal(signal.SIGUSR1, lambda *_: self.mark())
        sys.argv = ["ophl7", *arguments]
        self._profiles[0].enable()
        try:
            runpy.run_module("ophl7", run_name="__main__", alter_sys=True)
        finally:
            self._profiles[0].disable()

    def mark(self) -> None:
        """Forgets everything until now."""
        self._before = self._now()

    def spent(self) -> Stats:
        """What was spent since the mark."""
        return subtract(self._now(), self._before)

    def _now(self) -> Stats:
        total: Stats = {}
        for profile in self._profiles:
            # snapshot_stats() reads without ending the profile, which create_stats() would do.
            profile.snapshot_stats()
            total = add(total, cast("Stats", profile.stats))
        return total


def main() -> None:
    out, *arguments = sys.argv[1:]
    recorder = Recorder()
    try:
        recorder.run(arguments)
    finally:
        Path(out).write_bytes(marshal.dumps(recorder.spent()))


if __name__ == "__main__":
    main()
