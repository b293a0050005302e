"""The tables. Times are UTC: ``timestamptz`` on PostgreSQL, ISO text that sorts on SQLite. Changes need a migration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from pbxtrack import utc
from pbxtrack.storage import traits
from pbxtrack.storage.conditions import last_digits


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC. A naive one is refused: it would be somebody's local time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    # On SQLite a time is text; what SQLAlchemy makes of it, in a fifth of the time that SQLAlchemy takes.

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return _to_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _to_text(value: datetime | None) -> str | None:
    return None if value is None else utc.text(value)


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + "+00:00")


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for INTEGER PRIMARY KEY


def _id() -> Column[int]:
    return Column("id", _Big, primary_key=True)


def _key(name: str = "id", **options: Any) -> Column[str]:
    """An id made by the application (see :mod:`pbxtrack.ids`)."""
    return Column(name, String(26), **options)


def _visitor() -> Column[str]:
    """A visitor's id, made by us or by the website. SQLite's tables were made with 26 characters, which it ignores."""
    return Column("visitor_id", String(64).with_variant(String(26), "sqlite"), nullable=False)


sites = Table(
    "sites",
    metadata,
    _id(),
    Column("key", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("line", String(200), nullable=False),
    Column("origins", JSON, nullable=False),
    Column("replace", JSON, nullable=False),
    Column("record", Boolean, nullable=False),
    Column("whisper", Boolean, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("currency", String(3), nullable=False, server_default="RUB"),  # ISO 4217
    Column("hold_seconds", Integer, nullable=False),
    Column("guaranteed_seconds", Integer, nullable=False),
    Column("target_seconds", Integer, nullable=False),
    Column("unique_days", Integer),  # none: a caller is unique once for good
    Column("overflow_number", String(16)),
    Column("email", String(254)),
    Column("email_separator", String(1), nullable=False),
    Column("position", Integer, nullable=False),
    Column("removed_at", UtcTime),
)

pools = Table(
    "pools",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("regions", JSON, nullable=False),
    Column("position", Integer, nullable=False),
    Column("removed_at", UtcTime),
    UniqueConstraint("site_id", "name"),
)

channels = Table(
    "channels",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("position", Integer, nullable=False),
    Column("match", JSON, nullable=False),
    Column("line", String(200)),
    Column("removed_at", UtcTime),
    UniqueConstraint("site_id", "name"),
)

numbers = Table(
    "numbers",
    metadata,
    _id(),
    Column("e164", String(16), nullable=False, unique=True),
    Column("site_id", ForeignKey("sites.id"), nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("pool_id", ForeignKey("pools.id")),
    Column("channel_id", ForeignKey("channels.id")),
    # The current lease, as the allocator sees it: when its hold ends, from when it may be taken, how many there were.
    Column("free_at", UtcTime, nullable=False),
    # The same, or later where the visitor may well call yet: the number is given to others first.
    Column("rests_until", UtcTime, nullable=False, server_default=text("'1970-01-01 00:00:00.000000'")),
    Column("guaranteed_until", UtcTime, nullable=False),
    Column("seq", _Big, nullable=False),
    Column("removed_at", UtcTime),
    CheckConstraint("kind IN ('pool', 'static', 'overflow')", name="kind"),
    CheckConstraint("(kind = 'pool') = (pool_id IS NOT NULL)", name="pool"),
    CheckConstraint("(kind = 'static') = (channel_id IS NOT NULL)", name="channel"),
)
# The smallest rests_until of a pool is the number that has been free for longest: the next to be leased. The id is
# there for PostgreSQL, which would otherwise sort all numbers that were never leased each time it looks for the first.
_in_use = numbers.c.removed_at.is_(None)
for _name, _until in (("rested", numbers.c.rests_until), ("guaranteed", numbers.c.guaranteed_until)):
    Index(
        f"ix_numbers_{_name}",
        numbers.c.pool_id,
        _until,
        numbers.c.id,
        postgresql_where=_in_use,
        sqlite_where=_in_use,
    )

_LONG_AGO = text("'1970-01-01 00:00:00.000000'")
addresses = Table(
    "addresses",
    metadata,
    _id(),
    Column("address", String(254), nullable=False, unique=True),  # in lower case
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("kind", String(8), nullable=False, server_default="static"),
    Column("pool_id", ForeignKey("pools.id")),
    Column("channel_id", ForeignKey("channels.id")),
    # The current lease, as a number has it.
    Column("free_at", UtcTime, nullable=False, server_default=_LONG_AGO),
    Column("rests_until", UtcTime, nullable=False, server_default=_LONG_AGO),
    Column("guaranteed_until", UtcTime, nullable=False, server_default=_LONG_AGO),
    Column("seq", _Big, nullable=False, server_default=text("0")),
    Column("removed_at", UtcTime),
    CheckConstraint("kind IN ('pool', 'static')", name="kind"),
    CheckConstraint("(kind = 'pool') = (pool_id IS NOT NULL)", name="pool"),
    CheckConstraint("(kind = 'static') = (channel_id IS NOT NULL)", name="channel"),
)
_address_in_use = addresses.c.removed_at.is_(None)
Index(
    "ix_addresses_rested",
    addresses.c.pool_id,
    addresses.c.rests_until,
    addresses.c.id,
    postgresql_where=_address_in_use,
    sqlite_where=_address_in_use,
)

visitors = Table(
    "visitors",
    metadata,
    Column("site_id", ForeignKey("sites.id"), primary_key=True),
    Column("id", String(64), primary_key=True),  # made by us, or by the website
    Column("first_seen_at", UtcTime, nullable=False),
    _key("visit_id", nullable=False),  # the latest visit
    _key("lease_id"),  # and the latest lease
    sqlite_with_rowid=False,
)

visits = Table(
    "visits",
    metadata,
    _key(primary_key=True),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    _visitor(),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("events", Integer, nullable=False, server_default=text("0")),  # how many of them are kept
    Column("region", String(16), nullable=False),
    Column("page", Text, nullable=False),
    Column("referrer", Text, nullable=False),
    Column("source", String(256), nullable=False),
    Column("medium", String(256), nullable=False),
    Column("campaign", String(256), nullable=False),
    Column("term", String(256), nullable=False),
    Column("content", String(256), nullable=False),
    Column("click_ids", JSON, nullable=False),
    Column("client_ids", JSON, nullable=False),
    Column("channel", String(300), nullable=False),
    Index("ix_visits_visitor", "visitor_id", "started_at"),
)

# What a visitor did after the page that the visit began with: pages seen, taps, copies, the last sign.
visit_events = Table(
    "visit_events",
    metadata,
    _key("visit_id", primary_key=True),
    _key(primary_key=True),  # in the order of time
    Column("at", UtcTime, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("page", Text, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    _key(primary_key=True),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("number_id", ForeignKey("numbers.id")),  # none: the overflow number was shown
    # The how-manieth lease of the number. Whoever takes a number counts numbers.seq up on its locked row, so that two
    # leases of one number at once would have one seq, and the second is refused whatever the code believes.
    Column("seq", _Big, nullable=False),
    _key("visit_id", nullable=False),
    _visitor(),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("guaranteed_until", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
    Column("taps", JSON(none_as_null=True)),  # of the number, and copies: the last ones, microseconds since 1970
    Column("left_at", UtcTime),  # when the page was closed, if nothing was heard since
    Column("called", Boolean, nullable=False, server_default=text("false")),  # by a caller who would be known again
    Column("email", String(254)),  # an e-mail address made for this lease, in lower case; none: the site has no mailbox
    Column("address_id", ForeignKey("addresses.id")),  # of the site's pools, that was shown instead
    Column("address_seq", _Big),  # the how-manieth lease of that
    UniqueConstraint("number_id", "seq"),
    CheckConstraint("ends_at >= started_at", name="ends"),
    Index("ix_leases_number", "number_id", "started_at"),
)
# As with numbers: an address has one visitor at a time. And a made one is never made again.
_made, _leased = leases.c.email.is_not(None), leases.c.address_id.is_not(None)
Index("uq_leases_email", leases.c.email, unique=True, postgresql_where=_made, sqlite_where=_made)
Index(
    "uq_leases_address",
    leases.c.address_id,
    leases.c.address_seq,
    unique=True,
    postgresql_where=_leased,
    sqlite_where=_leased,
)

call_facts = Table(
    "call_facts",
    metadata,
    _id(),
    Column("node", String(32), nullable=False),
    Column("linkedid", String(160), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("leg", String(160), nullable=False),
    Column("key", String(400), nullable=False),
    Column("data", JSON, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    UniqueConstraint("node", "linkedid", "key"),
)

calls = Table(
    "calls",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("node", String(32), nullable=False),
    Column("linkedid", String(160), nullable=False),
    Column("site_id", ForeignKey("sites.id")),
    Column("contact_id", ForeignKey("contacts.id")),
    Column("started_at", UtcTime, nullable=False),
    Column("answered_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("dialled", String(64)),
    Column("caller", String(64)),
    Column("caller_name", String(512)),
    Column("status", String(16), nullable=False),
    Column("ringing_seconds", Float, nullable=False),
    Column("talk_seconds", Float, nullable=False),
    Column("answered_by", String(200)),
    Column("hung_up_by", String(8)),
    Column("hangup_cause", Integer),
    Column("first", Boolean, nullable=False),
    Column("target", Boolean, nullable=False),
    Column("recording", String(400)),
    Column("fallback", String(32)),
    Column("method", String(16)),  # of the attribution; none until the call is attributed
    Column("channel", String(300)),
    Column("source", String(256)),
    Column("medium", String(256)),
    Column("campaign", String(256)),
    Column("term", String(256)),
    Column("content", String(256)),
    _key("visit_id"),
    _key("lease_id"),
    Column("confidence", Float, nullable=False),
    Column("why", Text),
    Column("candidates", JSON, nullable=False),
    Column("note", Text),
    Column("tags", JSON, nullable=False),
    Column("state", JSON, nullable=False),  # the legs and times that the facts add up to
    Column("held", JSON(none_as_null=True)),  # the leases that were live, as the attribution met them
    # How the call stands among its caller's others.
    Column("is_unique", Boolean, nullable=False, server_default=text("false")),
    Column("settled_by", String(200)),  # the call that answered a missed one
    Column("settled_at", UtcTime),
    # What people say, over what was computed.
    Column("qualified", Boolean),
    Column("corrected_channel", String(300)),
    _key("corrected_visit_id"),
    Column("corrected_campaign", String(256)),  # the visit's; the database itself keeps it so
    Column("corrected_tie", JSON(none_as_null=True)),  # the visit's visitor, with a lease of theirs
    Column("corrected_by", String(100)),
    Column("corrected_at", UtcTime),
    Column("outbound", String(64)),  # the number that the company called; none: somebody called the company
    UniqueConstraint("node", "linkedid"),
    Index("ix_calls_started", "started_at", "id"),
    Index("ix_calls_site_caller", "site_id", "caller", "started_at"),
    Index("ix_calls_site_started", "site_id", "started_at"),
    Index("ix_calls_dialled", "dialled", "started_at"),
)

_not_over = calls.c.ended_at.is_(None)
Index("ix_calls_open", calls.c.node, postgresql_where=_not_over, sqlite_where=_not_over)
for _index, _columns, _where in (
    ("answered", (calls.c.site_id, calls.c.caller, calls.c.started_at), calls.c.answered_at.is_not(None)),
    ("called", (calls.c.outbound, calls.c.started_at), calls.c.outbound.is_not(None)),
    ("settled_by", (calls.c.settled_by,), calls.c.settled_by.is_not(None)),
    # What the call log looks for (see storage/call_search.py), in the order in which it is shown.
    ("traits", (traits.SITE, traits.TRAITS, calls.c.started_at), calls.c.outbound.is_(None)),
    ("channel", (traits.SITE, traits.CHANNEL, traits.TRAITS, calls.c.started_at), calls.c.outbound.is_(None)),
    ("campaign", (traits.SITE, traits.CAMPAIGN, traits.TRAITS, calls.c.started_at), calls.c.outbound.is_(None)),
):
    Index(f"ix_calls_{_index}", *_columns, postgresql_where=_where, sqlite_where=_where)
_known = calls.c.caller.is_not(None)
Index(
    "ix_calls_last_digits",
    last_digits(calls.c.caller),
    calls.c.site_id,
    calls.c.started_at,
    postgresql_where=_known,
    sqlite_where=_known,
)

# Each tag of each call, to look for calls by: the database itself keeps it as ``calls.tags`` says.
call_tags = Table(
    "call_tags",
    metadata,
    Column("site_id", _Big, primary_key=True, autoincrement=False),  # 0: no site's
    Column("tag", String(64), primary_key=True),
    Column("started_at", UtcTime, primary_key=True),  # the call's
    Column("call_id", ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_call_tags_call", "call_id"),
    sqlite_with_rowid=False,
)

# What people changed on calls. Rows are only ever added: the database itself refuses to change one.
audit = Table(
    "audit",
    metadata,
    _id(),
    Column("call_id", String(200), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", String(100), nullable=False),  # the name of the token
    Column("field", String(16), nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Index("ix_audit_call", "call_id", "id"),
)

# What advertising cost. Amounts are whole hundredths of the site's currency.
costs = Table(
    "costs",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("first", Date, nullable=False),  # the days of the site's time zone, both included
    Column("last", Date, nullable=False),
    Column("channel", String(300), nullable=False),
    Column("source", String(256), nullable=False),  # empty where nobody said
    Column("medium", String(256), nullable=False),
    Column("campaign", String(256), nullable=False),
    Column("term", String(256), nullable=False),
    Column("amount", _Big, nullable=False),
    # Of the site's costs there is one of the same days and dimensions: their hash, since an index takes no long texts.
    Column("key", String(64), nullable=False),
    UniqueConstraint("site_id", "key"),
    CheckConstraint("first <= last", name="days"),
    CheckConstraint("amount >= 0", name="amount"),
    Index("ix_costs_days", "site_id", "first", "last"),
)

# What contacts bought, or may buy.
deals = Table(
    "deals",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("external_id", String(200)),  # in the company's CRM
    Column("contact_id", ForeignKey("contacts.id")),
    Column("call_id", String(200)),  # that it was entered on; without a contact the only tie
    Column("name", String(200)),
    Column("stage", String(100)),
    Column("status", String(8), nullable=False),
    Column("amount", _Big, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("won_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("at", UtcTime, nullable=False),  # when it is counted: when it was won, or closed; while open, opened
    UniqueConstraint("site_id", "external_id"),
    CheckConstraint("status IN ('open', 'won', 'lost')", name="status"),
    CheckConstraint("(status = 'won') = (won_at IS NOT NULL)", name="won"),
    CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
    CheckConstraint("amount >= 0", name="amount"),
    CheckConstraint("contact_id IS NOT NULL OR call_id IS NOT NULL", name="tie"),
    Index("ix_deals_at", "site_id", "at", "id"),
    Index("ix_deals_contact", "contact_id"),
)

# What people changed of costs and deals: the audit's twin, only ever added to as well.
money_audit = Table(
    "money_audit",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("kind", String(4), nullable=False),  # cost or deal
    Column("subject", _Big, nullable=False),  # its id, of one that is gone, too
    Column("at", UtcTime, nullable=False),
    Column("who", String(100), nullable=False),
    Column("before", JSON(none_as_null=True)),  # what was changed, all of it where it is gone; none: it is new
    Column("after", JSON(none_as_null=True)),  # none: it is gone
    Index("ix_money_audit_subject", "kind", "subject", "id"),
)

# What a site's calls taught, each time that it was learned.
curves = Table(
    "curves",
    metadata,
    Column("site_id", ForeignKey("sites.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("learned_at", UtcTime, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("curves", JSON, nullable=False),
)

ledger_positions = Table(
    "ledger_positions",
    metadata,
    Column("node", String(32), primary_key=True),
    Column("file", String(64), nullable=False),  # device and inode: it may be renamed
    Column("position", BigInteger, nullable=False),  # bytes of it that are known
)

duties = Table(
    "duties",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(120), nullable=False),
    Column("held_until", UtcTime, nullable=False),  # unless it says again that it is there
    Column("sought_at", UtcTime),  # when another process last asked for it
)

contacts = Table(
    "contacts",
    metadata,
    _id(),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("caller", String(64), nullable=False),
    Column("first_at", UtcTime, nullable=False),
    UniqueConstraint("site_id", "caller"),
)

revisions = Table(
    "revisions",
    metadata,
    Column("name", String(32), primary_key=True),  # sites: them, their pools, channels, numbers, addresses
    Column("number", BigInteger, nullable=False),  # grows with every change
)

outbox = Table(
    "outbox",
    metadata,
    _id(),
    Column("topic", String(64), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("claimed_until", UtcTime),
    Column("done_at", UtcTime),
)
_waiting = outbox.c.done_at.is_(None)
Index("ix_outbox_due", outbox.c.due_at, postgresql_where=_waiting, sqlite_where=_waiting)

# What is known of whole days of a site's time zone, so that a report need not read their calls. See docs/reports.md.
rollups = Table(
    "rollups",
    metadata,
    Column("site_id", ForeignKey("sites.id"), primary_key=True),
    Column("made_for", String(80), nullable=False),  # the time zone, and what the figures mean
    Column("version", _Big, nullable=False),  # grows with each fold: of two at once, one finds that it is late
    Column("seen", _Big, nullable=False),  # the last mark that a fold has read
    Column("first", Date),  # days from this one on, and before ``end``, are rolled up; none: none is
    Column("end", Date),
)

# Where a report's figures may have changed since they were rolled up. The database itself adds a mark with whatever is
# changed, in the same transaction, and none is ever changed.
rollup_marks = Table(
    "rollup_marks",
    metadata,
    _id(),
    Column("site_id", _Big, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Index("ix_rollup_marks_site", "site_id", "since"),
    sqlite_autoincrement=True,  # a fold deletes by id the marks that it has read: no other may ever have such an id
)


# The months that are kept of a question by a model. One is forgotten when a day of it is rolled up anew.
rollup_months = Table(
    "rollup_months",
    metadata,
    Column("site_id", _Big, primary_key=True, autoincrement=False),
    Column("question", String(16), primary_key=True),
    Column("model", String(16), primary_key=True),
    Column("month", Date, primary_key=True),
)


# What hours of the last days add up to, as far as they are over: JSON, a document for each question and model.
rollup_steps = Table(
    "rollup_steps",
    metadata,
    Column("site_id", _Big, primary_key=True, autoincrement=False),
    Column("question", String(16), primary_key=True),
    Column("model", String(16), primary_key=True),  # none: an empty text
    Column("since", UtcTime, primary_key=True),
    Column("until", UtcTime, nullable=False),
    Column("found", Text, nullable=False),
)

# The calls to each number by days and whole months, and those of strangers among them.
rollup_numbers = Table(
    "rollup_numbers",
    metadata,
    Column("site_id", _Big, primary_key=True, autoincrement=False),
    Column("of_month", Boolean, primary_key=True),
    Column("number", String(64), primary_key=True),
    Column("day", Date, primary_key=True),  # a month's first
    Column("calls", Integer, nullable=False),
    Column("strange", Integer, nullable=False),
    Column("days", Integer, nullable=False),  # on which strangers called
    Column("callers", Text, nullable=False),  # each of them once: JSON
    Index("ix_rollup_numbers", "site_id", "of_month", "day"),
    sqlite_with_rowid=False,
)

# How good attributions of days were, as far as later calls had told by then.
rollup_accuracy = Table(
    "rollup_accuracy",
    metadata,
    Column("site_id", _Big, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("made_on", Date, nullable=False),
    Column("final", Boolean, nullable=False),  # no later call can tell more
    Column("tells", BigInteger, nullable=False),  # another number where its calls may tell other things of earlier ones
    Column("found", Text, nullable=False),  # JSON
)


def _rollup(name: str, *dimensions: Column[Any], by_model: bool) -> Table:
    """The sums of a question (see :mod:`pbxtrack.reports`), by days."""
    model: list[Column[Any]] = []
    if by_model:  # so many rows that those of whole months are kept, too: their ``day`` is the first
        model = [Column("model", String(16), nullable=False), Column("of_month", Boolean, nullable=False)]
    measures = ("calls", "unique", "target", "answered", "missed", "unsettled", "talk", "waiting")
    return Table(
        f"rollup_{name}",
        metadata,
        Column("site_id", _Big, nullable=False),
        Column("day", Date, nullable=False),
        *model,
        *dimensions,
        *(Column(measure, _Big, nullable=False) for measure in measures),
        Index(f"ix_rollup_{name}", "site_id", *(column.name for column in model), "day"),
    )


def _texts(*names: str) -> list[Column[str]]:
    return [Column(name, String(256)) for name in names]


rollup_channels = _rollup("channels", Column("channel", String(300)), by_model=True)
rollup_campaigns = _rollup("campaigns", *_texts("source", "medium", "campaign"), by_model=True)
rollup_keywords = _rollup("keywords", *_texts("source", "campaign", "term"), by_model=True)
rollup_pages = _rollup("pages", Column("page", Text), by_model=True)
rollup_regions = _rollup("regions", Column("region", String(16)), by_model=False)
rollup_operators = _rollup("operators", Column("operator", String(200)), by_model=False)
rollup_hours = _rollup(
    "hours",
    Column("begins", UtcTime, nullable=False),
    Column("weekday", Integer, nullable=False),  # by the site's clocks, as is the hour; Monday is 1
    Column("hour", Integer, nullable=False),
    by_model=False,
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("name", String(100), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("role", String(16), nullable=False, server_default="owner"),
    Column("sites", JSON(none_as_null=True)),  # keys of those that it is for; none: all
)

people = Table(
    "people",
    metadata,
    _id(),
    Column("name", String(64), nullable=False, unique=True),
    Column("password", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("sites", JSON(none_as_null=True)),  # as a token's
    Column("language", String(8)),
    Column("choices", JSON, nullable=False),  # how they like their pages
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # wrong passwords since the last right one
    Column("locked_until", UtcTime),
)

sessions = Table(
    "sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

saved_views = Table(
    "saved_views",
    metadata,
    _id(),
    Column("person_id", ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("query", Text, nullable=False),
    UniqueConstraint("person_id", "site_id", "name"),
)

# Messages that came to a site's addresses, as facts; one of several recipients at a site is one.
emails = Table(
    "emails",
    metadata,
    _key(primary_key=True),
    Column("site_id", ForeignKey("sites.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("recipient", String(320), nullable=False),  # of several the one that tells most
    Column("sender", String(320), nullable=False),  # the envelope's; empty: a bounce's
    Column("author", String(320), nullable=False),  # the address in From; empty where there is none
    Column("author_name", String(200), nullable=False),
    Column("subject", String(400), nullable=False),
    Column("message_id", String(400), nullable=False),
    Column("in_reply_to", String(400), nullable=False),
    Column("size", Integer, nullable=False),  # bytes
    Column("nature", String(16), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    _key("lease_id"),
    _key("visit_id"),
    Column("kind", String(16), nullable=False),  # of the recipient
    Column("channel", String(300)),
    Column("source", String(256)),
    Column("medium", String(256)),
    Column("campaign", String(256)),
    Column("term", String(256)),
    Column("content", String(256)),
    Column("confidence", Float, nullable=False),
    Column("why", Text, nullable=False),
    Column("body", Text),  # its text, where it is to be kept
    Column("relayed_at", UtcTime),
    Column("refused", Text),  # the upstream's words, if it will never take the message
    UniqueConstraint("site_id", "fingerprint"),
    Index("ix_emails_at", "at", "id"),
    Index("ix_emails_site_at", "site_id", "at"),
)

# Messages on their way to the upstream: each a file on the machine whose spool has the name ``place``.
spool = Table(
    "spool",
    metadata,
    Column("key", String(64), primary_key=True),  # of content, sender and recipient
    _key("place", nullable=False),
    _key("file", nullable=False),
    _key("email_id"),  # none: a notice of ours
    Column("site_id", ForeignKey("sites.id")),
    Column("sender", String(320), nullable=False),
    Column("recipient", String(320), nullable=False),
    Column("address", String(320), nullable=False),  # that the sender wrote to
    Column("utf8", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("holder", String(200)),  # the process that sends it at this moment, until
    Column("held_until", UtcTime, nullable=False),
    Column("reply", Text),  # what the upstream said last
    Column("done_at", UtcTime),  # sent, or never to be
    Column("sent", Boolean, nullable=False),
    Index("ix_spool_done", "done_at"),
)
Index(
    "ix_spool_waiting",
    spool.c.place,
    spool.c.next_at,
    postgresql_where=spool.c.done_at.is_(None),
    sqlite_where=spool.c.done_at.is_(None),
)
