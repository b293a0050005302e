"""What happens when Asterisk asks about a call: find its line and its advertising, answer, then write it down."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import Connection

from pbxtrack.agi import variables
from pbxtrack.agi.protocol import AgiRequest
from pbxtrack.calls import service
from pbxtrack.calls.attribution import Attribution, attribute
from pbxtrack.calls.events import CallArrived, Fact
from pbxtrack.errors import PbxtrackError
from pbxtrack.numbers import mask, read_caller
from pbxtrack.pool.model import SiteSettings
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlDirectory

_NODE = re.compile(r"[a-z0-9]{1,32}")
_LINKEDID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_WRITE_AFTER = 0.03  # s; by then the call is on its way to its line, and writing takes no processor from its answer

log = structlog.get_logger(__name__)


class Resolve:
    """Answers ``agi://…/resolve[,node[,linkedid]]`` with the channel variables of the call."""

    def __init__(
        self,
        database: Database,
        record: Callable[[Sequence[Fact]], Awaitable[None]],
        *,
        default_node: str,
        region: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._record = record
        self._default_node = default_node
        self._region = region
        self._clock = clock
        self._recording: set[asyncio.Task[None]] = set()

    async def __call__(self, request: AgiRequest) -> Mapping[str, str]:
        """The variables to set. Raises PbxtrackError where the request or the database gives no answer."""
        if request.script == "ping":  # for `pbxtrack doctor` and other watchers
            return {variables.PONG: "1"}
        if request.script != "resolve":
            raise PbxtrackError(f"no such AGI script: {request.script[:40]!r}")
        arrived = self._arrived(request)
        self._write_down(arrived)
        return await self._database.read(lambda connection: self._resolve(connection, arrived))

    async def drain(self) -> None:
        """Wait until what was heard is written down."""
        while self._recording:
            await asyncio.wait(self._recording)

    def _arrived(self, request: AgiRequest) -> CallArrived:
        node, linkedid = [*request.arguments[:2], "", ""][:2]
        if not _NODE.fullmatch(node):
            node = self._default_node
        if not _LINKEDID.fullmatch(linkedid):
            linkedid = request.uniqueid
        if not _LINKEDID.fullmatch(linkedid):
            raise PbxtrackError("the call has no usable linkedid")
        return CallArrived(
            node=node,
            linkedid=linkedid,
            at=self._clock(),
            leg=request.uniqueid,
            dialled=request.dialled,
            caller=request.caller,
            caller_name=request.caller_name,
            withheld=request.withheld,
            heard="agi",
        )

    def _resolve(self, connection: Connection, arrived: CallArrived) -> Mapping[str, str]:
        directory = SqlDirectory(connection)
        known, _ = service.resolve(directory, arrived.dialled, arrived.caller, arrived.at, self._region)
        attribution = attribute(known)
        owner = known.owner
        return variables.of_call(
            arrived.call_id,
            arrived.dialled,
            _line(directory, owner.site, attribution) if owner else None,
            attribution,
            record=owner is not None and owner.site.record,
            whisper=owner is not None and owner.site.whisper,
        )

    def _write_down(self, fact: CallArrived) -> None:
        """Record a moment later, whatever becomes of the answer: the caller does not wait for the disk."""
        task = asyncio.create_task(self._record_fact(fact))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record_fact(self, fact: CallArrived) -> None:
        await asyncio.sleep(_WRITE_AFTER)
        caller = read_caller(fact.caller, self._region)
        log.info(
            "call_arrived",
            call=fact.call_id,
            dialled=mask(read_caller(fact.dialled, self._region)),
            caller=mask(caller),
        )
        try:
            await self._record([fact])
        except PbxtrackError as error:
            # The AMI listener hears of the same call, and keeps what it hears until the database is back.
            log.warning("call_not_recorded", call=fact.call_id, reason=str(error))


def _line(directory: SqlDirectory, site: SiteSettings, attribution: Attribution) -> str:
    """The site's line, unless the channel has its own: a static number's, or the one that the visit came by."""
    if attribution.visit and attribution.channel:
        own = directory.channel_line(site.id, attribution.channel)
        if own:
            return own
    return site.line_for(attribution.channel or "")
