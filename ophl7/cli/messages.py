"""`ophl7 messages`: what came, what became of it, and one of them opened."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

import click

from ophl7.cli.api import Api
from ophl7.cli.listing import PEER, asks_the_broker, lists, print_json, show
from ophl7.cli.tables import WIDTH, Column, at, table
from ophl7.cli.text import visible

_STATES = click.Choice(["accepted", "rejected", "held", "ignored", "duplicate", "stale", "error"])
_COLUMNS = (
    Column("ID", lambda one: one["id"], right=True),
    Column("RECEIVED", lambda one: at(one["received_at"])),
    Column("FROM", lambda one: one["peer"].upper()),
    Column("TYPE", lambda one: one["type"]),
    Column("CONTROL ID", lambda one: one["control_id"], cut=True),
    Column("STATE", lambda one: one["state"]),
    Column("ACK", lambda one: one["ack"]),
    Column("PATIENT", lambda one: one["patient"], cut=True),
    Column("WHY", lambda one: one["reason"], wraps=True),
)
_VERDICTS = (
    Column("CHANGE", lambda one: one["change"]),
    Column("FIELD", lambda one: one["path"]),
    Column("VERDICT", lambda one: one["outcome"]),
    Column("RULE", lambda one: one["row"]),
    Column("CODE", lambda one: one["code"]),
    Column("WHY", lambda one: one["text"], wraps=True),
)
_STEPS = (
    Column("WHEN", lambda one: at(one["at"])),
    Column("STEP", lambda one: one["step"]),
    Column("WHAT", lambda one: one["text"], wraps=True),
)


@click.group()
def command() -> None:
    """Messages received, and what became of them."""


@command.command("list")
@click.option("--peer", type=PEER, help="Who sent it.")
@click.option("--type", "event", metavar="TYPE[^EVENT]", help="For example ADT^A08, or ADT.")
@click.option("--control-id", metavar="MSH-10", help="The sender's own number of the message.")
@click.option("--state", type=_STATES, help="What became of it.")
@click.option("--patient", metavar="ID", help="An id, or AUTHORITY:id.")
@click.option("--since", metavar="TIME", help="Received at or after; 2026-11-23 or 2026-11-23T08:30.")
@click.option("--until", metavar="TIME", help="Received before; a date is its end.")
@lists
@asks_the_broker
def list_messages(
    api: Api,
    peer: str | None,
    event: str | None,
    control_id: str | None,
    state: str | None,
    patient: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List messages, newest first. Times are in the practice's zone."""
    filters = {"peer": peer, "type": event, "control_id": control_id, "state": state, "patient": patient}
    span = {"since": since, "until": until}
    empty = "No message like that."
    show(api, "/messages", _COLUMNS, limit=limit, cursor=cursor, as_json=as_json, empty=empty, **filters, **span)


@command.command("show")
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@asks_the_broker
def show_message(api: Api, number: int, as_json: bool) -> None:
    """Show one message: its segments, what the rules said, and its way. It holds patient data; opening it is audited."""
    message = api.get(f"/messages/{number}")
    timeline = api.get(f"/messages/{number}/timeline")["items"]
    if as_json:
        print_json({"message": message, "timeline": timeline})
        return
    for line in [*_head(message), *_segments(message), *_said(message), "", *table(_STEPS, timeline)]:
        click.echo(line)


@command.command("replay")
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit.")
@click.option("--apply-stale", is_flag=True, help="Apply it although something newer of the same sender was applied.")
@click.option("--resend", is_flag=True, help="Send copies again to whoever has had one.")
@asks_the_broker
def replay_message(api: Api, number: int, reason: str, apply_stale: bool, resend: bool, as_json: bool) -> None:
    """Have a stored message judged again by the rules of today, as a message of its own. Its sender gets no answer."""
    done = api.post(f"/messages/{number}/replay", {"reason": reason, "apply_stale": apply_stale, "resend": resend})
    if as_json:
        print_json(done)
        return
    why = f": {visible(done['reason'])}" if done["reason"] else ""
    click.echo(f"Message {done['replay_of']} was judged again as message {done['id']}, which is {done['state']}{why}.")
    if done["waits_for"]:
        click.echo(f"It waits for: {', '.join(visible(key) for key in done['waits_for'])}")
    for copy in done["deliveries"]:
        click.echo(f"A copy goes to the {copy['destination'].upper()}: delivery {copy['id']}.")
    for side in done["spared"]:
        click.echo(f"The {side.upper()} had its copy before and gets no other; --resend sends one.")
    if done["released"]:
        click.echo(f"Messages that went on with it: {done['released']}")


def _head(message: dict[str, Any]) -> list[str]:
    why = " ".join(visible(part) for part in (message["reason"], message["row"] and f"(rule {message['row']})") if part)
    facts = {
        "received": f"{at(message['received_at'])} from {message['peer'].upper()}, connection {message['connection']}",
        "type": message["type"],
        "control id": message["control_id"],
        "patient": message["patient"],
        "state": f"{message['state']}{': ' if why else ''}{why}",
        "answer": message["ack"] or "none was given",
        "waits for": ", ".join(message["waits_for"]) if message["state"] == "held" else None,
        "repeats": message["repeats"] and f"message {message['repeats']}",
        "replay of": message["replay_of"] and f"message {message['replay_of']}",
    }
    lines = [f"Message {message['id']}"]
    for name, fact in facts.items():
        if fact:
            lines += wrap(visible(str(fact)), WIDTH, initial_indent=f"  {name:<11} ", subsequent_indent=" " * 14)
    return lines


def _segments(message: dict[str, Any]) -> list[str]:
    """One line a field that says something; MSH-1 is the separator itself."""
    lines = [""]
    for segment in message["segments"]:
        for number, field in enumerate(segment["fields"], 1):
            if field:
                lines.append(f"  {visible(segment['name'])}-{number:<4} {visible(field)}")
    return lines if len(lines) > 1 else ["", "  Its segments cannot be shown; GET /api/v1/messages/ID/raw has its bytes."]


def _said(message: dict[str, Any]) -> list[str]:
    lines = ["", *table(_VERDICTS, message["verdicts"])] if message["verdicts"] else []
    return lines + [
        f"  Warning {visible(one['code'])} {visible(one['text'])} (rule {visible(one['row'])})" for one in message["warnings"]
    ]
