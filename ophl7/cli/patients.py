"""`ophl7 patients`: load the lists of patients that both systems have before go-live, and show one patient."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

import click

from ophl7 import settings
from ophl7.cli import loop
from ophl7.cli.exits import Exit
from ophl7.cli.text import visible
from ophl7.domain.patient import Side

if TYPE_CHECKING:
    from ophl7.admin.ports import Reads
    from ophl7.golive.loading import Loaded, Order

_BROKEN_OFF = "Broken off. What was loaded stays; give the same command again and it goes on there (standard input cannot)."


@click.group()
def command() -> None:
    """Load the patients that both systems have, and show one of them."""


@command.command()
@click.argument(
    "lists", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--peer", required=True, type=click.Choice(["pm", "emr"], case_sensitive=False), help="Whose list it is.")
@click.option("--dry-run", is_flag=True, help="Judge everything and write nothing; the broker may be running.")
@click.option("--again", is_flag=True, help="Load also what was loaded already.")
@click.option("--report", type=click.Path(dir_okay=False, writable=True), help="Write what was not taken into this CSV file.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def load(lists: tuple[str, ...], peer: Side, dry_run: bool, again: bool, report: str | None, as_json: bool) -> None:
    """Load lists of patients into the registry and send nothing to anybody.

    A FILE (- is standard input) holds HL7 messages (ADT A28 A31 A08 A04 A05 A01; bare, in MLLP blocks or a batch) or CSV with a
    line that names its columns: id, last_name, first_name, birth_date, sex and more (docs/howto/go-live.md). The broker must be
    stopped. A load that was broken off goes on where it was when the same command is given again. Exit status 0 when every list
    was read to its end, whatever of it was not taken.
    """
    chosen = settings.load(os.environ)
    from ophl7.golive.loading import Order

    _not_a_list(report, lists)
    order = Order(lists, peer, _actor(), again=again, dry_run=dry_run)
    with ExitStack() as stack:
        file = stack.enter_context(_opened(report)) if report is not None else None
        loaded = _load(chosen, order, file, quiet=as_json)
    if as_json:
        click.echo(json.dumps(loaded))


def _load(chosen: settings.Settings, order: Order, file: TextIO | None, *, quiet: bool) -> dict[str, Any]:
    from ophl7.cli.list_telling import ListTeller, document
    from ophl7.golive.loading import load_lists

    copy = "a copy of " if order.dry_run else ""
    click.echo(f"Into {copy}the database {chosen.database_path.absolute()}", err=True)
    teller = ListTeller(order, file, quiet=quiet)
    try:
        found: list[Loaded] = loop.run(load_lists(chosen, order, teller))
    except BaseException:
        if teller.began:
            click.echo(_BROKEN_OFF, err=True)
        raise
    finally:
        teller.close()
    return document(order, found, teller)


def _opened(report: str) -> TextIO:
    try:
        return Path(report).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise click.UsageError(f"--report: {report} cannot be written: {error.strerror}") from error


def _not_a_list(report: str | None, lists: tuple[str, ...]) -> None:
    """A report that is one of the lists would empty it before it is read."""
    if report is None or not Path(report).exists():
        return
    if any(name != "-" and Path(name).samefile(report) for name in lists):
        raise click.UsageError("--report: this is one of the lists; name another file")


def _actor() -> str:
    """Who types, for the audit."""
    try:
        return f"command line ({getuser()})"
    except (KeyError, OSError, ImportError):  # a container's user has no name
        return f"command line (user {os.getuid()})"


@dataclass(frozen=True, slots=True)
class _Desk:
    """What looking somebody up needs (admin.ports.Registry), from the database alone."""

    reads: Reads
    zone: ZoneInfo
    authorities: Mapping[Side, str]


@command.command()
@click.argument("identifier")
@click.option("--json", "as_json", is_flag=True, help="Print the document of GET /api/v1/patients/IDENTIFIER.")
def show(identifier: str, as_json: bool) -> int:
    """Show the patient with this IDENTIFIER: a bare id or AUTHORITY:id. Works whether the broker runs or not.

    Exit status 4 when nobody, or more than one, has this identifier.
    """
    found = loop.run(_look_up(settings.load(os.environ), identifier))
    if isinstance(found, str):
        click.echo(found, err=True)
        return Exit.REFUSED
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        for line in _lines(found):
            click.echo(visible(line))
    return Exit.OK


async def _look_up(chosen: settings.Settings, identifier: str) -> dict[str, Any] | str:
    """The patient's document, or the sentence that says why there is none."""
    from ophl7.admin.people import one_patient
    from ophl7.admin.problems import Problem
    from ophl7.store.reader import SqliteReader

    reader = SqliteReader(chosen.database_path)
    try:
        desk = _Desk(reader, chosen.timezone, {"pm": chosen.pm.authority, "emr": chosen.emr.authority})
        return await one_patient(desk, identifier)
    except Problem as problem:
        several = problem.more.get("patients")
        listed = f": {', '.join(several)}" if isinstance(several, list) else ""
        return f"{problem.detail}{listed}"
    finally:
        await reader.close()


def _lines(found: dict[str, Any]) -> list[str]:
    name = [part for part in found["name"].values() if part]
    facts = {
        "identifiers": ", ".join(
            f"{one['authority']}:{one['id']}" + (f" ({one['type']})" if one["type"] else "") for one in found["identifiers"]
        ),
        "name": " ".join(name) or "-",
        "birth date": found["birth_date"] or "-",
        "sex": found["sex"] or "-",
        "active": ", ".join(f"{side.upper()} {'yes' if active else 'no'}" for side, active in found["active"].items()),
        "merged into": ", ".join(f"{side.upper()} {into or '-'}" for side, into in found["merged_into"].items()),
        "provisional": "yes" if found["provisional"] else "no",
        "known since": found["created_at"],
        "last message": str(found["message"]),
    }
    lines = [f"{label:<14}{text}" for label, text in facts.items()]
    for path, value in found["fields"].items():
        origin = found["origins"].get(path)
        came = f"   (message {origin['message']}, {origin['rule'] or 'no rule'}, {origin['at']})" if origin is not None else ""
        first, *more = value.split("\r")
        lines += [f"{path:<14}{first}{came}", *(f"{path:<14}{line}" for line in more)]
    return lines
