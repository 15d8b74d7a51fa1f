"""`python -m ophl7.selftest.leash serve`: the broker as always, which ends at once when standard input does.

The test holds the other end and never writes. A test that is killed with SIGKILL can do nothing more for its broker; but the
system closes what it held, on every system that has pipes.
"""

from __future__ import annotations

import os
import runpy
import signal
from threading import Thread


def end_with(file: int) -> None:
    """Waits until nobody holds the other end, then ends this process as suddenly as a kill: its folder is thrown away."""
    while os.read(file, 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Thread(target=end_with, args=(0,), name="leash", daemon=True).start()
    runpy.run_module("ophl7", run_name="__main__", alter_sys=True)
