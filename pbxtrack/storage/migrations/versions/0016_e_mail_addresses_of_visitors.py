"""Visitors' e-mail addresses: those made for a lease, and those of pools, leased as numbers are"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_LONG_AGO = sa.text("'1970-01-01 00:00:00.000000'")
_INDEXES = (("uq_leases_email", ["email"]), ("uq_leases_address", ["address_id", "address_seq"]))


def upgrade() -> None:
    # The version before, which may still run, writes static addresses, and none of the new columns.
    with op.batch_alter_table("addresses") as addresses:
        addresses.add_column(sa.Column("kind", sa.String(length=8), server_default="static", nullable=False))
        addresses.add_column(sa.Column("pool_id", _BIG, nullable=True))
        addresses.alter_column("channel_id", existing_type=_BIG, nullable=True)
        for name in ("free_at", "rests_until", "guaranteed_until"):
            addresses.add_column(sa.Column(name, _TIME, server_default=_LONG_AGO, nullable=False))
        addresses.add_column(sa.Column("seq", _BIG, server_default=sa.text("0"), nullable=False))
        addresses.create_foreign_key(op.f("fk_addresses_pool_id_pools"), "pools", ["pool_id"], ["id"])
        addresses.create_check_constraint(op.f("ck_addresses_kind"), "kind IN ('pool', 'static')")
        addresses.create_check_constraint(op.f("ck_addresses_pool"), "(kind = 'pool') = (pool_id IS NOT NULL)")
        addresses.create_check_constraint(op.f("ck_addresses_channel"), "(kind = 'static') = (channel_id IS NOT NULL)")
    in_use = sa.text("removed_at IS NULL")
    op.create_index(
        "ix_addresses_rested",
        "addresses",
        ["pool_id", "rests_until", "id"],
        postgresql_where=in_use,
        sqlite_where=in_use,
    )
    op.add_column("leases", sa.Column("email", sa.String(length=254), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("leases", sa.Column("address_id", sa.BigInteger(), nullable=True))
        op.create_foreign_key(op.f("fk_leases_address_id_addresses"), "leases", "addresses", ["address_id"], ["id"])
    else:  # Alembic would copy all leases
        op.execute(
            "ALTER TABLE leases ADD COLUMN address_id INTEGER"
            " CONSTRAINT fk_leases_address_id_addresses REFERENCES addresses (id)"
        )
    op.add_column("leases", sa.Column("address_seq", _BIG, nullable=True))
    for name, columns in _INDEXES:
        there = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "leases", columns, unique=True, postgresql_where=there, sqlite_where=there)


def downgrade() -> None:
    for name, _ in _INDEXES:
        op.drop_index(name, table_name="leases")
    with op.batch_alter_table("leases") as leases:
        for column in ("email", "address_id", "address_seq"):
            leases.drop_column(column)
    op.drop_index("ix_addresses_rested", table_name="addresses")
    op.execute("DELETE FROM addresses WHERE kind = 'pool'")
    with op.batch_alter_table("addresses") as addresses:
        for name in ("kind", "pool", "channel"):
            addresses.drop_constraint(op.f(f"ck_addresses_{name}"), type_="check")
        for column in ("kind", "pool_id", "free_at", "rests_until", "guaranteed_until", "seq"):
            addresses.drop_column(column)
        addresses.alter_column("channel_id", existing_type=_BIG, nullable=False)
