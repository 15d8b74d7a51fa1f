"""`ophl7 merges`: charts that one system has merged, and who must do it yet."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, lists, show
from ophl7.cli.tables import Column, at

_STATES = click.Choice(["one_sided", "two_sided", "conflict"])
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("RETIRED", lambda one: one["retired"], cut=True),
    Column("INTO", lambda one: one["survivor"], cut=True),
    Column("IN THE PM", lambda one: at(one["pm"])),
    Column("IN THE EMR", lambda one: at(one["emr"])),
    Column("STATE", lambda one: one["state"]),
    Column("WAITS FOR", lambda one: one["waiting_for"]),
)


@click.group()
def command() -> None:
    """Charts that were merged, on one side or on both."""


@command.command("list")
@click.option("--patient", metavar="ID", help="An id, or AUTHORITY:id.")
@click.option("--state", type=_STATES, help="Where it stands.")
@lists
@asks_the_broker
def list_merges(api: Api, patient: str | None, state: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List merges, newest first. Times are in the practice's zone."""
    show(
        api,
        "/merges",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="No merge like that.",
        patient=patient,
        state=state,
    )
