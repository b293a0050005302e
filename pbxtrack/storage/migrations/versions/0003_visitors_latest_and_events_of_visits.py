"""A visitor's latest visit and lease, what happens during a visit, and visitors' ids made by websites"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_POSTGRESQL = "postgresql"


def upgrade() -> None:
    op.create_table(
        "visit_events",
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("visit_id", "id", name=op.f("pk_visit_events")),
        sqlite_with_rowid=False,
    )
    op.add_column("visits", sa.Column("events", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.rename_table("visitors", "visitors_before")
    if op.get_bind().dialect.name == _POSTGRESQL:
        op.execute("ALTER INDEX pk_visitors RENAME TO pk_visitors_before")
    op.create_table(
        "visitors",
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("visit_id", sa.String(length=26), nullable=False),
        sa.Column("lease_id", sa.String(length=26), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_visitors_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", "id", name=op.f("pk_visitors")),
        sqlite_with_rowid=False,
    )
    op.execute("""
        INSERT INTO visitors (site_id, id, first_seen_at, visit_id, lease_id)
        SELECT site_id, id, first_seen_at,
               (SELECT visits.id FROM visits WHERE visits.visitor_id = before.id ORDER BY started_at DESC LIMIT 1),
               (SELECT leases.id FROM visits JOIN leases ON leases.visit_id = visits.id
                 WHERE visits.visitor_id = before.id ORDER BY leases.started_at DESC LIMIT 1)
          FROM visitors_before AS before
         WHERE EXISTS (SELECT 1 FROM visits WHERE visits.visitor_id = before.id)
    """)
    op.drop_table("visitors_before")
    op.drop_index("ix_leases_visit", table_name="leases")
    _index_numbers("id")
    if op.get_bind().dialect.name == _POSTGRESQL:
        for table in ("visits", "leases"):
            op.alter_column(table, "visitor_id", type_=sa.String(length=64))
        # Leased numbers die at the head of the index that the next are found by: they are to be swept away early.
        op.execute(
            "ALTER TABLE numbers SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,"
            " fillfactor = 70)"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == _POSTGRESQL:
        op.execute(
            "ALTER TABLE numbers RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold, fillfactor)"
        )
        for table in ("visits", "leases"):
            op.alter_column(
                table, "visitor_id", type_=sa.String(length=26), postgresql_using="substr(visitor_id, 1, 26)"
            )
    op.create_index("ix_leases_visit", "leases", ["visit_id"])
    _index_numbers()
    op.rename_table("visitors", "visitors_after")
    if op.get_bind().dialect.name == _POSTGRESQL:
        op.execute("ALTER INDEX pk_visitors RENAME TO pk_visitors_after")
    op.create_table(
        "visitors",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("site_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_visitors_site_id_sites")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visitors")),
    )
    op.execute("""
        INSERT INTO visitors (id, site_id, first_seen_at)
        SELECT substr(id, 1, 26), min(site_id), min(first_seen_at) FROM visitors_after GROUP BY substr(id, 1, 26)
    """)
    op.drop_table("visitors_after")
    with op.batch_alter_table("visits") as visits:
        visits.drop_column("events")
    op.drop_table("visit_events")


def _index_numbers(*more: str) -> None:
    in_use = sa.text("removed_at IS NULL")
    for name, until in (("ix_numbers_free", "free_at"), ("ix_numbers_guaranteed", "guaranteed_until")):
        op.drop_index(name, table_name="numbers")
        op.create_index(name, "numbers", ["pool_id", until, *more], postgresql_where=in_use, sqlite_where=in_use)
