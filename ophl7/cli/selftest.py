"""`ophl7 selftest`: whether what is acknowledged stays, on this machine and this disk."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from pathlib import Path

import click

from ophl7 import settings
from ophl7.cli import loop
from ophl7.cli.exits import Exit


@click.command()
@click.option(
    "--database-dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to test. [default: the one of OPHL7_DATABASE_URL]",
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1, 1000), help="How often the broker is killed.")
@click.option(
    "--seconds",
    default=2.0,
    show_default=True,
    type=click.FloatRange(0.05, 600),
    help="The longest load before a kill; each is a random part of it.",
)
@click.option("--seed", type=click.IntRange(0), help="Repeats the choices of an earlier run.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: Path | None, rounds: int, seconds: float, seed: int | None, as_json: bool) -> int:
    """Kill a broker of its own under load on this disk, look for loss, and measure fsync.

    It works in a new folder beside the real database, with invented patients and free ports, touches neither that database nor
    the peers, and removes everything at the end. It cannot show a real power cut; it says so. Exit status 0 passed, 4 when
    something was lost, doubled or out of order, or when the disk answers faster than a disk can; 2 when it could not be run.
    """
    from ophl7.selftest.report import document, words
    from ophl7.selftest.rounds import Outcome, selftest

    home = folder if folder is not None else settings.load(os.environ).database_path.absolute().parent
    chosen = seed if seed is not None else secrets.randbelow(2**32)

    async def run() -> Outcome | None:
        """None when it was told to stop; all is tidied up by then."""
        task = asyncio.ensure_future(selftest(home, rounds, seconds, chosen, lambda line: click.echo(line, err=True)))
        running = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(name, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    outcome = loop.run(run())
    if outcome is None:
        click.echo("Stopped; nothing of it is left.", err=True)
        return Exit.INTERRUPTED
    if as_json:
        click.echo(json.dumps(document(outcome)))
    else:
        for line in words(outcome):
            click.echo(line)
    return Exit.OK if outcome.passed else Exit.REFUSED
