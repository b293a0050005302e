"""Writes a lab's configuration: Asterisk's files, with the shipped ones unmodified among them, and pbxtrack.toml."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pbxtrack.asterisk_conf_render import render, source_dir
from pbxtrack.lab import paths
from pbxtrack.lab.addresses import Addresses, split

NODE = "pbx1"
AMI_USER = "pbxtrack"
OBSERVER = "lab"

# Asterisk complains about each of these when it is missing; empty, they mean the defaults.
EMPTY = ("acl.conf", "ccss.conf", "pjproject.conf", "queuerules.conf", "udptl.conf")
# What a template's line ends in that some Asterisk cannot have.
_NOT_IN = re.compile(r"; not in (\d+(?:, \d+)*)\s*$")


@dataclass(frozen=True)
class Folders:
    """The folders of one lab."""

    root: Path

    @property
    def etc(self) -> Path:
        """Asterisk's configuration."""
        return self.root / "etc"

    @property
    def log(self) -> Path:
        """Logs, CDR and CEL files, the phones' ledgers."""
        return self.root / "log"

    @property
    def var(self) -> Path:
        """What Asterisk keeps: its database, recordings."""
        return self.root / "var"

    @property
    def calls(self) -> Path:
        """A folder for each call in progress."""
        return self.root / "calls"

    @property
    def toml(self) -> Path:
        """The settings of pbxtrack that fit this lab."""
        return self.root / "pbxtrack.toml"

    def make(self) -> None:
        """Make all of them."""
        for folder in ("etc/manager.d", "log/cdr-custom", "log/cel-custom", "run", "calls"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for folder in ("lib/agi-bin", "lib/keys", "spool/monitor", "spool/outgoing"):
            (self.var / folder).mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class Secrets:
    """The passwords of one lab's AMI users."""

    ami: str
    observer: str


def write(
    folders: Folders,
    addresses: Addresses,
    secrets: Secrets,
    *,
    asterisk: str,
    modules: Path,
    data: Path,
    dial_timeout: int,
) -> None:
    """Write everything for Asterisk `asterisk` ("22").

    `modules` and `data` are where it finds its own, `dial_timeout` is in seconds.
    """
    folders.make()
    sip, ami = split(addresses.sip), split(addresses.ami)
    values = {
        "ETC": folders.etc,
        "MODULES": modules,
        "DATA": data,
        "VAR": folders.var,
        "RUN": folders.root / "run",
        "LOG": folders.log,
        "SIP_HOST": sip[0],
        "SIP_PORT": sip[1],
        "AMI_HOST": ami[0],
        "AMI_PORT": ami[1],
        "LAB_SECRET": secrets.observer,
        "DIAL_TIMEOUT": dial_timeout,
        **{name.upper(): address for name, address in addresses.lines.items()},
    }
    files = dict.fromkeys(EMPTY, "")
    for template in sorted(paths.template_dir().glob("*.conf")):
        text = template.read_text()
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        files[template.name] = fitted(text, asterisk)
    for name, text in (files | _shipped(addresses, secrets)).items():
        _write_private(folders.etc / name, text)
    _write_private(folders.toml, _toml(folders, addresses, secrets))


def fitted(text: str, asterisk: str) -> str:
    """A template for that Asterisk: without the lines that end in ``; not in 16`` if it is 16."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not ((found := _NOT_IN.search(line)) and asterisk in found[1].split(", ")))


def _shipped(addresses: Addresses, secrets: Secrets) -> dict[str, str]:
    return render(
        source_dir(),
        agi=(addresses.agi,),
        node=NODE,
        ami_user=AMI_USER,
        ami_secret=secrets.ami,
        permit="127.0.0.0/255.0.0.0",
        country_code="7",
        trunk_prefix="8",
    )


def _toml(folders: Folders, addresses: Addresses, secrets: Secrets) -> str:
    host, port = split(addresses.ami)
    return f"""\
# Written by `pbxtrack lab up`; goes with `pbxtrack lab down`.

data_dir = "{folders.root}"

[database]
url = "sqlite:///{folders.root}/pbxtrack.db"

[api]
listen = "{addresses.api}"

[agi]
listen = "{addresses.agi}"

[[ami]]
node = "{NODE}"
host = "{host}"
port = {port}
username = "{AMI_USER}"
secret = "{secrets.ami}"
cel_file = "{folders.log}/cel-custom/pbxtrack.csv"
recordings = "{folders.var}/spool/monitor"

[numbers]
default_region = "RU"
"""


def _write_private(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
