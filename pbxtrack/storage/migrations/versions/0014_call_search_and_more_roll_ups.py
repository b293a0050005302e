"""What the call log looks for has indexes; roll-ups of hours, of numbers and of accuracy"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)

# The columns of a call that reports are made of; in the version before, without the last three.
_BEFORE = (
    "site_id", "started_at", "outbound", "visit_id", "channel", "source", "medium", "campaign", "term",
    "corrected_channel", "corrected_visit_id", "is_unique", "target", "qualified", "answered_at", "status",
    "settled_by", "caller", "talk_seconds", "ringing_seconds", "answered_by",
)  # fmt: skip
_OF_CALLS = (*_BEFORE, "dialled", "method", "confidence")

_LOST = "status IN ('missed', 'busy', 'failed', 'abandoned')"
_STATUSES = ("ringing", "talking", "answered", "missed", "busy", "failed", "abandoned")
_EDGES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)
_TRAITS = (
    "CASE status " + " ".join(f"WHEN '{status}' THEN {place}" for place, status in enumerate(_STATUSES)) + " ELSE 7 END"
    " + CASE WHEN caller IS NULL THEN 8 ELSE 0 END"
    " + CASE WHEN contact_id IS NOT NULL AND NOT first THEN 16 ELSE 0 END"
    " + CASE WHEN is_unique THEN 32 ELSE 0 END"
    " + CASE WHEN coalesce(qualified, target) THEN 64 ELSE 0 END"
    f" + CASE WHEN answered_at IS NULL AND settled_by IS NULL AND {_LOST} AND caller IS NOT NULL"
    " AND site_id IS NOT NULL THEN 128 ELSE 0 END"
    " + CASE WHEN recording IS NOT NULL AND answered_at IS NOT NULL THEN 256 ELSE 0 END"
    " + CASE WHEN corrected_channel IS NOT NULL THEN 7168 "
    + " ".join(f"WHEN confidence >= {edge} THEN {512 * place}" for place, edge in reversed([*enumerate(_EDGES, 1)]))
    + " ELSE 0 END"
)
_CHANNEL = "coalesce(corrected_channel, channel)"
_CAMPAIGN = "CASE WHEN corrected_channel IS NULL THEN campaign ELSE corrected_campaign END"
_SEARCHED = {
    "traits": f"(coalesce(site_id, 0)), ({_TRAITS})",
    "channel": f"(coalesce(site_id, 0)), ({_CHANNEL}), ({_TRAITS})",
    "campaign": f"(coalesce(site_id, 0)), ({_CAMPAIGN}), ({_TRAITS})",
}


def upgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.add_column("calls", sa.Column("corrected_campaign", sa.String(length=256), nullable=True))
    op.create_table(
        "rollup_steps",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("question", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=16), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "question", "model", "since", name=op.f("pk_rollup_steps")),
    )
    op.create_table(
        "rollup_numbers",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("of_month", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("strange", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("callers", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "of_month", "number", "day", name=op.f("pk_rollup_numbers")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_rollup_numbers", "rollup_numbers", ["site_id", "of_month", "day"])
    op.create_table(
        "rollup_accuracy",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("tells", sa.BigInteger(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "day", name=op.f("pk_rollup_accuracy")),
    )
    op.create_table(
        "call_tags",
        sa.Column("site_id", _BIG, nullable=False),
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name=op.f("fk_call_tags_call_id_calls"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("site_id", "tag", "started_at", "call_id", name=op.f("pk_call_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_call_tags_call", "call_tags", ["call_id"])
    each = "json_array_elements_text(tags) AS tag (value)" if on_postgresql else "json_each(tags) AS tag"
    op.execute(
        "INSERT INTO call_tags (site_id, tag, started_at, call_id)"  # noqa: S608 (texts of ours)
        f" SELECT DISTINCT coalesce(site_id, 0), tag.value, started_at, calls.id FROM calls, {each}"
        " WHERE CAST(tags AS TEXT) <> '[]'"
    )
    for statement in _tags_on_postgresql() if on_postgresql else _tags_on_sqlite():
        op.execute(statement)
    op.execute(
        "UPDATE calls SET corrected_campaign = (SELECT campaign FROM visits WHERE visits.id = corrected_visit_id)"
        " WHERE corrected_visit_id IS NOT NULL"
    )
    for statement in _campaign_on_postgresql() if on_postgresql else _campaign_on_sqlite():
        op.execute(statement)
    _mark(_OF_CALLS, on_postgresql=on_postgresql)
    op.drop_index("ix_calls_unsettled", table_name="calls")
    for name, expressions in _SEARCHED.items():
        op.execute(f"CREATE INDEX ix_calls_{name} ON calls ({expressions}, started_at) WHERE outbound IS NULL")
    if on_postgresql:
        op.execute("ANALYZE calls")  # of what the indexes are, too


def downgrade() -> None:
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    for name in _SEARCHED:
        op.drop_index(f"ix_calls_{name}", table_name="calls")
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER calls_{event}_tags" + (" ON calls" if on_postgresql else ""))
    op.drop_table("call_tags")
    op.execute(
        "CREATE INDEX ix_calls_unsettled ON calls (started_at, id) WHERE answered_at IS NULL AND settled_by IS NULL"
    )
    _mark(_BEFORE, on_postgresql=on_postgresql)
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER calls_{event}_campaign" + (" ON calls" if on_postgresql else ""))
    if on_postgresql:
        op.execute("DROP FUNCTION told_campaign")
        op.execute("DROP FUNCTION keep_tags")
    # Days would be taken for known of which nothing is kept, when there are such tables again.
    op.execute("UPDATE rollups SET made_for = ''")
    op.execute("DELETE FROM rollup_months")
    for name in ("accuracy", "numbers", "steps"):
        op.drop_table(f"rollup_{name}")
    op.drop_column("calls", "corrected_campaign")


_HAS_TAGS = "CAST({}.tags AS TEXT) <> '[]'"
_SEARCHED_BY_TAG = ("CAST({0}.tags AS TEXT)", "{0}.started_at", "coalesce({0}.site_id, 0)")


def _tags_on_sqlite() -> list[str]:
    forget = "DELETE FROM call_tags WHERE call_id = OLD.id;"
    keep = (
        "INSERT INTO call_tags (site_id, tag, started_at, call_id)"
        " SELECT DISTINCT coalesce(NEW.site_id, 0), value, NEW.started_at, NEW.id FROM json_each(NEW.tags);"
    )
    new, old = (", ".join(part.format(row) for part in _SEARCHED_BY_TAG) for row in ("NEW", "OLD"))
    changed = f"({_HAS_TAGS.format('NEW')} OR {_HAS_TAGS.format('OLD')}) AND ({new}) IS NOT ({old})"
    return [
        f"CREATE TRIGGER calls_insert_tags AFTER INSERT ON calls WHEN {_HAS_TAGS.format('NEW')} BEGIN {keep} END",
        f"CREATE TRIGGER calls_update_tags AFTER UPDATE OF tags, started_at, site_id ON calls WHEN {changed}"
        f" BEGIN {forget} {keep} END",
    ]


def _tags_on_postgresql() -> list[str]:
    new, old = (", ".join(part.format(row) for part in _SEARCHED_BY_TAG) for row in ("NEW", "OLD"))
    return [
        """
        CREATE FUNCTION keep_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'UPDATE' THEN
                DELETE FROM call_tags WHERE call_id = OLD.id;
            END IF;
            INSERT INTO call_tags (site_id, tag, started_at, call_id)
                SELECT DISTINCT coalesce(NEW.site_id, 0), value, NEW.started_at, NEW.id
                FROM json_array_elements_text(NEW.tags) AS tag (value);
            RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER calls_insert_tags AFTER INSERT ON calls FOR EACH ROW"
        f" WHEN ({_HAS_TAGS.format('NEW')}) EXECUTE FUNCTION keep_tags()",
        "CREATE TRIGGER calls_update_tags AFTER UPDATE OF tags, started_at, site_id ON calls FOR EACH ROW"
        f" WHEN (({_HAS_TAGS.format('NEW')} OR {_HAS_TAGS.format('OLD')}) AND ({new}) IS DISTINCT FROM ({old}))"
        " EXECUTE FUNCTION keep_tags()",
    ]


def _campaign_on_sqlite() -> list[str]:
    told = (
        "UPDATE calls SET corrected_campaign = (SELECT campaign FROM visits WHERE id = NEW.corrected_visit_id)"
        " WHERE id = NEW.id;"
    )
    return [
        "CREATE TRIGGER calls_insert_campaign AFTER INSERT ON calls"
        f" WHEN NEW.corrected_visit_id IS NOT NULL BEGIN {told} END",
        "CREATE TRIGGER calls_update_campaign AFTER UPDATE OF corrected_visit_id ON calls"
        f" WHEN NEW.corrected_visit_id IS NOT OLD.corrected_visit_id BEGIN {told} END",
    ]


def _campaign_on_postgresql() -> list[str]:
    return [
        """
        CREATE FUNCTION told_campaign() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            NEW.corrected_campaign := (SELECT campaign FROM visits WHERE id = NEW.corrected_visit_id);
            RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER calls_insert_campaign BEFORE INSERT ON calls FOR EACH ROW"
        " WHEN (NEW.corrected_visit_id IS NOT NULL) EXECUTE FUNCTION told_campaign()",
        "CREATE TRIGGER calls_update_campaign BEFORE UPDATE OF corrected_visit_id ON calls FOR EACH ROW"
        " WHEN (NEW.corrected_visit_id IS DISTINCT FROM OLD.corrected_visit_id) EXECUTE FUNCTION told_campaign()",
    ]


def _mark(columns: tuple[str, ...], *, on_postgresql: bool) -> None:
    """Let a change of these columns of a call mark its hour, as it was and as it is; all else as 0009 made it."""
    if on_postgresql:
        op.execute(_marks_on_postgresql(columns))
        return
    op.execute("DROP TRIGGER calls_update_marks")
    old, new = (", ".join(f"{row}.{name}" for name in columns) for row in ("OLD", "NEW"))
    op.execute(
        f"CREATE TRIGGER calls_update_marks AFTER UPDATE OF {', '.join(columns)} ON calls"
        f" WHEN ({old}) IS NOT ({new}) BEGIN {_mark_on_sqlite('OLD')} {_mark_on_sqlite('NEW')} END"
    )


def _mark_on_sqlite(of: str) -> str:
    since, until = (f"strftime('%Y-%m-%d %H:00:00.000000', {of}.started_at{more})" for more in ("", ", '+1 hour'"))
    seen = f"coalesce((SELECT seen FROM rollups WHERE rollups.site_id = {of}.site_id), 0)"  # noqa: S608 (names of ours)
    there = f"known.site_id = {of}.site_id AND known.since = {since} AND known.until >= {until}"
    known = f"SELECT 1 FROM rollup_marks AS known WHERE {there} AND known.id > {seen}"  # noqa: S608 (names of ours)
    values = f"SELECT {of}.site_id, {since}, {until} WHERE {of}.site_id IS NOT NULL AND NOT EXISTS ({known})"
    return f"INSERT INTO rollup_marks (site_id, since, until) {values};"


def _marks_on_postgresql(columns: tuple[str, ...]) -> str:
    hour = "date_trunc('hour', started_at, 'UTC')"
    before, after = (", ".join(f"{row}.{name}" for name in columns) for row in ("before", "after"))
    changed = " UNION ALL ".join(
        f"SELECT {row}.site_id, {row}.started_at FROM before JOIN after ON after.id = before.id"  # noqa: S608
        f" WHERE ({before}) IS DISTINCT FROM ({after})"
        for row in ("before", "after")
    )

    def mark(rows: str) -> str:
        values = f"SELECT DISTINCT site_id, {hour}, {hour} + interval '1 hour' FROM {rows} AS rows"  # noqa: S608
        return f"INSERT INTO rollup_marks (site_id, since, until) {values} WHERE site_id IS NOT NULL"

    return f"""
        CREATE OR REPLACE FUNCTION mark_calls() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'INSERT' THEN {mark("after")};
            ELSIF TG_OP = 'UPDATE' THEN {mark(f"({changed})")};
            ELSE {mark("before")};
            END IF;
            RETURN NULL;
        END $$
    """
