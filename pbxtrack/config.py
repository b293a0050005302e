"""The settings: ``pbxtrack.toml``, the environment and systemd's credentials, read in one place and checked.

A setting comes from the first of: the environment (``PBXTRACK_API__LISTEN``), a file in ``$CREDENTIALS_DIRECTORY``
named ``api.listen`` or like the variable, ``pbxtrack.toml``, the default. Whatever we do not know is an error: a
mistyped setting that is passed over in silence costs somebody a night.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pbxtrack import toml_lines
from pbxtrack.errors import ConfigError
from pbxtrack.settings import SECRETS, Address, AmiSettings, Origin, Settings
from pbxtrack.toml_lines import KeyPath

__all__ = ["Address", "AmiSettings", "Settings", "load"]

PREFIX = "PBXTRACK_"
FILE_VARIABLE = "PBXTRACK_CONFIG"
SYSTEM_FILE = Path("/etc/pbxtrack/pbxtrack.toml")
SYSTEM_DATA = Path("/var/lib/pbxtrack")
DATABASE_FILE = "pbxtrack.db"
RESERVED = ("PBXTRACK_LAB_", "PBXTRACK_TEST_")
"""Prefixes of variables that are no settings: the lab's own and the test suite's."""


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. ``path`` comes before the usual places; ConfigError, of one line, where anything is wrong."""
    file = _find(path, environ)
    origins: dict[KeyPath, Origin] = {}
    values = _from_file(file, origins) if file else {}
    overrides = [*_credentials(environ), *_variables(environ)]
    if overrides:
        values.setdefault("ami", [{}])
    for keys, text, origin in overrides:
        for place in _places(keys, values):
            _put(values, place, text)
            origins[place] = origin
    _default_paths(values, environ)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_say(error.errors(include_url=False)[0], origins)) from None
    settings.remember(file, origins)
    _unique_nodes(settings, origins)
    return settings


def exposed_secrets(settings: Settings) -> str | None:
    """A warning, if everybody on this machine may read the secrets in the settings file."""
    if settings.file is None:
        return None
    held = [
        name for path, origin in settings._origins.items() if origin.kind == "file" and (name := _name(path)) in SECRETS
    ]
    held = [name for name in held if name != "database.url" or re.search(r"://[^/@]*:[^/@]+@", settings.database.url)]
    if not held or not settings.file.stat().st_mode & stat.S_IROTH:
        return None
    return f"{settings.file} holds {held[0]}, and every user of this machine can read it: chmod o-r {settings.file}"


def _find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    named = environ.get(FILE_VARIABLE)
    if named:
        if not Path(named).exists():
            raise ConfigError(f"{FILE_VARIABLE}: {named} does not exist")
        return Path(named)
    return next((file for file in (Path("pbxtrack.toml"), SYSTEM_FILE) if file.exists()), None)


def _from_file(file: Path, origins: dict[KeyPath, Origin]) -> dict[str, Any]:
    values, lines = toml_lines.read(file)

    def fail(path: KeyPath, message: str) -> ConfigError:
        return ConfigError(f"{file}:{lines.find(path)}: {_name(path)}: {message}")

    for key, value in values.items():
        field = Settings.model_fields.get(key)
        if field is None:
            raise fail((key,), _unknown(key, Settings.model_fields))
        origins[key,] = Origin("file", f"{file}:{lines.find((key,))}")
        entries: list[tuple[KeyPath, Any]] = [((key,), value)]
        if key == "ami":
            if not isinstance(value, list):
                raise fail((key,), "must be written [[ami]], once for each Asterisk")
            entries = [((key, index), entry) for index, entry in enumerate(value)]
        section = _section(field)
        for path, entry in entries:
            if section is None:
                continue
            origins[path] = Origin("file", f"{file}:{lines.find(path)}")
            if not isinstance(entry, dict):
                raise fail(path, f"must be a section: [{key}]")
            for name in entry:
                if name not in section.model_fields:
                    raise fail((*path, name), _unknown(name, section.model_fields))
                origins[*path, name] = Origin("file", f"{file}:{lines.find((*path, name))}")
    return values


def _variables(environ: Mapping[str, str]) -> Iterable[tuple[list[str], str, Origin]]:
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == FILE_VARIABLE or variable.startswith(RESERVED):
            continue
        keys = _known_keys(variable)
        if environ[variable]:  # docker compose passes on variables that are not set as empty ones
            yield keys, environ[variable], Origin("env", variable)


def _known_keys(variable: str) -> list[str]:
    keys = variable.removeprefix(PREFIX).lower().split("__")
    field = Settings.model_fields.get(keys[0])
    section = _section(field) if field else None
    if field is None:
        known: Iterable[str] = Settings.model_fields
    elif section is None:
        known = ()
    else:
        known = section.model_fields
    wrong = keys[0] if field is None else ".".join(keys[1:])
    if field is None:
        # One underscore where two belong: PBXTRACK_API_LISTEN.
        for name in _setting_names():
            if "_".join(keys) == name.replace(".", "_"):
                raise ConfigError(
                    f"{variable}: unknown setting; did you mean {PREFIX}{name.upper().replace('.', '__')}?"
                )
    if field is None or (wrong and wrong not in known):
        raise ConfigError(f"{variable}: {_unknown(wrong, known)}")
    if section is not None and not wrong:
        raise ConfigError(
            f"{variable}: is a section; name a setting of it, such as {variable}__{_first(known).upper()}"
        )
    return keys


def _credentials(environ: Mapping[str, str]) -> Iterable[tuple[list[str], str, Origin]]:
    """Files of systemd's LoadCredential= that are named like a setting or its variable; others are not ours."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return
    for name in _setting_names():
        variable = PREFIX + name.upper().replace(".", "__")
        for file in (Path(folder, name), Path(folder, variable)):
            try:
                text = file.read_text("utf-8").rstrip("\r\n")
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}"
                ) from None
            yield name.split("."), text, Origin("credential", str(file))


def _setting_names() -> Iterable[str]:
    for key, field in Settings.model_fields.items():
        section = _section(field)
        yield from (f"{key}.{name}" for name in section.model_fields) if section else (key,)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    if field.annotation == list[AmiSettings]:
        return AmiSettings
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _places(keys: list[str], values: Mapping[str, Any]) -> list[KeyPath]:
    if keys[0] != "ami":
        return [tuple(keys)]
    return [("ami", index, keys[1]) for index in range(len(values["ami"]))]


def _put(values: Any, path: KeyPath, text: str) -> None:
    for key in path[:-1]:
        values = values[key] if isinstance(key, int) else values.setdefault(key, {})
    is_list = path in (("api", "trusted_proxies"), ("mail", "trusted_fronts"))
    values[path[-1]] = [item.strip() for item in text.split(",")] if is_list else text


def _default_paths(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    folder = values.setdefault("data_dir", str(_data_dir(environ)))
    if isinstance(folder, str):
        values["data_dir"] = folder = os.path.abspath(os.path.expanduser(folder))
    database = values.setdefault("database", {})
    database.setdefault("url", f"sqlite:///{folder}/{DATABASE_FILE}")


def _data_dir(environ: Mapping[str, str]) -> Path:
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]  # systemd lists several with colons
    if given:
        return Path(given)
    if os.access(SYSTEM_DATA, os.W_OK):
        return SYSTEM_DATA
    return Path.home() / ".local" / "share" / "pbxtrack"


def _unique_nodes(settings: Settings, origins: Mapping[KeyPath, Origin]) -> None:
    seen: set[str] = set()
    for index, ami in enumerate(settings.ami):
        if ami.node in seen:
            where = _nearest(("ami", index, "node"), origins)
            text = f"ami.node: two Asterisks are called {ami.node!r}; give each its own node"
            raise ConfigError(f"{where.text}: {text}" if where else text)
        seen.add(ami.node)


def _nearest(path: KeyPath, origins: Mapping[KeyPath, Origin]) -> Origin | None:
    """Where a setting, else the section that it is missing from, was read."""
    return next((origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), None)


def _say(error: ErrorDetails, origins: Mapping[KeyPath, Origin]) -> str:
    path: KeyPath = error["loc"]
    where = _nearest(path, origins)
    name = _name(path)
    value = error["input"]
    shown = "" if name in SECRETS or isinstance(value, dict | list) else f", not {str(value)!r:.60}"
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        shown = shown if reason.startswith("must") else ""
    else:
        reason = _REASONS.get(error["type"]) or error["msg"].replace("Input should", "must").replace(
            "String should", "must"
        )
    if where is None:
        return f"{name}: {reason}{shown}"
    # A variable's or a credential's name says already which setting it is.
    return f"{where.text}: {name}: {reason}{shown}" if where.kind == "file" else f"{where.text}: {reason}{shown}"


_REASONS = {
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "string_type": "must be a text in quotes",
    "path_type": "must be a text in quotes",
    "list_type": "must be a list",
    "too_short": "needs one entry at least",
}


def _unknown(key: str, known: Iterable[str]) -> str:
    similar = difflib.get_close_matches(key, list(known), 1, 0.6)
    return f"unknown setting; did you mean {similar[0]}?" if similar else "unknown setting"


def _name(path: KeyPath) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def _first(names: Iterable[str]) -> str:
    return next(iter(names))
