"""`ophl7 queue`: what is on its way to the PM and the EMR."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import PEER, F, asks_the_broker, lists, print_json, show
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


_NUMBER = click.argument("number", metavar="ID", type=click.IntRange(min=1))
_PEER = click.argument("peer", type=PEER)


def _with_reason(call: F) -> F:
    return click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit.")(call)


@command.command()
@_NUMBER
@_with_reason
@asks_the_broker
def retry(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Send a copy again now: the same bytes under the same control id."""
    _decide(api, "retry", number, reason, as_json=as_json)


@command.command()
@_NUMBER
@_with_reason
@asks_the_broker
def renew(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Send a copy that was refused or lost as a new message: under another control id."""
    _decide(api, "renew", number, reason, as_json=as_json)


@command.command()
@_NUMBER
@_with_reason
@asks_the_broker
def skip(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Let a copy go: it never leaves, and what waits behind it goes on."""
    _decide(api, "skip", number, reason, as_json=as_json)


@command.command()
@_NUMBER
@_with_reason
@asks_the_broker
def close(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Close a copy that was refused for good; what waits behind it goes on."""
    _decide(api, "close", number, reason, as_json=as_json)


@command.command()
@_NUMBER
@_with_reason
@asks_the_broker
def arrived(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Say that a copy without an answer has arrived, as you have seen in the other system."""
    _decide(api, "arrived", number, reason, as_json=as_json)


@command.command()
@_PEER
@_with_reason
@asks_the_broker
def pause(api: Api, peer: str, reason: str, as_json: bool) -> None:
    """Send nothing to this peer until it is resumed, also after a restart."""
    _switch(api, "pause", peer, reason, as_json=as_json)


@command.command()
@_PEER
@_with_reason
@asks_the_broker
def resume(api: Api, peer: str, reason: str, as_json: bool) -> None:
    """Send to this peer again."""
    _switch(api, "resume", peer, reason, as_json=as_json)


def _decide(api: Api, verb: str, number: int, reason: str, *, as_json: bool) -> None:
    done = api.post(f"/deliveries/{number}/{verb}", {"reason": reason})
    if as_json:
        print_json(done)
        return
    onward = f" under {done['control_id']}" if done["state"] == "queued" else ""
    click.echo(f"Copy {done['id']} for the {done['destination'].upper()} is {done['state']} now{onward}.")


def _switch(api: Api, verb: str, peer: str, reason: str, *, as_json: bool) -> None:
    done = api.post(f"/links/{peer}/{verb}", {"reason": reason})
    if as_json:
        print_json(done)
        return
    there = done["destination"]
    click.echo(f"The link to the {peer.upper()} is {there['state']}; {there['queued']} waiting, {there['parked']} stopped.")
