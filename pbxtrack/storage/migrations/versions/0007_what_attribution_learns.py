"""Signs of who will call, numbers that rest, and what a site's calls taught"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LONG_AGO = sa.text("'1970-01-01 00:00:00.000000'")
_IN_USE = sa.text("removed_at IS NULL")


def upgrade() -> None:
    op.add_column("leases", sa.Column("taps", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("leases", sa.Column("left_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("leases", sa.Column("called", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "numbers",
        sa.Column("rests_until", sa.DateTime(timezone=True), server_default=_LONG_AGO, nullable=False),
    )
    op.execute("UPDATE numbers SET rests_until = free_at")
    op.drop_index("ix_numbers_free", table_name="numbers")
    _index("ix_numbers_rested", "rests_until")
    op.drop_index("ix_calls_dialled_caller", table_name="calls")
    op.create_index("ix_calls_dialled", "calls", ["dialled", "started_at"])
    op.create_table(
        "curves",
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("curves", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_curves_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "version", name=op.f("pk_curves")),
    )


def downgrade() -> None:
    op.drop_table("curves")
    op.drop_index("ix_calls_dialled", table_name="calls")
    op.create_index("ix_calls_dialled_caller", "calls", ["dialled", "caller", "started_at"])
    op.drop_index("ix_numbers_rested", table_name="numbers")
    op.drop_column("numbers", "rests_until")
    _index("ix_numbers_free", "free_at")
    for column in ("taps", "left_at", "called"):
        op.drop_column("leases", column)


def _index(name: str, until: str) -> None:
    op.create_index(name, "numbers", ["pool_id", until, "id"], postgresql_where=_IN_USE, sqlite_where=_IN_USE)
