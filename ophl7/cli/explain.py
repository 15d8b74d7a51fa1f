"""`ophl7 explain`: what would become of a message, told by the running broker, or on the database where none runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from ophl7 import settings
from ophl7.cli import access
from ophl7.cli.api import Api
from ophl7.cli.files import read_messages
from ophl7.cli.listing import PEER, print_json
from ophl7.cli.tables import WIDTH
from ophl7.cli.text import visible
from ophl7.errors import LinkDown, SettingsError


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--peer", type=PEER, required=True, help="Who would send it.")
@click.option("--url", metavar="URL", help="Where the broker's API is; else OPHL7_HTTP_LISTEN says so.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the token; else OPHL7_API_TOKEN, else the file that a broker on this machine leaves while it runs.",
)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for the broker.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's document, one JSON value.")
def command(file: Path, peer: str, url: str | None, token_file: Path | None, timeout: float, as_json: bool) -> None:
    """Tell what would become of the messages of FILE, by the real path: plan, verdicts, effects and answer. Changes nothing.

    Asks the broker that runs; where none does, a copy of its database is tried on. It shows patient data.
    """
    with click.open_file(str(file), "rb") as source:
        data = source.read()
    try:
        raw = b"".join(read_messages(data))
    except ValueError:
        raw = data  # what a listener would say of it
    found = _explain(raw, peer, url, token_file, timeout)
    if as_json:
        print_json(found)
        return
    for number, one in enumerate(found["items"], 1):
        for line in _lines(number, one):
            click.echo(line)


def _explain(raw: bytes, peer: str, url: str | None, token_file: Path | None, timeout: float) -> dict[str, Any]:
    try:
        api = Api(access.find(url, token_file), timeout)
        return api.ask("/explain", {"peer": peer}, raw)
    except LinkDown as down:
        if url is not None or down.kind != "unreachable":
            raise
    except SettingsError:
        settings.load(os.environ)  # what is wrong with them is told; only a port that nobody knows is none of our business
    click.echo("No broker runs here: this is what one would do that starts now on these settings and this database.", err=True)
    return asyncio.run(_without_a_broker(raw, peer))


async def _without_a_broker(raw: bytes, peer: str) -> dict[str, Any]:
    """On a copy of the database that is thrown away."""
    from ophl7.admin.explained import document
    from ophl7.admin.naming import side
    from ophl7.broker import HANDLER_SECONDS
    from ophl7.clock import SystemClock
    from ophl7.engine.explaining import Explainer
    from ophl7.engine.ids import Ids
    from ophl7.engine.router import Router
    from ophl7.engine.runner import Runner, Watchdog
    from ophl7.engine.timing import Clocks
    from ophl7.extend.loading import load_parts
    from ophl7.practice import policy_from
    from ophl7.store.rehearsal import rehearsal
    from ophl7.store.sqlite import SqliteStore

    chosen = settings.load(os.environ)
    parts = load_parts(handlers_path=chosen.handlers_path, plugins_path=chosen.plugins_path, enabled=chosen.plugins)
    router = Router(parts.handlers, parts.rules)
    with rehearsal(chosen.database_path, chosen.disk_reserve) as database, Watchdog(HANDLER_SECONDS) as watchdog:
        store = SqliteStore(database)
        try:
            ids = Ids(await store.open())
            now = SystemClock().now
            explainer = Explainer(store, router, policy_from(chosen), Runner(watchdog), Clocks(), now)
            return {"items": [document(one) for one in await explainer.explain(ids, side(peer), raw)], "next": None}
        finally:
            await store.close()


def _lines(number: int, one: dict[str, Any]) -> list[str]:
    """One message, for people."""
    named = ", ".join(part for part in (one["type"], one["control_id"] and f"control id {one['control_id']}") if part)
    why = " ".join(part for part in (one["reason"], one["row"] and f"(rule {one['row']})") if part)
    handlers = ", ".join(f"{handler['name']} ({handler['segment']})" for handler in one["handlers"])
    answer = one["answer"]
    facts: list[tuple[str, str | None]] = [
        ("patient", one["patient"]),
        ("handlers", handlers),
        ("decided", f"{one['state']}{': ' if one['reason'] else ' '}{why}"),
        *(("warning", f"{warning['code']} {warning['text']} (rule {warning['row']})") for warning in one["warnings"]),
        *(("waits for", f"{hold['key']}: {hold['reason']}") for hold in one["holds"]),
        *(("stored", line) for line in _stored(one["stored"])),
        *(("sent", line) for delivery in one["deliveries"] for line in _sent(delivery)),
        *(("releases", f"message {each['message']}, {each['state']} then") for each in one["released"]),
        ("answered", "nothing" if answer is None else answer["code"]),
    ]
    lines = [f"{'' if number == 1 else chr(10)}Message {number}: {visible(named or 'not readable')}"]
    for name, fact in facts:
        if fact:
            lines += _line(name, fact)
    lines += [f"{'':14}{visible(line)}" for line in (answer["text"] if answer is not None else "").split("\r") if line]
    for change in one["changes"]:
        lines += ["", *_line("change", _change(change))]
        lines += [line for verdict in change["verdicts"] for line in _line("", _said(verdict))]
    return lines


def _line(name: str, fact: str) -> list[str]:
    return wrap(visible(fact).strip(), WIDTH, initial_indent=f"  {name:<11} ", subsequent_indent=" " * 14)


def _change(change: dict[str, Any]) -> str:
    """What was proposed, by whom, and whether it is taken."""
    said = " ".join(part for part in (change["change"], change["path"], change["offered"]) if part)
    known = f", known as {change['current']}" if change["current"] else ""
    by = f", proposed by {change['handler']}" if change["handler"] else ""
    return f"{said}{known}{by}: {'taken' if change['taken'] else 'not taken'}"


def _stored(stored: dict[str, Any]) -> list[str]:
    def word(each: dict[str, Any]) -> str:
        return "new" if each["new"] else "changed"

    lines = [f"patient {each['patient']}, {word(each)}" for each in stored["patients"]]
    lines += [f"appointment {each['reference']}, {word(each)}: {each['status']}" for each in stored["appointments"]]
    lines += [
        f"charge {each['transaction_id'] or '-'} {each['procedure'] or ''}: {each['state']}" for each in stored["charges"]
    ]
    return lines + [f"{each['field']} not taken; {each['kept'] or 'nothing'} stays" for each in stored["drift"]]


def _sent(delivery: dict[str, Any]) -> list[str]:
    to = delivery["destination"].upper()
    if not delivery["own"]:
        return [f"to the {to}: the copy of a released message"]
    changed = delivery["differences"]
    if not changed:
        return [f"to the {to}, byte for byte but for MSH-10"]
    return [f"to the {to}, changed:", *(f"{one['path']}: {one['before'] or '-'} > {one['after'] or '-'}" for one in changed)]


def _said(verdict: dict[str, Any]) -> str:
    row = f" {verdict['row']}" if verdict["row"] else ""
    text = ", ".join(part for part in (verdict["code"], verdict["text"]) if part)
    return f"{verdict['rule']}: {verdict['outcome']}{row}{f' ({text})' if text else ''}"
