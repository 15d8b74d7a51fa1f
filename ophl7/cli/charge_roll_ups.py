"""`ophl7 charges current|roll-up|roll-ups|take-back`: what billing has to roll up, and its notes about that."""

from __future__ import annotations

from typing import Any

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, lists, print_json, show
from ophl7.cli.tables import Column, at, joined, table

_CURRENT = (
    Column("PATIENT", lambda one: one["patient"], cut=True),
    Column("VISIT", lambda one: one["visit"], cut=True),
    Column("OLDEST", lambda one: (one["oldest"] or "")[:10]),
    Column("CHARGES", lambda one: one["count"], right=True),
    Column("AMOUNT", lambda one: one["amount"], right=True),
    Column("NO AMOUNT", lambda one: one["without_amount"], right=True),
    Column("IDS", lambda one: joined(str(charge["id"]) for charge in one["charges"]), wraps=True),
)
_CORRECTED = (
    Column("CHARGE", lambda one: one["id"], right=True),
    Column("KIND", lambda one: one["kind"]),
    Column("NUMBER", lambda one: one["transaction_id"], cut=True),
    Column("NET", lambda one: one["net"], right=True),
    Column("CORRECTS", lambda one: one["corrects"]["charge"], right=True),
    Column("IN CLAIM", lambda one: one["corrects"]["claim"], cut=True),
)
_ROLL_UPS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("AT", lambda one: at(one["at"])),
    Column("CLAIM", lambda one: one["claim"], cut=True),
    Column("BY", lambda one: one["by"], cut=True),
    Column("TAKEN BACK", lambda one: at(one["taken_back_at"])),
    Column("CHARGES", lambda one: joined(str(number) for number in one["charges"]), wraps=True),
)


@click.command()
@click.option("--patient", metavar="ID", help="An id, or AUTHORITY:id.")
@lists
@asks_the_broker
def current(api: Api, patient: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what the PM has accepted and nobody has rolled up yet, by patient and visit, oldest first."""
    query: dict[str, str | int] = {"patient": patient} if patient is not None else {}
    found = api.items("/charges/current", query | ({"cursor": cursor} if cursor is not None else {}), limit)
    if as_json:
        print_json(found)
        return
    items: list[dict[str, Any]] = sorted(found["items"], key=lambda one: (one["oldest"] or "", one["patient"] or ""))
    if not items:
        click.echo("Nothing to roll up.", err=True)
    else:
        for line in table(_CURRENT, items):
            click.echo(line)
    corrected = [charge for one in items for charge in one["charges"] if charge["corrects"] is not None]
    if corrected:
        click.echo("\nCharges that were corrected after they had gone into a claim:")
        for line in table(_CORRECTED, corrected):
            click.echo(line)
    if found["next"] is not None:
        click.echo(f"There are more: add --cursor {found['next']}", err=True)


@click.command("roll-up")
@click.argument("charges", nargs=-1, metavar="[CHARGE]...", type=click.IntRange(min=1))
@click.option("--patient", metavar="ID", help="With --visit instead of charges: all that is current of that visit.")
@click.option("--visit", metavar="VISIT", help="The visit's number.")
@click.option("--claim", required=True, metavar="REFERENCE", help="The PM's number of the claim.")
@click.option("--note", metavar="TEXT", help="Your own words, kept with it.")
@asks_the_broker
def roll_up(
    api: Api,
    charges: tuple[int, ...],
    patient: str | None,
    visit: str | None,
    claim: str,
    note: str | None,
    as_json: bool,
) -> None:
    """Note that charges went into a claim, which is made in the PM. Nothing is sent."""
    body: dict[str, Any] = {"claim": claim} | ({"note": note} if note is not None else {})
    if charges:
        body["charges"] = list(charges)
    body |= {name: value for name, value in (("patient", patient), ("visit", visit)) if value is not None}
    _say(api.post("/charges/roll-ups", body), "noted", as_json=as_json)


@click.command("roll-ups")
@click.option("--patient", metavar="ID", help="An id, or AUTHORITY:id.")
@click.option("--claim", metavar="REFERENCE", help="The PM's number of the claim.")
@lists
@asks_the_broker
def roll_ups(api: Api, patient: str | None, claim: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what was noted as rolled up, newest first."""
    empty = "No roll-up was noted."
    filters = {"patient": patient, "claim": claim}
    show(api, "/charges/roll-ups", _ROLL_UPS, limit=limit, cursor=cursor, as_json=as_json, empty=empty, **filters)


@click.command("take-back")
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept with it and in the audit.")
@asks_the_broker
def take_back(api: Api, number: int, reason: str, as_json: bool) -> None:
    """Take a noted roll-up back: its charges are current again."""
    _say(api.post(f"/charges/roll-ups/{number}/take-back", {"reason": reason}), "taken back", as_json=as_json)


def _say(done: dict[str, Any], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(done)
        return
    ids = ", ".join(map(str, done["charges"]))
    click.echo(f"Roll-up {done['id']} is {what}: claim {done['claim']}, charges {ids}.")


COMMANDS = (current, roll_up, roll_ups, take_back)
