"""A spreadsheet's file (Office Open XML, ECMA-376), written as a stream: nothing of it is kept.

The libraries that write such files gather the whole of it first, on disk or in memory; whoever exports a million rows
would wait for minutes without a sign. Of the format this is the least that Excel and LibreOffice read: sheets of rows
whose cells are numbers, times or texts. A text cell is never a formula, whatever it begins with.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape
from typing import IO, Any

MAX_ROWS = 1_048_576
"""Rows of a sheet; more go on in another."""
_MAX_TEXT = 32_767  # characters of a cell
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile("_x(?=[0-9A-Fa-f]{4}_)")
_SPECIAL = re.compile("[&<>\x00-\x1f\ud800-\udfff\ufffe\uffff]")
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's times are those of a clock on a wall
_DAY = 86_400.0  # s
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = _HEAD + (
    f'<styleSheet xmlns="{_MAIN}">'
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font/><font><b/></font></fonts>'
    '<fills count="2"><fill><patternFill/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf/><xf numFmtId="164" applyNumberFormat="1"/><xf fontId="1" applyFont="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)


class Workbook:
    """A workbook in the making; what :meth:`rows` and :meth:`end` return is to be sent on, in order."""

    def __init__(self, title: str, heads: Sequence[str], widths: Sequence[int]) -> None:
        """``heads`` stand over the columns, which are so many characters wide.

        ``title`` is the first sheet's name, and with a number those of the others: at most 27 characters, none of
        ``[]:*?/\\``.
        """
        self._title = escape(title)
        self._made = _Made()
        target: Any = self._made  # it is all of a file that is needed where nothing is sought
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._heads = heads
        self._columns = "".join(
            f'<col min="{n}" max="{n}" width="{width}" customWidth="1"/>' for n, width in enumerate(widths, 1)
        )
        self._sheets = 0
        self._left = 0
        self._sheet = self._begin()

    def rows(self, columns: Sequence[Sequence[object]]) -> bytes:
        """Rows, by their columns, each of values of one type: numbers, times without a zone, texts; None: empty."""
        rows = [f"<row>{''.join(cells)}</row>" for cells in zip(*map(_cells, columns), strict=True)]
        while rows:
            if not self._left:
                self._close()
                self._sheet = self._begin()
            written, rows = rows[: self._left], rows[self._left :]
            self._left -= len(written)
            self._sheet.write("".join(written).encode())
        return self._made.taken()

    def end(self) -> bytes:
        """What remains, once every row is written."""
        self._close()
        numbers = range(1, self._sheets + 1)
        parts = {
            "xl/styles.xml": _STYLES,
            "xl/workbook.xml": f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>'
            + "".join(
                f'<sheet name="{self._title}{f" {n}" if n > 1 else ""}" sheetId="{n}" r:id="s{n}"/>' for n in numbers
            )
            + "</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": _related(
                [(f"s{n}", "worksheet", f"worksheets/{n}.xml") for n in numbers] + [("styles", "styles", "styles.xml")]
            ),
            "_rels/.rels": _related([("book", "officeDocument", "xl/workbook.xml")]),
            "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
            + "".join(
                f'<Override PartName="/xl/worksheets/{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n in numbers
            )
            + "</Types>",
        }
        for name, text in parts.items():
            self._zip.writestr(name, text)
        self._zip.close()
        return self._made.taken()

    def _begin(self) -> IO[bytes]:
        self._sheets += 1
        self._left = MAX_ROWS - 1
        sheet = self._zip.open(f"xl/worksheets/{self._sheets}.xml", "w", force_zip64=True)
        heads = "".join(
            f'<c s="2" t="inlineStr"><is><t>{escape(head, quote=False)}</t></is></c>' for head in self._heads
        )
        sheet.write(
            f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" '
            'topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
            f"<cols>{self._columns}</cols><sheetData><row>{heads}</row>".encode()
        )
        return sheet

    def _close(self) -> None:
        self._sheet.write(b"</sheetData></worksheet>")
        self._sheet.close()


class _Made:
    """Takes what the archive writes, until it is taken away. It cannot be sought in: so nothing written is changed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        made, self._parts = b"".join(self._parts), []
        return made


def _cells(column: Sequence[object]) -> Iterator[str]:
    """What many rows tell is written once."""
    cells = {value: _cell(value) for value in set(column)}
    return map(cells.__getitem__, column)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, datetime):
        return f'<c s="1"><v>{(value - _EPOCH).total_seconds() / _DAY:.9f}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value:g}</v></c>" if isinstance(value, float) else f"<c><v>{value:d}</v></c>"
    text = str(value)[:_MAX_TEXT]
    if _SPECIAL.search(text):
        text = escape(_NOT_XML.sub("", text), quote=False)
    if "_x" in text:
        text = _ESCAPED.sub("_x005F_x", text)  # else what follows is taken for a sign's number
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _related(relations: Iterable[tuple[str, str, str]]) -> str:
    made = "".join(
        f'<Relationship Id="{name}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for name, kind, target in relations
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{made}</Relationships>'
