"""The relay's parts, put together for one process."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import structlog

from pbxtrack.duty import this_process
from pbxtrack.errors import ConfigError, PbxtrackError
from pbxtrack.mail.files import Files
from pbxtrack.mail.relay import Relay
from pbxtrack.mail.server import Limits, MailServer
from pbxtrack.mail.store import SqlStore
from pbxtrack.mail.upstream import Upstream
from pbxtrack.mail.worker import Worker
from pbxtrack.settings import MailSettings
from pbxtrack.storage.database import Database

_SLACK = 30.0  # s that an answer may take beside the upstream's part

log = structlog.get_logger(__name__)


class MailService:
    """``serve mail``. ``folder`` is this machine's for messages that wait for this database."""

    def __init__(self, settings: MailSettings, database: Database, folder: Path) -> None:
        """Raises ConfigError where there is no upstream."""
        if settings.upstream is None:
            raise ConfigError("mail.upstream is not set: mail needs a server that takes it on")
        self._settings = settings
        self._files = Files(folder)
        self._database = database
        self._hostname = settings.hostname or own_hostname()
        self.upstream = Upstream(
            settings.upstream,
            hostname=self._hostname,
            patience=settings.deadline / 2,
            starttls=settings.upstream_starttls,
        )
        self.server: MailServer | None = None
        self.relay: Relay | None = None
        self.worker: Worker | None = None
        self._store: SqlStore | None = None
        self._working: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and try what waits. Raises PbxtrackError."""
        settings = self._settings
        try:
            await asyncio.to_thread(self._files.open)
        except OSError as error:
            raise PbxtrackError(f"mail cannot wait in {self._files.folder}: {error.strerror}") from error
        self._store = store = SqlStore(self._database, self._files.place, this_process())
        parts = store, self._files, self.upstream
        self.relay = Relay(
            *parts, hostname=self._hostname, deadline=settings.deadline, now=_now, keep_body=settings.keep_body
        )
        self.worker = Worker(*parts, hostname=self._hostname, patience=timedelta(days=settings.retry_days), now=_now)
        self.server = MailServer(
            settings.listen,
            store.resolve,
            self.relay.accept,
            hostname=self._hostname,
            limits=Limits(
                max_bytes=settings.max_megabytes * 1024 * 1024,
                recipients=settings.max_recipients,
                sessions=settings.max_sessions,
                idle=settings.idle_timeout,
                answer=settings.deadline + _SLACK,
                fronts=[ip_network(front, strict=False) for front in settings.trusted_fronts],
                proxy=settings.proxy_protocol,
            ),
            tls=tls_context(settings),
        )
        await self.server.start()
        self._working = asyncio.create_task(self.worker.run())
        log.info("listening", service="mail", address=str(self.server.address))

    async def stop(self) -> None:
        """Take nothing new, answer what is coming in; what the upstream does not take soon stays on disk."""
        if self.server is None or self.relay is None or self._store is None:
            return
        self.relay.hurry()
        await self.server.stop()
        await self.relay.drain()
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        self.upstream.close()
        await self._store.close()
        await asyncio.to_thread(self._files.close)

    @property
    def ready(self) -> bool:
        """Whether clients are answered."""
        return self.server is not None and self.server.listening


def _now() -> datetime:
    return datetime.now(UTC)


def own_hostname() -> str:
    """The machine's name, as far as it knows it."""
    name = socket.getfqdn()
    return name if name.isascii() and "." in name else socket.gethostname()


def tls_context(settings: MailSettings) -> ssl.SSLContext | None:
    """What STARTTLS is done with; None without a certificate. Raises ConfigError."""
    if settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.certificate_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"mail.certificate: {settings.certificate} cannot be used: {error}") from None
    return context
