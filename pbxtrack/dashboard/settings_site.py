"""Settings of the site itself; a new site; a site removed; the site file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from aiohttp import hdrs, web

from pbxtrack.access import NotAllowed, Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import Page
from pbxtrack.dashboard.settings_change import (
    Again,
    carry_out,
    change,
    data_of_site,
    elsewhere,
    lines_of,
    text_of,
    told,
)
from pbxtrack.sitefile.data import Data
from pbxtrack.sitefile.edit import with_values
from pbxtrack.sitefile.export import to_toml
from pbxtrack.sitefile.model import DEFAULT_CURRENCY
from pbxtrack.storage.site_changes import add_site, remove_site
from pbxtrack.storage.sites import read_sites

_REQUIRED = ("name", "line")
_TEXTS = (
    "timezone",
    "currency",
    "hold",
    "hold_guaranteed",
    "target_talk",
    "overflow_number",
    "email",
    "email_separator",
)
_FIELDS = frozenset({*_REQUIRED, *_TEXTS, "key", "origins", "replace", "record", "whisper", "unique_days"})


async def show(asked: Asked) -> web.StreamResponse:
    return _page(asked, await data_of_site(asked), {})


async def save(asked: Asked) -> web.StreamResponse:
    values = values_of(asked.form)
    return await change(asked, lambda data: with_values(data, values), "settings", _again(asked, values))


async def show_new(asked: Asked) -> web.StreamResponse:
    _require_all(asked)
    given: Data = {"timezone": "Europe/Moscow" if asked.language == "ru" else "UTC", "currency": DEFAULT_CURRENCY}
    return asked.render("settings_new.html", data=_shown(given), errors={}, other=None)


async def make(asked: Asked) -> web.StreamResponse:
    _require_all(asked)
    form = asked.form
    key = str(form.get("key", "")).strip()
    values = {name: str(form.get(name, "")).strip() for name in _REQUIRED}
    chosen = {name: text_of(form, name) for name in ("timezone", "currency")}
    given = with_values({}, {"key": key, **values, **chosen})
    given["origins"] = lines_of(form, "origins")
    given["replace"] = lines_of(form, "replace")
    numbers = lines_of(form, "numbers")
    data = {**given, "pool": [{"name": asked.text("Website"), "numbers": numbers}]} if numbers else given

    def again(errors: Mapping[str, str]) -> web.Response:
        other = elsewhere(asked, errors, _FIELDS | {"numbers"})
        shown = _shown({**given, "numbers": numbers})
        return asked.render("settings_new.html", status=422, data=shown, errors=errors, other=other)

    after = f"/sites/{key}/settings/script?done=made"
    return await carry_out(
        asked,
        lambda connection, consent: add_site(connection, data, asked.access, asked.now, asked.region, consent),
        after,
        after,
        again,
    )


async def remove(asked: Asked) -> web.StreamResponse:
    _require_all(asked)
    data = await data_of_site(asked)
    return await carry_out(
        asked,
        lambda connection, consent: remove_site(connection, asked.key, asked.access, asked.now, consent),
        "/",
        asked.address("settings"),
        lambda errors: _page(asked, data, errors, status=422),
    )


async def site_file(asked: Asked) -> web.StreamResponse:
    """The site file of all sites: one of some would remove the others where it is applied."""
    _require_all(asked)
    text = to_toml(await asked.read(read_sites))
    headers = {hdrs.CONTENT_DISPOSITION: 'attachment; filename="sites.toml"'}
    return web.Response(text=text, content_type="application/toml", headers=headers)


@cache
def zones() -> list[str]:
    """The time zones that people choose from."""
    return sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/")))


def values_of(form: Mapping[str, Any]) -> Data:
    """A site's own values of its form; None where a field is empty."""
    values: Data = {name: str(form.get(name, "")).strip() for name in _REQUIRED}
    values |= {name: text_of(form, name) for name in _TEXTS}
    values |= {name: lines_of(form, name) for name in ("origins", "replace")}
    values |= {name: name in form for name in ("record", "whisper")}
    days = text_of(form, "unique_days")
    values["unique_days"] = int(days) if days and days.isascii() and days.isdecimal() and len(days) < 9 else days
    return values


def _again(asked: Asked, values: Data) -> Again:
    return lambda errors: _page(asked, with_values({"key": asked.key}, values), errors, status=422)


def _shown(data: Data) -> Data:
    """With every field that a page has."""
    return {**dict.fromkeys({*_FIELDS, "numbers"}), **data}


def _page(asked: Asked, data: Data, errors: Mapping[str, str], status: int = 200) -> web.Response:
    return asked.render(
        "settings_site.html",
        status=status,
        data=_shown(data),
        errors=errors,
        other=elsewhere(asked, errors, _FIELDS),
        done=told(asked),
        zones=zones(),
        all_sites=asked.access.sites is None,
    )


def _require_all(asked: Asked) -> None:
    if asked.access.sites is not None:
        raise NotAllowed("only who sees all sites may do this")


PAGES = (
    Page(path="/new-site", handler=show_new, right=Right.CONFIGURE),
    Page(path="/new-site", handler=make, method="POST", right=Right.CONFIGURE),
    Page(path="/sites/{site}/settings", handler=show, right=Right.CONFIGURE),
    Page(path="/sites/{site}/settings", handler=save, method="POST", right=Right.CONFIGURE),
    Page(path="/sites/{site}/settings/remove", handler=remove, method="POST", right=Right.CONFIGURE),
    Page(path="/sites/{site}/settings/sites.toml", handler=site_file, right=Right.CONFIGURE),
)
