"""Options about who may do what, for people and tokens alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from sqlalchemy import Connection

from pbxtrack.access import Access, Role
from pbxtrack.cli.common import no_site
from pbxtrack.storage.admission import PoorName
from pbxtrack.storage.sites import live_sites

HERE = Access("pbxtrack", Role.OWNER)
"""Whoever may run commands on this machine may do everything."""

Command = Callable[..., Any]


def named(read: Callable[[str], str], given: str) -> str:
    """A name as ``read`` has it, or an error of usage."""
    try:
        return read(given)
    except PoorName as error:
        raise click.BadParameter(f"{error}.") from None


def role_option(default: Role) -> Callable[[Command], Command]:
    """``--role``: owner, manager or engineer."""
    return click.option(
        "--role",
        type=click.Choice([role.value for role in Role]),
        default=default.value,
        show_default=True,
        callback=lambda context, parameter, value: Role(value),
        help="owner: everything; manager: calls and reports; engineer: sites, numbers and health, no recordings.",
    )


sites_option = click.option(
    "--site",
    "sites",
    multiple=True,
    metavar="KEY",
    callback=lambda context, parameter, value: frozenset(value) or None,
    help="Only this site, and nothing of the others; may be given several times. None: all.",
)


def require_sites(connection: Connection, sites: frozenset[str] | None) -> None:
    """PbxtrackError where one of the sites is none."""
    there = {row.key for row in live_sites(connection)}
    if unknown := sorted((sites or frozenset()) - there):
        raise no_site(unknown[0], there)


def told_access(access: Access) -> dict[str, Any]:
    """A role and its sites for JSON."""
    return {"role": access.role.value, "sites": None if access.sites is None else sorted(access.sites)}


def told_sites(sites: frozenset[str] | None) -> str:
    """The sites for people."""
    return "all" if sites is None else ", ".join(sorted(sites)) or "none"
