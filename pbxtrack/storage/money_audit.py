"""Who changed what of costs and deals: the audit's twin. Rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, select

from pbxtrack.storage.gathered import Gathered
from pbxtrack.storage.tables import money_audit
from pbxtrack.storage.times import rfc3339

MAX_HISTORY = 100
"""Changes that are shown, the newest."""

_COLUMNS = ("site_id", "kind", "subject", "at", "who", "before", "after")
_add = Gathered(money_audit.insert().values({name: bindparam(name) for name in _COLUMNS}).inline())


class Kind(StrEnum):
    """What was changed."""

    COST = "cost"
    DEAL = "deal"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one cost or deal by its id: what was there, and what there is; None: it is new, or gone."""

    subject: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @classmethod
    def between(cls, subject: int, before: Mapping[str, Any], after: Mapping[str, Any]) -> Change | None:
        """What differs; None where nothing does."""
        names = [name for name in before if before[name] != after[name]]
        if not names:
            return None
        return cls(subject, {name: before[name] for name in names}, {name: after[name] for name in names})


def note(connection: Connection, site_id: int, kind: Kind, who: str, now: datetime, changes: Sequence[Change]) -> None:
    """Keep for good what somebody changed."""
    common = {"site_id": site_id, "kind": kind.value, "at": now, "who": who}
    _add.run(
        connection,
        [{**common, "subject": one.subject, "before": one.before, "after": one.after} for one in changes],
    )


def history(connection: Connection, kind: Kind, subject: int) -> list[dict[str, Any]]:
    """What was changed of one, the newest first."""
    kept = money_audit.c
    rows = connection.execute(
        select(kept.at, kept.who, kept.before, kept.after)
        .where(kept.kind == kind.value, kept.subject == subject)
        .order_by(kept.id.desc())
        .limit(MAX_HISTORY)
    )
    return [{"at": rfc3339(row.at), "who": row.who, "before": row.before, "after": row.after} for row in rows]
