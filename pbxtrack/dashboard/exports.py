"""Calls as files for spreadsheets: those that the call log finds, as many as there are, sent while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog
from aiohttp import hdrs, web

from pbxtrack.calls.attribution import Method
from pbxtrack.dashboard import filters
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.filters import STATUS_NAMES
from pbxtrack.dashboard.languages import csv_divider, marked
from pbxtrack.errors import StorageUnavailable
from pbxtrack.spreadsheet import BOM, csv_line
from pbxtrack.storage.call_sums import MOST, calls_sums
from pbxtrack.storage.export import COLUMNS, Portion, portion
from pbxtrack.storage.reports import totals
from pbxtrack.storage.views import CORRECTED
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
_HOUR = timedelta(hours=1)

log = structlog.get_logger(__name__)


class _File(Protocol):
    def begin(self) -> bytes: ...

    def rows(self, rows: Iterable[Sequence[object]]) -> bytes: ...

    def end(self) -> bytes: ...


class _Csv:
    def __init__(self, asked: Asked, heads: Sequence[str]) -> None:
        self._heads = heads
        self._divider = csv_divider(asked.language)

    def begin(self) -> bytes:
        return (BOM + csv_line(self._heads, self._divider)).encode()

    def rows(self, rows: Iterable[Sequence[object]]) -> bytes:
        return "".join(csv_line(row, self._divider) for row in rows).encode("utf-8", "replace")

    def end(self) -> bytes:
        return b""


class _Xlsx:
    def __init__(self, asked: Asked, heads: Sequence[str]) -> None:
        self._book = Workbook(asked.text(marked("Calls")), heads, [_WIDTHS.get(name, 14) for name in COLUMNS])

    def begin(self) -> bytes:
        return b""

    def rows(self, rows: Iterable[Sequence[object]]) -> bytes:
        return self._book.rows(rows)

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
        self._offsets: dict[tuple[int, int, int, int], timedelta] = {}

    def __call__(self, row: Sequence[Any]) -> list[object]:
        shown = list(row)
        shown[0] = self._clock(row[0])
        shown[4] = self._statuses.get(row[4], row[4])
        shown[5], shown[6] = int(row[5]), int(row[6])
        for place in (8, 9, 10, 23):
            shown[place] = self._yes if row[place] else self._no
        if row[11] is not None:
            shown[11] = self._clock(row[11])
        shown[19] = round(row[19], 3)
        shown[20] = self._methods.get(row[20], row[20])
        shown[22] = ", ".join(row[22]) if row[22] else None
        return shown

    def _clock(self, at: datetime) -> datetime:
        """What the site's clocks showed, to the second. They are asked once for each quarter of an hour."""
        key = at.year, at.timetuple().tm_yday, at.hour, at.minute // 15
        offset = self._offsets.get(key)
        if offset is None:
            offset = self._offsets[key] = at.astimezone(self._zone).utcoffset() or timedelta()
        return (at + offset).replace(tzinfo=None, microsecond=0)


_KINDS: dict[str, tuple[Callable[[Asked, Sequence[str]], _File], str]] = {
    "csv": (_Csv, "text/csv"),
    "xlsx": (_Xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
assert tuple(_HEADS) == COLUMNS
assert [COLUMNS[place] for place in (0, 4, 5, 6, 8, 9, 10, 11, 19, 20, 22, 23)] == [
    "started_at", "status", "ringing_seconds", "talk_seconds", "first", "unique", "target", "settled_at", "confidence",
    "method", "tags", "recorded",
]  # fmt: skip


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
    name = f"{asked.key}-calls-{period.first}-{period.last}.{ending}"
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: f"{content_type}; charset=utf-8" if ending == "csv" else content_type,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
            ROWS: str(await asked.read(lambda connection: _most(asked, connection, which))),
        }
    )

    def following(connection: Any, after: tuple[datetime, str] | None) -> tuple[bytes, Portion]:
        found = portion(connection, which, after)
        return file.rows(map(shown, found.rows)), found

    await response.prepare(asked.request)
    if asked.request.method == hdrs.METH_HEAD:
        return response
    count, after = 0, None
    try:
        await response.write(file.begin())
        while True:
            since = after
            data, found = await asked.read(lambda connection: following(connection, since))  # noqa: B023 - awaited
            count += len(found.rows)
            await response.write(data)
            if (after := found.after) is None:
                break
        await response.write(await asyncio.to_thread(file.end))
        await response.write_eof()
    except (StorageUnavailable, ConnectionError) as error:
        # Part of it is sent: only a connection that breaks says that it is not whole.
        log.warning("export_broken_off", person=asked.person.name, rows=count, reason=str(error))
        if asked.request.transport is not None:
            asked.request.transport.abort()
        return response
    log.info("calls_exported", person=asked.person.name, site=asked.key, rows=count, kind=ending)
    return response


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
