"""`ophl7 db purge`, `backup` and `verify`: the care of the database, beside a running broker or without one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ophl7 import settings
from ophl7.cli import access, loop
from ophl7.cli.api import Api
from ophl7.cli.exits import Exit
from ophl7.cli.listing import print_json


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would be removed, by kind and age.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def purge(dry_run: bool, as_json: bool) -> int:
    """Remove now what OPHL7_RETENTION and OPHL7_AUDIT_RETENTION no longer keep.

    What is undelivered, held or disputed never goes. A running broker does it by itself, in small steps; it is asked to begin.
    """
    from ophl7.clock import SystemClock
    from ophl7.engine.retention import Keep
    from ophl7.errors import DatabaseLocked

    chosen = settings.load(os.environ)
    keep = Keep(chosen.retention, chosen.audit_retention)
    if dry_run:
        return _preview(chosen.database_path, keep.ages(SystemClock()), as_json=as_json)
    if not chosen.database_path.is_file():
        click.echo(f"There is no database: {chosen.database_path}", err=True)
        return Exit.CONFIGURATION
    try:
        found = loop.run(_purge(chosen.database_path, keep))
    except DatabaseLocked:
        found = Api(access.find(None, None), 30.0).post("/retention/run", {"reason": "ophl7 db purge"})
        if as_json:
            print_json(found)
        else:
            click.echo("The running broker has begun; its log says what it removed.")
        return Exit.OK
    if as_json:
        print_json(found)
    else:
        rows = f"{found['rows']} rows, {found['audit']} audit rows, {found['alarms']} alarms"
        click.echo(f"Removed: the bodies of {found['bodies']} messages, {rows}.")
        _tell_kept(found["kept"])
    return Exit.OK


async def _purge(database: Path, keep: Any) -> dict[str, Any]:  # noqa: ANN401 - engine.retention.Keep, imported when it is needed
    from ophl7.clock import SystemClock
    from ophl7.engine.retention import at_once, retire_all
    from ophl7.keeping import told
    from ophl7.store.sqlite import SqliteStore

    store = SqliteStore(database)
    await store.open()
    try:
        return told(await retire_all(store, keep.ages(SystemClock()), at_once, _no_pause))
    finally:
        await store.close()


async def _no_pause(_seconds: float) -> None:
    """Nobody waits for this database."""


def _preview(database: Path, ages: Any, *, as_json: bool) -> int:  # noqa: ANN401 - engine.retention.Ages
    from ophl7.store.care import looking, preview

    with looking(database) as connection:
        found = preview(connection, ages)
    if as_json:
        bodies, rows = ([{"years": age, "messages": count} for age, count in sorted(one.items())] for one in found[:2])
        told = {"bodies": bodies, "rows": rows, "audit": found.audit, "alarms": found.alarms}
        print_json({**told, "kept": dict(sorted(found.kept.items()))})
        return Exit.OK
    for kind, counts in (("bodies of messages", found.bodies), ("rows of messages", found.rows)):
        click.echo(f"{kind:<20}{sum(counts.values()):>10}")
        for age, count in sorted(counts.items()):
            click.echo(f"{f'  {age} to {age + 1} years old':<20}{count:>10}")
    click.echo(f"{'audit rows':<20}{found.audit:>10}")
    click.echo(f"{'alarms that ended':<20}{found.alarms:>10}")
    _tell_kept(found.kept)
    return Exit.OK


_WHY = {
    "held": "held",
    "undelivered": "not delivered yet, or nobody knows whether",
    "resend": "a run that sends everything again comes to them yet",
    "taken_back": "a copy that waits takes their charges back",
    "charge": "a charge of theirs is not settled",
    "replay": "judged again, and that is not settled",
    "merge": "behind charts that one side alone has merged, or in conflict",
    "drift": "offered a value that was not taken, and the chart still holds another",
    "ledger": "charges are told apart by their rows",
    "newest": "numbers are counted on from their rows",
    "replayed": "a later row names theirs",
    "last": "the last of a patient, which its sender may repeat",
    "chart": "values of a chart came from them",
}


def _tell_kept(kept: dict[str, int]) -> None:
    for why, count in sorted(kept.items()):
        click.echo(f"Kept {count}: {_WHY.get(why, why)}")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> int:
    """Write a whole copy of the database into FILE, which only its owner may read. The broker may run.

    FILE must not exist. To restore, stop the broker and put the copy where the database was, and remove the
    -wal and -shm files that are there.
    """
    from ophl7.store.care import back_up

    database = settings.load(os.environ).database_path
    size = back_up(database, file)
    click.echo(f"{file}: {size / 2**20:.1f} MiB, as of one moment, on the disk")
    return Exit.OK


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
def verify(as_json: bool) -> int:
    """Check pages, indexes, references, queues and the chain of the audit. Exit status 4 when something is wrong.

    Works while the broker runs, or on a copy of `ophl7 db backup` that OPHL7_DATABASE_URL names.
    """
    from ophl7.engine.chain_walk import verify_chain
    from ophl7.store.care import DirectChain, faults, looking

    database = settings.load(os.environ).database_path
    with looking(database) as connection:
        found = faults(connection)
        chain = loop.run(verify_chain(DirectChain(connection)))
    if chain.fault is not None:
        found.append(f"audit: {chain.fault}")
    if as_json:
        print_json({"ok": not found, "faults": found, "audit": chain.document()})
    elif found:
        for fault in found:
            click.echo(fault)
    else:
        removed = f" ({chain.removed} older ones were removed by retention)" if chain.removed else ""
        click.echo(f"The database is whole; the audit has {chain.rows} rows, each as it was written{removed}.")
    return Exit.REFUSED if found else Exit.OK


COMMANDS = (purge, backup, verify)
