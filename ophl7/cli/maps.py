"""`ophl7 maps`: what codes are called in the other system, and which of them nobody has said anything of."""

from __future__ import annotations

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import PEER, asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at
from ophl7.cli.tables import table as lines_of

_COLUMNS = (
    Column("PEER", lambda one: one["peer"].upper()),
    Column("TABLE", lambda one: one["table"] if one["used"] else f"{one['table']} (not in the profile)"),
    Column("CODE", lambda one: one["code"], cut=True),
    Column("IS CALLED", lambda one: one["to"], cut=True),
    Column("SAID BY", lambda one: "the profile" if one["origin"] == "profile" else one["by"], cut=True),
    Column("AT", lambda one: at(one["at"])),
    Column("WHY", lambda one: one["reason"], wraps=True),
)
_TASKS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("PEER", lambda one: one["peer"].upper()),
    Column("TABLE", lambda one: one["table"]),
    Column("CODE", lambda one: one["code"], cut=True),
    Column("MESSAGES", lambda one: one["count"], right=True),
    Column("FIRST", lambda one: at(one["first_at"])),
    Column("LAST", lambda one: at(one["last_at"])),
    Column("LAST MESSAGE", lambda one: one["last_message"], right=True),
)

_WHOSE = click.option("--peer", type=PEER, required=True, help="Whose code it is.")
_TABLE = click.option("--table", required=True, metavar="NAME", help="The table of its profile.")
_WHY = click.option("--reason", required=True, metavar="TEXT", help="Why; kept with the entry and in the audit.")


@click.group()
def command() -> None:
    """Code tables: the profile's, and what people have entered over them."""


@command.command("list")
@click.option("--peer", type=PEER, help="Whose codes.")
@click.option("--table", metavar="NAME", help="Of this table only.")
@asks_the_broker
def list_maps(api: Api, peer: str | None, table: str | None, as_json: bool) -> None:
    """List every code and what the other system calls it."""
    query = {name: text for name, text in (("peer", peer), ("table", table)) if text is not None}
    found = api.get("/maps", query)
    if as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo("No table has an entry.", err=True)
        return
    for line in lines_of(_COLUMNS, found["items"]):
        click.echo(line)


@command.command()
@click.option("--peer", type=PEER, help="Whose codes.")
@click.option("--table", metavar="NAME", help="Of this table only.")
@lists
@asks_the_broker
def tasks(api: Api, peer: str | None, table: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List codes that came and have no entry, newest first."""
    show(
        api,
        "/maps/tasks",
        _TASKS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="Every code that came has an entry.",
        peer=peer,
        table=table,
    )


@command.command()
@_WHOSE
@_TABLE
@click.argument("code")
@click.argument("to")
@_WHY
@asks_the_broker
def add(api: Api, peer: str, table: str, code: str, to: str, reason: str, as_json: bool) -> None:
    """Say that CODE is called TO in the other system, or say it anew; what waited for just that code goes on."""
    _enter(api, peer, table, code, to, reason, as_json=as_json)


@command.command()
@_WHOSE
@_TABLE
@click.argument("code")
@_WHY
@asks_the_broker
def remove(api: Api, peer: str, table: str, code: str, reason: str, as_json: bool) -> None:
    """Take back what a person has said of CODE; what the profile says of it counts again."""
    _enter(api, peer, table, code, None, reason, as_json=as_json)


@command.command()
@_WHOSE
@asks_the_broker
def export(api: Api, peer: str, as_json: bool) -> None:
    """Print the tables of one peer as TOML, people's entries included, to be pasted into its profile."""
    text = api.text("/maps/export", {"peer": peer})
    if as_json:
        print_json({"peer": peer, "toml": text})
    else:
        click.echo(text, nl=False)


def _enter(api: Api, peer: str, table: str, code: str, to: str | None, reason: str, *, as_json: bool) -> None:
    done = api.post("/maps", {"peer": peer, "table": table, "code": code, "to": to, "reason": reason})
    if as_json:
        print_json(done)
        return
    whose = f"{code!a} of the table {table} of the {peer.upper()}"
    click.echo(f"The entry for {whose} is taken back." if to is None else f"{whose} is {to!a} from now on.")
    if done["released"]:
        click.echo(f"Messages that went on: {done['released']}")
