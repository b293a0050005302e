"""`pbxtrack serve`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import click
import uvloop

from pbxtrack import bootstrap, config, logs
from pbxtrack.doctor import examine


@click.command()
@click.argument("services", nargs=-1, type=click.Choice(bootstrap.SERVICES))
def serve(services: tuple[str, ...]) -> None:
    """Run the services named, or all of them: api (HTTP), agi (FastAGI), ami (listens to Asterisk),
    mail (relays mail, where mail.upstream is set), worker (learns from the calls how likely visitors are to call).

    SIGTERM and Ctrl-C drain: what is under way is finished, what was heard is written down.
    """
    settings = config.load()
    logs.configure(settings.log.level, settings.log.format)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(settings, services or bootstrap.SERVICES))


async def _serve(settings: config.Settings, services: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if not await bootstrap.run(settings, services, stop, examine):
        os._exit(1)  # a thread still waits for a database that hangs; an ordinary exit would wait for it
