"""`pbxtrack demo`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from pbxtrack.demo import run
from pbxtrack.demo.script import CALLS, VISITORS
from pbxtrack.demo.table import call_table
from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.lab import Lab
from pbxtrack.lab.runtimes import NAMES
from pbxtrack.lab.versions import DEFAULT, VERSIONS

_REFRESH = 0.25  # s between looks at the call log


@click.command()
@click.option("--once", is_flag=True, help="End after the scripted calls; exit 0 only if all went as scripted.")
@click.option("--runtime", type=click.Choice(NAMES), help="How to run Asterisk; by default Docker where it works.")
@click.option("--asterisk", type=click.Choice(VERSIONS), default=DEFAULT, show_default=True, help="Which Asterisk.")
def demo(once: bool, runtime: str | None, asterisk: str) -> None:
    """A real Asterisk, real SIP calls, and the advertising that each belongs to."""
    console = Console(highlight=False, width=None if os.isatty(1) else 130)
    console.print(f"Starting Asterisk {asterisk} and two SIP phones…")
    name = f"demo-{os.getpid()}"
    with Lab.up(name, runtime, attached=True, dial_timeout=run.DIAL_TIMEOUT, asterisk=asterisk) as lab:
        console.print(f"Asterisk is up ({lab.runtime}) at {lab.addresses.sip}.")
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_demo(console, lab, once))
    if not once:
        console.print("Everything is stopped, and nothing is left behind.")


async def _demo(console: Console, lab: Lab, once: bool) -> None:
    service = run.Service(lab)
    site = await asyncio.to_thread(run.set_up, service, lab)
    console.print(f"Site file {site} applied; pbxtrack keeps its calls in SQLite beside it.")
    async with service.running():
        console.print(f"pbxtrack serves FastAGI at {lab.addresses.agi} and HTTP at {service.url}\n")
        console.print(f"{len(VISITORS)} visitors open the website; {len(CALLS)} calls are placed:")
        plays = run.plays()
        with Live(
            call_table(plays, console.width), console=console, auto_refresh=False, vertical_overflow="visible"
        ) as live:
            playing = asyncio.create_task(run.play(lab, service, plays))
            try:
                while not playing.done():
                    await asyncio.wait([playing], timeout=_REFRESH)
                    run.match(plays, await service.calls())
                    live.update(call_table(plays, console.width), refresh=True)
                await playing
            finally:
                playing.cancel()
            await run.settle(service, plays)
            live.update(call_table(plays, console.width), refresh=True)
        _verdict(console, plays)
        if not once:
            async with run.website(lab, service) as address:
                await _stay(console, lab, service, address)


def _verdict(console: Console, plays: list[run.Played]) -> None:
    wrong = [played for played in plays if played.faults]
    for played in wrong:
        console.print(f"✗ {played.scripted.name}: {'; '.join(played.faults)}", style="red", markup=False)
    if wrong:
        raise PbxtrackError(f"{len(wrong)} of {len(plays)} calls are not in the call log as they were placed")
    console.print(
        f"\n✓ {len(plays)} real calls placed; each is in the call log with its channel, visit, status and times "
        f"(within {run.TOLERANCE} s of what the caller saw)."
    )


async def _stay(console: Console, lab: Lab, service: run.Service, website: str) -> None:
    console.print(f"""
The dashboard is at {service.url}: log in as {run.NAME} with the password {service.password}
The calls above are those of the site Demo shop; yours will be those of Oak & Linen.

A shop's website is at {website}
Open it in a browser, as from an advertisement: {website}/?utm_source=yandex&utm_medium=cpc&utm_campaign=mine
You are shown a number of your own, wherever the shop's own was (+7 495 123-45-67). Then be the caller.

Everything stays up until Ctrl-C. Try, in another terminal:
  export PBXTRACK_CONFIG={lab.config_path}
  export PATH={Path(sys.executable).parent}:$PATH
  pbxtrack lab call --name {lab.name} --from +79160000001 --to YOUR_NUMBER
  pbxtrack calls
  curl -H 'Authorization: Bearer {service.token}' {service.url}/api/v1/calls
The API is described at {service.url}/docs""", markup=False, soft_wrap=True)  # fmt: skip
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
