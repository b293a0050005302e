"""Options and output that commands have in common; none of it needs a database."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from pbxtrack.errors import PbxtrackError
from pbxtrack.sitefile import values
from pbxtrack.storage.times import rfc3339

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class Duration(click.ParamType[timedelta]):
    """A duration as the site file has it: 90s, 2.5m, 1h30m or 2d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return values.duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """A time: a date, a date and time (RFC 3339; this machine's zone where none is given), or how long ago: 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        ago = re.fullmatch(r"(\d{1,6})([mhdw])", str(value), re.ASCII)
        try:
            if ago:
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: write 2026-11-22, 2026-11-22T15:04:05Z, or 2h for two hours ago", param, ctx
            )


class OutFile(click.Path):
    """A file to be written. That it can be is asked before the work whose result it is for."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False, writable=True)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        path = super().convert(value, param, ctx)
        folder = os.path.dirname(path) or os.curdir
        if not os.path.isdir(folder):
            self.fail(f"there is no folder {os.fsdecode(folder)!r}", param, ctx)
        if not os.path.exists(path) and not os.access(folder, os.W_OK):
            self.fail(f"the folder {os.fsdecode(folder)!r} cannot be written", param, ctx)
        return path


@contextmanager
def writing(path: Path | None) -> Iterator[None]:
    """What is written is this file: PbxtrackError, which names it, where that fails."""
    try:
        yield
    except OSError as error:
        raise PbxtrackError(f"{path} cannot be written: {error.strerror or error}") from None


def print_json(value: Any) -> None:
    """Print a value as JSON; times in RFC 3339, UTC."""
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return str(rfc3339(value))
    return str(value)
