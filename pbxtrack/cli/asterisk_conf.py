"""`pbxtrack asterisk-conf`."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import click

from pbxtrack import asterisk_conf_render, config
from pbxtrack.cli.config import UNSET
from pbxtrack.errors import ConfigError, PbxtrackError
from pbxtrack.numbers import dialling_prefixes
from pbxtrack.settings import Address

_NEXT = """
Next:
  1. extensions.conf:  #include "extensions_pbxtrack.conf"
     manager.conf:     enabled = yes in [general]; and at its end, unless it includes manager.d/*.conf already:
                       #include "manager.d/pbxtrack.conf"
     cel.conf:         #include "cel_pbxtrack.conf"           } Asterisk's own record of calls; see the files, and
     cel_custom.conf:  #include "cel_custom_pbxtrack.conf"    } needs a restart: core restart when convenient
     stasis.conf:      #include "stasis_pbxtrack.conf"        (optional, and needs a restart: see the file)
  2. asterisk -rx "manager reload"
  3. asterisk -rx "dialplan reload"
  4. pbxtrack doctor"""


class Reached(click.ParamType[str]):
    """HOST:PORT, as it may stand in a dialplan."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            address = Address.parse(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not address.port or not re.fullmatch(r"[\w.:-]+", address.host, re.ASCII):
            self.fail(f"{value!r}: must be HOST:PORT, such as 127.0.0.1:4573", param, ctx)
        return str(address)


class Permit(click.ParamType[str]):
    """An IPv4 address or network, as manager.conf takes it."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        address, slash, mask = str(value).partition("/")
        try:
            if not re.fullmatch(r"\d+|[\d.]{7,15}", mask or "32", re.ASCII) or (slash and not mask):
                raise ValueError(mask)
            network = IPv4Network(f"{address}/{mask or '32'}", strict=False)
        except ValueError:
            self.fail(f"{value!r}: must be an IPv4 address with a netmask or a prefix: 10.0.0.5/32", param, ctx)
        return f"{address}/{network.netmask}"


@click.command("asterisk-conf")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files below this folder, which exists."
)
@click.option("--node", help="Which Asterisk, where several are configured.")
@click.option(
    "--agi",
    type=Reached(),
    metavar="HOST:PORT",
    multiple=True,
    help="Where this Asterisk reaches the service, if not where it listens. Of several, each after the first is asked "
    "where those before it refuse or close.",
)
@click.option(
    "--permit",
    type=Permit(),
    metavar="ADDRESS/MASK",
    default="127.0.0.1/255.255.255.255",
    show_default=True,
    help="Where AMI log-ins come from.",
)
def asterisk_conf(out: Path | None, node: str | None, agi: tuple[str, ...], permit: str) -> None:
    """The dialplan and the manager user for this configuration; printed, or written with --out."""
    settings = config.load()
    ami = next((entry for entry in settings.ami if entry.node == (node or settings.ami[0].node)), None)
    if ami is None:
        nodes = ", ".join(entry.node for entry in settings.ami)
        raise ConfigError(f"no [[ami]] has the node {node!r}; there is {nodes}")
    if not ami.secret.get_secret_value():
        raise ConfigError(f"ami.secret (of node {ami.node}): {UNSET}")
    if out is not None and not out.is_dir():
        raise PbxtrackError(f"--out: the folder {out} does not exist; Asterisk's own is /etc/asterisk mostly")
    code, trunk = dialling_prefixes(settings.numbers.default_region)
    files = asterisk_conf_render.render(
        asterisk_conf_render.source_dir(),
        agi=agi or (str(settings.agi.listen),),
        node=ami.node,
        ami_user=ami.username,
        ami_secret=ami.secret.get_secret_value(),
        permit=permit,
        country_code=code,
        trunk_prefix=trunk,
    )
    for name, text in files.items():
        if out is None:
            click.echo(f"; ——— {name}\n{text}")
            continue
        click.echo(f"{_write(out, name, text):<9}  {out / name}")
    if out is not None:
        click.echo(_NEXT)


def _write(out: Path, name: str, text: str) -> str:
    """Write a file for the owner and the group of ``out``, who are Asterisk's; "written" or "unchanged"."""
    path = out / name
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o750)
            _hand_over(path.parent, out)
        unchanged = path.exists() and path.read_bytes() == text.encode()
        if not unchanged:
            path.touch(mode=0o640)  # the manager file holds a secret
            path.chmod(0o640)  # before the secret is in it, where the file was there
            path.write_text(text, "utf-8")
        path.chmod(0o640)
        _hand_over(path, out)
    except OSError as error:
        raise PbxtrackError(f"cannot write {path}: {error.strerror}") from error
    return "unchanged" if unchanged else "written"


def _hand_over(path: Path, folder: Path) -> None:
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
