"""pbxtrack's own services on a database of the benchmark's, without Asterisk and without rate limits, as a program."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import uvloop

from pbxtrack import bootstrap, logs
from pbxtrack.api import services
from pbxtrack.settings import Address, AgiSettings, ApiSettings, DatabaseSettings, Settings
from pbxtrack.tuning import tune


def _lift_limits() -> None:
    """Let one address ask without end: the limits would be all that is measured."""
    setattr(bootstrap, "Services", partial(services.Services, address_rate=None, site_rate=None))  # noqa: B010


async def _serve(url: str, kind: str) -> None:
    settings = Settings(
        database=DatabaseSettings(url=url),
        api=ApiSettings(listen=Address("127.0.0.1", 0)),
        agi=AgiSettings(listen=Address("127.0.0.1", 0), deadline=5.0, max_sessions=1_000),
    )
    application = bootstrap.Application(settings, [kind])
    tune()
    await application.start()
    runner = application._api
    port = runner.addresses[0][1] if runner else application.agi.address.port
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started us is done
    await application.stop()


if __name__ == "__main__":
    logs.configure()
    _lift_limits()
    uvloop.run(_serve(sys.argv[1], sys.argv[2]))
