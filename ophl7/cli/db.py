"""`ophl7 db`: the database and its care."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ophl7 import settings
from ophl7.cli import db_care
from ophl7.cli.listing import print_json


@click.group()
def command() -> None:
    """The database: bring it up to date, copy it, check it, remove what is old."""


@command.command()
@click.option("--copy", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Copy it to here first.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def migrate(*, copy: Path | None, as_json: bool) -> None:
    """Bring the database up to this version, as `ophl7 serve` does when it starts.

    The broker must not be running. Either all steps are made or none. An older ophl7 does not open the database afterwards:
    whoever may want to go back keeps a copy.
    """
    database = settings.load(os.environ).database_path
    from ophl7.store.upgrading import upgrade

    made = upgrade(database, copy)
    if as_json:
        print_json({"database": str(database), "steps": made, "copy": str(copy) if copy is not None else None})
        return
    for name in made:
        click.echo(name)
    click.echo(f"{database} is up to date; {len(made) or 'no'} {'step' if len(made) == 1 else 'steps'} made.", err=True)


for part in db_care.COMMANDS:
    command.add_command(part)
