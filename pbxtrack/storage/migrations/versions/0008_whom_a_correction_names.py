"""Whom a correction names, as later attributions see it; of an attribution all leases that it met alive"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_calls = sa.table(
    "calls",
    sa.column("id"),
    sa.column("started_at"),
    sa.column("corrected_visit_id"),
    sa.column("corrected_tie", sa.JSON),
)
_held: sa.ColumnClause[Any] = sa.column("held")
_leases = sa.table("leases", sa.column("id"), sa.column("visit_id"), sa.column("visitor_id"), sa.column("started_at"))


def upgrade() -> None:
    op.add_column("calls", sa.Column("corrected_tie", sa.JSON(none_as_null=True), nullable=True))
    found = op.get_bind().execute(
        sa.select(_calls.c.id, _leases.c.id.label("lease"), _leases.c.visitor_id)
        .join_from(_calls, _leases, _leases.c.visit_id == _calls.c.corrected_visit_id)
        .where(_leases.c.started_at <= _calls.c.started_at)
        .order_by(_leases.c.id)
    )
    ties = {row.id: {"visitor": row.visitor_id, "lease": row.lease, "share": 1.0} for row in found}  # the latest lease
    for call_id, tie in ties.items():
        op.execute(_calls.update().where(_calls.c.id == call_id).values(corrected_tie=tie))
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    _set_held(sa.func.json_array(sa.func.json(_held)) if on_sqlite else sa.func.json_build_array(_held))


def downgrade() -> None:
    op.drop_column("calls", "corrected_tie")
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    _set_held(sa.func.json_extract(_held, "$[0]") if on_sqlite else _held.op("->")(0))


def _set_held(to: sa.ColumnElement[Any]) -> None:
    op.execute(sa.update(sa.table("calls", _held)).where(_held.is_not(None)).values(held=to))
