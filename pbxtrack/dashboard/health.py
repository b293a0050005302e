"""How the service is: what fails and how to mend it, and what it counts."""

from __future__ import annotations

import platform
from typing import Any

from aiohttp import web
from sqlalchemy import Connection, func, select

from pbxtrack.access import Right
from pbxtrack.dashboard.asked import Asked
from pbxtrack.dashboard.desk import DESK, Page
from pbxtrack.storage.migrate import head
from pbxtrack.storage.site_use import held_by_site


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
        checks=readiness.checks,
        snapshot=snapshot,
        examined=examined,
        wrong=wrong,
        fallbacks=sorted(fallbacks.items(), key=lambda item: (-item[1], item[0])),
        trouble=len(failing) + len(wrong),
        python=platform.python_version(),
        **found,
    )


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
