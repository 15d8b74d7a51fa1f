"""`ophl7 db`: the database and its care."""

from __future__ import annotations

import click

from ophl7.cli import db_care


@click.group()
def command() -> None:
    """The database: what is old goes, copies, checks."""


db = command

for part in db_care.COMMANDS:
    command.add_command(part)
