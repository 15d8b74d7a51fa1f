"""`ophl7 demo`: a broker between a simulated PM and a simulated EMR, in one process, for somebody who wants to see it work."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from ophl7.broker import Broker, Listening
from ophl7.links import SIDES
from ophl7.mllp.sender import Address as BrokerAddress
from ophl7.observe.logs import LibraryLines, Log, loop_faults, make_log
from ophl7.settings import PREFIX, Settings, load, settings_table
from ophl7.simulate.asking import Asker
from ophl7.simulate.comparing import differences
from ophl7.simulate.player import Playbill, Player
from ophl7.simulate.role import Role, SetUp
from ophl7.simulate.tally import Teller
from ophl7.simulate.truth import Document, counts
from ophl7.units import ZONE_REQUIRED, Address, listen_address

_LISTENS: Final = ("PM_LISTEN", "EMR_LISTEN", "HTTP_LISTEN")
# What somebody's own settings may change in a demo. Everything else might lead to his real systems and his real database.
_KEPT: Final = frozenset({*_LISTENS, "TIMEZONE", "API_TOKEN", "API_TOKEN_FILE", "LOG_FORMAT", "LOG_LEVEL", "SHUTDOWN_GRACE"})

_LOOK_SECONDS: Final = 0.05
_SETTLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Showing:
    """What is shown.

    pause: seconds between two messages of one side. outage: seconds for which the EMR is away; 0 for never. once: end when the
    day is over. folder: where the database is kept; None for a temporary one, which is removed at the end.
    """

    set_up: SetUp
    seed: int
    patients: int
    start: date
    pause: float
    outage: float
    once: bool
    folder: Path | None


async def demo(environ: Mapping[str, str], showing: Showing, out: TextIO = sys.stdout) -> bool:
    """Runs until the day is over (`once`), or until SIGTERM or SIGINT. False when something was not as it should be.

    Raises SettingsError and what else stops the broker's start.
    """
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    with _folder(showing.folder) as folder:
        stage = _Stage(showing, folder, out)
        async with stage.set(environ):
            return await stage.play(told)


class _Stage:
    """Everything that one demo owns: the broker, both simulated systems, and what is said about them."""

    def __init__(self, showing: Showing, folder: Path, out: TextIO) -> None:
        self._showing = showing
        self._database = folder / "ophl7-demo.db"
        self._out = out
        self._players: list[Player] = []
        self._broker: Broker
        self._listening: Listening
        self._broken: asyncio.Future[None]

    @asynccontextmanager
    async def set(self, environ: Mapping[str, str]) -> AsyncIterator[None]:
        """Opens the receivers, then the broker that delivers to them; lets all of it go in the opposite order."""
        showing = self._showing
        for side in SIDES:
            role = Role(side, showing.set_up, seed=showing.seed, version="2.5.1", patients=showing.patients)
            outage = showing.outage if side == "emr" else 0.0
            bill = Playbill(showing.start, pause=showing.pause, outage=outage, patience=0.0)
            self._players.append(Player(role, Address("127.0.0.1", 0), Teller(side, self._say), bill))
        try:
            for player in self._players:
                await player.open()
            settings = load(self._settings(environ))
            with _log(settings) as log:
                self._broker = Broker(settings, log)
                self._listening = await self._broker.start()
                self._broken = asyncio.ensure_future(self._broker.broken())
                try:
                    self._introduce(environ)
                    yield
                finally:
                    self._say("\nStopping: what was received is being answered, what is being sent may finish.")
                    await self._broker.drain(settings.shutdown_grace)
                    self._broken.cancel()  # not before: what ends because of us is no fault
                    await asyncio.gather(self._broken, return_exceptions=True)
        finally:
            for player in self._players:
                await player.close()
        self._say("Stopped.")

    async def play(self, told: asyncio.Event) -> bool:
        """The day, and after it a look at what the broker holds."""
        addresses = (self._listening.pm, self._listening.emr)
        playing = [
            asyncio.ensure_future(player.play(BrokerAddress(*address)))
            for player, address in zip(self._players, addresses, strict=True)
        ]
        stopping = asyncio.ensure_future(told.wait())
        ends: list[asyncio.Future[Any]] = [*playing, stopping, self._broken]
        evening = asyncio.ensure_future(self._evening())
        right = True
        try:
            await asyncio.wait([*ends, evening], return_when=asyncio.FIRST_COMPLETED)
            if evening.done():
                right = await evening
                if not self._showing.once:
                    self._say("\nGo on looking around as long as you like. Ctrl-C ends it.")
                    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            evening.cancel()
            stopping.cancel()
            for player in self._players:
                player.stop()
            outcomes = await asyncio.gather(*playing, evening, stopping, return_exceptions=True)
        if self._broken.done():
            await self._broken
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return right

    async def _evening(self) -> bool:
        """Waits for the end of the day, compares, and tells."""
        while not all(player.idle for player in self._players):  # noqa: ASYNC110 - both sides' events, and more than once
            await asyncio.sleep(_LOOK_SECONDS)
        settled = await self._settled()
        documents = [player.truth.document() for player in self._players]
        web = urlsplit(self._broker.web_address)
        asker = Asker(web.hostname or "", web.port or 0, self._broker.token)
        wrong = differences(documents, await asker.held(documents))
        surprises = sum(player.tally.surprises for player in self._players)
        self._sum_up(documents, await asker.items("/holds"), wrong)
        if not settled:
            self._say("  Some messages wait still; the status page says for what.")
        return settled and not wrong and not surprises

    async def _settled(self) -> bool:
        """Whether nothing waits any more; asked twice, because what arrives may make its receiver say something."""
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                quiet = 0
                while quiet < 2:
                    await asyncio.sleep(_LOOK_SECONDS)
                    waiting = self._broker.engine.waiting + sum(box.status.queued for box in self._broker.outboxes.values())
                    quiet = quiet + 1 if not waiting and all(player.idle for player in self._players) else 0
        except TimeoutError:
            return False
        return True

    # -- what is said -------------------------------------------------------------------------------------------------

    def _introduce(self, environ: Mapping[str, str]) -> None:
        left_out = sorted(name for name in environ if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in _KEPT)
        owner = "the PM" if self._showing.set_up == "pm/pm" else "the EMR"
        kept = "" if self._showing.folder is not None else " (removed at the end; --folder keeps it)"
        lines = [
            "This is a practice's day: a simulated PM and a simulated EMR with ophl7 between them. All people are invented.",
            "",
            f"  The PM sends to    {_shown(self._listening.pm)}",
            f"  The EMR sends to   {_shown(self._listening.emr)}",
            f"  Patients and schedule come from {owner}; charges come from the EMR.",
            f"  Everything is kept in {self._database}{kept}",
            f"  Status page: {self._broker.web_address}",
        ]
        if left_out:
            lines.append(f"  Not used here, so that no real system is touched: {', '.join(left_out)}")
        lines += ["", "Open the status page and watch. Below, each line is a message: who, when, what, and our answer.", ""]
        self._say("\n".join(lines))

    def _sum_up(self, documents: Sequence[Document], holds: Sequence[Document], wrong: Sequence[str]) -> None:
        counted = counts(documents)
        verdict = "the broker holds them exactly as the two sides left them." if not wrong else "BUT"
        refused = sum(count for player in self._players for code, count in player.tally.answers.items() if code != "AA")
        again = sum(player.tally.again for player in self._players)
        lines = [
            "",
            "The day is over.",
            "  " + ", ".join(_of(number, kind) for kind, number in counted.items()) + f": {verdict}",
            *(f"    {sentence}" for sentence in wrong),
            f"  {refused} messages were refused, each with a reason, because they came from the wrong side or said too little.",
            f"  {again} messages were sent twice, because an answer was lost: nothing happened twice.",
        ]
        if holds:
            reasons = "; ".join(sorted({one["reason"] for one in holds}))
            waits = "1 message waits" if len(holds) == 1 else f"{len(holds)} messages wait"
            lines.append(f"  {waits} for a person: {reasons}.")
        lines.append(f"  See for yourself: {self._broker.web_address}")
        self._say("\n".join(lines))

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)

    # -- settings -----------------------------------------------------------------------------------------------------

    def _settings(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The broker's: a database of its own, the simulated systems as its only destinations, free ports."""
        patients, schedule = self._showing.set_up.split("/")
        chosen = {
            "DATABASE_URL": f"sqlite:///{self._database.absolute()}",
            "PATIENT_AUTHORITY": patients,
            "SCHEDULE_AUTHORITY": schedule,
            "LOG_LEVEL": "error",
        }
        for side, player in zip(SIDES, self._players, strict=True):
            chosen[f"{side.upper()}_URL"] = f"mllp://{player.address}"
            chosen[f"{side.upper()}_RETRY"] = "1s..5s"
        chosen |= {name: environ[PREFIX + name] for name in sorted(_KEPT) if environ.get(PREFIX + name)}
        if chosen.get("TIMEZONE") == ZONE_REQUIRED:
            del chosen["TIMEZONE"]
        instead, remarks = free_ports(chosen, is_free)
        for remark in remarks:
            self._say(remark)
        return {PREFIX + name: value for name, value in (chosen | instead).items()}


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        yield wanted
        return
    with TemporaryDirectory(prefix="ophl7-demo-") as made:
        yield Path(made)


@contextmanager
def _log(settings: Settings) -> Iterator[Log]:
    """The broker's log, as `serve` has it."""
    log = make_log(settings.log_level, settings.log_format)
    asyncio.get_running_loop().set_exception_handler(loop_faults(log))
    library_lines = LibraryLines(log)
    logging.getLogger().addHandler(library_lines)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(library_lines)


def free_ports(chosen: Collection[str], free: Callable[[Address], bool]) -> tuple[dict[str, str], list[str]]:
    """For each default port that another program has: another address, and a sentence. chosen: settings that somebody made."""
    defaults = {row.name: row.default for row in settings_table()}
    instead: dict[str, str] = {}
    remarks: list[str] = []
    for name in _LISTENS:
        default = defaults[PREFIX + name]
        if name not in chosen and not free(listen_address(default)):
            instead[name] = "127.0.0.1:0"
            remarks.append(f"Another program uses {default}, so a free port is taken instead ({PREFIX}{name} would name one).")
    return instead, remarks


def is_free(address: Address) -> bool:
    """Whether nobody listens there just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError:
            return False
    return True


def _of(count: int, kind: str) -> str:
    """`1 merge`, `2 merges`."""
    return f"{count} {kind.removesuffix('s') if count == 1 else kind}"


def _shown(where: tuple[str, int]) -> str:
    return f"{where[0]} port {where[1]} (MLLP)"
