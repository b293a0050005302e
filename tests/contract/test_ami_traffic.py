"""Half an hour of a busy Asterisk in a few seconds: from its events to the log, on each database."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pbxtrack.ami.link import Phase
from pbxtrack.bootstrap import Application
from pbxtrack.settings import AmiSettings, DatabaseSettings, Settings
from pbxtrack.storage.database import Database
from pbxtrack.testing.fake_asterisk import FakeAsterisk
from tests.ami_traffic import differences, most_at_once, plan, play
from tests.contract.site import a_site
from tests.unit.ami_parts import until
from tests.unit.ami_traces import NODE

BEGIN = 1_795_392_000.0
NUMBERS = [f"+7495123{index:04d}" for index in range(50)]


@pytest.mark.asyncio
async def test_every_call_of_a_crowd_is_in_the_log_once_and_nothing_is_kept_of_it(
    database: Database, tmp_path: Path
) -> None:
    planned = plan(4_000, NUMBERS, BEGIN, lasts=1_800.0)
    assert most_at_once(planned) > 40
    with database.transaction() as connection:
        a_site(connection, static=NUMBERS)
    async with FakeAsterisk() as fake:
        settings = Settings(
            data_dir=tmp_path,
            database=DatabaseSettings(url=database.url.render_as_string(hide_password=False)),
            ami=[AmiSettings(node=NODE, port=fake.port, secret=SecretStr("secret"))],
        )
        application = Application(settings, ["ami"])
        await application.start()
        try:
            await until(lambda: NODE in application.listeners)
            listener = application.listeners[NODE]
            await until(lambda: listener.state.phase is Phase.CONNECTED)
            for event in play(planned):
                await fake.send(event)
            await until(lambda: listener.events == sum(call.events for call in planned), 60)
            followed = listener._translator.calls
            ours = sum(call.ours for call in planned)
            # The ended calls' names are all that is left, so that a late word of one does not begin it anew.
            assert (listener.calls, len(followed), followed.size) == (0, 0, ours)
            assert (listener.malformed, listener.lost, listener.rejected) == (0, 0, 0)
        finally:
            await application.stop()
    assert listener.waiting == 0
    with database.transaction() as connection:
        assert differences(connection, planned) == []
