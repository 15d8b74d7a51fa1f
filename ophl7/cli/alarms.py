"""`ophl7 alarms`: what somebody must look at."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at

_ALL = "all"
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("KIND", lambda one: one["kind"]),
    Column("ABOUT", lambda one: one["about"]),
    Column("SINCE", lambda one: at(one["opened_at"])),
    Column("SEEN BY", lambda one: one["acknowledged_by"], cut=True),
    Column("ENDED", lambda one: at(one["resolved_at"])),
    Column("WHAT TO DO", lambda one: f"{one['reason']}; {one['todo']}", wraps=True),
)


@click.group()
def command() -> None:
    """What somebody must look at."""


@command.command("list")
@click.option(
    "--state", type=click.Choice(["open", "resolved", _ALL]), default="open", show_default=True, help="resolved: what is over."
)
@lists
@asks_the_broker
def list_alarms(api: Api, state: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """List alarms, newest first. Times are in the practice's zone."""
    show(
        api,
        "/alarms",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="No alarm is open." if state == "open" else "No alarm like that.",
        state=None if state == _ALL else state,
    )


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit.")
@asks_the_broker
def acknowledge(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Say that you look after an alarm; one whose end nothing shows is over with that."""
    done = api.post(f"/alarms/{number}/acknowledge", {"reason": reason})
    if as_json:
        print_json(done)
        return
    now = "is over" if done["resolved_at"] else "goes on until its cause is gone"
    click.echo(f"Alarm {done['id']} ({done['kind']}) was seen by {done['acknowledged_by']}; it {now}.")
