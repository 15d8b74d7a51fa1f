"""`ophl7 charges reconcile|missing|export`: the end of a day, and the day when the PM is down."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at, joined, table
from ophl7.cli.text import visible

Document = dict[str, Any]

_STANDINGS = ("accepted", "held", "rejected", "parked", "pending", "cancelled", "skipped")
_WORDS = {
    "accepted": "the PM has them",
    "held": "wait for somebody or something",
    "rejected": "refused, the EMR was told",
    "parked": "refused by the PM",
    "pending": "on their way to the PM",
    "cancelled": "discarded by a person",
    "skipped": "left out by a person",
}
_SUMS = (
    Column("", lambda one: one["name"]),
    Column("CHARGES", lambda one: one["count"], right=True),
    Column("AMOUNT", lambda one: one["amount"], right=True),
    Column("WITHOUT AMOUNT", lambda one: one["without_amount"], right=True),
    Column("WHAT THAT IS", lambda one: one["words"], cut=True),
)
_ODD = (
    Column("MESSAGE", lambda one: one["message"], right=True),
    Column("FT1", lambda one: one["line"], right=True),
    Column("CHARGE", lambda one: one["charge"], right=True),
    Column("WHAT IS WRONG", lambda one: one["problem"], wraps=True),
)
_TWICE = (
    Column("CHARGE", lambda one: one["charge"], right=True),
    Column("MESSAGE", lambda one: one["message"], right=True),
    Column("BEFORE", lambda one: one["other_message"], right=True),
    Column("HOW", lambda one: one["how"], wraps=True),
)
_HOLDS = (
    Column("HOLD", lambda one: one["id"], right=True),
    Column("SINCE", lambda one: at(one["since"])),
    Column("MESSAGE", lambda one: one["message"], right=True),
    Column("WAITS FOR", lambda one: one["key"], cut=True),
    Column("WHY", lambda one: one["reason"], wraps=True),
)
_MISSING = (
    Column("ID", lambda one: one["id"], right=True),
    Column("START", lambda one: at(one["start"])),
    Column("PATIENT", lambda one: one["patient"], cut=True),
    Column("STATUS", lambda one: one["status"]),
    Column("APPOINTMENT", lambda one: one["filler_id"] or one["placer_id"], cut=True),
    Column("WITH", lambda one: joined(part["id"] or part["text"] for part in one["resources"]), cut=True),
)


@click.command()
@click.option("--date", metavar="DATE", help="The day: 2026-11-23. Today if not said.")
@asks_the_broker
def reconcile(api: Api, date: str | None, as_json: bool) -> None:
    """Show the day report: whether the charges that came add up with what became of them, and what to look at.

    Counted twice, out of the messages and out of the ledger. Status 4 when the two do not say the same.
    """
    report = api.get("/reconciliation", {"date": date} if date is not None else None)
    if as_json:
        print_json(report)
    else:
        for line in report_lines(report):
            click.echo(line)
    if not (report["adds_up"] and report["messages"]["adds_up"]):
        click.get_current_context().exit(4)


def report_lines(report: Document) -> Iterable[str]:
    """The day report for people."""
    hours = "" if report["hours"] == 24 else f" ({report['hours']:g} hours: the clocks change)"
    yield f"{report['date']}{hours}{'' if report['over'] else ', which is not over yet'}"
    said = report["messages"]
    parts = ", ".join(f"{said[name]} {name}" for name in ("accepted", "held", "rejected", "ignored", "stale", "error"))
    yield f"Messages: {said['received']} received = {parts}."
    yield f"  Not counted: {said['duplicates']} copies, {said['sent_again']} refused ones that were sent again."
    yield ""
    rows = [{"name": name, "words": _WORDS[name], **report[name]} for name in _STANDINGS]
    yield from table(_SUMS, [{"name": "received", "words": "", **report["received"]}, *rows])
    yield ""
    if report["adds_up"]:
        yield "The charges add up."
    else:
        yield "THE CHARGES DO NOT ADD UP. What is in one of the two only:"
        yield from table(_ODD, report["does_not_add_up"])
    for title, columns, items in (
        ("Sent more than once, as another message:", _TWICE, report["sent_more_than_once"]),
        ("Visits that came to an end without a charge:", _MISSING, report["missing_charges"]),
        ("Open holds, whenever they began:", _HOLDS, report["holds"]),
    ):
        if items:
            yield from ("", title, *table(columns, items))
    if report["not_compared"]:
        yield f"\nMessages whose bytes are gone or cannot be read, taken from the ledger: {len(report['not_compared'])}"
    if report["from_pm"]:
        yield f"\nThe PM sent {report['from_pm']} charge messages; charges come from the EMR only, so they are not counted."
    if report["providers"]:
        yield ""
        for one in report["providers"]:
            name = visible(one["provider"] or "no provider")
            came, taken = one["received"], one["accepted"]
            yield f"{name}: {came['count']} charges, {came['amount']}; of them the PM has {taken['count']}, {taken['amount']}"


@click.command()
@click.option("--date", metavar="DATE", help="The day of the visits: 2026-11-23. Today if not said.")
@lists
@asks_the_broker
def missing(api: Api, date: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List visits that came to an end and for which no charge has come."""
    empty = "No visit without a charge."
    show(api, "/charges/missing", _MISSING, limit=limit, cursor=cursor, as_json=as_json, empty=empty, date=date)


@click.command()
@click.option("--date", metavar="DATE", help="Only what came on this day: 2026-11-23.")
@click.option("--since", metavar="DATE", help="Only what came on this day or later.")
@click.option("--until", metavar="DATE", help="Only what came on this day or earlier.")
@click.option(
    "--state",
    type=click.Choice(["pending", "held", "parked", "open"]),
    default="pending",
    help="Pending if not said; open: all three.",
)
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="A new file that only you can read.")
@asks_the_broker
def export(
    api: Api, date: str | None, since: str | None, until: str | None, state: str, kind: str, output: Path | None, as_json: bool
) -> None:
    """Write the charges that the PM does not have, e.g. because it is down. They hold patient data; this is audited."""
    wanted = {"date": date, "since": since, "until": until, "state": state, "format": "jsonl" if as_json else kind}
    text = api.text("/charges/export", {name: value for name, value in wanted.items() if value is not None})
    if output is None:
        click.echo(text, nl=False)
        return
    _write(output, text)
    click.echo(f"Written to {output}", err=True)


def _write(path: Path, text: str) -> None:
    """All of it or no file. Nobody's file is written over, and nobody else may read this one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; name a new file") from None
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise click.ClickException(f"{path} could not be written: {error.strerror}") from error


COMMANDS = (reconcile, missing, export)
