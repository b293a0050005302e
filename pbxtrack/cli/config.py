"""``pbxtrack config``: the settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.config import exposed_secrets, load
from pbxtrack.errors import ConfigError
from pbxtrack.settings import Settings
from pbxtrack.storage.database import parse_url
from pbxtrack.toml_lines import KeyPath

UNSET = 'not set; make one with `openssl rand -hex 24`, and write it as secret = "…" under [[ami]]'
_MASK = "********"


@click.group()
def config() -> None:
    """Check the settings."""


@config.command()
@json_option
def check(as_json: bool) -> None:
    """Print each setting and where it comes from; secrets are masked. Exit 1 if a setting is wrong or unknown."""
    settings = load()
    parse_url(settings.database.url)
    warning = exposed_secrets(settings)
    missing = [
        f"{'ami.secret' if len(settings.ami) == 1 else _name(('ami', at, 'secret'), settings)}: {UNSET}"
        for at in _without_secret(settings)
    ]
    rows = [
        {"setting": _name(path, settings), "value": _shown(value), "origin": origin.text, "kind": origin.kind}
        for path, value in _leaves((), settings)
        for origin in [settings.origin(path)]
    ]
    if as_json:
        print_json(
            {"file": settings.file, "settings": rows, "warnings": [warning] if warning else [], "errors": missing}
        )
        if missing:
            raise click.exceptions.Exit(1)
        return
    columns = [Column("Setting"), Column("Value"), Column("From")]
    print_table(columns, [[row["setting"], _text(row["value"]), row["origin"]] for row in rows])
    if warning:
        click.echo(f"warning: {warning}", err=True)
    if missing:
        raise ConfigError("; ".join(missing))
    click.echo(f"the settings are sound ({settings.file or 'no file: defaults and environment'})", err=True)


def _without_secret(settings: Settings) -> list[int]:
    """Which [[ami]] have none. Most commands do without it; Asterisk does not."""
    return [at for at, ami in enumerate(settings.ami) if not ami.secret.get_secret_value()]


def _leaves(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, object]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _leaves((*path, name), getattr(value, name))
    elif path == ("ami",) and isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _leaves((*path, index), entry)
    else:
        yield path, value


def _name(path: KeyPath, settings: Settings) -> str:
    if path[0] == "ami" and isinstance(path[1], int):
        return f"ami[{settings.ami[path[1]].node}].{path[2]}"
    return ".".join(map(str, path))


def _shown(value: object) -> Any:
    match value:
        case SecretStr():
            return _MASK if value.get_secret_value() else ""
        case str():
            value = re.sub(r"(://[^/@:]*):.*@", rf"\1:{_MASK}@", value)
            return re.sub(r"([?&]password=)[^&]*", rf"\1{_MASK}", value)
        case None | int() | float() | list():
            return value
    return str(value)


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)
