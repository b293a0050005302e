"""What happens when Asterisk asks about a call: find its line and its advertising."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from pbxtrack.agi import variables
from pbxtrack.agi.protocol import AgiRequest
from pbxtrack.agi.server import Answer
from pbxtrack.calls import service
from pbxtrack.calls.attribution import Attribution, attribute
from pbxtrack.calls.events import CallArrived
from pbxtrack.errors import PbxtrackError, StorageUnavailable
from pbxtrack.numbers import read_caller
from pbxtrack.pool.model import SiteSettings
from pbxtrack.storage.database import Database
from pbxtrack.storage.directory import SqlDirectory
from pbxtrack.storage.known import KnownSites
from pbxtrack.storage.prepared import Reader

T = TypeVar("T")

_NODE = re.compile(r"[a-z0-9]{1,32}")
_LINKEDID = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger(__name__)


class Resolve:
    """Answers ``agi://…/resolve[,node[,linkedid]]`` with the channel variables of the call.

    ``heard`` takes every call's arrival, whatever becomes of the answer; it must not wait.
    """

    def __init__(
        self,
        database: Database,
        heard: Callable[[CallArrived], None],
        *,
        default_node: str,
        region: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._heard = heard
        self._default_node = default_node
        self._region = region
        self._clock = clock
        self._sites = KnownSites()

    def __call__(self, request: AgiRequest) -> Answer | Awaitable[Answer]:
        """The variables to set. Raises PbxtrackError where the request or the database gives no answer."""
        if request.script == "ping":  # for `pbxtrack doctor` and other watchers
            return {variables.PONG: "1"}
        if request.script != "resolve":
            raise PbxtrackError(f"no such AGI script: {request.script[:40]!r}")
        arrived = self._arrived(request)
        self._heard(arrived)
        # Our dialplan names node and linkedid, and has itself set what only repeats them.
        named = [arrived.node, arrived.linkedid] == list(request.arguments[:2])

        def resolve(reader: Reader) -> Answer:
            answer = self._resolve(reader, arrived)
            return variables.without_names(answer) if named else answer

        return self._read(resolve)

    async def rehearse(self) -> None:
        """Do once what a call asks for, so that the first caller does not wait for what is made at first use."""
        read_caller("84951230100", self._region)  # not whole: read by phonenumbers, which loads what it knows

        def rehearse(reader: Reader) -> None:
            SqlDirectory(reader, self._sites).rehearse(self._clock())

        try:
            done = self._read(rehearse)
            if done is not None:
                await done
        except StorageUnavailable as error:
            log.warning("database_away", reason=str(error))

    def _read(self, work: Callable[[Reader], T]) -> T | Awaitable[T]:
        return self._database.read_here(work) if self._database.is_sqlite else self._database.read(work)

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

    def _resolve(self, reader: Reader, arrived: CallArrived) -> Answer:
        directory = SqlDirectory(reader, self._sites)
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


def _line(directory: SqlDirectory, site: SiteSettings, attribution: Attribution) -> str:
    """The site's line, unless the channel has its own: a static number's, or the one that the visit came by."""
    if attribution.visit and attribution.channel:
        own = directory.channel_line(site.id, attribution.channel)
        if own:
            return own
    return site.line_for(attribution.channel or "")
