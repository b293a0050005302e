"""The last digits of callers' numbers, as people remember them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KNOWN = sa.text("caller IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_calls_last_digits",
        "calls",
        [sa.text("substr(caller, length(caller) - 3)"), "site_id", "started_at"],
        postgresql_where=_KNOWN,
        sqlite_where=_KNOWN,
    )


def downgrade() -> None:
    op.drop_index("ix_calls_last_digits", table_name="calls")
