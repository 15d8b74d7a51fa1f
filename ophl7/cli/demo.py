"""`ophl7 demo`: see the broker work, without any other system."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import click

from ophl7 import units
from ophl7.cli import loop
from ophl7.cli.exits import Exit
from ophl7.cli.simulate import read_date, read_pace, reads
from ophl7.simulate.role import SET_UPS, SetUp


@click.command()
@click.option("--once", is_flag=True, help="End when the day is over; else go on until Ctrl-C.")
@click.option(
    "--pace", default="2", show_default=True, callback=reads(read_pace), help="Messages a second of each side, or fast."
)
@click.option("--set-up", default="pm/pm", show_default=True, type=click.Choice(SET_UPS), help="Who owns patients/schedule.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 99_999), help="Another seed, other people.")
@click.option("--patients", default=12, show_default=True, type=click.IntRange(1, 400), help="Children of the day.")
@click.option("--date", "start", default="today", show_default=True, callback=reads(read_date), help="Which day it is.")
@click.option(
    "--outage",
    default="6s",
    show_default=True,
    callback=reads(units.duration),
    help="How long the EMR is away once; 0 for never.",
)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Keep the database here.")
def command(
    once: bool, pace: float, set_up: SetUp, seed: int, patients: int, start: date, outage: float, folder: Path | None
) -> int:
    """Start the broker with a simulated PM and EMR that play a practice's day. All people are invented.

    It has a database of its own and touches no real system. Exit status 0; with --once 4 when something is not as it should be.
    """
    from ophl7.demo import Showing, demo  # brings the whole broker with it

    right = loop.run(demo(os.environ, Showing(set_up, seed, patients, start, pace, outage, once, folder)))
    return Exit.OK if right or not once else Exit.REFUSED
