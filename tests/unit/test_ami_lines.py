import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.lines import LineKeeper
from pbxtrack.ami.messages import Message
from pbxtrack.testing.fake_asterisk import FakeAsterisk

from .ami_parts import SHORT, Settings, Store, until

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def keeping(fake: FakeAsterisk, store: Store, reread_every: float = 60) -> AsyncIterator[LineKeeper]:
    keepers: list[LineKeeper] = []

    async def on_login() -> None:
        await keepers[0].run()

    async def on_event(event: Message) -> None:
        """Nothing is said of lines."""

    client = AmiClient(Settings(fake.port), on_event=on_event, on_login=on_login, timing=SHORT)
    keepers.append(LineKeeper(client, store.lines, every=0.02, reread_every=reread_every))
    task = asyncio.create_task(client.run())
    try:
        yield keepers[0]
    finally:
        client.close()
        await asyncio.wait_for(task, 2)


def kept(fake: FakeAsterisk) -> dict[str, str]:
    return {key.removeprefix("/pbxtrack/line/"): value for key, value in fake.database.items()}


def written(fake: FakeAsterisk) -> int:
    return sum(action["Action"] in ("DBPut", "DBDel") for action in fake.actions)


async def test_it_mends_what_differs_and_nothing_else() -> None:
    store = Store(directory={"+74951230001": "PJSIP/sales", "74951230002": "PJSIP/support", "+7495": "PJSIP/x"})
    async with FakeAsterisk() as fake:
        fake.database = {
            "/pbxtrack/line/74951230001": "PJSIP/sales", "/pbxtrack/line/74951230002": "PJSIP/old",
            "/pbxtrack/line/74951239999": "PJSIP/gone", "/other/key": "stays",
        }  # fmt: skip
        async with keeping(fake, store) as keeper:
            await until(lambda: keeper.repaired == 3)
            assert fake.database.pop("/other/key") == "stays"
            assert kept(fake) == {"74951230001": "PJSIP/sales", "74951230002": "PJSIP/support", "7495": "PJSIP/x"}
            assert written(fake) == 3
            await asyncio.sleep(0.1)
            assert written(fake) == 3  # differences only
            store.directory["+74951230001"] = "PJSIP/support"
            del store.directory["+7495"]
            await until(lambda: keeper.repaired == 5)
            assert kept(fake) == {"74951230001": "PJSIP/support", "74951230002": "PJSIP/support"}


async def test_what_somebody_else_changed_is_found_when_it_reads_again() -> None:
    store = Store(directory={"+74951230001": "PJSIP/sales"})
    async with FakeAsterisk() as fake, keeping(fake, store, reread_every=0.05) as keeper:
        await until(lambda: keeper.repaired == 1)
        fake.database.clear()
        await until(lambda: keeper.repaired == 2)
        assert kept(fake) == {"74951230001": "PJSIP/sales"}


async def test_an_asterisk_that_cannot_list_gets_everything() -> None:
    store = Store(directory={f"+7495123{number:04}": "PJSIP/sales" for number in range(500)})
    async with FakeAsterisk() as fake:
        fake.answers["DBGetTree"] = lambda action: [{"Response": "Error", "Message": "Invalid/unknown command"}]
        async with keeping(fake, store):
            await until(lambda: len(fake.database) == 500)


async def test_a_new_connection_compares_again() -> None:
    store = Store(directory={"+74951230001": "PJSIP/sales"})
    async with FakeAsterisk() as fake, keeping(fake, store) as keeper:
        await until(lambda: keeper.repaired == 1)
        await fake.stop()
        fake.database.clear()
        await fake.start()
        await until(lambda: keeper.repaired == 2)


async def test_lines_that_cannot_be_kept_cost_nobody_else_theirs() -> None:
    bad = {
        "+74951230002": "PJSIP/x\r\nAction: Originate", "+74951230003": "x" * 256, "+74951230004": "",
        "not a number": "PJSIP/x", "1\r\n2": "PJSIP/x", "+74951230005": "a\x00b",
    }  # fmt: skip
    store = Store(directory={"+74951230001": "PJSIP/sales&PJSIP/support", **bad})
    async with FakeAsterisk() as fake:
        with capture_logs() as logs:
            async with keeping(fake, store) as keeper:
                await until(lambda: keeper.repaired == 1)
                await asyncio.sleep(0.1)
        assert kept(fake) == {"74951230001": "PJSIP/sales&PJSIP/support"}
        assert len([entry for entry in logs if entry["log_level"] == "error"]) == len(bad)  # said once each


async def test_a_line_that_asterisk_refuses() -> None:
    store = Store(directory={"+74951230001": "PJSIP/sales"})
    async with FakeAsterisk() as fake:
        fake.answers["DBPut"] = lambda action: [{"Response": "Error", "Message": "Permission denied"}]
        with capture_logs() as logs:
            async with keeping(fake, store) as keeper:
                await until(lambda: written(fake))
                await asyncio.sleep(0.1)
        assert (written(fake), keeper.repaired) == (1, 0)
        assert "Permission denied" in str(logs)


async def test_an_empty_directory_does_not_take_the_callers_lines_away() -> None:
    async with FakeAsterisk() as fake:
        fake.database = {"/pbxtrack/line/74951230001": "PJSIP/sales"}
        async with keeping(fake, Store()):
            await until(lambda: any(action["Action"] == "DBGetTree" for action in fake.actions))
            await asyncio.sleep(0.05)
            assert kept(fake) == {"74951230001": "PJSIP/sales"}


async def test_a_directory_that_is_away_changes_nothing() -> None:
    async with FakeAsterisk() as fake:
        fake.database = {"/pbxtrack/line/74951230001": "PJSIP/sales"}
        store = Store()
        keeper_lines = store.lines

        async def fails() -> dict[str, str]:
            raise OSError("the database is away")

        store.lines = fails  # type: ignore[method-assign]
        async with keeping(fake, store) as keeper:
            await asyncio.sleep(0.1)
            assert written(fake) == 0
            store.directory = {"+74951230001": "PJSIP/support"}
            keeper._lines = keeper_lines
            await until(lambda: keeper.repaired == 1)
