"""The one place that wires: settings in, running services out."""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import structlog
from aiohttp import web
from sqlalchemy import Connection, text

from pbxtrack import __version__, snapshot
from pbxtrack.agi.process import AgiProcess
from pbxtrack.agi.worker import Setup
from pbxtrack.ami.link import Phase
from pbxtrack.ami.listener import AmiListener
from pbxtrack.api.app import create_app, create_runner
from pbxtrack.api.services import ADDRESSES, Services
from pbxtrack.calls import service as recording
from pbxtrack.calls.events import CallArrived, Fact
from pbxtrack.calls.lifecycle import Call
from pbxtrack.calls.reconcile import Reconciled, reconcile
from pbxtrack.calls.reported import ReportedCall
from pbxtrack.config import Settings
from pbxtrack.dashboard import app as dashboard
from pbxtrack.dashboard.desk import Desk, nothing_examined
from pbxtrack.duty import Duty, this_process
from pbxtrack.errors import PbxtrackError, StorageUnavailable
from pbxtrack.examining import Examiner
from pbxtrack.folder import Folder
from pbxtrack.health import Check, Finding, Readiness
from pbxtrack.learner import Learner
from pbxtrack.ledger.follow import Position
from pbxtrack.ledger.reconciler import Reconciler
from pbxtrack.mail.service import MailService
from pbxtrack.metrics import AmiCounts, Exposition, Leases, Snapshot
from pbxtrack.numbers import mask, read_caller
from pbxtrack.pool import service as leasing
from pbxtrack.pool.model import LeaseGrant, LeaseRequest, Sign, SiteSettings
from pbxtrack.pool.service import ForeignSite, UnknownSite
from pbxtrack.settings import AmiSettings
from pbxtrack.sizer import Sizer
from pbxtrack.storage import ledger, migrate
from pbxtrack.storage.calls import SqlCalls
from pbxtrack.storage.database import Database
from pbxtrack.storage.group_commit import GroupCommit
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.leases import SqlLeases
from pbxtrack.storage.recorder import Recorder
from pbxtrack.storage.sites import line_directory
from pbxtrack.storage.spool import Spool, spool_folder, strangers, unusable
from pbxtrack.tuning import tune
from pbxtrack.words import Words, quoted

SERVICES = ("api", "agi", "ami", "mail", "worker")
_AMI_REASONS = {
    Phase.CONNECTING: Words("connecting"),
    Phase.LOST: Words("no connection"),
    Phase.REFUSED: Words("the log-in is refused; check username and secret"),
}
_LOCAL = ("127.0.0.0/8", "::1/128")
_LEASE_DEADLINE = 2.0  # s; a page that has waited so long shows the company's own number
_STOP_DEADLINE = 10.0  # s to finish what is under way
_SCHEMA_RETRY = 2.0  # s between looks at a database that does not answer
_GATHER = 0.1  # s in which facts gather: a transaction of many costs little more than one of one

T = TypeVar("T")
Examine = Callable[[Settings], AsyncIterator[Finding]]

log = structlog.get_logger(__name__)


class Application:
    """The services of one process. ``start`` listens, ``stop`` drains: nothing that was acknowledged is lost."""

    def __init__(
        self, settings: Settings, services: Collection[str] = SERVICES, examine: Examine | None = None
    ) -> None:
        """``examine`` looks at everything there is, for the page that tells how the service is."""
        self.settings = settings
        self._examiner = Examiner(partial(examine, settings)) if examine else None
        self.services = [name for name in SERVICES if name in services]
        settings.make_database_dir()
        self.database = Database(settings.database.url)
        self._region = settings.numbers.default_region
        self._facts: GroupCommit[Sequence[Fact], None] = GroupCommit(
            self.database, self._record, parallel=1, gather=_GATHER
        )
        self._spool_folder = spool_folder(settings.data_dir, self.database.url)
        spool = Spool(self._spool_folder, max_bytes=settings.database.spool_megabytes * 1024 * 1024)
        self.recorder = Recorder(self._facts.submit, spool)
        self._sites = KnownSites()
        self._called = KnownSites()  # the same, of numbers that are called: the leases' reads are another shape
        self._acquire: GroupCommit[LeaseRequest, LeaseGrant | UnknownSite] = GroupCommit(
            self.database, self._lease_numbers, patience=_LEASE_DEADLINE
        )
        self._renew: GroupCommit[Sign, LeaseGrant | ForeignSite | None] = GroupCommit(
            self.database, self._renew_leases, patience=_LEASE_DEADLINE
        )
        self._arrivals: set[asyncio.Task[None]] = set()
        self.agi = AgiProcess(self._agi_setup(), settings.agi.listen, self._arrived)
        self.mail = self._mail()
        self.listeners: dict[str, AmiListener] = {}  # of the nodes that this process listens to
        self.reconcilers = {
            ami.node: self._reconciler(ami.node, ami.cel_file) for ami in settings.ami if ami.cel_file is not None
        }
        self._counted: defaultdict[str, AmiCounts] = defaultdict(AmiCounts)  # by listeners whose turn is over
        self._leases: Counter[str] = Counter()  # as metrics.Leases
        self._duties: list[Duty] = []
        self._api: web.AppRunner | None = None
        self._sizer = Sizer(settings.database.url)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to serve. Raises PbxtrackError when an address is taken or the database needs an upgrade."""
        await self._prepare_database()
        self._look_at_spool()
        self._tasks.append(asyncio.create_task(self.recorder.run()))
        if "agi" in self.services:
            await self.agi.start()
            log.info("listening", service="agi", address=str(self.settings.agi.listen))
        if self.mail:
            await self.mail.start()
        if "api" in self.services:
            await self._start_api()
        self._begin_duties()

    async def stop(self) -> bool:
        """Take nothing new, finish what is under way, write down what was heard.

        False when the database did not answer in time: what waited for it is not written, and nobody was told it was.
        """
        try:
            async with asyncio.timeout(_STOP_DEADLINE):
                await self._drain()
        except TimeoutError:
            log.error("stopped_without_the_database")
            return False
        return True

    async def _drain(self) -> None:
        await self.agi.stop()
        if self.mail:
            await self.mail.stop()
        if self._api:
            await self._api.cleanup()
        await self._sizer.close()
        await asyncio.gather(*(duty.hand_over() for duty in self._duties))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._arrivals:
            await asyncio.wait(self._arrivals)
        await self.recorder.close()
        for queue in (self._facts, self._acquire, self._renew):
            await queue.close()
        await asyncio.to_thread(self.database.close)

    async def acquire(self, request: LeaseRequest) -> LeaseGrant:
        """Lease a number to a visitor; raises UnknownSite or StorageUnavailable."""
        try:
            answer = await self._acquire.submit(request)
        except StorageUnavailable:
            self._leases["refused"] += 1
            raise
        if isinstance(answer, PbxtrackError):
            raise answer
        if not answer.renewed:
            self._leases["overflow" if answer.lease.overflow else "number"] += 1
        return answer

    async def renew(self, sign: Sign) -> LeaseGrant | None:
        """Note a sign of life; None when the lease is gone. Raises ForeignSite or StorageUnavailable."""
        answer = await self._renew.submit(sign)
        if isinstance(answer, PbxtrackError):
            raise answer
        return answer

    async def site(self, key: str) -> SiteSettings | None:
        """A site as it is in force; None for a key that is none's."""
        return await _in_time(self.database.read(lambda connection: SqlLeases(connection, self._sites).site(key)))

    async def ready(self) -> Readiness:
        """Whether this process can do its work, by parts. Anybody may ask: the reasons name no host and no user."""
        checks = list(await asyncio.gather(self._check_database(), self._check_migrations()))
        if "agi" in self.services:
            checks.append(
                Check("agi", ok=self.agi.ready, reason="" if self.agi.ready else Words("calls are not answered"))
            )
        if self.mail:
            checks.append(self._check_mail(self.mail))
        if "ami" in self.services:
            checks += [self._check_ami(ami.node) for ami in self.settings.ami]
            # No reason to send websites elsewhere: but it is told.
            checks += [self._check_records(node, found) for node, found in self.reconcilers.items()]
        return Readiness(checks)

    def snapshot(self) -> Snapshot:
        """What this process counts and knows, for its metrics."""
        now = datetime.now(UTC)
        in_memory = sum(listener.waiting for listener in self.listeners.values()) + len(self._arrivals)
        nodes = [ami.node for ami in self.settings.ami] if "ami" in self.services else []
        return Snapshot(
            version=__version__,
            ami={node: snapshot.of_listener(self.listeners.get(node), self._counted[node], now) for node in nodes},
            cel={node: snapshot.of_reconciler(self.reconcilers[node]) for node in nodes if node in self.reconcilers},
            agi=snapshot.of_agi(self.agi) if "agi" in self.services else None,
            mail=snapshot.of_mail(self.mail) if self.mail else None,
            facts=snapshot.of_recorder(self.recorder, in_memory),
            leases=Leases(**self._leases),
        )

    def _stands_by(self, name: str) -> bool:
        return any(duty.name == name and duty.stands_by for duty in self._duties)

    def _check_records(self, node: str, reconciler: Reconciler) -> Check:
        if self._stands_by(f"cel {node}"):
            return Check(f"records {node}", ok=True, reason=Words("another process follows them; this one stands by"))
        return Check(f"records {node}", ok=True, reason=reconciler.reason)

    def _check_mail(self, mail: MailService) -> Check:
        # While the upstream is away messages wait on disk, and more are taken: that is told, and no reason to stop.
        if not mail.ready:
            return Check("mail", ok=False, reason=Words("nobody answers mail clients"))
        waits = Words("the upstream cannot be reached; messages wait") if mail.upstream.reason else ""
        return Check("mail", ok=True, reason=waits)

    def _check_ami(self, node: str) -> Check:
        if self._stands_by(f"ami {node}"):
            return Check(f"ami {node}", ok=True, reason=Words("another process listens; this one stands by"))
        listener = self.listeners.get(node)
        phase = listener.state.phase if listener else Phase.CONNECTING
        return Check(f"ami {node}", phase == Phase.CONNECTED, _AMI_REASONS.get(phase, ""))

    async def _check_database(self) -> Check:
        try:
            await _in_time(self.database.read(lambda connection: connection.execute(text("SELECT 1"))))
        except StorageUnavailable as error:
            log.warning("not_ready", check="database", reason=str(error))
            return Check("database", ok=False, reason=Words("does not answer"))
        return Check("database", ok=True)

    async def _check_migrations(self) -> Check:
        try:
            await _in_time(asyncio.to_thread(migrate.check, self.database))
        except migrate.SchemaOutdated as error:
            return Check("migrations", ok=False, reason=quoted(error))
        except StorageUnavailable:
            return Check("migrations", ok=False, reason=Words("not known while the database does not answer"))
        return Check("migrations", ok=True)

    async def _prepare_database(self) -> None:
        """Make the tables where there are none. A database that is away must not keep us from forwarding calls."""
        try:
            await asyncio.to_thread(migrate.prepare, self.database)
        except migrate.SchemaOutdated:
            raise
        except StorageUnavailable as error:
            log.error("database_away", reason=str(error))
            self._tasks.append(asyncio.create_task(self._prepare_later()))

    def _look_at_spool(self) -> None:
        if reason := unusable(self._spool_folder):
            log.error("spool_unusable", reason=str(reason))
        for other in strangers(self.settings.data_dir, self._spool_folder):
            log.warning("facts_wait_for_another_database", folder=str(other), ours=str(self._spool_folder))

    async def _prepare_later(self) -> None:
        while True:
            await asyncio.sleep(_SCHEMA_RETRY)
            try:
                await asyncio.to_thread(migrate.prepare, self.database)
            except StorageUnavailable as error:
                log.debug("database_away", reason=str(error))
            else:
                log.info("database_back")
                return

    async def _start_api(self) -> None:
        address = self.settings.api.listen
        app = create_app(
            Services(
                database=self.database,
                acquire=self.acquire,
                renew=self.renew,
                site=self.site,
                ready=self.ready,
                metrics=Exposition(self.snapshot).text,
                default_region=self._region,
                recordings={ami.node: ami.recordings for ami in self.settings.ami if ami.recordings is not None},
                # A proxy on this machine is trusted unasked: else all its visitors would be one.
                trusted_proxies=[
                    ip_network(proxy, strict=False) for proxy in (*_LOCAL, *self.settings.api.trusted_proxies)
                ],
            )
        )
        dashboard.add(
            app,
            Desk(
                database=self.database,
                addresses=app[ADDRESSES],
                now=lambda: datetime.now(UTC),
                ready=self.ready,
                default_region=self._region,
                snapshot=self.snapshot,
                examined=self._examiner.latest if self._examiner else nothing_examined,
                sizes=self._sizer.ask,
            ),
        )
        self._api = create_runner(app)
        await self._api.setup()
        try:
            await web.TCPSite(self._api, address.host, address.port, backlog=512).start()
        except OSError as error:
            raise PbxtrackError(f"cannot listen for HTTP at {address}: {os.strerror(error.errno or 0)}") from error
        log.info("listening", service="api", address=str(address))

    def _begin_duties(self) -> None:
        """Listen to each Asterisk, follow its file, learn, fold; of several processes on PostgreSQL one does each."""
        work: list[tuple[str, Callable[[], Awaitable[None]], Callable[[], bool]]] = []
        if "worker" in self.services:
            work.append(("learn", Learner(self.settings.database.url).run, lambda: True))
            work.append(("fold", Folder(self.database, self.settings.database.url).run, lambda: True))
        for ami in self.settings.ami if "ami" in self.services else ():
            work.append((f"ami {ami.node}", partial(self._listen, ami), lambda: True))
            if (file := ami.cel_file) is not None:
                work.append((f"cel {ami.node}", self.reconcilers[ami.node].run, partial(os.path.exists, file)))
        if self.database.is_sqlite:
            self._tasks += [asyncio.ensure_future(do()) for _, do, _ in work]
            return
        me = this_process()
        self._duties = [Duty(name, do, self.database, me, able=able) for name, do, able in work]
        self._tasks += [asyncio.create_task(duty.run()) for duty in self._duties]

    async def _listen(self, ami: AmiSettings) -> None:
        listener = self.listeners[ami.node] = self._listener(ami)
        try:
            await listener.run()
        finally:
            del self.listeners[ami.node]
            self._counted[ami.node] += listener.counts

    def _listener(self, ami: AmiSettings) -> AmiListener:
        async def open_calls() -> Sequence[Call]:
            return await self.database.read(lambda connection: SqlCalls(connection).open_calls(ami.node))

        async def lines() -> Mapping[str, str]:
            return await self.database.read(line_directory)

        return AmiListener(ami, record=self.recorder.record, open_calls=open_calls, lines=lines)

    def _reconciler(self, node: str, file: Path) -> Reconciler:
        async def since() -> Position | None:
            # Without a site, every call in the file would be nobody's, for good.
            if not await self.database.read(line_directory):
                raise StorageUnavailable("no site is set up yet: pbxtrack apply")
            kept = await self.database.read(lambda connection: ledger.position(connection, node))
            return Position(*kept) if kept else None

        async def reconcile_with_log(calls: Sequence[Sequence[Fact]], position: Position | None) -> Reconciled:
            def work(connection: Connection) -> Reconciled:
                store = SqlCalls(connection, self._called)
                found = reconcile(
                    store, [ReportedCall(facts) for facts in calls], datetime.now(UTC), self._region, exact=True
                )
                if position is not None:
                    ledger.keep_position(connection, node, position.file, position.offset)
                return found

            return await self.database.write(work)

        return Reconciler(file, node, reconcile=reconcile_with_log, since=since)

    def _mail(self) -> MailService | None:
        if "mail" not in self.services or (self.settings.mail.upstream is None and self.services != ["mail"]):
            return None  # most do without: who asks for this service alone is told what it lacks
        folder = self.settings.data_dir / "mail" / self._spool_folder.name
        return MailService(self.settings.mail, self.database, folder)

    def _agi_setup(self) -> Setup:
        settings = self.settings
        return Setup(
            database_url=settings.database.url,
            region=self._region,
            default_node=settings.ami[0].node,
            deadline=settings.agi.deadline,
            max_sessions=settings.agi.max_sessions,
            log_level=settings.log.level,
            log_format=settings.log.format,
        )

    def _arrived(self, fact: CallArrived) -> None:
        """A call was answered by FastAGI: write it down."""
        task = asyncio.create_task(self._record_arrival(fact))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _record_arrival(self, fact: CallArrived) -> None:
        log.info(
            "call_arrived",
            call=fact.call_id,
            dialled=mask(read_caller(fact.dialled, self._region)),
            caller=mask(read_caller(fact.caller, self._region)),
        )
        try:
            await self.recorder.record([fact])
        except PbxtrackError as error:
            # The AMI listener hears of the same call, and keeps what it hears until there is room again.
            log.warning("call_not_recorded", call=fact.call_id, reason=str(error))

    def _record(self, connection: Connection, requests: Sequence[Sequence[Fact]]) -> Sequence[None]:
        if not (facts := [fact for request in requests for fact in request]):
            return [None] * len(requests)
        recording.record(SqlCalls(connection, self._called), facts, datetime.now(UTC), self._region)
        return [None] * len(requests)

    def _lease_numbers(
        self, connection: Connection, requests: Sequence[LeaseRequest]
    ) -> Sequence[LeaseGrant | UnknownSite]:
        store = SqlLeases(connection, self._sites)
        return leasing.acquire(store, requests, store.now())

    def _renew_leases(self, connection: Connection, signs: Sequence[Sign]) -> Sequence[LeaseGrant | ForeignSite | None]:
        store = SqlLeases(connection, self._sites)
        return leasing.renew(store, signs, store.now())


async def _in_time(answer: Awaitable[T]) -> T:
    """The answer, or StorageUnavailable: whoever asks over HTTP does not wait for a database that hangs."""
    try:
        async with asyncio.timeout(_LEASE_DEADLINE):
            return await answer
    except TimeoutError:
        raise StorageUnavailable("the database does not answer in time") from None


async def run(
    settings: Settings, services: Collection[str], stop: asyncio.Event, examine: Examine | None = None
) -> bool:
    """Serve until ``stop`` is set, then drain; whether all was finished."""
    application = Application(settings, services, examine)
    try:
        await application.start()
        tune()
        await stop.wait()
        log.info("draining")
    finally:
        finished = await application.stop()
    log.info("stopped")
    return finished
