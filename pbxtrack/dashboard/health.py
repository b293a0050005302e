"""How the service is: what fails and how to mend it, and what it counts."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from markupsafe import Markup, escape
from sqlalchemy import Connection, func, select

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import DESK, Page
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.why import filled
from pbxtrack.storage.migrate import head
from pbxtrack.storage.site_use import held_by_site
from pbxtrack.words import Words

_CHECKS: Mapping[str, str] = {
    "database": marked("database"), "migrations": marked("schema"), "agi": "FastAGI", "ami": marked("AMI %(node)s"),
    "records": marked("records %(node)s"),
}  # fmt: skip
"""What `/readyz` names with a word, and the node where there are several."""


async def show(asked: Asked) -> web.StreamResponse:
    desk = asked.request.app[DESK]
    readiness = await desk.ready()
    found = await asked.read(lambda connection: _found(connection, asked))
    snapshot, examined = desk.snapshot(), desk.examined()
    failing = [check for check in readiness.checks if not check.ok]
    wrong = [finding for finding in examined.findings if not finding.ok] if examined else []
    fallbacks: dict[str, int] = {}
    for ami in snapshot.ami.values():
        for reason, count in ami.counts.fallbacks.items():
            fallbacks[reason] = fallbacks.get(reason, 0) + count
    return asked.render(
        "health_body.html" if asked.query.get("part") else "health.html",
        checks=[(_check(check.name), check) for check in readiness.checks],
        said=lambda words: said(asked, words),
        snapshot=snapshot,
        examined=examined,
        wrong=wrong,
        fallbacks=sorted(fallbacks.items(), key=lambda item: (-item[1], item[0])),
        trouble=len(failing) + len(wrong),
        python=platform.python_version(),
        **found,
    )


def _check(name: str) -> Words | str:
    """What the readiness check of that name looks at."""
    kind, _, node = name.partition(" ")
    return Words(_CHECKS[kind], node=node) if kind in _CHECKS else name


def said(asked: Asked, words: Words | str) -> Markup:
    """Words in the language of whoever asks. What comes from outside stands apart; what others said is English."""
    if isinstance(words, str):
        return escape(words)
    text = escape(asked.texts.gettext(words.text))
    values = {name: _value(asked, name, value) for name, value in words.values.items()}
    return filled(text, **values) if values else text


def _value(asked: Asked, name: str, value: object) -> Markup | str:
    match value:
        case Words():
            return said(asked, value)
        case int():
            return asked.format.number(value)
        case float():
            return asked.format.number(value, 3)
    return (Markup('<bdi lang="en">%s</bdi>') if name == "error" else Markup("<bdi>%s</bdi>")) % value


def _found(connection: Connection, asked: Asked) -> dict[str, Any]:
    sqlite = connection.dialect.name == "sqlite"
    version = connection.scalar(select(func.sqlite_version() if sqlite else func.current_setting("server_version")))
    use = held_by_site(connection, asked.now)
    return {
        "pools": {key: used for key, used in use.items() if asked.access.sees(key)},
        "database": f"{'SQLite' if sqlite else 'PostgreSQL'} {version}",
        "revision": head(),
    }


PAGES = (Page(path="/health", handler=show, right=Right.OPERATE),)
