"""`pbxtrack asterisk-conf`."""

from __future__ import annotations

from pathlib import Path

import click

from pbxtrack import asterisk_conf_render, config
from pbxtrack.errors import ConfigError, PbxtrackError
from pbxtrack.numbers import dialling_prefixes


@click.command("asterisk-conf")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files below this folder.")
@click.option("--node", help="Which Asterisk, where several are configured.")
@click.option("--agi", metavar="HOST:PORT", help="Where this Asterisk reaches the service, if not where it listens.")
@click.option("--permit", default="127.0.0.1/255.255.255.255", show_default=True, help="Where AMI log-ins come from.")
def asterisk_conf(out: Path | None, node: str | None, agi: str | None, permit: str) -> None:
    """The dialplan and the manager user for this configuration; printed, or written with --out."""
    settings = config.load()
    ami = next((entry for entry in settings.ami if entry.node == (node or settings.ami[0].node)), None)
    if ami is None:
        nodes = ", ".join(entry.node for entry in settings.ami)
        raise ConfigError(f"no [[ami]] has the node {node!r}; there is {nodes}")
    code, trunk = dialling_prefixes(settings.numbers.default_region)
    files = asterisk_conf_render.render(
        asterisk_conf_render.source_dir(),
        agi=agi or str(settings.agi.listen),
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
        _write(out / name, text)
        click.echo(out / name)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o640)  # the manager file holds a secret
        path.write_text(text, "utf-8")
    except OSError as error:
        raise PbxtrackError(f"cannot write {path}: {error.strerror}") from error
