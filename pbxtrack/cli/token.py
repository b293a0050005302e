"""``pbxtrack token``: API tokens of programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from pbxtrack.access import Role
from pbxtrack.cli.access import HERE, named, require_sites, role_option, sites_option, told_access, told_sites
from pbxtrack.cli.common import now, open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.text import second, visible
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage.admission import issue, token_name
from pbxtrack.storage.tokens import Token, list_tokens, revoke_token


@click.group()
def token() -> None:
    """API tokens of programs."""


@token.command()
@click.argument("name")
@role_option(Role.OWNER)
@sites_option
@json_option
def add(name: str, role: Role, sites: frozenset[str] | None, as_json: bool) -> None:
    """Make a token and print it. It is shown this once: the database keeps a hash of it."""
    name = named(token_name, name)
    with open_database() as database, database.transaction() as connection:
        require_sites(connection, sites)
        made, secret = issue(connection, HERE, name, role, sites, now())
    if as_json:
        print_json({"id": made.id, "name": made.name, **told_access(made.access), "token": secret})
        return
    click.echo(secret)
    click.echo(f"Token {made.id} ({made.name}): keep it now, it is not shown again.", err=True)


@token.command()
@click.argument("token_", metavar="ID|NAME")
def revoke(token_: str) -> None:
    """Refuse a token from now on."""
    with open_database() as database, database.transaction() as connection:
        found = [known for known in _live(list_tokens(connection)) if token_ in (str(known.id), known.name)]
        if not found:
            raise PbxtrackError(f"there is no token {token_!r} to revoke; see `pbxtrack token list`")
        revoke_token(connection, found[0].id, now())
    click.echo(f"revoked token {found[0].id} ({visible(found[0].name)})")


@token.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """Every token, without its secret."""
    with open_database() as database, database.reading() as connection:
        found = list_tokens(connection)
    if as_json:
        print_json([_json(known) for known in found])
        return
    if not found:
        click.echo("there are no tokens; make one with `pbxtrack token add NAME`")
        return
    from pbxtrack.cli.table import Column, print_table

    rows = [
        [
            str(known.id),
            known.name,
            known.role.value,
            told_sites(known.sites),
            second(known.created_at),
            second(known.used_at),
            f"revoked {second(known.revoked_at)}" if known.revoked_at else "in use",
        ]
        for known in found
    ]
    columns = [
        Column("Id", right=True),
        Column("Name", least=12),
        Column("Role"),
        Column("Sites"),
        Column("Made (UTC)"),
        Column("Last used (UTC)"),
    ]
    print_table([*columns, Column("State")], rows)


def _json(known: Token) -> dict[str, Any]:
    return {**asdict(known), **told_access(known.access)}


def _live(tokens: list[Token]) -> list[Token]:
    return [known for known in tokens if known.revoked_at is None]
