"""`ophl7 merges`: charts that one system has merged, and who must do it yet."""

from __future__ import annotations

import click

from ophl7.cli.api import Api, Document
from ophl7.cli.listing import PEER, asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at
from ophl7.cli.text import visible

_STATES = click.Choice(["one_sided", "two_sided", "conflict", "unmerged"])
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("RETIRED", lambda one: one["retired"], cut=True),
    Column("INTO", lambda one: one["survivor"], cut=True),
    Column("IN THE PM", lambda one: at(one["pm"])),
    Column("IN THE EMR", lambda one: at(one["emr"])),
    Column("STATE", lambda one: one["state"]),
    Column("TO DO", lambda one: one["task"], wraps=True),
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


@command.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--side", required=True, type=PEER, help="On whose side the merge is taken apart.")
@click.option("--reason", metavar="TEXT", help="Why; kept with the merge and in the audit. Needed with --yes.")
@click.option("--yes", is_flag=True, help="Carry the plan out; without it nothing is changed.")
@asks_the_broker
def unmerge(api: Api, number: int, side: str, reason: str | None, yes: bool, as_json: bool) -> None:
    """Take a merge apart on one side: shows the plan, and carries out just that with --yes."""
    if yes and not reason:
        raise click.UsageError("say why: --reason TEXT; it is kept with what you do")
    plan = api.get(f"/merges/{number}/unmerge", {"side": side})
    if yes:
        if not as_json:
            _tell(plan)
        plan = api.post(f"/merges/{number}/unmerge", {"side": side, "reason": reason, "plan": plan["plan"]})
    if as_json:
        print_json(plan)
    elif yes:
        click.echo(f"Done. Messages that went on with it: {plan['released']}")
    else:
        _tell(plan)
        click.echo("Nothing was changed. With --yes and --reason TEXT just this is carried out.")


def _tell(plan: Document) -> None:
    """The plan, for somebody who must agree to it."""
    retired = plan["retired"]
    click.echo(
        f"On the side of the {plan['side'].upper()}, {retired} is a chart of its own again, apart from {plan['survivor']}."
    )
    followers = [name for name in plan["charts"] if name != retired]
    if followers:
        click.echo(f"With it go back: {', '.join(followers)}")
    _lines(
        "Processed under the surviving chart meanwhile",
        [f"{at(m['at'])}  {m['id']}  {m['type']}  {m['what']}" for m in plan["messages"]],
    )
    _lines(
        "Copies that wait and go to their own chart", [f"copy {c['delivery']} of message {c['message']}" for c in plan["moves"]]
    )
    _lines(
        "Copies that stay as they are", [f"copy {c['delivery']} of message {c['message']}: {c['why']}" for c in plan["stays"]]
    )
    _lines("Appointments", [f"{a['reference']} stays with {a['stays_with']}" for a in plan["appointments"]])
    _lines("Held messages that are judged again", [f"hold {number}" for number in plan["holds"]])
    _lines("What nobody but you can do", plan["by_hand"])


def _lines(title: str, lines: list[str]) -> None:
    if lines:
        click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {visible(line)}")
