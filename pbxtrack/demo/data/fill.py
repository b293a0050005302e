"""Filling a database with the demonstration's data: which may be, in which order, and what follows at the end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from math import ceil
from operator import itemgetter
from random import Random

from sqlalchemy import Connection, Index, Table, insert, select, text
from sqlalchemy.schema import AddConstraint, CreateIndex, DropConstraint, DropIndex

from pbxtrack.calls.curves import Curves
from pbxtrack.calls.events import microseconds
from pbxtrack.demo.data.conversations import Exchange
from pbxtrack.demo.data.copies import Copy, Originals, Template
from pbxtrack.demo.data.hindsight import Hindsight, learned
from pbxtrack.demo.data.lines import LinesOf
from pbxtrack.demo.data.money import deal_rows, spend
from pbxtrack.demo.data.notes import Writers
from pbxtrack.demo.data.people import Phones
from pbxtrack.demo.data.plan import COMPANIES, NODE, Company
from pbxtrack.demo.data.rows import ORDER, Row, Rows, contact_rows, fact_rows
from pbxtrack.demo.data.standing import standings
from pbxtrack.demo.data.year import Year
from pbxtrack.errors import PbxtrackError
from pbxtrack.pool.model import SiteSettings
from pbxtrack.storage import curves, sites, tables
from pbxtrack.storage.database import Database
from pbxtrack.storage.fold import fold_all
from pbxtrack.storage.leases import SqlLeases, hold_number
from pbxtrack.storage.marks import unmarked

LIVED = 20_000
"""Calls that are lived through one by one; where more are wanted, they are copies of these."""

_MARK = "demo-data"  # in the table of revisions: the database is the demonstration's own
_KEPT = frozenset({"revisions", "tokens", "duties"})  # tables that are not the demonstration's
_QUIET = timedelta(minutes=5)  # before the end, in which the last calls end
_AT_ONCE = 40_000  # calls of a transaction, about
_ROWS = 5_000  # that are made into lines together
_LINES = 200_000  # rows that are made before they are written

Told = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is, and how much there is."""


class NotOurs(PbxtrackError):
    """The database holds what is not the demonstration's."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make. ``calls``: about so many; ``visits``: for each call; ``until``: the end of the year.

    ``facts``: with what Asterisk told of the calls and what visitors did in their visits; ``hostile``: with names and
    campaigns that whoever shows them must beware of, now and then.
    """

    calls: int
    seed: int
    until: datetime
    visits: float = 3.0
    facts: bool = True
    hostile: bool = False

    @property
    def copies(self) -> int:
        """How often the year is written."""
        return max(1, ceil(self.calls / LIVED))


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written."""

    calls: int
    visits: int


def fill(database: Database, wanted: Wanted, told: Told) -> Filled:
    """Fill the database; what it held of the demonstration is replaced.

    Raises NotOurs where it holds anything else, StorageUnavailable.
    """
    with database.transaction() as connection:
        _claim(connection)
    lived = round(wanted.calls / wanted.copies)
    shares = [round(lived * company.share) for company in COMPANIES]
    shares[-1] += lived - sum(shares)
    planned = [(company, calls, round(calls * wanted.visits)) for company, calls in zip(COMPANIES, shares, strict=True)]
    with database.transaction() as connection:
        number_ids, settings = _found(connection, planned, wanted)
    years = _live(planned, settings, wanted, told)
    story = _Story(wanted, years, number_ids, told)
    with _without_indexes(database, told):
        filled = story.write(database)
    with database.transaction() as connection:
        story.finish(connection)
    bring_up_to_date(database, told)
    return filled


def bring_up_to_date(database: Database, told: Told) -> None:
    """What follows from the rows, once all are there."""
    if not database.is_sqlite:
        _renumber(database)
    folded = 0
    for days in fold_all(database):
        folded += days
        told("adding up days", folded, max(folded, 365 * len(COMPANIES)))


def _renumber(database: Database) -> None:
    with database.transaction() as connection:
        # The ids of contacts were given: those that come are to go on behind them.
        connection.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('contacts', 'id'), (SELECT coalesce(max(id), 1) FROM contacts))"
        )
        connection.exec_driver_sql("ANALYZE")


def _claim(connection: Connection) -> None:
    """Empty the database if it is the demonstration's own, and make it so if it is nobody's yet."""
    sites.lock(connection)
    known = connection.execute(select(tables.sites.c.key)).scalars().all()
    strange = sorted(set(known) - {company.site.key for company in COMPANIES})
    if strange:
        raise NotOurs(
            f"the database has the site {strange[0]!r}; demonstration data never mixes with other data: "
            "name an empty database in the settings"
        )
    revision = select(tables.revisions.c.name).where(tables.revisions.c.name == _MARK)
    marked = connection.execute(revision).one_or_none() is not None
    own = tables.calls.c.node == NODE
    foreign = select(tables.calls.c.id).where(~own if marked else own | ~own).limit(1)
    if connection.execute(foreign).one_or_none() is not None or (known and not marked):
        raise NotOurs(
            "the database has calls or sites that are not the demonstration's, which never mixes with other data: "
            "name an empty database in the settings"
        )
    if not marked:
        connection.execute(insert(tables.revisions).values(name=_MARK, number=1))
    _empty(connection)


def _empty(connection: Connection) -> None:
    gone = [table for table in reversed(tables.metadata.sorted_tables) if table.name not in _KEPT]
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"TRUNCATE {', '.join(table.name for table in gone)} RESTART IDENTITY"))
        return
    for table in gone:
        connection.execute(table.delete())


def _found(
    connection: Connection, planned: Sequence[tuple[Company, int, int]], wanted: Wanted
) -> tuple[Mapping[str, int], Mapping[str, SiteSettings]]:
    """Make the sites; the ids of their numbers, and their settings as the services read them."""
    sized = [company.sized(visits, wanted.copies) for company, _, visits in planned]
    sites.apply(connection, sized, (), wanted.until)
    rows = connection.execute(select(tables.numbers.c.e164, tables.numbers.c.id))
    store = SqlLeases(connection)
    settings = {site.key: found for site in sized if (found := store.site(site.key))}
    return {row.e164: row.id for row in rows}, settings


def _live(
    planned: Sequence[tuple[Company, int, int]], settings: Mapping[str, SiteSettings], wanted: Wanted, told: Told
) -> list[Year]:
    random = Random(f"{wanted.seed} {microseconds(wanted.until)}")  # noqa: S311 (no secrets are made of it)
    phones, exchange = Phones(random, hostile=wanted.hostile), Exchange(random)
    years = []
    all_calls = sum(calls for _, calls, _ in planned)
    before = 0
    for company, calls, visits in planned:
        year = Year(
            company,
            settings[company.site.key],
            calls,
            visits,
            wanted.until - _QUIET,
            phones,
            exchange,
            random,
            copies=wanted.copies,
            hostile=wanted.hostile,
        )
        year.live(partial(_tell_of, told, before, all_calls))
        before += calls
        years.append(year)
    return years


def _tell_of(told: Told, before: int, total: int, done: int) -> None:
    told("living the year", before + done, total)


@contextmanager
def _without_indexes(database: Database, told: Told) -> Iterator[None]:
    """Indexes are made faster of all rows than of each; and PostgreSQL finds faster that all refer to what there is.

    Whoever is killed meanwhile leaves a database without them, which the next filling makes whole.
    """
    indexes: list[Index] = [
        index for table in ORDER for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    references = [] if database.is_sqlite else [one for table in ORDER for one in table.foreign_key_constraints]
    with database.transaction() as connection:
        for index in indexes:
            connection.execute(DropIndex(index, if_exists=True))
        for reference in references:
            connection.execute(DropConstraint(reference, if_exists=True))
    try:
        yield
    finally:
        for done, index in enumerate(indexes):
            told("making indexes", done, len(indexes))
            with database.transaction() as connection:
                connection.execute(CreateIndex(index, if_not_exists=True))
        with database.transaction() as connection:
            for reference in references:
                connection.execute(AddConstraint(reference))


class _Story:
    """All companies' years as rows, to be written as often as wanted."""

    def __init__(self, wanted: Wanted, years: Sequence[Year], number_ids: Mapping[str, int], told: Told) -> None:
        self._wanted, self._told = wanted, told
        self._years, self._number_ids = years, number_ids
        self._curves: list[Curves] = []
        self._contacts = 0
        self._tables = {table: LinesOf(table, but=_ids_of(table)) for table in ORDER}
        self._rows: dict[Table, list[tuple[int, str]]] = {table: [] for table in ORDER}
        self._begins: list[int] = []  # of the calls
        random = Random(f"{wanted.seed} rows")  # noqa: S311
        for year in years:
            self._tell(year, random)
        for rows in self._rows.values():
            rows.sort(key=itemgetter(0))
        self._begins.sort()

    def _tell(self, year: Year, random: Random) -> None:
        made = sorted(year.lived.calls, key=lambda one: (one.record.call.started_at, one.record.call.id))
        year.lived.calls = made
        found = learned(year, self._wanted.until)
        self._curves.append(found)
        hindsight = Hindsight(year.memory, found)
        channels = [channel.name for channel in year.company.site.channels]
        writers = Writers(random, channels, self._wanted.until)
        for one in made:
            one.record = hindsight.attributed(one.record)
            one.written = writers.written(one.record)
            hindsight.remember(one)
        site = year.site
        stands = standings([one.record for one in made], year.company.site.unique_days)
        callers = dict.fromkeys(one.record.caller for one in made if one.record.caller)
        contacts = {caller: index for index, caller in enumerate(callers, self._contacts + 1)}
        self._contacts += len(contacts)
        rows = Rows(year.memory, self._number_ids, random, events=self._wanted.facts)
        self._add(tables.contacts, contact_rows(made, contacts, site.id))
        self._add(tables.visits, rows.visits())
        self._add(tables.leases, rows.leases())
        self._add(tables.visitors, rows.visitors())
        self._add(tables.visit_events, rows.visit_events())
        audit: list[Row] = []
        self._add(tables.calls, rows.calls(made, stands, contacts, audit))
        self._add(tables.audit, audit)
        self._add(tables.deals, deal_rows(year, contacts, self._wanted.until, self._wanted.seed))
        self._begins += [microseconds(one.record.call.started_at) for one in made]
        if self._wanted.facts:
            self._add(tables.call_facts, fact_rows(made))

    def _add(self, table: Table, rows: Iterable[Row]) -> None:
        of_table, kept, rows = self._tables[table], self._rows[table], iter(rows)
        while some := list(islice(rows, _ROWS)):
            lines = of_table.lines([values for _, values in some])
            kept += [(at, line) for (at, _), line in zip(some, lines, strict=True)]

    def write(self, database: Database) -> Filled:
        """Write all rows of all copies, by time, a transaction for some of it."""
        copies = self._wanted.copies
        originals = self._originals()
        makers = [Copy(originals, index) for index in range(copies)]
        every = max(1, _AT_ONCE // copies)
        ends = [*self._begins[every::every], microseconds(self._wanted.until) + 1]
        written = dict.fromkeys(ORDER, 0)
        for done, end in enumerate(ends):
            self._told("writing", min(done * every, len(self._begins)) * copies, len(self._begins) * copies)
            with database.transaction() as connection, unmarked(connection):
                for table in ORDER:
                    rows = self._rows[table]
                    upto = bisect_left(rows, end, written[table], key=itemgetter(0))
                    lines = [line for _, line in rows[written[table] : upto]]
                    written[table] = upto
                    self._insert(connection, table, lines, originals, makers)
        return Filled(len(self._begins) * copies, len(self._rows[tables.visits]) * copies)

    def _insert(
        self, connection: Connection, table: Table, lines: Sequence[str], originals: Originals, makers: Sequence[Copy]
    ) -> None:
        of_table = self._tables[table]
        if len(makers) == 1:
            of_table.insert(connection, lines)
            return
        contact = of_table.place("id" if table is tables.contacts else "contact_id")
        number = of_table.place("number_id")
        step = max(1, _LINES // len(makers))
        for start in range(0, len(lines), step):
            templates = [Template(line, contact, number, originals) for line in lines[start : start + step]]
            of_table.insert(connection, [template.of(copy) for template in templates for copy in makers])

    def _originals(self) -> Originals:
        copies = self._wanted.copies
        pooled: dict[str, Sequence[str]] = {}
        for year in self._years:
            for pool in year.company.sized(year.planned_visits, copies).pools:
                own = len(pool.numbers) // copies
                for index, number in enumerate(pool.numbers[:own]):
                    pooled[number] = pool.numbers[index::own]
        ids = {
            str(self._number_ids[number]): [str(self._number_ids[copied]) for copied in of_each]
            for number, of_each in pooled.items()
        }
        phones = {one.phone.e164(copies, 0): one.phone for year in self._years for one in year.lived.calls if one.phone}
        return Originals(copies, pooled, ids, phones, self._years[0].legs)

    def finish(self, connection: Connection) -> None:
        """What is known at the end of the year: what the calls taught, and since when the numbers are free."""
        for year, found in zip(self._years, self._curves, strict=True):
            curves.keep(connection, year.site.id, found, self._wanted.until)
            spend(connection, year, self._wanted.copies, self._wanted.until, self._wanted.seed)
        originals = self._originals()
        makers = [Copy(originals, index) for index in range(self._wanted.copies)]
        rows = []
        for year in self._years:
            for number in (number for pool in year.pools.values() for number in pool):
                seq, free_at, rests_until, guaranteed_until = year.memory.number_times(number)
                if not seq:  # nobody ever had it
                    continue
                for copied, copy in zip(originals.pooled[number], makers, strict=True):
                    rows.append(
                        {
                            "which": self._number_ids[copied],
                            "to": seq,
                            "until": free_at + copy.shift,
                            "rests": rests_until + copy.shift,
                            "guaranteed": guaranteed_until + copy.shift,
                        }
                    )
        hold_number.run(connection, rows)


def _ids_of(table: Table) -> Sequence[str]:
    """The columns that the database fills."""
    return ("id",) if table in (tables.call_facts, tables.audit, tables.deals) else ()
