"""``pbxtrack db``: the database's schema."""

from __future__ import annotations

import click

from pbxtrack.cli.common import open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.storage import migrate


@click.group()
def db() -> None:
    """Upgrade or check the database's schema."""


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Run the migrations that are missing; an empty database gets its tables."""
    with open_database(check=False) as database:
        before = migrate.upgrade(database)
        after = migrate.current(database)
    if as_json:
        print_json({"from": before, "to": after})
    elif before == after:
        click.echo(f"the database is at revision {after} already")
    else:
        click.echo(f"upgraded the database from {f'revision {before}' if before else 'empty'} to revision {after}")


@db.command()
@json_option
def check(as_json: bool) -> None:
    """Tell whether the schema is the one that this version wants. Exit 1 if it is not."""
    with open_database() as database:
        revision = migrate.current(database)
    if as_json:
        print_json({"revision": revision, "current": True})
    else:
        click.echo(f"the database is at revision {revision}, as this version wants it")
