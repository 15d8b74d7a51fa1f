"""`ophl7 serve`: the broker, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os

import click

from ophl7 import settings
from ophl7.cli import loop


@click.command()
def command() -> int:
    """Start the broker with the settings of the environment (OPHL7_*; see `ophl7 config`)."""
    chosen = settings.load(os.environ)
    from ophl7 import app  # after the settings: wrong ones are told at once

    return loop.run(app.serve(chosen))
