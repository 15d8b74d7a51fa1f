"""`ophl7 serve`: starts the broker, says what it does, and lets it go when it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TextIO

from ophl7 import __version__
from ophl7.broker import Broker, Listening
from ophl7.extend.loading import Loaded
from ophl7.links import SIDES
from ophl7.observe.logs import LibraryLines, loop_faults, make_log
from ophl7.settings import PeerSettings, Settings
from ophl7.units import nearby

_NAMES = {"pm": "practice management (PM)", "emr": "EMR"}


async def serve(settings: Settings, out: TextIO = sys.stdout) -> int:
    """Runs the broker until SIGTERM or SIGINT; the exit status. Raises what stops the start (see Broker.start)."""
    loop = asyncio.get_running_loop()
    told, hurried = _signals(loop)  # before anything else: as the first process of a container it has no default to rely on
    stopping = asyncio.ensure_future(told.wait())
    log = make_log(settings.log_level, settings.log_format)
    loop.set_exception_handler(loop_faults(log))
    library_lines = LibraryLines(log)  # what libraries say through logging, without its text: it may quote a message
    logging.getLogger().addHandler(library_lines)
    broker = Broker(settings, log)
    listening = await _started(broker, stopping)
    if listening is None:
        print("Stopped before it listened; the next start goes on from here.", file=out, flush=True)
        return 0
    # What was imported and built so far lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    notes = broker.certificates.look()
    print(start_text(settings, broker.parts, listening, broker.web_address, notes), file=out, flush=True)
    log.info("started", version=__version__, pid=os.getpid())
    broken = asyncio.ensure_future(broker.broken())
    try:
        await asyncio.wait({broken, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            await broker.stop()
            await broken
        return await _let_go(broker, settings.shutdown_grace, hurried, out)
    finally:
        logging.getLogger().removeHandler(library_lines)
        for task in (broken, stopping):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(broken, stopping, return_exceptions=True)


async def _started(broker: Broker, stopping: asyncio.Future[Any]) -> Listening | None:
    """Where it listens; None when it was told to stop before that, and everything is closed again. Raises as Broker.start.

    Steps of an upgrade that have begun are not broken off: they are made whole first.
    """
    starting = asyncio.ensure_future(broker.start())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
    if starting.cancelled():
        return None
    return starting.result()


async def _let_go(broker: Broker, grace: float, hurried: asyncio.Event, out: TextIO) -> int:
    """Drains within the grace; a second signal stops at once, as safe as a kill."""
    print("Stopping: what was received is being answered, what is being sent may finish.", file=out, flush=True)
    draining = asyncio.ensure_future(broker.drain(grace))
    impatient = asyncio.ensure_future(hurried.wait())
    await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
    impatient.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await broker.stop()
        print("Stopped at once. Nothing acknowledged is lost; whoever got no answer sends again.", file=out, flush=True)
        return 0
    outcome = draining.result()
    words = "Stopped." if outcome == "clean" else "Stopped when the grace was over; whoever got no answer sends again."
    print(words, file=out, flush=True)
    return 0


def _signals(loop: asyncio.AbstractEventLoop) -> tuple[asyncio.Event, asyncio.Event]:
    """The first SIGTERM or SIGINT, and the second."""
    told, hurried = asyncio.Event(), asyncio.Event()

    def received() -> None:
        (hurried if told.is_set() else told).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    return told, hurried


def start_text(settings: Settings, parts: Loaded, listening: Listening, web: str, notes: Sequence[str] = ()) -> str:
    """What somebody at the front desk can make sense of: who sends where, who gets what, where to look, what to do next.

    notes: more that wants attention, a sentence each.
    """
    lines = ["ophl7 is running.", ""]
    for side in SIDES:
        host, port = getattr(listening, side)
        lines.append(f"  The {_NAMES[side]} sends its messages to   {host} port {port} ({_speech(settings.peer(side))})")
    lines.append("")
    for side in SIDES:
        url = settings.peer(side).url
        where = str(url) if url is not None else f"nowhere yet; they wait safely until OPHL7_{side.upper()}_URL is set"
        lines.append(f"  Messages for the {_NAMES[side]} go to   {where}")
    lines += ["", f"  {_authority(settings)}", f"  Everything is kept in {settings.database_path}", f"  Status page: {web}"]
    lines += _warnings(settings, parts, notes)
    host, port = listening.pm
    command, file = _first_words()
    lines += [
        "",
        "Next: send the first registration from another terminal",
        f"  {command} send {file} --to {_address(settings.pm, nearby(host), port)}",
        "Stop with Ctrl-C.",
    ]
    return "\n".join(lines)


def _first_words() -> tuple[str, str]:
    """The command and a file as one would type them here: in a checkout the tour's, elsewhere (a wheel, an image) one's own."""
    tour = Path("examples/tour/1-registration.hl7")
    return (".venv/bin/ophl7", str(tour)) if tour.exists() else ("ophl7", "FILE")


def _speech(peer: PeerSettings) -> str:
    """What a listener speaks."""
    if peer.tls_cert is None:
        return "MLLP"
    asked = {"none": "", "want": ", a certificate is checked if one is shown", "must": ", with a certificate only"}
    return f"MLLP over TLS{asked[peer.tls_client_auth]}"


def _address(peer: PeerSettings, host: str, port: int) -> str:
    """Where `ophl7 send` finds a listener, with the options that it needs for it."""
    if peer.tls_cert is None:
        return f"mllp://{host}:{port}"
    shown = " --tls-cert CERTIFICATE --tls-key KEY" if peer.tls_client_auth == "must" else ""
    return f"mllps://{host}:{port} --tls-ca AUTHORITY{shown}"


def _authority(settings: Settings) -> str:
    owner = {"pm": "the PM", "emr": "the EMR"}
    patients, schedule = owner[settings.patient_authority], owner[settings.schedule_authority]
    if patients == schedule:
        return f"Patients and schedule come from {patients}; charges come from the EMR."
    return f"Patients come from {patients}, the schedule from {schedule}, charges from the EMR."


def _warnings(settings: Settings, parts: Loaded, notes: Sequence[str]) -> Sequence[str]:
    found = [f"  ATTENTION: {note}" for note in notes]
    if settings.learn_until is not None:
        day = settings.learn_until.isoformat()
        found.append(f"  ATTENTION: until {day} unknown patients are learned from any complete message (OPHL7_LEARN_UNTIL)")
    if parts.off:
        found.append(f"  ATTENTION: these shipped parts are switched off: {', '.join(parts.off)}")
    for side in SIDES:
        peer = settings.peer(side)
        known = peer.allow or peer.tls_client_auth == "must"
        if _reachable_from_outside(peer.listen.host) and not known:
            found.append(
                f"  ATTENTION: anybody who reaches port {peer.listen.port} is taken for the {side.upper()}; "
                f"set OPHL7_{side.upper()}_ALLOW to its address"
            )
    return ["", *found] if found else []


def _reachable_from_outside(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
