"""`ophl7 queue`: what is on its way to the PM and the EMR."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import PEER, asks_the_broker, lists, show
from ophl7.cli.tables import Column, at

_ALL = "all"
_STATES = click.Choice(["open", _ALL, "queued", "sending", "accepted", "held", "unknown", "parked", "rejected", "skipped"])
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("TO", lambda one: one["destination"].upper()),
    Column("STATE", lambda one: one["state"]),
    Column("SINCE", lambda one: at(one["created_at"])),
    Column("TRIES", lambda one: one["attempts"], right=True),
    Column("NEXT TRY", lambda one: at(one["next_at"])),
    Column("LAST ANSWER", lambda one: one["last_answer"], cut=True),
    Column("CONTROL ID", lambda one: one["control_id"]),
    Column("MESSAGE", lambda one: one["message"], right=True),
)


@click.group()
def command() -> None:
    """Copies on their way to both systems."""


@command.command("list")
@click.option("--destination", type=PEER, help="Where it goes.")
@click.option("--state", type=_STATES, default="open", show_default=True, help="open: whatever is not settled.")
@click.option("--message", type=click.IntRange(min=1), metavar="ID", help="Copies of this message only.")
@lists
@asks_the_broker
def list_queue(
    api: Api, destination: str | None, state: str, message: int | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List copies, newest first. Times are in the practice's zone."""
    show(
        api,
        "/deliveries",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="Nothing is on its way." if state == "open" else "No copy like that.",
        destination=destination,
        state=None if state == _ALL else state,
        message=message,
    )
