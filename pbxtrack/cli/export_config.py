"""``pbxtrack export-config``: the site file of what is there."""

from __future__ import annotations

import click

from pbxtrack.cli.common import open_database
from pbxtrack.sitefile.export import to_toml
from pbxtrack.storage.sites import read_sites


@click.command()
def export_config() -> None:
    """Print a site file that makes the same sites, pools, channels and numbers when it is applied."""
    with open_database() as database, database.reading() as connection:
        found = read_sites(connection)
    click.echo(to_toml(found), nl=False)
