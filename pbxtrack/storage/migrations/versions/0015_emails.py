"""Messages that came to the sites' addresses, and those on their way to the upstream"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "emails",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("sender", sa.String(length=320), nullable=False),
        sa.Column("author", sa.String(length=320), nullable=False),
        sa.Column("author_name", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("message_id", sa.String(length=400), nullable=False),
        sa.Column("in_reply_to", sa.String(length=400), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("nature", sa.String(length=16), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("lease_id", sa.String(length=26), nullable=True),
        sa.Column("visit_id", sa.String(length=26), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=300), nullable=True),
        *(
            sa.Column(name, sa.String(length=256), nullable=True)
            for name in ("source", "medium", "campaign", "term", "content")
        ),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("relayed_at", _TIME, nullable=True),
        sa.Column("refused", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_emails_site_id_sites")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emails")),
        sa.UniqueConstraint("site_id", "fingerprint", name=op.f("uq_emails_site_id_fingerprint")),
    )
    op.create_index("ix_emails_at", "emails", ["at", "id"])
    op.create_index("ix_emails_site_at", "emails", ["site_id", "at"])
    op.create_table(
        "spool",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=26), nullable=False),
        sa.Column("file", sa.String(length=26), nullable=False),
        sa.Column("email_id", sa.String(length=26), nullable=True),
        sa.Column("site_id", _BIG, nullable=True),
        sa.Column("sender", sa.String(length=320), nullable=False),
        sa.Column("recipient", sa.String(length=320), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("utf8", sa.Boolean(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("next_at", _TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=True),
        sa.Column("held_until", _TIME, nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("done_at", _TIME, nullable=True),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_spool_site_id_sites")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_spool")),
    )
    op.create_index("ix_spool_done", "spool", ["done_at"])
    waits = sa.text("done_at IS NULL")
    op.create_index("ix_spool_waiting", "spool", ["place", "next_at"], postgresql_where=waits, sqlite_where=waits)


def downgrade() -> None:
    op.drop_table("spool")
    op.drop_table("emails")
