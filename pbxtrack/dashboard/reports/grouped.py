"""Reports that group calls by what brought them, where they came from, or who answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import web
from sqlalchemy import Connection

from pbxtrack.calls.models import Model
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.reports.columns import COST, OF_MONEY, REVENUE, Column, Kind, Row, summed, there, with_means
from pbxtrack.dashboard.reports.frame import as_csv, framed, is_csv
from pbxtrack.dashboard.reports.kinds import ALWAYS, GROUPED, MODELS, ONLY_COSTS, OWN_VISITS, Grouped
from pbxtrack.dashboard.reports.table import FEW, MOST, Cell, Compared, Wanted, cells, chosen, compared, lines, wanted
from pbxtrack.storage.call_search import NO_CHANNEL
from pbxtrack.storage.reports import Period, answers, totals

_MANY = 500  # rows that take so long to write that other requests shall not wait for it


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read. ``before`` and the total's are None where nothing is compared."""

    rows: list[Row]
    before: list[Row] | None
    total: Compared

    @property
    def money(self) -> bool:
        """Whether there are costs or deals to tell of."""
        return any(row.get(name) is not None for row in self.rows for name in ("cost", "deals"))

    def shown(self, columns: Sequence[Column]) -> _Found:
        """Only the rows that have calls, where the columns tell of nothing else."""
        if not {COST, REVENUE}.isdisjoint(columns):
            return self
        with_calls = [[row for row in rows if row["calls"]] for rows in (self.rows, self.before or [])]
        return replace(self, rows=with_calls[0], before=None if self.before is None else with_calls[1])


@dataclass(frozen=True, slots=True)
class Line:
    """A row as it is shown: its names (None where there is none), its figures, its part of all calls.

    ``costs_of``: the channel of one that holds only costs.
    """

    names: Sequence[str | None]
    cells: Sequence[Cell]
    share: float | None
    href: str | None = None
    new: bool = False
    costs_of: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: it sorts. ``order`` as ``aria-sort`` has it; None where another column does."""

    text: str
    href: str
    order: str | None
    figure: bool


def _showing(report: Grouped) -> Callable[[Asked], Awaitable[web.StreamResponse]]:
    async def show(asked: Asked) -> web.StreamResponse:
        model = _model(asked)
        found = await asked.read(lambda connection: _read(connection, asked, report, model))
        if is_csv(asked):
            return await asyncio.to_thread(_file, asked, report, found)
        if asked.query.get("rows") == "all" and len(found.rows) > _MANY:
            return await asyncio.to_thread(_page, asked, report, model, found)
        return _page(asked, report, model, found)

    return show


def _model(asked: Asked) -> Model:
    name = asked.query.get("model")
    return Model(name) if name in list(Model) else Model.LAST_NON_DIRECT


def _compares(asked: Asked) -> bool:
    return asked.query.get("compare") == "1" and asked.period.comparable


def _read(connection: Connection, asked: Asked, report: Grouped, model: Model) -> _Found:
    period, comparing = asked.calls, _compares(asked)

    def of(time: Period) -> list[Row]:
        return [with_means(row) for row in answers(connection, report.question, time, model, MOST)]

    (total,) = totals(connection, period, compare=comparing)
    past = total["before"]
    return _Found(
        of(period),
        of(period.before()) if comparing else None,
        Compared(with_means(total), with_means(past) if past else None),
    )


def _dimensions(asked: Asked, report: Grouped, found: _Found) -> list[tuple[str, str]]:
    """The names of a row's dimensions and their heads. A row of costs that tell no more has a channel besides."""
    named = list(zip(report.question.dimensions, map(asked.text, report.heads), strict=True))
    rows = [*found.rows, *(found.before or [])]
    if "channel" not in report.question.dimensions and any(row.get("channel") for row in rows):
        named.append(("channel", asked.text("Channel")))
    return named


def _columns(asked: Asked, report: Grouped, found: _Found) -> list[Column]:
    if found.money and asked.query.get("columns") == "money":
        return there(OF_MONEY, [*found.rows, found.total.row])
    return there(report.columns, [*found.rows, found.total.row])


def _chosen(
    asked: Asked, found: _Found, columns: Sequence[Column], dimensions: Sequence[str]
) -> tuple[Wanted, list[Compared]]:
    want = wanted(asked.query, [*dimensions, *(column.name for column in columns)])
    return want, chosen(
        compared(found.rows, found.before, dimensions), want, dimensions, lambda name, value: _shown(asked, name, value)
    )


def _page(asked: Asked, report: Grouped, model: Model, found: _Found) -> web.Response:
    columns, cut, money = _columns(asked, report, found), len(found.rows) >= MOST, found.money
    found = found.shown(columns)
    named = _dimensions(asked, report, found)
    want, rows = _chosen(asked, found, columns, [name for name, _ in named])
    shown = rows if want.everything else rows[:FEW]
    by_model = report.question.by_model
    own = named[: len(report.question.dimensions)]
    told = [MODELS[model][1], ALWAYS, *([OWN_VISITS] if report.opens and model != Model.LAST else [])]
    return framed(
        asked,
        report.question.name,
        "grouped.html",
        report=report,
        columns=columns,
        heads=_heads(asked, own, columns, want),
        lines=_lines(asked, report, columns, shown, rows, found.rows),
        total=_total(asked, columns, want, rows, found.total),
        want=want,
        count=len(rows),
        few=FEW,
        cut=cut,
        comparing=found.before is not None,
        money=money,
        showing_money=Kind.MONEY in [column.kind for column in columns],
        model=model if by_model else None,
        models=MODELS,
        told=[*(told if by_model else []), *([ONLY_COSTS] if len(named) > len(own) else [])],
    )


def _heads(asked: Asked, named: Sequence[tuple[str, str]], columns: Sequence[Column], want: Wanted) -> list[Head]:
    every = [(name, head, False) for name, head in named]
    every += [(column.name, asked.text(column.head), True) for column in columns]
    direction = "descending" if want.descending else "ascending"
    return [
        Head(
            head,
            asked.here(sort=want.other_way(name, text=not figure)),
            direction if name == want.sort else None,
            figure,
        )
        for name, head, figure in every
    ]


def _lines(
    asked: Asked,
    report: Grouped,
    columns: Sequence[Column],
    shown: Sequence[Compared],
    rows: Sequence[Compared],
    every: Sequence[Row],
) -> list[Line]:
    opens = report.opens
    named = Counter(row.get(opens) for row in every) if opens else Counter[str | None]()
    most = max((one.row["calls"] for one in rows), default=0)
    made = []
    for one in shown:
        value = one.row.get(opens) if opens else None
        # The call log finds all calls of a campaign: those of a row only where no other has a campaign of that name.
        asks = opens and (value or opens == "channel") and named[value] == 1
        href = asked.address("calls", **{opens: value or NO_CHANNEL}) if opens and asks else None
        made.append(
            Line(
                [_shown(asked, name, one.row.get(name)) for name in report.question.dimensions],
                cells(asked.format, columns, one, one.row.get("currency", ""), href),
                one.row["calls"] / most if most else None,
                href,
                new=one.before is not None and not one.before["calls"],
                costs_of="" if "channel" in report.question.dimensions else asked.channel(one.row.get("channel")),
            )
        )
    return made


def _shown(asked: Asked, name: str, value: str | None) -> str | None:
    return asked.channel(value) if name == "channel" and value else value


def _total(
    asked: Asked, columns: Sequence[Column], want: Wanted, rows: Sequence[Compared], total: Compared
) -> Sequence[Cell]:
    """What all the rows are together: those that were looked for."""
    currency = total.row.get("currency", "")
    if not want.words:
        return cells(asked.format, columns, total, currency, asked.address("calls"))
    before = [one.before for one in rows if one.before is not None]
    found = Compared(summed([one.row for one in rows]), summed(before) if before else None)
    return cells(asked.format, columns, found, currency)


def _file(asked: Asked, report: Grouped, found: _Found) -> web.Response:
    columns = _columns(asked, report, found)
    found = found.shown(columns)
    named = _dimensions(asked, report, found)
    dimensions = [name for name, _ in named]
    _, rows = _chosen(asked, found, columns, dimensions)
    heads = [head for _, head in named]
    for column in columns:
        name = asked.text(column.head)
        if column.kind in (Kind.CLOCK, Kind.SPELT):
            name = asked.text("%(name)s, s", name=name)
        heads.append(name)
        if found.before is not None:
            heads.append(asked.text("%(name)s, period before", name=name))
    return as_csv(
        asked, report.question.name, heads, lines(columns, rows, dimensions, with_before=found.before is not None)
    )


PAGES = tuple(
    Page(path=f"/sites/{{site}}/reports/{report.question.name}", handler=_showing(report)) for report in GROUPED
)
