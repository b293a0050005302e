"""Calls are taken home as files: by clicks, those that are seen; and it is seen how far a long one is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from openpyxl import load_workbook
from playwright.sync_api import CDPSession, Download, Page, expect

from tests.browser.desk.conftest import Open
from tests.browser.desk.service import SITE

CALLS = f"/sites/{SITE}/calls"
_SLOWLY, _FAST = 40_000, -1  # bytes a second; -1 is as fast as it goes


@dataclass(frozen=True)
class Words:
    """What the desk says in a language."""

    status: str
    busy: str
    show: str
    export: str
    making: str
    cancel: str
    heads: tuple[str, str, str, str, str]  # of the caller, the status, the channel, the talk, the id
    divider: str  # of a CSV's cells


WORDS = {
    "en-GB": Words(
        "Status", "Busy", "Show", "Export", "The file is being made…", "Cancel",
        ("Caller", "Status", "Channel", "Talk, s", "Id"), ",",
    ),
    "ru-RU": Words(
        "Статус", "Занято", "Показать", "Выгрузить", "Файл готовится…", "Отмена",
        ("Звонящий", "Статус", "Канал", "Разговор, с", "Ид."), ";",
    ),
}  # fmt: skip


def seen(page: Page, words: Words) -> list[list[str]]:
    """Every row of the call log, page by page: id, digits of the caller, status, channel."""
    rows: list[list[str]] = []
    while True:
        shown: list[list[str]] = page.locator("#calls tbody tr").evaluate_all(
            """rows => rows.map(row => [row.dataset.call, row.cells[1].innerText, row.cells[3].querySelector(".status")
            .innerText, row.cells[2].querySelector("bdi")?.innerText ?? ""])"""
        )
        rows += [[call, digits(caller), status.strip(), channel] for call, caller, status, channel in shown]
        older = page.locator("a[rel=next]")
        if not older.count():
            return rows
        older.click()
        page.wait_for_load_state()


def digits(number: str) -> str:
    """Of a telephone number, as people write it or not, what does not depend on that."""
    return re.sub(r"\D", "", number)[-10:]


def export(page: Page, words: Words, kind: str) -> Download:
    """Take a file by clicks."""
    page.locator("summary", has_text=words.export).click()
    with page.expect_download() as download:
        page.get_by_role("link", name=kind).click()
    return download.value


def rows_of(path: Path, words: Words) -> Sequence[Sequence[str]]:
    """The rows of a file, their cells as text."""
    if path.suffix == ".csv":
        text = path.read_bytes().decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=words.divider))
    sheet = load_workbook(path).active
    assert sheet is not None
    return [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]


@pytest.mark.parametrize("language", list(WORDS))
def test_the_rows_of_a_file_are_those_that_are_seen(
    open_desk: Open, tmp_path: Path, picture: Path, language: str
) -> None:
    words = WORDS[language]
    with open_desk(locale=language, accept_downloads=True) as tab:
        page = tab.page
        tab.go(f"{CALLS}?period=all")
        page.locator("summary", has_text=words.status).click()
        page.get_by_label(words.busy).check()
        page.locator("details[open]").get_by_role("button", name=words.show).click()
        page.wait_for_url("**&status=busy")
        page.locator("summary", has_text=words.export).click()
        page.screenshot(path=picture)
        page.keyboard.press("Escape")
        files = [export(page, words, kind) for kind in ("CSV", "XLSX")]
        expected = seen(page, words)
        assert len(expected) > 10
        assert {row[2] for row in expected} == {words.busy}
        for file in files:
            path = tmp_path / file.suggested_filename
            file.save_as(path)
            head, *rows = rows_of(path, words)
            caller, status, channel, talk, call = (head.index(name) for name in words.heads)
            assert [[row[call], digits(row[caller]), row[status], row[channel]] for row in rows] == expected
            assert {row[talk] for row in rows} == {"0"}
        assert [file.suggested_filename.rpartition(".")[2] for file in files] == ["csv", "xlsx"]


def throttle(chromium: CDPSession, speed: int) -> None:
    """Let the tab load so many bytes a second."""
    chromium.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": speed, "uploadThroughput": -1},
    )


@pytest.mark.parametrize("language", list(WORDS))
def test_it_is_seen_how_far_a_long_one_is(open_desk: Open, tmp_path: Path, picture: Path, language: str) -> None:
    words = WORDS[language]
    with open_desk(locale=language, accept_downloads=True) as tab:
        page = tab.page
        tab.go(f"{CALLS}?period=all")
        downloads: list[Download] = []
        page.on("download", lambda download: downloads.append(download))
        told, bar = page.locator("#exporting"), page.get_by_role("progressbar")
        chromium = page.context.new_cdp_session(page)
        chromium.send("Network.enable")
        throttle(chromium, _SLOWLY)
        page.locator("summary", has_text=words.export).click()
        page.get_by_role("link", name="CSV").click()
        expect(told).to_contain_text(words.making)
        part = "() => { const bar = document.querySelector('#exporting progress'); return bar.value / bar.max }"
        page.wait_for_function(f"() => 0.05 < ({part})()")
        expect(bar).to_be_visible()
        page.screenshot(path=picture)
        first = page.evaluate(part)
        page.wait_for_function(f"first => first < ({part})()", arg=first)
        assert first < 1
        told.get_by_role("button", name=words.cancel).click()
        expect(told).to_be_hidden()

        throttle(chromium, _FAST)
        file = export(page, words, "CSV")
        file.save_as(tmp_path / "calls.csv")
        expect(told).to_be_hidden()
        assert len(downloads) == 1, "what was cancelled never comes"
        calls = len(rows_of(tmp_path / "calls.csv", words)) - 1
        assert calls == int(re.sub(r"\D", "", page.locator("#summary span").first.inner_text()))
