"""`ophl7 serve`: the broker, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

import click

from ophl7 import settings
from ophl7.cli import loop


@click.command()
def command() -> int:
    """Start the broker with the settings of the environment (OPHL7_*; see `ophl7 config`)."""
    chosen = settings.load(os.environ)
    serve: Callable[[settings.Settings], Coroutine[Any, Any, int]] = import_module("ophl7.app").serve
    return loop.run(serve(chosen))
