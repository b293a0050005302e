"""Roll-ups of whole days, and the marks of what changed since"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)
_MEASURES = ("calls", "unique", "target", "answered", "missed", "unsettled", "talk", "waiting")
_BY_MODEL: list[tuple[str, Any, bool]] = [("model", sa.String(length=16), False), ("of_month", sa.Boolean(), False)]
_ROLLUPS: dict[str, list[tuple[str, Any, bool]]] = {
    "channels": [*_BY_MODEL, ("channel", sa.String(length=300), True)],
    "campaigns": [
        *_BY_MODEL,
        *((name, sa.String(length=256), True) for name in ("source", "medium", "campaign")),
    ],
    "keywords": [
        *_BY_MODEL,
        *((name, sa.String(length=256), True) for name in ("source", "campaign", "term")),
    ],
    "pages": [*_BY_MODEL, ("page", sa.Text(), True)],
    "regions": [("region", sa.String(length=16), True)],
    "operators": [("operator", sa.String(length=200), True)],
    "hours": [("begins", _TIME, False), ("weekday", sa.Integer(), False), ("hour", sa.Integer(), False)],
}

# The columns of a call, and of a visit, that reports are made of.
_OF_CALLS = (
    "site_id", "started_at", "outbound", "visit_id", "channel", "source", "medium", "campaign", "term",
    "corrected_channel", "corrected_visit_id", "is_unique", "target", "qualified", "answered_at", "status",
    "settled_by", "caller", "talk_seconds", "ringing_seconds", "answered_by",
)  # fmt: skip
_OF_VISITS = (
    "site_id", "visitor_id", "started_at", "region", "page", "source", "medium", "campaign", "term", "channel",
)  # fmt: skip
_EVER, _NEVER = "1970-01-01 00:00:00.000000", "3000-01-01 00:00:00.000000"

# A call marks its hour, as it was and as it is. A visit matters to calls that come after it, which it cannot when it
# begins; but one that is added late, when its visitor has begun a later one already, may be credited with calls of the
# ninety days after it. Visits are neither changed so nor deleted; should somebody do it, all of the site's days are
# marked.
#
# On SQLite there is one writer at a time, so that a mark which no fold has read yet serves for every later change of
# its hour. On PostgreSQL another transaction's mark may be read, and deleted, before this one's change is to be seen:
# each statement adds marks of its own, one for each hour, and nobody waits for anybody.


def upgrade() -> None:
    op.create_index("ix_calls_site_started", "calls", ["site_id", "started_at"])
    op.create_table(
        "rollups",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("made_for", sa.String(length=80), nullable=False),
        sa.Column("version", _BIG, nullable=False),
        sa.Column("seen", _BIG, nullable=False),
        sa.Column("first", sa.Date(), nullable=True),
        sa.Column("end", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name=op.f("fk_rollups_site_id_sites")),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_rollups")),
    )
    op.create_table(
        "rollup_marks",
        sa.Column("id", _BIG, nullable=False),
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_marks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rollup_marks_site", "rollup_marks", ["site_id", "since"])
    for name, columns in _ROLLUPS.items():
        op.create_table(
            f"rollup_{name}",
            sa.Column("site_id", _BIG, nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            *(sa.Column(column, kind, nullable=nullable) for column, kind, nullable in columns),
            *(sa.Column(measure, _BIG, nullable=False) for measure in _MEASURES),
        )
        keys = ["model", "of_month", "day"] if columns[0] in _BY_MODEL else ["day"]
        op.create_index(f"ix_rollup_{name}", f"rollup_{name}", ["site_id", *keys])
    op.create_table(
        "rollup_months",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("question", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=16), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "question", "model", "month", name=op.f("pk_rollup_months")),
    )
    for statement in _on_postgresql() if op.get_bind().dialect.name == "postgresql" else _on_sqlite():
        op.execute(statement)


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for table in ("calls", "visits"):
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {table}_{event}_marks" + (f" ON {table}" if on_postgresql else ""))
        if on_postgresql:
            op.execute(f"DROP FUNCTION mark_{table}")
    for name in _ROLLUPS:
        op.drop_table(f"rollup_{name}")
    op.drop_table("rollup_months")
    op.drop_table("rollup_marks")
    op.drop_table("rollups")
    op.drop_index("ix_calls_site_started", table_name="calls")


def _on_sqlite() -> list[str]:
    hour = "strftime('%Y-%m-%d %H:00:00.000000', {of}.started_at{more})"

    seen = "coalesce((SELECT seen FROM rollups WHERE rollups.site_id = {of}.site_id), 0)"

    def mark(of: str, since: str, until: str, where: str = "") -> str:
        there = f"known.site_id = {of}.site_id AND known.since = {since} AND known.until >= {until}"
        unread = f"known.id > {seen.format(of=of)}"
        known = f"SELECT 1 FROM rollup_marks AS known WHERE {there} AND {unread}"  # noqa: S608 (names of ours)
        values = f"SELECT {of}.site_id, {since}, {until} WHERE {of}.site_id IS NOT NULL AND NOT EXISTS ({known}){where}"
        return f"INSERT INTO rollup_marks (site_id, since, until) {values};"

    def marked_hour(of: str) -> str:
        return mark(of, hour.format(of=of, more=""), hour.format(of=of, more=", '+1 hour'"))

    def changed(columns: tuple[str, ...]) -> str:
        return (
            f"({', '.join(f'OLD.{name}' for name in columns)}) IS NOT ({', '.join(f'NEW.{name}' for name in columns)})"
        )

    late = (
        " AND EXISTS (SELECT 1 FROM visits AS later WHERE later.visitor_id = NEW.visitor_id"
        " AND later.site_id = NEW.site_id AND later.started_at >= NEW.started_at AND later.id <> NEW.id)"
    )
    ever = {of: mark(of, f"'{_EVER}'", f"'{_NEVER}'") for of in ("OLD", "NEW")}
    after = mark("NEW", hour.format(of="NEW", more=""), hour.format(of="NEW", more=", '+90 days', '+1 hour'"), late)
    return [
        f"CREATE TRIGGER calls_insert_marks AFTER INSERT ON calls BEGIN {marked_hour('NEW')} END",
        f"CREATE TRIGGER calls_update_marks AFTER UPDATE OF {', '.join(_OF_CALLS)} ON calls"
        f" WHEN {changed(_OF_CALLS)} BEGIN {marked_hour('OLD')} {marked_hour('NEW')} END",
        f"CREATE TRIGGER calls_delete_marks AFTER DELETE ON calls BEGIN {marked_hour('OLD')} END",
        f"CREATE TRIGGER visits_insert_marks AFTER INSERT ON visits BEGIN {after} END",
        f"CREATE TRIGGER visits_update_marks AFTER UPDATE OF {', '.join(_OF_VISITS)} ON visits"
        f" WHEN {changed(_OF_VISITS)} BEGIN {ever['OLD']} {ever['NEW']} END",
        f"CREATE TRIGGER visits_delete_marks AFTER DELETE ON visits BEGIN {ever['OLD']} END",
    ]


def _on_postgresql() -> list[str]:
    def listed(row: str, columns: tuple[str, ...]) -> str:
        return ", ".join(f"{row}.{name}" for name in columns)

    def function(table: str, on_insert: str, on_update: str, on_delete: str) -> str:
        return f"""
            CREATE FUNCTION mark_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF TG_OP = 'INSERT' THEN {on_insert};
                ELSIF TG_OP = 'UPDATE' THEN {on_update};
                ELSE {on_delete};
                END IF;
                RETURN NULL;
            END $$
        """

    def mark(rows: str, since: str, until: str) -> str:
        values = f"SELECT DISTINCT site_id, {since}, {until} FROM {rows} AS rows WHERE site_id IS NOT NULL"  # noqa: S608
        return f"INSERT INTO rollup_marks (site_id, since, until) {values}"

    hour = "date_trunc('hour', started_at, 'UTC')"
    changed = "(SELECT {row}.site_id, {row}.started_at FROM before JOIN after ON after.id = before.id WHERE {differs})"
    differs = f"({listed('before', _OF_CALLS)}) IS DISTINCT FROM ({listed('after', _OF_CALLS)})"
    both = " UNION ALL ".join(changed.format(row=row, differs=differs)[1:-1] for row in ("before", "after"))
    late = (
        "(SELECT site_id, started_at FROM after WHERE EXISTS (SELECT FROM visits AS later"
        " WHERE later.visitor_id = after.visitor_id AND later.site_id = after.site_id"
        " AND later.started_at >= after.started_at AND later.id <> after.id))"
    )
    ever = f"TIMESTAMPTZ '{_EVER}+00'", f"TIMESTAMPTZ '{_NEVER}+00'"
    one_hour = hour, f"{hour} + interval '1 hour'"
    calls = (mark("after", *one_hour), mark(f"({both})", *one_hour), mark("before", *one_hour))
    visits = (
        mark(late, hour, f"{hour} + interval '2161 hours'"),
        mark("(SELECT OLD.site_id UNION SELECT NEW.site_id)", *ever),
        mark("before", *ever),
    )
    new, old = "REFERENCING NEW TABLE AS after", "REFERENCING OLD TABLE AS before"
    whole = "FOR EACH STATEMENT EXECUTE FUNCTION"
    return [
        function("calls", *calls),
        function("visits", *visits),
        f"CREATE TRIGGER calls_insert_marks AFTER INSERT ON calls {new} {whole} mark_calls()",
        "CREATE TRIGGER calls_update_marks AFTER UPDATE ON calls REFERENCING OLD TABLE AS before NEW TABLE AS after"
        f" {whole} mark_calls()",
        f"CREATE TRIGGER calls_delete_marks AFTER DELETE ON calls {old} {whole} mark_calls()",
        f"CREATE TRIGGER visits_insert_marks AFTER INSERT ON visits {new} {whole} mark_visits()",
        # Of each row, since signs of life change visits all the time, though never these columns.
        f"CREATE TRIGGER visits_update_marks AFTER UPDATE OF {', '.join(_OF_VISITS)} ON visits FOR EACH ROW"
        f" WHEN ({' OR '.join(f'OLD.{name} IS DISTINCT FROM NEW.{name}' for name in _OF_VISITS)})"
        " EXECUTE FUNCTION mark_visits()",
        f"CREATE TRIGGER visits_delete_marks AFTER DELETE ON visits {old} {whole} mark_visits()",
    ]
