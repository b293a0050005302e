"""A message, from the end of DATA to the answer: on disk, recorded, offered to the upstream; then it is answered.

Whatever ends this process at whatever moment, a message that was answered 250 is recorded and either with the upstream
or on disk with a row in the database that says so. One that was not answered comes again, and is known by its content.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from pbxtrack.emails.model import Received, Resolved, telling
from pbxtrack.emails.ports import Spooled, Standing, Store
from pbxtrack.emails.reading import header_part, received
from pbxtrack.errors import StorageUnavailable
from pbxtrack.ids import new_id
from pbxtrack.mail.block import Client, header_block, mark
from pbxtrack.mail.files import Files
from pbxtrack.mail.framing import refusal
from pbxtrack.mail.upstream import Outcome, Upstream, Verdict

OUTCOMES = ("relayed", "spooled", "known", "refused", "rejected", "failed")
"""What became of a message to one site; ``known``: it was sent before, ``rejected``: it was not even recorded."""

_LONGEST = 64 * 1024  # bytes of a line
_HOPS = 30
_LARGE = 256 * 1024  # bytes of a message that is read aside, so that other sessions go on
_FIRST_RETRY = timedelta(seconds=30)

_HURRY = 3.0  # s

_NOT_KEPT = "451 4.3.0 The message cannot be kept at present"
_BUSY = "451 4.3.0 The same message is being delivered already"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a client handed it in; ``to`` the recipients that were accepted, of one site or several."""

    content: bytes
    sender: str
    to: Sequence[Resolved]
    client: Client
    utf8: bool = False


class Relay:
    """Takes messages. ``deadline`` in seconds bounds the first try with the upstream, for which the client waits."""

    def __init__(
        self,
        store: Store,
        files: Files,
        upstream: Upstream,
        *,
        hostname: str,
        deadline: float,
        now: Callable[[], datetime],
        keep_body: bool = False,
    ) -> None:
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self._store, self._files, self._upstream = store, files, upstream
        self._hostname, self._deadline, self._now, self._keep_body = hostname, deadline, now, keep_body
        self._under_way: set[asyncio.Task[str]] = set()
        self._tries: set[asyncio.Timeout] = set()

    async def accept(self, incoming: Incoming) -> str:
        """The answer to a message. It goes on to its end though whoever asked is gone."""
        task = asyncio.create_task(self._accept(incoming))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    def hurry(self) -> None:
        """The service stops: what the upstream does not take soon stays on disk."""
        self._deadline = min(self._deadline, _HURRY)
        until = asyncio.get_running_loop().time() + _HURRY
        for running in self._tries:
            running.reschedule(min(until, running.when() or until))

    async def drain(self) -> None:
        """Wait for the messages that are under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _accept(self, incoming: Incoming) -> str:
        at = self._now()
        sites: defaultdict[int, list[Resolved]] = defaultdict(list)
        for resolved in incoming.to:
            sites[resolved.site_id].append(resolved)
        parts = await self._aside(
            incoming, lambda: _read(incoming, at, [*sites.values()], self._hostname, self._keep_body)
        )
        if isinstance(parts, str):
            self.outcomes["rejected"] += 1
            log.info("mail_rejected", reply=parts, size=len(incoming.content))
            return parts
        alone = len(parts) == 1
        replies = await asyncio.gather(*(self._to_site(incoming, facts, key, alone=alone) for facts, key in parts))
        return max(replies, key=lambda reply: reply.startswith("4"))  # what is known already is not sent again

    async def _aside(self, incoming: Incoming, work: Callable[[], _Parts | str]) -> _Parts | str:
        return await asyncio.to_thread(work) if len(incoming.content) > _LARGE else work()

    async def _to_site(self, incoming: Incoming, facts: Received, key: str, *, alone: bool) -> str:
        told = telling(facts.to)
        file = new_id(facts.at)
        spooled = Spooled(key, file, incoming.sender, told.mailbox, told.address, incoming.utf8)
        block = header_block(
            told, client=incoming.client, hostname=self._hostname, message=file, at=facts.at, nature=facts.nature.value
        )
        try:
            await self._files.keep(file, block, incoming.content)
            # If this fails, it may have been done all the same: the file stays until it is known to be unwanted.
            recorded = await self._store.record(facts, spooled)
        except (OSError, StorageUnavailable) as error:
            log.warning("mail_not_kept", site=told.site, reason=str(error))
            return self._ended("failed", told, facts, _NOT_KEPT)
        if recorded.replaced:
            self._files.drop(recorded.replaced)
        if recorded.standing is not Standing.OURS:
            self._files.drop(file)
            if recorded.standing is Standing.SENT:
                return self._ended("known", told, facts, f"250 2.0.0 Ok: known as {file}")
            return self._ended("failed", told, facts, _BUSY)
        return await self._offer(spooled, told, facts, block + incoming.content, alone=alone)

    async def _offer(self, spooled: Spooled, told: Resolved, facts: Received, message: bytes, *, alone: bool) -> str:
        limit = asyncio.timeout(self._deadline)
        self._tries.add(limit)
        outcome = await offer(self._upstream, spooled, message, limit)
        self._tries.discard(limit)
        pause = _FIRST_RETRY
        if outcome.verdict is Verdict.REFUSED and not alone:
            # One answer is for all sites: the sender hears of this one by a notice, from the worker.
            outcome, pause = Outcome(Verdict.LATER, outcome.reply), timedelta()
        try:
            match outcome.verdict:
                case Verdict.TAKEN:
                    self._files.sent(spooled.file)
                    await self._store.relayed(spooled.key)
                    self._files.drop(spooled.file)
                case Verdict.REFUSED:
                    await self._store.refused(spooled.key, outcome.reply)
                    self._files.drop(spooled.file)
                case _:
                    await self._store.later(spooled.key, self._now() + pause, outcome.reply)
        except (OSError, StorageUnavailable) as error:
            # The message is recorded and on disk: what is not noted now, the worker finds out.
            log.warning("mail_outcome_not_kept", outcome=outcome.verdict, reason=str(error))
        match outcome.verdict:
            case Verdict.TAKEN:
                return self._ended("relayed", told, facts, f"250 2.0.0 Ok: relayed as {spooled.file}")
            case Verdict.REFUSED:
                return self._ended("refused", told, facts, outcome.reply)
        return self._ended("spooled", told, facts, f"250 2.0.0 Ok: queued as {spooled.file}")

    def _ended(self, outcome: str, told: Resolved, facts: Received, reply: str) -> str:
        self.outcomes[outcome] += 1
        log.info("mail", site=told.site, kind=told.kind, nature=facts.nature, size=facts.size, outcome=outcome)
        return reply


async def offer(upstream: Upstream, spooled: Spooled, message: bytes, limit: asyncio.Timeout) -> Outcome:
    """Offer a message to the upstream, for no longer than the limit."""
    try:
        async with limit:
            return await upstream.send(spooled.sender, spooled.recipient, message, utf8=spooled.utf8)
    except TimeoutError:
        return Outcome(Verdict.LATER, "451 4.4.2 The mailbox's server takes too long")


_Parts = Sequence[tuple[Received, str]]


def _read(
    incoming: Incoming, at: datetime, groups: Sequence[Sequence[Resolved]], hostname: str, keep_body: bool
) -> _Parts | str:
    """What is to be recorded for each site, with the key of what is sent there; or the answer to what is refused."""
    content = incoming.content
    marks = [mark(to[0].site, hostname) for to in groups]
    if reply := refusal(content, header_part(content), marks, longest=_LONGEST, hops=_HOPS):
        return reply
    digest = hashlib.sha256(content)
    parts = []
    for to in groups:
        facts = received(content, sender=incoming.sender, at=at, to=to, keep_body=keep_body)
        own = digest.copy()
        own.update(f"\0{incoming.sender}\0{to[0].site_id}\0{to[0].mailbox}".encode())
        parts.append((facts, own.hexdigest()))
    return parts
