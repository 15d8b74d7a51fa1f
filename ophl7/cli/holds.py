"""`ophl7 holds`: what waits for somebody or something, and a person's decision."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import PEER, asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at
from ophl7.cli.text import visible

_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("SINCE", lambda one: at(one["since"])),
    Column("FROM", lambda one: one["peer"].upper()),
    Column("MESSAGE", lambda one: one["message"], right=True),
    Column("WAITS FOR", lambda one: one["key"], cut=True),
    Column("WHY", lambda one: one["reason"], wraps=True),
)


@click.group()
def command() -> None:
    """Messages that wait, and releasing, discarding or redirecting them."""


@command.command("list")
@click.option("--peer", type=PEER, help="Who sent it.")
@click.option("--message", type=click.IntRange(min=1), metavar="ID", help="Of this message only.")
@lists
@asks_the_broker
def list_holds(api: Api, peer: str | None, message: int | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what waits, newest first. Times are in the practice's zone."""
    show(
        api,
        "/holds",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="Nothing waits.",
        peer=peer,
        message=message,
    )


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the hold and in the audit.")
@asks_the_broker
def release(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Take the message as it is: the condition of this hold is set aside, everything else is judged again."""
    _decide(api, "release", number, reason, as_json=as_json)


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the hold and in the audit.")
@asks_the_broker
def discard(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Let the message of this hold go without effect; its charges are cancelled."""
    _decide(api, "discard", number, reason, as_json=as_json)


@command.command("map")
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--to", required=True, metavar="CODE", help="What the other system calls the code.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the entry and in the audit.")
@asks_the_broker
def map_code(api: Api, number: int, to: str, reason: str, as_json: bool) -> None:
    """Say what the code is called that this hold waits for; all that wait for just that code go on."""
    done = api.post(f"/holds/{number}/map", {"to": to, "reason": reason})
    if as_json:
        print_json(done)
        return
    click.echo(
        f"{done['code']!a} of the table {done['table']} of the {done['peer'].upper()} is {done['to']!a} from now on. "
        f"Messages that went on: {done['released']}"
    )
    if done["waits_for"]:
        click.echo(f"Message {done['message']} waits still for: {', '.join(visible(key) for key in done['waits_for'])}")


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--patient", required=True, metavar="AUTHORITY:ID", help="Whose it is.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the hold and in the audit.")
@asks_the_broker
def redirect(api: Api, number: int, patient: str, reason: str, as_json: bool) -> None:
    """Take a charge or a booking for another patient than the one it names; it is judged again."""
    _decide(api, "redirect", number, reason, as_json=as_json, patient=patient)


def _decide(api: Api, verb: str, number: int, reason: str, *, as_json: bool, **more: str) -> None:
    done = api.post(f"/holds/{number}/{verb}", {**more, "reason": reason})
    if as_json:
        print_json(done)
        return
    click.echo(f"Hold {done['id']} is closed ({done['closed_how']}). Message {done['message']} is {done['state']} now.")
    if done["waits_for"]:
        click.echo(f"It waits still for: {', '.join(done['waits_for'])}")
    if done["released"]:
        click.echo(f"Other messages that went on with it: {done['released']}")
