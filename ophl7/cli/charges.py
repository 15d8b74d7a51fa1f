"""`ophl7 charges`: the ledger."""

from __future__ import annotations

import click

from ophl7.cli import charge_days, charge_roll_ups
from ophl7.cli.api import Api
from ophl7.cli.listing import asks_the_broker, lists, show
from ophl7.cli.tables import Column, joined

_STATES = click.Choice(["held", "queued", "accepted", "rejected", "parked", "cancelled", "skipped"])
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("DATE", lambda one: (one["date"] or "")[:10]),
    Column("PATIENT", lambda one: one["patient"], cut=True),
    Column("NUMBER", lambda one: one["transaction_id"], cut=True),
    Column("KIND", lambda one: one["kind"]),
    Column("CODE", lambda one: joined([one["procedure"] or "", *one["modifiers"]]).strip(), cut=True),
    Column("UNITS", lambda one: one["units"], right=True),
    Column("AMOUNT", lambda one: one["amount"], right=True),
    Column("DIAGNOSES", lambda one: joined(one["diagnoses"]), cut=True),
    Column("STATE", lambda one: one["state"]),
    Column("MESSAGE", lambda one: one["message"], right=True),
)


@click.group()
def command() -> None:
    """Charges, also held and refused ones."""


@command.command("list")
@click.option("--patient", metavar="ID", help="An id, or AUTHORITY:id.")
@click.option("--state", type=_STATES, help="Where it stands.")
@click.option("--date", metavar="DATE", help="The service date: 2026-11-23.")
@lists
@asks_the_broker
def list_charges(
    api: Api, patient: str | None, state: str | None, date: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List charges, newest first."""
    show(
        api,
        "/charges",
        _COLUMNS,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
        empty="No charge like that.",
        patient=patient,
        state=state,
        date=date,
    )


for part in (*charge_days.COMMANDS, *charge_roll_ups.COMMANDS):
    command.add_command(part)
