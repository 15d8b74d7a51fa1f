"""`ophl7 simulate pm|emr`: a practice management system or an EMR that plays a practice's day."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import click

from ophl7 import units
from ophl7.cli import loop
from ophl7.cli.exits import Exit
from ophl7.mllp.sender import Address as BrokerAddress
from ophl7.mllp.sender import parse_url
from ophl7.simulate.hand import VERSIONS
from ophl7.simulate.player import Playbill, Player
from ophl7.simulate.role import SET_UPS, Role, SetUp
from ophl7.simulate.tally import Teller

_LISTENERS: Final = {"pm": "mllp://127.0.0.1:2575", "emr": "mllp://127.0.0.1:2576"}
_RECEIVERS: Final = {"pm": "127.0.0.1:2675", "emr": "127.0.0.1:2676"}


def reads(reader: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """The callback of an option whose text `reader` makes a value of; the sentence of its ValueError is the usage error."""

    def callback(ctx: click.Context, param: click.Parameter, text: str | None) -> Any:  # noqa: ANN401 - the reader's value
        if text is None:
            return None
        try:
            return reader(text)
        except ValueError as error:
            said = str(error)
            raise click.BadParameter(said if said.startswith(repr(text)) else f"{text!r} {said}", ctx, param) from error

    return callback


def read_pace(text: str) -> float:
    """`fast` or messages a second, as the seconds between two messages."""
    if text == "fast":
        return 0.0
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ValueError("is no pace; write fast, or how many messages a second, for example 2 or 0.5")
    return 1.0 / rate


def read_date(text: str) -> date:
    """`2026-01-05` or `today`. Raises ValueError, also for days that no chart number can be made of."""
    try:
        day = date.today() if text == "today" else date.fromisoformat(text)  # noqa: DTZ011 - the practice's own calendar
    except ValueError:
        raise ValueError("is no day; write today or for example 2026-01-05") from None
    if day.year < 2020:
        raise ValueError("is too long ago; write a day from 2020-01-01 on")
    return day


def read_listener(text: str) -> BrokerAddress:
    """The broker's listener."""
    address = parse_url(text)
    if address.tls:
        raise ValueError("asks for TLS, which the simulators do not speak; use mllp:// and a listener without TLS")
    return address


@dataclass(frozen=True, slots=True)
class _Where:
    """to: the broker. listen: the simulator's own receiver. expect: file for what the broker must hold."""

    to: BrokerAddress
    listen: units.Address
    expect: Path | None


@click.command()
@click.argument("side", type=click.Choice(["pm", "emr"]))
@click.option(
    "--to",
    callback=reads(read_listener),
    metavar="mllp://HOST:PORT",
    help="The broker's listener for this side. [default: 127.0.0.1, port 2575 for the PM, 2576 for the EMR]",
)
@click.option(
    "--listen",
    callback=reads(units.listen_address),
    metavar="HOST:PORT",
    help="Where it receives what the broker delivers. [default: 127.0.0.1, port 2675 for the PM, 2676 for the EMR]",
)
@click.option("--set-up", default="pm/pm", show_default=True, type=click.Choice(SET_UPS), help="Who owns patients/schedule.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0, 99_999), help="Another seed, other people.")
@click.option("--patients", default=12, show_default=True, type=click.IntRange(1, 400), help="Children a day.")
@click.option("--date", "start", default="today", show_default=True, callback=reads(read_date), help="The first day.")
@click.option("--days", default=1, show_default=True, type=click.IntRange(0), help="How many days; 0 for no end.")
@click.option("--once", is_flag=True, help="Leave when the days are over and nothing comes any more; else go on receiving.")
@click.option(
    "--quiet",
    callback=reads(units.duration),
    help="With --once: how long nothing must come. [default: ten messages' time, 5s at least]",
)
@click.option("--pace", default="2", show_default=True, callback=reads(read_pace), help="Messages a second, or fast.")
@click.option("--version", default="2.5.1", show_default=True, type=click.Choice(VERSIONS), help="The HL7 version it speaks.")
@click.option(
    "--outage", default="0", callback=reads(units.duration), help="Be away for that long in the middle of the day, e.g. 10s."
)
@click.option(
    "--wait",
    "patience",
    callback=reads(units.duration),
    help="How long to wait for a broker that does not answer; 0 for ever. [default: 60s, with --days 0 for ever]",
)
@click.option("--expect", type=click.Path(dir_okay=False, path_type=Path), help="Write what the broker must hold now, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def command(
    side: Literal["pm", "emr"],
    to: BrokerAddress | None,
    listen: units.Address | None,
    set_up: SetUp,
    seed: int,
    patients: int,
    start: date,
    days: int,
    once: bool,
    quiet: float | None,
    pace: float,
    version: str,
    outage: float,
    patience: float | None,
    expect: Path | None,
    as_json: bool,
) -> int:
    """Play a practice management system (pm) or an EMR (emr): all people are invented.

    The owner of patients and schedule begins the day; the other side waits for what the broker delivers. The same seed and
    date make the same messages. Try against a test broker only: it registers, books, charges, and tries what it may not.
    Exit status 0, 3 when the broker was given up, 4 when an answer was not the one that the set-up asks for.
    """
    role = Role(side, set_up, seed=seed, version=version, patients=patients)
    if patience is None:
        patience = 60.0 if days else 0.0
    if quiet is None:
        quiet = max(5.0, 10 * pace)
    bill = Playbill(start, days, once=once, quiet=quiet, pause=pace, outage=outage, patience=patience)
    where = _Where(
        to if to is not None else read_listener(_LISTENERS[side]),
        listen if listen is not None else units.listen_address(_RECEIVERS[side]),
        expect,
    )
    return loop.run(_play(role, where, bill, as_json=as_json))


async def _play(role: Role, where: _Where, bill: Playbill, *, as_json: bool) -> int:
    teller = Teller(role.side, click.echo, as_json=as_json)
    player = Player(role, where.listen, teller, bill)
    running = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        running.add_signal_handler(name, player.stop)
    await player.open()
    teller.remark(f"receives at {player.address}, sends to {where.to}; set-up {role.set_up}, seed {role.seed}")
    if not role.owns:
        teller.remark("waits for what the broker delivers: the other side begins the day")
    try:
        await player.play(where.to)
    finally:
        await player.close()
        teller.summary(player.tally)
        if where.expect is not None:
            where.expect.write_text(json.dumps(player.truth.document(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return Exit.REFUSED if player.tally.surprises else Exit.OK
