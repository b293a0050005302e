"""Messages that the upstream did not take at once: tried until it takes or refuses them, or too long has passed."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from random import uniform

import structlog

from pbxtrack.emails.ports import Spooled, Store, Waiting
from pbxtrack.errors import StorageUnavailable
from pbxtrack.ids import new_id
from pbxtrack.mail.files import Files
from pbxtrack.mail.notice import notice
from pbxtrack.mail.relay import offer
from pbxtrack.mail.upstream import Outcome, Upstream, Verdict

OUTCOMES = ("relayed", "refused", "expired", "postponed")
"""What became of a message that was tried again."""

_EVERY = 1.0  # s between looks
_AT_ONCE = 10  # messages
_DEADLINE = 120.0  # s for one
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)  # between tries of a message that is put off
_AWAY = timedelta(seconds=10)  # while nobody answers at the upstream; that costs nobody anything
_TIDY_EVERY = 600.0  # s
_UNWANTED = 3600.0  # s after which a file that no message waits for is removed
_REMEMBERED = timedelta(days=5)  # how long the very same message is known again: as long as servers try

log = structlog.get_logger(__name__)


class Worker:
    """Sends what waits in one folder. Several may: who claims a message in the database sends it."""

    def __init__(
        self,
        store: Store,
        files: Files,
        upstream: Upstream,
        *,
        hostname: str,
        patience: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        """``patience``: for how long a message is tried."""
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self.waiting: int | None = None  # messages, in the database; None: not known
        self._store, self._files, self._upstream = store, files, upstream
        self._hostname, self._patience, self._now = hostname, patience, now
        self._tidied = float("-inf")

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            more = False
            try:
                more = await self.once()
                await self._tidy()
            except (StorageUnavailable, OSError) as error:
                log.warning("mail_spool_waits", reason=str(error))
            except Exception:  # a defect of ours must not end it for good
                log.exception("mail_worker_failed")
            if not more:
                await asyncio.sleep(_EVERY)

    async def once(self) -> bool:
        """Try what is due; whether there may be more. Raises StorageUnavailable."""
        batch = await self._store.claim(_AT_ONCE)
        await asyncio.gather(*(self._deliver(one) for one in batch))
        self.waiting = await self._store.waiting()
        return len(batch) == _AT_ONCE

    async def _deliver(self, one: Waiting) -> None:
        spooled = one.spooled
        if self._files.was_sent(spooled.file):
            await self._store.relayed(spooled.key)
            self._files.drop(spooled.file)
            return
        message = await asyncio.to_thread(self._files.read, spooled.file)
        if message is None:
            log.error("mail_lost", file=spooled.file, folder=str(self._files.folder))
            await self._store.refused(spooled.key, "554 5.3.0 The message is not in the spool any more")
            return
        outcome = await offer(self._upstream, spooled, message, asyncio.timeout(_DEADLINE))
        if outcome.verdict is Verdict.TAKEN:
            self._files.sent(spooled.file)
            await self._store.relayed(spooled.key)
            self._files.drop(spooled.file)
            self._count("relayed", one)
        elif outcome.verdict is Verdict.REFUSED:
            await self._give_up(one, outcome.reply, message)
            self._count("refused", one)
        elif self._now() - one.created_at > self._patience:
            await self._give_up(one, f"554 5.4.7 Delivery time expired; at last: {outcome.reply}", message)
            self._count("expired", one)
        else:
            await self._store.later(spooled.key, self._now() + _pause(outcome, one.attempts), outcome.reply)
            self._count("postponed", one)

    async def _give_up(self, one: Waiting, reply: str, message: bytes) -> None:
        """Tell the sender; but not of a notice, or of anything else that has none."""
        spooled = one.spooled
        told: Spooled | None = None
        if spooled.sender:
            now = self._now()
            file = new_id(now)
            text = notice(
                to=spooled.sender,
                recipient=spooled.address,
                reply=reply,
                message=message,
                hostname=self._hostname,
                id_=file,
                arrived_at=one.created_at,
                now=now,
            )
            key = hashlib.sha256(f"notice\0{spooled.key}".encode()).hexdigest()
            utf8 = not (spooled.sender.isascii() and spooled.address.isascii())
            told = Spooled(key, file, "", spooled.sender, spooled.sender, utf8)
            await self._files.keep(file, text)
        await self._store.refused(spooled.key, reply, told)
        self._files.drop(spooled.file)

    async def _tidy(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._tidied < _TIDY_EVERY:
            return
        self._tidied = loop.time()
        files = await asyncio.to_thread(self._files.older, _UNWANTED)
        for name in await self._store.tidy(files, self._now() - _REMEMBERED):
            self._files.drop(name)

    def _count(self, outcome: str, one: Waiting) -> None:
        self.outcomes[outcome] += 1
        log.info("mail_retried", file=one.spooled.file, outcome=outcome, attempts=one.attempts + 1)


def _pause(outcome: Outcome, attempts: int) -> timedelta:
    if outcome.verdict is Verdict.AWAY:
        return _AWAY * uniform(0.75, 1.25)  # noqa: S311 (no secret)
    return min(_FIRST * (1 << min(attempts, 10)), _LONGEST) * uniform(0.75, 1.25)  # noqa: S311
