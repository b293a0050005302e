"""Asterisk's own database holds the last known line of each DID, so that calls arrive when pbxtrack is gone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

import structlog

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.link import AmiRefused
from pbxtrack.ami.messages import text
from pbxtrack.numbers import shorten

FAMILY = "pbxtrack/line"
MAX_LINE = 255  # characters of a line, as Asterisk's database keeps them
_AT_ONCE = 50
_DID = re.compile(r"\+?([0-9]{2,20})")

Lines = Callable[[], Awaitable[Mapping[str, str]]]
"""The line of each DID of ours, with or without the plus sign."""

log = structlog.get_logger(__name__)


class LineKeeper:
    """Makes Asterisk's database equal to our directory. ``repaired`` counts entries that had to be written.

    Only entries of the family ``pbxtrack/line`` are touched.
    """

    def __init__(self, client: AmiClient, lines: Lines, *, every: float = 10.0, reread_every: float = 600.0) -> None:
        self._client, self._lines = client, lines
        self._every, self._reread_every = every, reread_every
        self._refused: frozenset[str] = frozenset()
        self._empty = False
        self.repaired = 0

    async def run(self) -> None:
        """Read what is there, mend it, and mend it again as the directory changes (or somebody changes Asterisk's).

        Runs while the connection does; raises AmiLost at its end.
        """
        loop = asyncio.get_running_loop()
        known: dict[str, str] | None = None
        read_at = 0.0
        while True:
            if known is None or loop.time() - read_at >= self._reread_every:
                known, read_at = await self._read(), loop.time()
            try:
                wanted = self._valid(await self._lines())
            except Exception as error:
                # Asterisk keeps the lines that it has; the directory will be back.
                log.warning("lines cannot be read", reason=str(error))
            else:
                await self._mend(known, wanted)
            await asyncio.sleep(self._every)

    async def _read(self) -> dict[str, str]:
        try:
            entries = await self._client.ask_list("DBGetTree", Family=FAMILY)
        except AmiRefused:  # before Asterisk 16.24 and 18.10 there is no such action: write everything
            return {}
        prefix = f"/{FAMILY}/"
        found = {text(entry, "Key"): text(entry, "Val") for entry in entries if text(entry, "Event") != "Response"}
        return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}

    async def _mend(self, known: dict[str, str], wanted: Mapping[str, str]) -> None:
        """``known`` follows each change that Asterisk took."""

        async def put(did: str) -> None:
            try:
                await self._client.ask("DBPut", Family=FAMILY, Key=did, Val=wanted[did])
                self.repaired += 1
            except AmiRefused as error:
                log.error("Asterisk does not take a line", did=did, line=wanted[did], reason=str(error))
            known[did] = wanted[did]  # refused too: it is tried again when everything is read again

        async def delete(did: str) -> None:
            try:
                await self._client.ask("DBDel", Family=FAMILY, Key=did)
                self.repaired += 1
            except AmiRefused:
                log.debug("no such line in Asterisk's database", did=did)
            del known[did]

        if known and not wanted:
            # More likely a new, empty database of ours than a company that gave up its last number.
            if not self._empty:
                log.warning("no lines are set up; Asterisk keeps those it knows", lines=len(known))
            self._empty = True
            return
        self._empty = False
        # New lines first: a call in between finds an old line rather than none.
        changed = [did for did, line in wanted.items() if known.get(did) != line]
        gone = [did for did in known if did not in wanted]
        for change, dids in ((put, changed), (delete, gone)):
            for start in range(0, len(dids), _AT_ONCE):
                await asyncio.gather(*map(change, dids[start : start + _AT_ONCE]))
        if changed or gone:
            log.info("lines in Asterisk's database mended", written=len(changed), deleted=len(gone))

    def _valid(self, lines: Mapping[str, str]) -> dict[str, str]:
        """What Asterisk can keep. The rest is refused, said once, and costs nobody else their line."""
        valid: dict[str, str] = {}
        refused = set()
        for did, line in lines.items():
            digits = _DID.fullmatch(did)
            if digits and line and line.isprintable() and len(line) <= MAX_LINE:
                valid[digits[1]] = line
            else:
                refused.add(did)
        for did in refused - self._refused:
            log.error("a line that Asterisk's database cannot hold", did=shorten(did), line=shorten(lines[did]))
        self._refused = frozenset(refused)
        return valid
