"""The reference is complete and true: docs/settings.md and docs/site-file.md against the code that they describe."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from pbxtrack.config import load
from pbxtrack.errors import ConfigError
from pbxtrack.pool.policy import MAX_HOLD, MIN_HOLD
from pbxtrack.settings import Settings
from pbxtrack.sitefile.model import Channel, Pool, Site, duration_text
from pbxtrack.sitefile.parse import parse
from pbxtrack.sources.touch import MATCHABLE, Touch, channel_of

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = (DOCS / "settings.md").read_text("utf-8")
SITE_FILE = (DOCS / "site-file.md").read_text("utf-8")

SITE = {"key": '"shop"', "name": '"Shop"', "line": '"PJSIP/sales"'}
POOL = {"name": '"main"', "numbers": '["+74951230100"]'}
CHANNEL = {"name": '"Ads"', "match": '{ source = "ads" }'}


def blocks(text: str) -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """The cells of every table's rows that begin with a name in backticks."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def part(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    _, found, after = text.partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def code(cell: str) -> str:
    return cell.strip("`")


def said(value: object) -> str:
    """A default as the documents write it."""
    match value:
        case None | ():  # any empty sequence
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case timedelta():
            return f"`{duration_text(value)}`"
        case SecretStr():
            return f'`"{value.get_secret_value()}"`'
        case dict() if not value:
            return "none"
    return f"`{value}`"


def default_settings() -> dict[str, object]:
    """Every setting's default, by its name in the document."""
    found: dict[str, object] = {}
    settings = load(Path("/dev/null"), {"STATE_DIRECTORY": "/DATA_DIR"})
    for key in Settings.model_fields:
        value = getattr(settings, key)
        section = value[0] if key == "ami" else value
        if isinstance(section, BaseModel):
            found |= {f"{key}.{name}": getattr(section, name) for name in type(section).model_fields}
        else:
            found[key] = value
    return found


DEFAULTS = default_settings()
SETTING_ROWS = {code(row[0]): row[1:] for row in rows(SETTINGS)}


def test_the_settings_that_are_described_are_those_there_are() -> None:
    assert len(SETTING_ROWS) == len(rows(SETTINGS))
    assert sorted(SETTING_ROWS) == sorted(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_setting_is_described_with_its_default_and_its_variable(name: str, tmp_path: Path) -> None:
    default, unit, variable, meaning = SETTING_ROWS[name]
    if name == "data_dir":
        assert str(DEFAULTS[name]) == "/DATA_DIR"
        assert default.startswith("`$STATE_DIRECTORY`")
    elif name == "database.url":
        assert default == said(DEFAULTS[name]).replace("/DATA_DIR", "DATA_DIR")
    else:
        assert default == said(DEFAULTS[name])
    assert unit
    assert meaning
    samples = {
        "mail.upstream": "mail.example:25",
        "mail.hostname": "relay.example",
        "mail.trusted_fronts": "10.0.0.0/8",
        "api.trusted_proxies": "10.0.0.0/8",
        "ami.secret": "word",
    }
    value = samples.get(name, str(DEFAULTS[name]))
    settings = load(Path("/dev/null"), {"STATE_DIRECTORY": str(tmp_path), code(variable): value})
    section, _, key = name.partition(".")
    path = ("ami", 0, key) if section == "ami" else tuple(filter(None, (section, key)))
    assert settings.origin(path).text == code(variable)


def test_the_settings_file_is_looked_for_where_the_document_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, here, system = tmp_path / "named.toml", tmp_path / "pbxtrack.toml", tmp_path / "system.toml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pbxtrack.config.SYSTEM_FILE", system)
    for file in (named, here, system):
        file.write_text("")
    places = re.findall(r"^\d\. (.*)", part(SETTINGS, "## Where the file is looked for"), re.MULTILINE)
    assert [place.split("`")[1] for place in places] == [
        "PBXTRACK_CONFIG",
        "pbxtrack.toml",
        "/etc/pbxtrack/pbxtrack.toml",
    ]
    assert load(environ={"PBXTRACK_CONFIG": str(named)}).file == named
    assert load(environ={}).file == Path("pbxtrack.toml")
    here.unlink()
    assert load(environ={}).file == system


@pytest.mark.parametrize("block", blocks(SETTINGS))
def test_every_settings_file_of_the_document_is_accepted(block: str, tmp_path: Path) -> None:
    file = tmp_path / "pbxtrack.toml"
    file.write_text(block, encoding="utf-8")
    assert load(file, {}).file == file


@pytest.mark.parametrize("block", blocks(SITE_FILE))
def test_every_site_file_of_the_document_is_accepted(block: str) -> None:
    assert parse(block.encode(), "shop.toml", "RU")


def site_file(site: dict[str, str], pool: dict[str, str], channel: dict[str, str]) -> bytes:
    tables = {"[[site]]": site, "[[site.pool]]": pool, "[[site.channel]]": channel}
    lines = [line for head, keys in tables.items() for line in (head, *(f"{key} = {keys[key]}" for key in keys))]
    return "\n".join(lines).encode()


PARTS: dict[str, type[Site | Pool | Channel]] = {"## Sites": Site, "## Pools": Pool, "## Channels": Channel}
KEYS = [
    (heading, {"pools": "pool", "channels": "channel"}.get(field.name, field.name))
    for heading, kind in PARTS.items()
    for field in fields(kind)
]


@pytest.mark.parametrize("heading", PARTS)
def test_the_keys_that_are_described_are_those_there_are(heading: str) -> None:
    described = [code(row[0]) for row in rows(part(SITE_FILE, heading))]
    assert sorted(described) == sorted(key for where, key in KEYS if where == heading)


@pytest.mark.parametrize(("heading", "key"), KEYS)
def test_a_key_is_described_with_its_default(heading: str, key: str) -> None:
    row = {code(row[0]): row for row in rows(part(SITE_FILE, heading))}[key]
    assert len(row) == 5
    default = row[2]
    tables = {"## Sites": dict(SITE), "## Pools": dict(POOL), "## Channels": dict(CHANNEL)}
    required = tables[heading].pop(key, None) is not None
    if heading == "## Channels" and key == "match":
        required, tables[heading]["numbers"] = False, '["+74951230001"]'
    content = site_file(tables["## Sites"], tables["## Pools"], tables["## Channels"])
    if required:
        assert default == "required"
        with pytest.raises(ConfigError, match=f"the key {key} is missing"):
            parse(content, "shop.toml", "RU")
        return
    if key in ("pool", "channel"):
        content, key = site_file(SITE, {}, {}).split(b"[[site.pool]]")[0], f"{key}s"
    [site] = parse(content, "shop.toml", "RU")
    owner = {"## Sites": [site], "## Pools": site.pools, "## Channels": site.channels}[heading][0]
    assert default == said(getattr(owner, key))


def test_the_limits_of_durations_are_the_ones_that_hold() -> None:
    limits = {code(row[0]): row[3] for row in rows(part(SITE_FILE, "## Sites"))}
    assert limits["hold"] == f"`{duration_text(MIN_HOLD)}` to `{duration_text(MAX_HOLD)}`"
    pairs = {"hold": ("1m", "30d"), "hold_guaranteed": ("1s", "30m"), "target_talk": ("0s", "1d")}
    beyond = {"hold": ("59s", "31d"), "hold_guaranteed": ("0s", "31m"), "target_talk": ("86401s",)}
    for key, accepted in pairs.items():
        for text in accepted:
            assert parse(site_file({**SITE, key: f'"{text}"'}, POOL, CHANNEL), "shop.toml", "RU")
        assert limits[key].startswith(f"`{accepted[0]}` to `")
        for text in beyond[key]:
            with pytest.raises(ConfigError, match=key):
                parse(site_file({**SITE, key: f'"{text}"'}, POOL, CHANNEL), "shop.toml", "RU")


def test_lines_allow_and_refuse_the_characters_that_the_document_names() -> None:
    text = part(SITE_FILE, "### Lines")
    allowed, refused = (list(span.split()) for span in re.findall(r"`(\S(?: \S)+)`", text))
    assert len(allowed) > 8
    assert len(refused) > 8
    for character in allowed:
        assert parse(site_file({**SITE, "line": f"'PJSIP/a{character}b'"}, POOL, CHANNEL), "shop.toml", "RU")
    for character in [*refused, " ", ",", "\\", '"', "ж"]:
        with pytest.raises(ConfigError, match="is not a line"):
            parse(site_file({**SITE, "line": f"'PJSIP/a{character}b'"}, POOL, CHANNEL), "shop.toml", "RU")


def test_what_match_can_hold_and_the_built_in_channels() -> None:
    table = rows(part(SITE_FILE, "### match"))
    assert tuple(code(row[0]) for row in table[: len(MATCHABLE)]) == MATCHABLE
    media = table[len(MATCHABLE) :]
    assert len(media) == 8
    for named, channel in media:
        for medium in re.findall(r"`([^`]+)`", named):
            expected = code(channel.split(", or ")[0]).replace("SOURCE", "somewhere")
            assert channel_of(Touch(source="somewhere", medium=medium)) == expected
    assert channel_of(Touch(medium="cpc")) == "Paid"
    assert channel_of(Touch(source="somewhere", medium="leaflet")) == "Other campaigns"
    assert channel_of(Touch(medium="leaflet")) == "Direct"
