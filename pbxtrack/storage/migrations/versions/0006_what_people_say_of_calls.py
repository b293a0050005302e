"""What people say of calls and who said it; callers' calls among each other; the lease as an attribution met it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_COLUMNS = (
    ("held", sa.JSON()),
    ("settled_by", sa.String(length=200)),
    ("settled_at", _TIME),
    ("qualified", sa.Boolean()),
    ("corrected_channel", sa.String(length=300)),
    ("corrected_visit_id", sa.String(length=26)),
    ("corrected_by", sa.String(length=100)),
    ("corrected_at", _TIME),
    ("outbound", sa.String(length=64)),
)
_INDEXES = {
    "ix_calls_answered": (["site_id", "caller", "started_at"], "answered_at IS NOT NULL"),
    "ix_calls_called": (["outbound", "started_at"], "outbound IS NOT NULL"),
    "ix_calls_settled_by": (["settled_by"], "settled_by IS NOT NULL"),
    "ix_calls_unsettled": (["started_at", "id"], "answered_at IS NULL AND settled_by IS NULL"),
}


def upgrade() -> None:
    op.add_column("sites", sa.Column("unique_days", sa.Integer(), nullable=True))
    # The version before, which may still run, writes no value.
    op.add_column("calls", sa.Column("is_unique", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    for name, kind in _COLUMNS:
        op.add_column("calls", sa.Column(name, kind, nullable=True))
    op.execute("UPDATE calls SET is_unique = first WHERE first")
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "calls", columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_call", "audit", ["call_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("""
            CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'the audit is only added to'; END $$
        """)
        op.execute("CREATE TRIGGER audit_stays BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays()")
    else:
        op.execute(
            "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is only added to');"
            " END"
        )


def downgrade() -> None:
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_stays()")
    for name in _INDEXES:
        op.drop_index(name, table_name="calls")
    for name, _ in reversed(_COLUMNS):
        op.drop_column("calls", name)
    op.drop_column("calls", "is_unique")
    op.drop_column("sites", "unique_days")
