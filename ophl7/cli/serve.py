"""`ophl7 serve`: the broker, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys

import click

from ophl7.cli import loop
from ophl7.cli.exits import Exit


@click.command()
def command() -> int:
    """Start the broker with the settings of the environment (OPHL7_*; see `ophl7 config`)."""
    # Until the broker has handlers of its own. The first process of a container is told nothing by a signal's default action.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.OK))
    try:
        from ophl7 import settings

        chosen = settings.load(os.environ)
        from ophl7 import app  # after the settings: wrong ones are told at once

        return loop.run(app.serve(chosen))
    finally:
        signal.signal(signal.SIGTERM, before)
