"""What advertising cost, what contacts bought, and who wrote it down; the currency of a site"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # The version before, which may still run, writes no value.
    op.add_column("sites", sa.Column("currency", sa.String(length=3), server_default="RUB", nullable=False))
    op.create_table(
        "costs",
        sa.Column("id", _ID, nullable=False),
        sa.Column("site_id", _ID, nullable=False),
        sa.Column("first", sa.Date(), nullable=False),
        sa.Column("last", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(length=300), nullable=False),
        *(sa.Column(name, sa.String(length=256), nullable=False) for name in ("source", "medium", "campaign", "term")),
        sa.Column("amount", _ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_costs")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_costs_site_id_sites")),
        sa.UniqueConstraint("site_id", "key", name=op.f("uq_costs_site_id_key")),
        sa.CheckConstraint("first <= last", name=op.f("ck_costs_days")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_costs_amount")),
    )
    op.create_index("ix_costs_days", "costs", ["site_id", "first", "last"])
    op.create_table(
        "deals",
        sa.Column("id", _ID, nullable=False),
        sa.Column("site_id", _ID, nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("contact_id", _ID, nullable=True),
        sa.Column("call_id", sa.String(length=200), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("stage", sa.String(length=100), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("amount", _ID, nullable=False),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("won_at", _TIME, nullable=True),
        sa.Column("closed_at", _TIME, nullable=True),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deals")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_deals_site_id_sites")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_deals_contact_id_contacts")),
        sa.UniqueConstraint("site_id", "external_id", name=op.f("uq_deals_site_id_external_id")),
        sa.CheckConstraint("status IN ('open', 'won', 'lost')", name=op.f("ck_deals_status")),
        sa.CheckConstraint("(status = 'won') = (won_at IS NOT NULL)", name=op.f("ck_deals_won")),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("ck_deals_closed")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_deals_amount")),
        sa.CheckConstraint("contact_id IS NOT NULL OR call_id IS NOT NULL", name=op.f("ck_deals_tie")),
    )
    op.create_index("ix_deals_at", "deals", ["site_id", "at", "id"])
    op.create_index("ix_deals_contact", "deals", ["contact_id"])
    op.create_table(
        "money_audit",
        sa.Column("id", _ID, nullable=False),
        sa.Column("site_id", _ID, nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("subject", _ID, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_money_audit")),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_money_audit_site_id_sites")),
    )
    op.create_index("ix_money_audit_subject", "money_audit", ["kind", "subject", "id"])
    if op.get_bind().dialect.name == "postgresql":  # with the function that the audit has
        op.execute(
            "CREATE TRIGGER audit_stays BEFORE UPDATE ON money_audit FOR EACH ROW EXECUTE FUNCTION audit_stays()"
        )
    else:
        op.execute(
            "CREATE TRIGGER money_audit_stays BEFORE UPDATE ON money_audit BEGIN "
            "SELECT RAISE(ABORT, 'the audit is only added to'); END"
        )


def downgrade() -> None:
    op.drop_table("money_audit")
    op.drop_table("deals")
    op.drop_table("costs")
    op.drop_column("sites", "currency")
