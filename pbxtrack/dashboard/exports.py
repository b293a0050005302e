"""Calls as files for spreadsheets: those that the call log finds, as many as there are, sent while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import orjson
import structlog
from aiohttp import hdrs, web

from pbxtrack.calls.attribution import Method
from pbxtrack.dashboard import filters
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.filters import STATUS_NAMES
from pbxtrack.dashboard.languages import csv_divider, marked
from pbxtrack.errors import StorageUnavailable
from pbxtrack.spreadsheet import BOM, csv_line, csv_lines
from pbxtrack.storage.call_sums import MOST, calls_sums
from pbxtrack.storage.export import COLUMNS, Place, Portion, portion
from pbxtrack.storage.reports import totals
from pbxtrack.storage.views import CORRECTED
from pbxtrack.web.sessions import read_session
from pbxtrack.workbook import Workbook

ROWS = "X-Rows"
"""The header that says how many rows there will be at most, for who shows how far it is."""

_HEADS = {
    "started_at": marked("Time"), "site": marked("Site"), "caller": marked("Caller"), "dialled": marked("Dialled"),
    "status": marked("Status"), "ringing_seconds": marked("Rang for, s"), "talk_seconds": marked("Talk, s"),
    "answered_by": marked("Answered by"), "first": marked("First call"), "unique": marked("Unique"),
    "target": marked("Target"), "settled_at": marked("Called back"), "channel": marked("Channel"),
    "source": marked("Source"), "medium": marked("Medium"), "campaign": marked("Campaign"), "term": marked("Keyword"),
    "content": marked("Ad"), "page": marked("Landing page"), "confidence": marked("Sure to"),
    "method": marked("Method"), "note": marked("Note"), "tags": marked("Tags"), "recorded": marked("Recorded"),
    "id": marked("Id"),
}  # fmt: skip
_METHODS = {
    Method.STATIC: marked("the channel's own number"), Method.LEASE: marked("who was shown the number"),
    Method.CALLER: marked("an earlier call of the caller"),
    Method.PAST_LEASE: marked("who was shown the number before"),
    Method.OVERFLOW: marked("who was shown the overflow number"), Method.NONE: marked("nothing is known"),
    CORRECTED: marked("people say so"),
}  # fmt: skip
_WIDTHS = {"started_at": 19, "settled_at": 19, "page": 40, "note": 40, "id": 28, "channel": 20, "campaign": 20}

log = structlog.get_logger(__name__)


class _File(Protocol):
    def begin(self) -> bytes: ...

    def rows(self, columns: Sequence[Sequence[object]]) -> bytes: ...

    def end(self) -> bytes: ...


class _Csv:
    def __init__(self, asked: Asked, heads: Sequence[str]) -> None:
        self._heads = heads
        self._divider = csv_divider(asked.language)

    def begin(self) -> bytes:
        return (BOM + csv_line(self._heads, self._divider)).encode()

    def rows(self, columns: Sequence[Sequence[object]]) -> bytes:
        return csv_lines(columns, self._divider).encode("utf-8", "replace")

    def end(self) -> bytes:
        return b""


class _Xlsx:
    def __init__(self, asked: Asked, heads: Sequence[str]) -> None:
        self._book = Workbook(asked.text(marked("Calls")), heads, [_WIDTHS.get(name, 14) for name in COLUMNS])

    def begin(self) -> bytes:
        return b""

    def rows(self, columns: Sequence[Sequence[object]]) -> bytes:
        return self._book.rows(columns)

    def end(self) -> bytes:
        return self._book.end()


class Shown:
    """Rows as people read them: their clocks, their words."""

    def __init__(self, asked: Asked) -> None:
        assert asked.site is not None
        self._zone = ZoneInfo(asked.site.timezone)
        self._yes, self._no = asked.text(marked("yes")), asked.text(marked("no"))
        self._statuses = {name: asked.text(title) for name, title in STATUS_NAMES.items()}
        self._methods = {name: asked.text(words) for name, words in _METHODS.items()}
        self._channel = asked.channel

    def __call__(self, rows: Sequence[Sequence[Any]]) -> list[Sequence[object]]:
        """What the rows tell, by columns."""
        if not rows:
            return [[] for _ in COLUMNS]
        told: dict[str, Sequence[Any]] = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
        for name in ("started_at", "settled_at"):
            told[name] = [at and self._clock(at) for at in told[name]]
        for name in ("ringing_seconds", "talk_seconds"):
            told[name] = [*map(int, told[name])]
        for name in ("first", "unique", "target", "recorded"):
            told[name] = [self._yes if value else self._no for value in told[name]]
        told["status"] = [self._statuses.get(value, value) for value in told["status"]]
        channels = {name: self._channel(name) for name in {*told["channel"]}}
        told["channel"] = [channels[name] for name in told["channel"]]
        told["method"] = [self._methods.get(value, value) for value in told["method"]]
        told["confidence"] = [round(value, 3) for value in told["confidence"]]
        told["tags"] = [None if tags == "[]" else ", ".join(orjson.loads(tags)) for tags in told["tags"]]
        return [*told.values()]

    def _clock(self, at: datetime) -> datetime:
        """What the site's clocks showed, to the second."""
        return at.astimezone(self._zone).replace(tzinfo=None, microsecond=0)


_KINDS: dict[str, tuple[Callable[[Asked, Sequence[str]], _File], str]] = {
    "csv": (_Csv, "text/csv"),
    "xlsx": (_Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
assert tuple(_HEADS) == COLUMNS


async def as_csv(asked: Asked) -> web.StreamResponse:
    return await _send(asked, "csv")


async def as_xlsx(asked: Asked) -> web.StreamResponse:
    return await _send(asked, "xlsx")


async def _send(asked: Asked, ending: str) -> web.StreamResponse:
    make, content_type = _KINDS[ending]
    which = filters.read(asked.query).which(asked.period, asked.key, asked.region, ())
    shown = Shown(asked)
    file = make(asked, [asked.text(head) for head in _HEADS.values()])
    period = asked.period
    days = f"{period.first}-{period.last}" if period.since else f"until-{period.last}"
    name = f"{asked.key}-calls-{days}.{ending}"
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: f"{content_type}; charset=utf-8" if ending == "csv" else content_type,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
            ROWS: str(await asked.read(lambda connection: _most(asked, connection, which))),
        }
    )

    def read(place: Place | None) -> asyncio.Task[Portion]:
        return asyncio.create_task(asked.read(lambda connection: portion(connection, which, place)))

    await response.prepare(asked.request)
    if asked.request.method == hdrs.METH_HEAD:
        return response
    count, reading = 0, read(None)
    try:
        await response.write(file.begin())
        while True:
            found = await reading
            if not await _still_sees(asked):
                raise PermissionError("may see the site's calls no more")
            if found.following is not None:
                reading = read(found.following)  # while what was read is written
            count += len(found.rows)
            await response.write(await asyncio.to_thread(lambda rows: file.rows(shown(rows)), found.rows))
            if found.following is None:
                break
        await response.write(await asyncio.to_thread(file.end))
        await response.write_eof()
    except (StorageUnavailable, ConnectionError, PermissionError) as error:
        # Part of it is sent: only a connection that breaks says that it is not whole.
        log.warning("export_broken_off", person=asked.person.name, rows=count, reason=str(error))
        if asked.request.transport is not None:
            asked.request.transport.abort()
        return response
    finally:
        reading.cancel()
    log.info("calls_exported", person=asked.person.name, site=asked.key, rows=count, kind=ending)
    return response


async def _still_sees(asked: Asked) -> bool:
    """Whether who asked may still have the site's calls: an export may take longer than that lasts."""
    session = await read_session(asked.request, asked.database, asked.now)
    return session is not None and session.person.access.sees(asked.key)


def _most(asked: Asked, connection: Any, which: Any) -> int:
    """How many rows there are, or may be where they are many."""
    sums = calls_sums(connection, which)
    if not sums["more"]:
        return int(sums["calls"])
    (total,) = totals(connection, asked.calls, compare=False)
    return max(int(total["calls"]), MOST)


PAGES = (
    Page(path="/sites/{site}/calls.csv", handler=as_csv),
    Page(path="/sites/{site}/calls.xlsx", handler=as_xlsx),
)
