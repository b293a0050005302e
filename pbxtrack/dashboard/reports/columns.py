"""The columns of reports: what they are called, how they are written, how rows of them add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pbxtrack.dashboard.languages import Format, marked

Row = Mapping[str, Any]


class Kind(Enum):
    """How a figure is written."""

    COUNT = auto()
    SHARE = auto()
    RATIO = auto()  # a share that may be less than nothing
    MONEY = auto()  # of the row's currency
    CLOCK = auto()  # seconds, as clocks count
    SPELT = auto()  # seconds, in words


@dataclass(frozen=True, slots=True)
class Column:
    """A figure. ``good``: whether more of it is better, None where it is neither.

    ``opens``: what the address of the calls behind it has besides the row's; None where no list has just those.
    ``every``: it stands beside any set of columns.
    """

    name: str
    head: str
    kind: Kind = Kind.COUNT
    good: bool | None = True
    opens: str | None = None
    every: bool = False

    def told(self, f: Format, value: float | None, currency: str = "") -> str:
        """The value as people write it; a dash for None."""
        match self.kind:
            case Kind.COUNT:
                return f.number(value)
            case Kind.SHARE | Kind.RATIO:
                return _share(f, value)
            case Kind.MONEY:
                return f.money(value, currency)
            case Kind.CLOCK:
                return f.duration(value)
            case Kind.SPELT:
                return f.spell(value)


def _share(f: Format, value: float | None) -> str:
    if value is None or value == 0 or abs(value) >= 0.1:
        return f.percent(value)
    return f.percent(value, 1) if abs(value) >= 0.001 else f"<{f.percent(0.001, 1)}"


CALLS = Column("calls", marked("Calls"), opens="", every=True)
SHARE = Column("share", marked("Share"), Kind.SHARE, good=None)
UNIQUE = Column("unique", marked("Unique"), opens="unique=true", every=True)
TARGET = Column("target", marked("Target"), opens="target=true", every=True)
ANSWERED = Column("answered", marked("Answered calls"), opens="status=answered&status=talking")
MISSED = Column(
    "missed",
    marked("Missed"),
    good=False,
    opens="status=missed&status=abandoned&status=busy&status=failed",
)
UNSETTLED = Column("unsettled", marked("Not called back"), good=False, opens="unsettled=true")
TALK = Column("talk_seconds", marked("Talk time"), Kind.CLOCK)
TALK_EACH = Column("talk_each", marked("Talk per call"), Kind.CLOCK)
ANSWER = Column("answer_seconds", marked("Time to answer"), Kind.SPELT, good=False)
COST = Column("cost", marked("Cost"), Kind.MONEY, good=None)
REVENUE = Column("revenue", marked("Revenue"), Kind.MONEY)

OF_CALLS = (CALLS, SHARE, UNIQUE, TARGET, ANSWERED, MISSED, UNSETTLED, TALK, ANSWER)
OF_TOUCHES = (CALLS, SHARE, UNIQUE, TARGET, ANSWERED, MISSED, UNSETTLED, TALK)
OF_OPERATORS = (CALLS, SHARE, UNIQUE, TARGET, TALK, TALK_EACH, ANSWER)
OF_MONEY = (
    CALLS,
    UNIQUE,
    TARGET,
    COST,
    REVENUE,
    Column("roi", marked("ROI"), Kind.RATIO),
    Column("cost_per_contact", marked("Per contact"), Kind.MONEY, good=False),
    Column("cost_per_target", marked("Per target"), Kind.MONEY, good=False),
    Column("won", marked("Won deals")),
    Column("cost_per_won", marked("Per won deal"), Kind.MONEY, good=False),
    Column("conversion", marked("Conversion"), Kind.SHARE),
    Column("deals", marked("Deals")),
    Column("cost_per_deal", marked("Per deal"), Kind.MONEY, good=False),
    Column("cost_per_call", marked("Per call"), Kind.MONEY, good=False),
)


def there(columns: Sequence[Column], rows: Iterable[Row]) -> list[Column]:
    """The columns in which any of the rows has something."""
    found = {name for row in rows for name, value in row.items() if value is not None}
    return [column for column in columns if column.name in found or column.every]


def with_means(row: Row) -> dict[str, Any]:
    """The row with what operators are compared by: how long a call that was answered was talked."""
    answered = row["answered"]
    return {**row, "talk_each": round(row["talk_seconds"] / answered, 1) if answered else None}


def summed(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of all the rows together, as if they were one; what is nowhere told is None."""
    total: dict[str, Any] = {
        name: _sum(row.get(name) for row in rows)
        for name in ("calls", "share", "unique", "target", "answered", "missed", "unsettled", "talk_seconds", "cost",
                     "deals", "won", "revenue")
    }  # fmt: skip
    answered, cost = total["answered"], total["cost"]
    waited = sum((row["answer_seconds"] or 0) * row["answered"] for row in rows)
    ratios: Mapping[str, tuple[float | None, float | None]] = {
        "answer_seconds": (waited, answered),
        "cost_per_call": (cost or None, total["calls"]),
        "cost_per_contact": (cost or None, total["unique"]),
        "cost_per_target": (cost or None, total["target"]),
        "cost_per_deal": (cost or None, total["deals"]),
        "cost_per_won": (cost or None, total["won"]),
        "conversion": (total["won"], total["unique"]),
        "roi": (None if cost is None or total["revenue"] is None else total["revenue"] - cost, cost),
    }
    means = {name: part / of if part is not None and of else None for name, (part, of) in ratios.items()}
    return with_means({**total, **means})


def _sum(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return round(sum(found), 4) if found else None


def sorted_by(rows: Sequence[Row], name: str, *, descending: bool) -> list[Row]:
    """The rows by a figure or a text; those without a value come last, either way."""

    def key(row: Row) -> tuple[bool, Any]:
        value = row.get(name)
        if value is None:
            return (not descending, 0)
        return (descending, value.casefold() if isinstance(value, str) else value)

    return sorted(rows, key=key, reverse=descending)
