"""The running broker: every room wired together, started in order and let go in order. Nothing else knows them all."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ophl7 import __version__, doorkey
from ophl7.admin.app import make_app
from ophl7.admin.ports import Face
from ophl7.admin.resend_ports import ResendFace
from ophl7.admin.server import HttpServer
from ophl7.alarm_keeper import AlarmKeeper
from ophl7.alarm_settings import hours_of, limits_of, webhook_of
from ophl7.book_orders import books_of
from ophl7.certificates import CertificateWatch, PeerTls, read_tls
from ophl7.clock import SystemClock
from ophl7.descriptors import fit_connections
from ophl7.disk import DiskWatch, free_bytes
from ophl7.domain.office_hours import OfficeHours
from ophl7.domain.patient import Side
from ophl7.draining import Drains
from ophl7.engine.code_entries import CodeEntries
from ophl7.engine.custody import Custody
from ophl7.engine.deciding import Decider, Decision
from ophl7.engine.dispatching import Dispatch
from ophl7.engine.explaining import Explainer
from ophl7.engine.ids import Ids
from ophl7.engine.intake import Engine
from ophl7.engine.judging import Judge
from ophl7.engine.link import LinkPolicy, LinkStatus
from ophl7.engine.outbox import Outbox
from ophl7.engine.outlets import Outlets
from ophl7.engine.people import People
from ophl7.engine.ports import Clock
from ophl7.engine.replaying import Replays
from ophl7.engine.resend_watch import ResendWatch
from ophl7.engine.resending import Resends
from ophl7.engine.retention import Keep
from ophl7.engine.router import Router
from ophl7.engine.runner import Runner, Watchdog
from ophl7.engine.storage import Store
from ophl7.engine.tripwire import Tripwire
from ophl7.engine.unmerging import Unmerging
from ophl7.extend.loading import Loaded, load_parts
from ophl7.feeds import Feeds
from ophl7.keeping import Retention
from ophl7.links import SIDES, add_link_gauges, describe_links
from ophl7.mllp.listener import Listener
from ophl7.mllp.sender import MllpSender
from ophl7.mllp.session import Limits
from ophl7.observe.alarms import Alarms
from ophl7.observe.health import Health
from ophl7.observe.lag import LoopLag
from ophl7.observe.logs import Log
from ophl7.observe.metrics import CONTENT_TYPE, Metrics
from ophl7.observe.telling import EngineTeller, LinkTeller, ListenerTeller
from ophl7.orders import Orders
from ophl7.overdue import Overdue
from ophl7.owned_tasks import OwnedTasks
from ophl7.practice import policy_from
from ophl7.resend_orders import ResendOrders
from ophl7.settings import Settings
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from ophl7.store.sqlite_books import SqliteBooks
from ophl7.store.sqlite_resends import SqliteResends
from ophl7.units import Address, nearby
from ophl7.wal import WalWatch
from ophl7.watching import watch_people, watch_store

# What one handler or rule may take before it is broken off (#95). Real ones take microseconds.
HANDLER_SECONDS = 2.0

# Why nothing is taken, in the words of /readyz.
_CLOSED = {
    "store": "the database cannot be written; messages are not taken until it can",
    "disk": "the disk is nearly full; messages are not taken until there is room",
}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the broker can be reached, once it is up."""

    pm: tuple[str, int]
    emr: tuple[str, int]


class Broker:
    """One broker. `start`, then `drain` or `stop`; the tasks in between belong to it."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        chance: Callable[[], float] = random.random,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """store: another one than the settings' database, for tests. free: bytes on the disk of a folder."""
        self.settings = settings
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.log = log
        self.metrics = Metrics(__version__)
        self.webhook = webhook_of(settings, log)
        tell = self.webhook.tell if self.webhook is not None else lambda _event, _row: None
        self.alarms = Alarms(log, self._now, tell)
        self.health = Health()
        self.store: Store = store if store is not None else SqliteStore(settings.database_path)
        self.policy = policy_from(settings)
        self.parts: Loaded = Loaded((), ())
        self.outboxes: dict[Side, Outbox] = {}
        self.listeners: dict[Side, Listener] = {}
        self.tls: dict[Side, PeerTls] = {}
        self.certificates: CertificateWatch
        self.engine: Engine
        self.retention: Retention
        self.disk: DiskWatch
        self.router: Router
        self._chance = chance
        self._free = free
        self._stack = AsyncExitStack()
        self._tasks = OwnedTasks()
        self._draining = False
        self._tripwire = Tripwire()
        self._cut_off: dict[Side, str] = {}  # peer -> the part that fails
        self._drains = Drains(
            self.listeners, settings.shutdown_grace, log, lambda side: self._draining or side in self._cut_off
        )
        self.token = ""
        self._resend_watch = ResendWatch()
        self._resends: ResendOrders
        self._people: People
        self._dispatch: Dispatch
        self._replays: Replays
        self._explainer: Explainer
        self._codes: CodeEntries
        self._unmerging: Unmerging
        self._web: HttpServer | None = None
        self._keeper: AlarmKeeper
        self._feeds: Feeds

    # -- start --------------------------------------------------------------------------------------------------------

    async def start(self) -> Listening:
        """Opens the database, loads handlers and rules, binds the listeners.

        Raises RegistrationError, DatabaseLocked, MigrationError, StoreAway, SettingsError; nothing stays open then.
        """
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> Listening:
        settings = self.settings
        self.tls = read_tls(settings)
        self.certificates = CertificateWatch(self.tls, self.clock, self.alarms)
        self.parts = load_parts(
            handlers_path=settings.handlers_path, plugins_path=settings.plugins_path, enabled=settings.plugins
        )
        self.router = Router(self.parts.handlers, self.parts.rules)
        self._stack.push_async_callback(self.store.close)
        counters = await self.store.open()
        self._stack.push_async_callback(self._tasks.cancel)
        kept = await self.store.alarms()
        self.alarms.restore(kept)
        self.alarms.clear("store")  # it has just been opened
        for side in SIDES:
            self.alarms.clear("sender_clock", side)  # what is known of clocks is not on disk: it shows itself anew
        watchdog = self._stack.enter_context(Watchdog(HANDLER_SECONDS))
        outlets = Outlets()
        runner = Runner(watchdog)
        judge = Judge(self.router, self.policy, runner)
        self._explainer = Explainer(self.store, self.router, self.policy, runner, judge.clocks, self.clock.now)
        decider = Decider(judge, self.policy, self.clock.now, outlets.freeze)
        custody = Custody(judge, self.policy, outlets.freeze)
        self._people = People(custody, self.policy, self.clock.now)
        self._codes = CodeEntries(custody, self.policy, self.clock.now)
        self._unmerging = Unmerging(custody, self.policy, self.clock.now, outlets.freeze)
        self._dispatch = Dispatch(outlets.stop, self.clock.now, outlets.paused, self._drains.why)
        self._replays = Replays(decider, self.policy, self.clock.now)
        teller = EngineTeller(self.log, self.metrics.counters, self.alarms, self._watch_failures)
        self.engine = Engine(self.store, decider, self.policy, self.clock, Ids(counters), outlets, teller)
        self._resends = self._runs_of(outlets)
        outlets.on_drain = self._drains.heard
        self.engine.bind(on_connected=self._peer_seen, on_away=self._close_connections, on_back=self._take_up)
        self._keeper = AlarmKeeper(self.engine, self.alarms, self.clock, self.log)
        hours = hours_of(settings)
        self._feeds = self._feeds_of(hours)
        self._feeds.heard.update(kept.heard)
        for side in SIDES:
            self.outboxes[side] = self._outbox(side)
            outlets.add(self.outboxes[side])
        down, paused, waiting = await self.store.unreachable(), await self.store.paused(), await self.store.open_deliveries()
        for side, outbox in self.outboxes.items():
            queued = [one for one in waiting if one.destination == side]
            outbox.start(queued, reachable=side not in down, paused=paused.get(side))
        self._watch_over()
        self._tasks.begin()
        self._tasks.own(self.engine.run(), "batch loop")
        await self._begin_sending()
        self._keep_house()
        self._tasks.own(watch_store(self.engine), "database watch")
        self._tasks.own(self._keeper.run(), "keeper of alarms")
        if self.webhook is not None:
            self._tasks.own(self.webhook.run(), "webhook")
        await self._open_web(hours)
        for side, most in fit_connections(settings, self.log).items():
            await self._listen(side, most)
            self.alarms.clear("listener_closed", side)  # one of before the restart
        return Listening(self.listeners["pm"].address, self.listeners["emr"].address)

    def _runs_of(self, outlets: Outlets) -> ResendOrders:
        """What sends everything again."""
        resends = Resends(self.policy, outlets.freeze, outlets.stop, self._resend_watch, self.clock.now)
        return ResendOrders(self.engine, resends, self._resend_watch, self.log, self.alarms)

    def _feeds_of(self, hours: OfficeHours) -> Feeds:
        def status(side: Side) -> LinkStatus:
            return self.outboxes[side].status

        return Feeds(self.alarms, self.clock, hours, limits_of(self.settings), status, self._drains.why)

    async def _begin_sending(self) -> None:
        """What waits leaves; but of a run that was stopped nothing does."""
        self._drains.reasons.update(await self.store.drained())
        await self._resends.look()
        self._tasks.own(self._resends.run(), "what is sent again")
        for side in SIDES:
            if self.settings.peer(side).url is not None:  # without one there is nothing to run: deliveries wait
                self._tasks.own(self.outboxes[side].run(), f"delivery to the {side.upper()}")

    def _outbox(self, side: Side) -> Outbox:
        peer = self.settings.peer(side)
        teller = LinkTeller(self.log, self.metrics.counters, self.alarms)
        senders: list[MllpSender] = []
        words = self.policy.peers[side].profile.answers.codes
        if peer.url is not None:
            host, port, tls = peer.url.host, peer.url.port, self.tls[side].sender
            senders = [
                MllpSender(host, port, peer.ack_timeout, tls=tls, late=partial(teller.late_answer, side), words=words)
                for _ in range(peer.connections)
            ]
        return Outbox(
            side,
            self.store,
            senders,
            LinkPolicy(peer.retry.first, peer.retry.longest, peer.nack_default, review=peer.on_timeout == "review"),
            self.engine.mark,
            self.clock,
            teller,
            self._chance,
            self._resend_watch,
        )

    async def _listen(self, side: Side, most: int) -> None:
        peer = self.settings.peer(side)
        limits = Limits(peer.max_bytes, most, peer.frame_timeout, peer.idle_timeout)
        listener = Listener(
            side,
            peer.listen.host,
            peer.listen.port,
            limits,
            peer.allow,
            self.engine,
            self.clock,
            ListenerTeller(self.log, self.metrics.counters),
            self.tls[side].listener,
        )
        self._stack.push_async_callback(listener.stop)
        if self._drains.why(side) is None:
            await listener.start()
        self.listeners[side] = listener
        self._tasks.own(self._drains.run(side), f"draining of the {side.upper()}")

    async def _open_web(self, hours: OfficeHours) -> None:
        """Health, metrics, API and status page."""
        settings = self.settings
        reader = SqliteReader(settings.database_path)
        self._stack.push_async_callback(reader.close)
        resends = SqliteResends(reader)
        self._watch_log(reader)
        explicit = settings.api_token
        self.token = explicit.get_secret_value() if explicit is not None else secrets.token_urlsafe(24)
        orders = Orders(
            self.engine,
            self._people,
            self._unmerging,
            self._dispatch,
            self._replays,
            self._explainer,
            self._codes,
            self.clock,
            self.log,
        )
        face = Face(
            reads=reader,
            token=self.token,
            token_is_explicit=explicit is not None,
            ready=self._ready,
            alive=lambda: True,
            exposition=lambda: (self.metrics.exposition(), CONTENT_TYPE),
            links=self.links,
            audit=orders.audit,
            act=orders.act,
            dispatch=orders.dispatch,
            switch=orders.switch,
            replay=orders.replay,
            explain=orders.explain,
            enter_code=orders.enter_code,
            profiles={side: self.policy.peers[side].profile for side in SIDES},
            unmerge=orders.unmerge,
            routes=self._routes,
            plugins=self._plugins,
            zone=self.policy.zone,
            authorities={side: self.policy.authority_of(side) for side in SIDES},
            namings=self.policy.namings,
            version=__version__,
            alarms=self.alarms.open,
            acknowledge=self._keeper.acknowledge,
            retention=self.retention.status,
            purge=self.retention.hurry,
            resends=ResendFace(resends, self._resends.start, self._resends.decide, lambda: self.clock.now().timestamp()),
            books=books_of(self.engine, SqliteBooks(reader), self.policy, self.clock),
        )
        overdue = Overdue(reader, self.clock, self.alarms, hours, resends.locked)
        self._tasks.own(watch_people(self._feeds, overdue, self._keeper, self.alarms), "watch over what waits")
        server = HttpServer(make_app(face), settings.http_listen.host, settings.http_listen.port)
        self._stack.push_async_callback(server.stop)
        await server.start()
        self._tasks.own(server.wait(), "status page")
        self._web = server
        key = doorkey.DoorKey(f"http://{Address(nearby(server.address[0]), server.address[1])}", self.token)
        self._stack.enter_context(doorkey.left(settings.database_path, key if explicit is None else None))

    def _ready(self) -> tuple[int, dict[str, Any]]:
        readiness = self.health.readiness()
        return readiness.status, readiness.document()

    def _routes(self) -> list[dict[str, Any]]:
        return [
            {"event": event, "handlers": [{"name": one.name, "segment": one.segment, "each": one.each} for one in plan]}
            for event, plan in self.router.routes.items()
        ]

    def _plugins(self) -> list[dict[str, Any]]:
        loaded = [{"name": one.name, "origin": one.origin, "place": one.place, "enabled": True} for one in self.parts.sources]
        return loaded + [{"name": name, "origin": "shipped", "place": None, "enabled": False} for name in self.parts.off]

    async def _take_up(self) -> None:
        """What is not settled goes back into the queues after the database was away."""
        waiting = await self.store.open_deliveries()
        for side in SIDES:
            self.outboxes[side].take_up(delivery for delivery in waiting if delivery.destination == side)

    async def broken(self) -> None:
        """Waits for ever, and raises what broke a part of the broker that should never stop."""
        await self._tasks.broken()

    # -- what happens meanwhile ---------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self.clock.now().timestamp()

    def _peer_seen(self, side: Side) -> None:
        self.outboxes[side].hurry()

    def _watch_failures(self, decision: Decision) -> None:
        """A part that fails on five lanes in a row would put everything into custody: its peer is cut off and queues (#95)."""
        self._feeds.heard[decision.peer] = self._now()
        if decision.state == "duplicate" or decision.peer in self._cut_off:
            return
        failed = decision.failed.partition(":")[2]
        if not self._tripwire.decided(decision.peer, decision.event, decision.subject, failed):
            return
        self._cut_off[decision.peer] = failed
        self.alarms.ring("listener_closed", decision.peer, handler=failed)
        self._tasks.own_short(self._cut(decision.peer), f"closing the listener of the {decision.peer.upper()}")

    async def _cut(self, side: Side) -> None:
        await self.listeners[side].drain(self.settings.shutdown_grace)

    def _listener_trouble(self) -> str | None:
        if self._cut_off:
            cut = ", ".join(f"{side.upper()} ({failed})" for side, failed in self._cut_off.items())
            return f"closed because a handler fails on one patient after another: {cut}; mend it, then restart ophl7"
        wanted = [side for side in SIDES if self._drains.why(side) is None]
        gone = [side.upper() for side in wanted if side not in self.listeners or not self.listeners[side].accepting]
        if not gone:
            return None
        return f"nothing listens for the {' and the '.join(gone)}; if that lasts longer than a start or a stop, restart ophl7"

    def _close_connections(self) -> None:
        for listener in self.listeners.values():
            listener.close_all()

    def _keep_house(self) -> None:
        """What is old goes; the disk and the database's log stay within their bounds."""
        settings, engine = self.settings, self.engine
        keep = Keep(settings.retention, settings.audit_retention)
        self.retention = Retention(self.store, engine, keep, self.clock, self.log, self.metrics.counters)
        self._tasks.own(self.retention.run(), "retention")
        self.disk = DiskWatch(
            settings.database_path, settings.disk_reserve, engine, self.alarms, on_closed=self._make_room, free=self._free
        )
        self._tasks.own(self.disk.run(asyncio.sleep), "disk watch")
        self.metrics.gauge("ophl7_disk_free_bytes", "Free bytes where the database is.", (), lambda: {(): self.disk.free})

    def _watch_log(self, reader: SqliteReader) -> None:
        if isinstance(self.store, SqliteStore):
            watch = WalWatch(self.settings.database_path, self.store, self.engine, reader.quiet, self.alarms)
            self._tasks.own(watch.run(asyncio.sleep), "watch over the database's log")
            self.metrics.gauge("ophl7_wal_bytes", "Size of the database's write-ahead log.", (), lambda: {(): watch.size})

    def _make_room(self) -> None:
        """The disk is nearly full: nobody is refused, connections close, and what is old goes at once."""
        self._close_connections()
        self.retention.hurry()

    def _watch_over(self) -> None:
        """Readiness and the gauges."""
        for reason, words in _CLOSED.items():
            self.health.add(reason, partial(self._closed_for, reason, words))
        self.health.add("listeners", self._listener_trouble)
        self.health.add("draining", lambda: "the broker is stopping" if self._draining else self._drains.trouble())
        lag = LoopLag(self.clock.monotonic)
        self._tasks.own(lag.run(), "loop lag")
        self.metrics.gauge(
            "ophl7_event_loop_lag_seconds", "Worst delay of the event loop since the last scrape.", (), lag.reading
        )
        self.metrics.gauge("ophl7_tasks", "Tasks of the event loop.", (), lambda: {(): float(len(asyncio.all_tasks()))})
        self.metrics.gauge("ophl7_alarm", "Alarms that ring.", ("kind",), self.alarms.reading)
        add_link_gauges(self.metrics, self.listeners, self.outboxes)
        self.certificates.add_gauge(self.metrics)
        if self.certificates.watching:
            self._tasks.own(self.certificates.run(), "watch over certificates")

    def _closed_for(self, reason: str, words: str) -> str | None:
        return words if reason in self.engine.closed_for else None

    @property
    def web_address(self) -> str:
        """Where the status page is; with the token in it when it was made at this start and nobody else knows it."""
        host, port = self._web.address if self._web is not None else (self.settings.http_listen.host, 0)
        host = nearby(host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + ("" if self.settings.api_token is not None else f"?token={self.token}")

    def links(self) -> list[dict[str, Any]]:
        """Both links, as the API and the console show them."""
        return describe_links(self.settings, self.listeners, self.outboxes, self._drains.reasons)

    # -- stop ---------------------------------------------------------------------------------------------------------

    async def drain(self, grace: float) -> Literal["clean", "cut"]:
        """Answers everything that was read, lets what is being sent be answered, then stops. grace: seconds for all of it.

        `cut`: the time was up; whoever got no answer sends again, and what got no answer is sent again at the next start.
        """
        self._draining = True  # nothing that a person resumes is opened any more
        deadline = self.clock.monotonic() + grace
        self.log.info("draining", grace_s=grace, waiting=self.engine.waiting)
        answered = await asyncio.gather(*(one.drain(grace) for one in self.listeners.values()))
        clean = all(answered)
        try:
            async with asyncio.timeout(max(0.0, deadline - self.clock.monotonic())):
                await self.engine.settled()
                await asyncio.gather(*(box.drain() for box in self.outboxes.values()))
                await self.engine.settled()
        except TimeoutError:
            clean = False
        await self.stop()
        return "clean" if clean else "cut"

    async def stop(self) -> None:
        """Stops at once; as safe as a kill. Idempotent."""
        self._tasks.stop_soon()
        await self._stack.aclose()
