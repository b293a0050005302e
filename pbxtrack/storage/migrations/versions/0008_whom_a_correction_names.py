"""Whom a correction names, as later attributions see it"""

from __future__ import annotations

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


def downgrade() -> None:
    op.drop_column("calls", "corrected_tie")
