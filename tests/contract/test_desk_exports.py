"""Calls as files: what stands in them, and what never becomes a formula."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from openpyxl import load_workbook
from sqlalchemy import Connection, update

from pbxtrack.access import Role
from pbxtrack.storage import export, tables
from pbxtrack.storage.database import Database
from tests.contract.api_client import CALLER, OTHER_STATIC, STATIC, T0, put_call
from tests.contract.desk_client import Reader, desk
from tests.contract.site import a_site

DAYS = "from=2026-03-01&to=2026-03-02"
HOSTILE = ("=HYPERLINK(1)", "<img src=x onerror=alert(1)>", "\u202eevil", "+cmd|' /C calc'!A0", "tab\t=1;=2\r\n@3")


@pytest.fixture
def shop(database: Database) -> Database:
    with database.transaction() as connection:
        a_site(connection, static=[STATIC])
        a_site(connection, key="other", static=[OTHER_STATIC])
    for minute in range(12):
        put_call(database, minute, talk=90 if minute % 2 else 0)
    put_call(database, 20, dialled=OTHER_STATIC, caller="+79160000009")
    return database


async def exported(reader: Reader, ending: str, query: str = DAYS) -> bytes:
    async with reader.client.get(f"/sites/demo/calls.{ending}?{query}") as response:
        assert response.status == 200
        assert f'filename="demo-calls-2026-03-01-2026-03-02.{ending}"' in response.headers["Content-Disposition"]
        return await response.read()


def rows_of_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.asyncio
async def test_a_file_of_all_time_is_named_by_its_end(shop: Database) -> None:
    async with desk(shop, now=lambda: T0) as reader:
        reader.log_in(shop)
        async with reader.client.head("/sites/demo/calls.csv?period=all") as response:
            assert 'filename="demo-calls-until-2026-03-01.csv"' in response.headers["Content-Disposition"]


@pytest.mark.asyncio
async def test_both_files_hold_the_calls_that_the_log_shows(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.portion, "__defaults__", (None, 5))  # several portions
    async with desk(shop) as reader:
        reader.log_in(shop)
        head, *rows = rows_of_csv(await exported(reader, "csv"))
        sheet = load_workbook(io.BytesIO(await exported(reader, "xlsx"))).active
        answered = rows_of_csv(await exported(reader, "csv", f"{DAYS}&status=answered"))[1:]
        assert "calls.csv?from=2026-03-01" in await reader.page(f"/sites/demo/calls?{DAYS}")
    assert sheet is not None
    assert sheet.title == "Calls"
    assert [cell.value for cell in sheet[1]] == head
    assert head[:3] == ["Time", "Site", "Caller"]
    assert len(rows) == 12
    assert len(answered) == 6
    newest = dict(zip(head, rows[0], strict=True))
    at = (T0 + timedelta(minutes=11, hours=3)).strftime("%Y-%m-%d %H:%M:%S")  # by Moscow's clocks
    assert (newest["Time"], newest["Caller"], newest["Talk, s"], newest["Channel"]) == (at, CALLER, "90", "Billboard")
    assert newest["Method"] == "the channel's own number"
    in_sheet = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    place = head.index("Sure to")
    assert [row[place] for row in in_sheet] == [float(row[place]) for row in rows]
    for row in (*in_sheet, *rows):
        del row[place]
    assert [[str(cell) if cell is not None else "" for cell in row] for row in in_sheet] == rows


@pytest.mark.asyncio
@pytest.mark.parametrize("value", HOSTILE)
async def test_nothing_in_them_is_a_formula(shop: Database, value: str) -> None:
    with shop.transaction() as connection:
        connection.execute(
            update(tables.calls).values(note=value, campaign=value, channel=value, tags=[value], answered_by=value)
        )
    async with desk(shop) as reader:
        reader.log_in(shop)
        head, *rows = rows_of_csv(await exported(reader, "csv"))
        sheet = load_workbook(io.BytesIO(await exported(reader, "xlsx"))).active
    assert sheet is not None
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        for name in ("Note", "Campaign", "Channel", "Tags", "Answered by"):
            assert not cells[name].startswith(("=", "+", "@"))
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} <= {"inlineStr", "s", "n", "d"}
    assert all(len(row) == len(head) for row in rows)


@pytest.mark.asyncio
async def test_in_russian_semicolons_divide_and_fractions_have_commas(shop: Database) -> None:
    with shop.transaction() as connection:
        connection.execute(update(tables.calls).values(confidence=0.25, note="да, 5"))
    async with desk(shop) as reader:
        reader.log_in(shop)
        async with reader.client.get(f"/sites/demo/calls.csv?{DAYS}", headers={"Accept-Language": "ru"}) as response:
            text = (await response.read()).decode("utf-8-sig")
    head, *rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
    cells = dict(zip(head, rows[0], strict=True))
    assert head[:2] == ["Время", "Сайт"]
    assert (cells["Уверенность"], cells["Заметка"], cells["Способ"]) == ("0,25", "да, 5", "собственный номер канала")


@pytest.mark.asyncio
async def test_they_are_for_those_who_see_the_site(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER, frozenset({"other"}), name="max")
        for ending in ("csv", "xlsx"):
            await reader.page(f"/sites/demo/calls.{ending}", 404)
        async with reader.client.get(f"/sites/other/calls.csv?{DAYS}&site=demo") as response:
            assert [row[1] for row in rows_of_csv(await response.read())[1:]] == ["other"]


@pytest.mark.asyncio
async def test_who_may_see_the_site_no_more_gets_no_more_of_it(shop: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from pbxtrack.dashboard import exports

    monkeypatch.setattr(export.portion, "__defaults__", (None, 5))
    portions = 0

    def revoked(connection: Connection, *asked: Any) -> export.Portion:
        nonlocal portions
        portions += 1
        if portions == 2:
            with shop.transaction() as other:
                other.execute(update(tables.people).values(sites=["other"]))
        return export.portion(connection, *asked)

    monkeypatch.setattr(exports, "portion", revoked)
    async with desk(shop) as reader:
        reader.log_in(shop, Role.MANAGER, frozenset({"demo"}), name="max")
        with pytest.raises(ClientPayloadError):
            await exported(reader, "csv")
    assert portions <= 3


@pytest.mark.asyncio
async def test_a_look_at_the_head_sends_no_body(shop: Database) -> None:
    async with desk(shop) as reader:
        reader.log_in(shop)
        for ending in ("csv", "xlsx"):
            async with reader.client.head(f"/sites/demo/calls.{ending}?{DAYS}") as response:
                assert (response.status, await response.read()) == (200, b"")
            await reader.page("/account")  # on the same connection


def test_more_rows_than_a_sheet_holds_go_on_in_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from pbxtrack import workbook

    monkeypatch.setattr(workbook, "MAX_ROWS", 4)
    book = workbook.Workbook("R&D", ["n"], [10])
    made = book.rows([range(7)]) + book.end()
    sheets = load_workbook(io.BytesIO(made)).worksheets
    assert [sheet.title for sheet in sheets] == ["R&D", "R&D 2", "R&D 3"]
    assert [[row[0] for row in sheet.iter_rows(values_only=True)] for sheet in sheets] == [
        ["n", 0, 1, 2],
        ["n", 3, 4, 5],
        ["n", 6],
    ]
