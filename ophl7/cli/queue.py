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
def drain(api: Api, peer: str, reason: str, as_json: bool) -> None:
    """Take nothing from this peer until it is resumed, also after a restart; what waits for it still leaves."""
    _switch(api, "drain", peer, reason, as_json=as_json)


@command.command()
@_PEER
@_with_reason
@asks_the_broker
def resume(api: Api, peer: str, reason: str, as_json: bool) -> None:
    """Send to this peer and take from it again."""
    _switch(api, "resume", peer, reason, as_json=as_json)


_RUN_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("TO", lambda one: one["peer"].upper()),
    Column("STATE", lambda one: one["state"]),
    Column("SINCE", lambda one: at(one["since"])),
    Column("MADE", lambda one: one["made"], right=True),
    Column("WAITING", lambda one: one["waiting"], right=True),
    Column("ACCEPTED", lambda one: one["accepted"], right=True),
    Column("REFUSED", lambda one: one["refused"], right=True),
    Column("WITHHELD", lambda one: one["withheld"], right=True),
)


@command.command()
@_PEER
@click.option("--since", required=True, metavar="TIME", help="What it accepted from then on; when its backup was made.")
@click.option("--until", metavar="TIME", help="And before then; else until now.")
@click.option("--streams", type=click.Choice(["record", "charges", "all"]), default="record", show_default=True)
@click.option("--stop-after", type=click.IntRange(1, 1000), default=5, show_default=True, help="Refusals that stop it.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the audit. Needed with --yes.")
@click.option("--yes", is_flag=True, help="Send; without it nothing is sent.")
@asks_the_broker
def resend(
    api: Api,
    peer: str,
    since: str,
    until: str | None,
    streams: str,
    stop_after: int,
    reason: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Send everything again that this peer had accepted since a time: a system that was restored from a backup."""
    if yes and not reason:
        raise click.UsageError("say why: --reason TEXT; it is kept with what you do")
    asked = {"since": since, "streams": streams, "stop_after": stop_after, "send": yes, "until": until}
    given = {name: value for name, value in asked.items() if value is not None}
    done = api.post(f"/links/{peer}/resend", {**given, "reason": reason or "only looked at"})
    if as_json:
        print_json(done)
        return
    for one in done["streams"]:
        what = "is sent again" if one["chosen"] and yes else "would be sent again" if one["chosen"] else "stays"
        span = f"{at(one['oldest'])} to {at(one['newest'])}"
        click.echo(f"{one['stream']}: {what}: {one['deliveries']} copies, {one['lanes']} lanes, {span}, {one['gone']} gone")
    for warning in done["warnings"]:
        click.echo(f"Mind: {warning}.")
    if yes:
        click.echo(f"Run {done['run']['id']} is {done['run']['state']}; see ophl7 queue resends.")
    elif any(one["chosen"] and one["deliveries"] for one in done["streams"]):
        click.echo("Nothing was sent. With --yes and --reason TEXT it is.")
    else:
        click.echo(f"The {peer.upper()} has accepted nothing of that since then: there is nothing to send again.")


@command.command()
@lists
@asks_the_broker
def resends(api: Api, limit: int, cursor: str | None, as_json: bool) -> None:
    """List runs that send everything again, newest first."""
    show(api, "/resends", _RUN_COLUMNS, limit=limit, cursor=cursor, as_json=as_json, empty="There was no such run.")


@command.command("continue")
@_NUMBER
@_with_reason
@asks_the_broker
def continue_run(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Go on with a run that refusals have stopped."""
    _end_run(api, "continue", number, reason, as_json=as_json)


@command.command("drop")
@_NUMBER
@_with_reason
@asks_the_broker
def drop_run(api: Api, number: int, reason: str, as_json: bool) -> None:
    """End a run: what of it did not leave never will."""
    _end_run(api, "drop", number, reason, as_json=as_json)


def _end_run(api: Api, verb: str, number: int, reason: str, *, as_json: bool) -> None:
    done = api.post(f"/resends/{number}/{verb}", {"reason": reason})
    if as_json:
        print_json(done)
    else:
        click.echo(f"Run {done['id']} to the {done['peer'].upper()} is {done['state']}.")


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
    if verb == "drain":
        click.echo(f"Nothing more is taken from the {peer.upper()}: it is {done['listener']['state']}; see ophl7 queue resume.")
    click.echo(f"The link to the {peer.upper()} is {there['state']}; {there['queued']} waiting, {there['parked']} stopped.")
