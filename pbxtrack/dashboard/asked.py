"""A page that somebody asks for: who, of which site, in which language; and what pages are made with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from gettext import NullTranslations
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping
from sqlalchemy import Connection

from pbxtrack.access import Access, Right
from pbxtrack.dashboard import languages, templates
from pbxtrack.dashboard.channels import channel_name, channel_typed
from pbxtrack.dashboard.languages import Format
from pbxtrack.dashboard.periods import Chosen, choose
from pbxtrack.reports.periods import Zone
from pbxtrack.storage.database import Database
from pbxtrack.storage.pages import MAX_ID, read_id
from pbxtrack.storage.people import Person
from pbxtrack.storage.reports import Period
from pbxtrack.storage.sites import LiveSite, channel_names
from pbxtrack.web.sessions import Session

T = TypeVar("T")


class NoSuchPage(Exception):
    """There is nothing at this address that whoever asks may see."""


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request for a page."""

    request: web.Request
    database: Database
    region: str
    now: datetime
    language: str
    session: Session | None
    sites: list[LiveSite]  # those that they see, by key
    site: LiveSite | None = None
    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def person(self) -> Person:
        """Who asks; only of pages that need a log-in."""
        assert self.session is not None
        return self.session.person

    @property
    def access(self) -> Access:
        return self.person.access

    @property
    def key(self) -> str:
        """The site's key; only of pages of a site."""
        assert self.site is not None
        return self.site.key

    @property
    def timezone(self) -> str:
        """By whose clocks times are told: the site's; of pages of no site, those of most sites; else UTC."""
        zones = Counter(site.timezone for site in ([self.site] if self.site is not None else self.sites))
        return zones.most_common(1)[0][0] if zones else "UTC"

    @property
    def zone(self) -> Zone:
        return Zone(self.timezone)

    @property
    def period(self) -> Chosen:
        """The days that the page is about."""
        return choose(self.query, self.zone, self.now)

    @property
    def calls(self) -> Period:
        """The same, as reports take it."""
        period = self.period
        return Period(period.since, period.until, [self.key])

    @property
    def query(self) -> MultiMapping[str]:
        return self.request.query

    @property
    def format(self) -> Format:
        return Format(self.language, self.timezone, self.region, self.now)

    @property
    def texts(self) -> NullTranslations:
        return languages.translations(self.language)

    def text(self, message: str, **values: object) -> str:
        """A text in the language of whoever asks."""
        found = self.texts.gettext(message)
        return found % values if values else found

    def row_id(self, name: str, most: int = MAX_ID) -> int:
        """The number in the address that names a row; NoSuchPage where it cannot be one."""
        found = read_id(self.request.match_info[name], most)
        if found is None:
            raise NoSuchPage
        return found

    def channel(self, name: str | None) -> str:
        """A channel as it is shown; empty for None."""
        return channel_name(name, self.texts) if name else ""

    async def own_channels(self) -> list[str]:
        """The names of the site's own channels; only of pages of a site."""
        assert self.site is not None
        site_id = self.site.id
        return await self.read(lambda connection: channel_names(connection, site_id))

    def channel_typed(self, name: str, own: Collection[str]) -> str:
        """The channel that somebody means who types it as it is shown; one of the site's ``own`` before any other."""
        return name if name in own else channel_typed(name, self.texts)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read from the database; all of one moment."""
        return await self.database.read(work)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Write to it, in one transaction."""
        return await self.database.write(work)

    def may(self, right: Right) -> bool:
        return self.session is not None and self.access.may(right)

    def address(self, path: str, /, **query: Any) -> str:
        """The address of a page of this site (``calls``) or of any (``/account``), about the same days."""
        if not path.startswith("/"):
            path = f"/sites/{self.key}/{path}".rstrip("/")
        if self.site is not None and path.startswith("/sites/") and not {"period", "from", "to"} & query.keys():
            query = {**self.period.query, **query}
        return path + _query(query)

    def here(self, **changes: Any) -> str:
        """This page's address with another query; None takes something out of it."""
        if {"period", "from"} & changes.keys():
            changes = {"period": None, "from": None, "to": None, **changes}
        kept = [(name, value) for name, value in self.query.items() if name not in changes]
        return self.request.path + _query({}, kept, changes)

    def render(self, template: str, /, *, status: int = 200, **values: Any) -> web.Response:
        """A page."""
        html = templates.environment(self.language).get_template(template).render(asked=self, f=self.format, **values)
        response = web.Response(text=html, status=status, content_type="text/html")
        response.enable_compression()
        return response

    def redirect(self, path: str, **query: Any) -> web.Response:
        """Go on with another page, once a form was taken."""
        return web.Response(status=303, headers={"Location": self.address(path, **query)})


def _query(
    query: Mapping[str, Any], kept: list[tuple[str, str]] | None = None, more: Mapping[str, Any] | None = None
) -> str:
    pairs: list[tuple[str, str]] = list(kept or [])
    for name, value in [*query.items(), *(more or {}).items()]:
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, _plain(one)) for one in values if one is not None]
    return "?" + urlencode(pairs) if pairs else ""


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)
