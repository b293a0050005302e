"""``pbxtrack lab``: a real Asterisk with SIP phones and callers."""

import json
import re
import signal
import sys
from dataclasses import asdict
from types import FrameType
from typing import Any

import click

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import CallResult, Lab, versions
from pbxtrack.lab.caller import OUTCOMES
from pbxtrack.lab.lab import DIAL_TIMEOUT
from pbxtrack.lab.rootfs import ReleaseNotCarried, prepare
from pbxtrack.lab.runtimes import NAMES

NOT_CARRIED = 3  # exit status

name_option = click.option("--name", default="default", show_default=True, help="Which lab.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
asterisk_option = click.option("--asterisk", type=click.Choice(versions.VERSIONS), default=versions.DEFAULT,
                               show_default=True, help="Which Asterisk.")  # fmt: skip


class Seconds(click.ParamType[float]):
    """A length of time: ``3``, ``3s``, ``500ms``, ``2m``; in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", str(value))
        if not found:
            self.fail(f"{value!r} is no length of time: write 3s, 500ms or 2m", param, ctx)
        return float(found[1]) * {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}[found[2]]


@click.group()
def lab() -> None:
    """A real Asterisk with SIP phones and callers, to try pbxtrack on."""


@lab.command()
@name_option
@click.option("--runtime", type=click.Choice(NAMES), help="How to run Asterisk. [default: docker where it works]")
@asterisk_option
@click.option("--no-phones", is_flag=True, help="Leave the ports of the lines to SIP phones of your own.")
@click.option("--dial-timeout", type=click.IntRange(1, 600), default=DIAL_TIMEOUT, show_default=True,
              help="Seconds that a line may ring.")  # fmt: skip
@json_option
def up(name: str, runtime: str | None, asterisk: str, no_phones: bool, dial_timeout: int, as_json: bool) -> None:
    """Start a lab. It runs until `lab down`."""
    # A plain SIGTERM would leave half a lab behind.
    signal.signal(signal.SIGTERM, _terminated)
    started = Lab.up(name, runtime, phones=not no_phones, dial_timeout=dial_timeout, asterisk=asterisk)
    _print_status(started.status(), as_json)


@lab.command()
@asterisk_option
def fetch(asterisk: str) -> None:
    """Download an Asterisk for the runtime "rootfs", unless it is there; start nothing.

    Exit 3 where the mirror does not carry the release of Debian that it is from.
    """
    try:
        prepare(asterisk)
    except ReleaseNotCarried as error:
        click.echo(str(error), err=True)
        raise SystemExit(NOT_CARRIED) from None


@lab.command()
@name_option
def down(name: str) -> None:
    """End a lab. Nothing of it stays, its logs neither."""
    found = Lab.find(name)
    if found is None:
        click.echo(f"the lab {name} is not up", err=True)
        return
    found.down()


@lab.command()
@name_option
@json_option
def status(name: str, as_json: bool) -> None:
    """Tell where a lab is. Exit 1 if it is not up, or not whole."""
    found = _find(name).status()
    _print_status(found, as_json)
    if not found["ok"]:
        raise SystemExit(1)


@lab.command()
@name_option
@click.option("--from", "from_", help="The caller's number.  [default: withheld]")
@click.option("--to", required=True, help="The number to dial; sent as it is written.")
@click.option("--talk", type=Seconds(), default="3s", show_default=True, help="How long to talk.")
@click.option("--ring", type=Seconds(), default="1s", show_default=True,
              help="How long it rings before it is answered or abandoned.")  # fmt: skip
@click.option("--outcome", type=click.Choice(OUTCOMES), default="answered", show_default=True, help="How it shall end.")
@click.option("--hangup", type=click.Choice(["caller", "line"]), default="caller", show_default=True,
              help="Who hangs up.")  # fmt: skip
@click.option("--caller-name", help="The caller's display name.")
@click.option("--audio/--no-audio", default=True, show_default=True,
              help="Whether both talk: a recording holds what is said.")  # fmt: skip
@click.option("--line", help="The line to use when pbxtrack is not there to say. [default: PJSIP/sales]")
@json_option
def call(name: str, outcome: str, as_json: bool, **order: Any) -> None:
    """Place a real call and print what the caller saw. Exit 1 if it ended otherwise than asked."""
    result = _find(name).call(outcome=outcome, **order)
    if as_json:
        click.echo(json.dumps(asdict(result)))
    else:
        click.echo(_describe(result))
    if result.outcome != outcome:
        click.echo(f"asked for {outcome}, but the call was {result.outcome}", err=True)
        raise SystemExit(1)


def _find(name: str) -> Lab:
    found = Lab.find(name)
    if found is None:
        option = "" if name == "default" else f" --name {name}"
        raise PbxtrackError(f"the lab {name} is not up; start it with: pbxtrack lab up{option}")
    return found


def _print_status(data: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(data))
        return
    whole = "is up" if data["ok"] else "is not whole"
    click.echo(f"The lab {data['name']} {whole} (Asterisk {data['asterisk_version']}, {data['runtime']}).")
    lines = ", ".join(f"{line} at {address}" for line, address in data["lines"].items())
    rows = [("SIP", f"{data['sip']}/udp, as the carrier"), ("Lines", lines), ("AMI", data["ami"])]
    rows += [("FastAGI", f"{data['agi']} (where Asterisk looks for pbxtrack)"), ("HTTP API", data["api"])]
    rows += [("Settings", data["config"]), ("Logs", data["log_dir"])]
    for title, value in rows:
        click.echo(f"  {title + ':':<10} {value}")
    if not data["ok"]:
        phones = ", ".join(f"phone {line}: {'runs' if runs else 'gone'}" for line, runs in data["phones"].items())
        click.echo(f"  Phase: {data['phase']}; Asterisk: {'runs' if data['asterisk'] else 'gone'}; {phones}")
    else:
        click.echo(f"Next:  PBXTRACK_CONFIG={data['config']} pbxtrack serve")


def _describe(result: CallResult) -> str:
    def after(moment: float | None) -> str:
        return "-" if moment is None else f"{moment - result.invited_at:.3f} s"

    parts = [f"{result.outcome} (SIP {result.sip_status})", f"rang after {after(result.ringing_at)}"]
    parts += [f"answered after {after(result.answered_at)}", f"ended after {after(result.ended_at)}"]
    return ", ".join(parts) + (f" by the {result.ended_by}" if result.ended_by else "")


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
