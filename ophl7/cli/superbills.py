"""`ophl7 superbills`: who still has the form on."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, print_json
from ophl7.cli.tables import Column, at, joined, table

_COLUMNS = (
    Column("USER", lambda one: one["user"], cut=True),
    Column("NAME", lambda one: one["name"], cut=True),
    Column("FROM", lambda one: one["peer"].upper()),
    Column("COUNT", lambda one: one["count"], right=True),
    Column("FIRST", lambda one: at(one["first"])),
    Column("LAST", lambda one: at(one["last"])),
    Column("MESSAGES", lambda one: joined(str(number) for number in one["messages"][:10]), wraps=True),
)


@click.command()
@asks_the_broker
def command(api: Api, as_json: bool) -> None:
    """List who still sends claims and superbills, which are refused: they are made in the PM only.

    The user is who the message names (EVN-5, FT1-20, FT1-24, or the field of the profile), else the application.
    """
    found = api.get("/superbills")
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("Nobody has sent a claim or a superbill.", err=True)
        return
    for line in table(_COLUMNS, found["items"]):
        click.echo(line)
