"""`ophl7 audit`: who did what, and whether that is still what was written."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.exits import Exit
from ophl7.cli.listing import asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at

_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("WHEN", lambda one: at(one["at"])),
    Column("WHO", lambda one: one["actor"], cut=True),
    Column("DID", lambda one: one["action"]),
    Column("WITH", lambda one: one["target"], cut=True),
    Column("WHY", lambda one: one["reason"], wraps=True),
)


@click.group()
def command() -> None:
    """What people did, and whether the record of it is whole."""


@command.command("list")
@click.option("--actor", metavar="NAME", help="Who did it, as the list shows it.")
@click.option("--action", metavar="WORD", help="What was done, for example release-hold.")
@click.option("--since", metavar="TIME", help="At or after this time; a date is its begin.")
@click.option("--until", metavar="TIME", help="Before this time; a date is its end.")
@lists
@asks_the_broker
def list_audit(
    api: Api,
    actor: str | None,
    action: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List who did what, newest first. Times are in the practice's zone."""
    show(
        api,
        "/audit",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="Nobody did anything like that.",
        actor=actor,
        action=action,
        since=since,
        until=until,
    )


@command.command()
@asks_the_broker
def verify(api: Api, as_json: bool) -> int:
    """Go along the audit's chain of digests: was a row changed or removed behind our back? Exit status 4 if so."""
    found = api.get("/audit/verify")
    if as_json:
        print_json(found)
    elif found["ok"]:
        click.echo(f"The audit is whole: {found['rows']} rows, each as it was written.")
    else:
        click.echo(f"The audit is not whole: {found['fault']}. Rows before {found['first_bad']} are as they were written.")
    return Exit.OK if found["ok"] else Exit.REFUSED
