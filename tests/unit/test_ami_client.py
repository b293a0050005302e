import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from pbxtrack.ami.client import AmiClient
from pbxtrack.ami.link import AmiLost, AmiRefused, Phase, Timing
from pbxtrack.ami.messages import MAX_MESSAGE, Message, text
from pbxtrack.testing.fake_asterisk import GREETING, FakeAsterisk, encode

from .ami_parts import SHORT, Settings, until

pytestmark = pytest.mark.asyncio


class Ear:
    def __init__(self) -> None:
        self.events: list[Message] = []

    async def hear(self, event: Message) -> None:
        self.events.append(event)


@asynccontextmanager
async def connected(fake: FakeAsterisk, ear: Ear | None = None, timing: Timing = SHORT) -> AsyncIterator[AmiClient]:
    client = AmiClient(Settings(fake.port), on_event=(ear or Ear()).hear, timing=timing)
    task = asyncio.create_task(client.run())
    try:
        await until(lambda: client.state.phase is Phase.CONNECTED)
        yield client
    finally:
        client.close()
        async with asyncio.timeout(2):
            await task


async def test_log_in_and_ask() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        assert fake.actions[0] | {"ActionID": ""} == {
            "Action": "Login", "ActionID": "", "Username": "pbxtrack", "Secret": "secret",
        }  # fmt: skip
        assert text(await client.ask("DBPut", Family="f", Key="k", Val="v"), "Response") == "Success"
        assert fake.database == {"/f/k": "v"}
        fake.channels = [{"Channel": "PJSIP/a"}, {"Channel": "PJSIP/b"}]
        found = await client.ask_list("CoreShowChannels")
        assert [text(channel, "Channel") for channel in found] == ["PJSIP/a", "PJSIP/b"]
        fake.channels = []
        assert await client.ask_list("CoreShowChannels") == []
        with pytest.raises(AmiRefused, match="Invalid/unknown command"):
            await client.ask("Nonsense")
        with pytest.raises(AmiRefused):
            await client.ask_list("Nonsense")


async def test_a_line_break_in_a_value_sends_nothing() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        with pytest.raises(ValueError, match="line break"):
            await client.ask("DBPut", Val="x\r\nAction: Originate\r\n")
        assert await client.ask("Ping")
        assert {action["Action"] for action in fake.actions} == {"Login", "Ping"}


async def test_answers_find_who_asked() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        fake.database = {f"/f/{number}": str(number) for number in range(50)}
        answers = await asyncio.gather(*(client.ask_list("DBGetTree", Family=f"f/{n}"[:3]) for n in range(50)))
        assert len(answers) == 50
        listed = await client.ask_list("DBGetTree", Family="f")
        assert [text(item, "Val") for item in listed] == [str(number) for number in range(50)]


async def test_a_character_that_the_network_cuts_stays_whole() -> None:
    ear = Ear()
    event = encode({"Event": "Newchannel", "CallerIDName": "Мария ☎", "ChanVariable": ["A=1", "B=2"]})
    async with FakeAsterisk() as fake, connected(fake, ear, replace(SHORT, ping_every=60)):
        for start in range(len(event)):
            await fake.send(event[start : start + 1])
            await asyncio.sleep(0.0005)
        await until(lambda: ear.events)
    assert ear.events == [{"Event": "Newchannel", "CallerIDName": "Мария ☎", "ChanVariable": ["A=1", "B=2"]}]


async def test_a_mute_peer_is_dropped_within_the_deadline() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        loop = asyncio.get_running_loop()
        fake.mute, began = True, loop.time()
        await until(lambda: client.state.phase is Phase.LOST)
        assert loop.time() - began < SHORT.ping_every + SHORT.ping_answer + 0.5
        assert client.state.error == "no answer to Ping within 0.4 s"
        fake.mute = False
        await until(lambda: client.state.phase is Phase.CONNECTED)
        assert client.logins == 2


async def test_a_peer_that_talks_but_answers_late_is_not_mute() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        fake.answers["Ping"] = lambda action: None
        for _ in range(100):
            await fake.send({"Event": "VarSet"})
            await asyncio.sleep(0.01)
        assert client.logins == 1


async def test_wrong_credentials_are_said_once_a_try_and_never_the_secret() -> None:
    async with FakeAsterisk(secret="another") as fake:
        with capture_logs() as logs:
            client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=replace(SHORT, refused=60))
            task = asyncio.create_task(client.run())
            await until(lambda: client.state.phase is Phase.REFUSED)
            await asyncio.sleep(0.3)
        assert fake.connections == 1  # slow to come back, however short the pause after a loss
        (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
        assert entry["ami"] == f"pbx1 (pbxtrack at 127.0.0.1:{fake.port})"
        assert client.state.error == "Asterisk says: Authentication failed"
        assert "'secret'" not in str(logs)
        client.close()
        await asyncio.wait_for(task, 1)


async def test_credentials_put_right_are_found() -> None:
    async with FakeAsterisk(secret="another") as fake:
        client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=SHORT)
        task = asyncio.create_task(client.run())
        await until(lambda: client.state.phase is Phase.REFUSED)
        fake.secret = "secret"
        await until(lambda: client.state.phase is Phase.CONNECTED)
        assert client.state.error == ""
        client.close()
        await asyncio.wait_for(task, 1)


async def test_a_cut_in_the_middle_of_a_message_loses_only_that() -> None:
    ear = Ear()
    async with FakeAsterisk() as fake, connected(fake, ear) as client:
        await fake.send({"Event": "One"})
        fake.cut(last=b"Event: Two\r\nChan")
        await until(lambda: client.logins == 2)
        await fake.send({"Event": "Three"})
        await until(lambda: len(ear.events) == 2)
    assert [text(event, "Event") for event in ear.events] == ["One", "Three"]


async def test_asterisk_restarts() -> None:
    ear = Ear()
    async with FakeAsterisk() as fake, connected(fake, ear) as client:
        await fake.stop()
        await until(lambda: client.state.phase is Phase.LOST)
        with pytest.raises(AmiLost):
            await client.ask("Ping")
        await asyncio.sleep(0.1)
        await fake.start()
        await until(lambda: client.state.phase is Phase.CONNECTED)
        await fake.send({"Event": "One"})
        await until(lambda: ear.events)


async def test_who_waits_for_an_answer_is_told_of_the_loss() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        fake.answers["CoreShowChannels"] = lambda action: None
        waiting = asyncio.create_task(client.ask_list("CoreShowChannels"))
        await until(lambda: fake.actions[-1]["Action"] == "CoreShowChannels")
        fake.cut()
        with pytest.raises(AmiLost, match="was lost"):
            await waiting


async def test_an_answer_that_does_not_come() -> None:
    async with FakeAsterisk() as fake, connected(fake, timing=replace(SHORT, ping_every=60)) as client:
        fake.answers["DBPut"] = lambda action: None
        with pytest.raises(AmiLost, match=r"no answer to DBPut within 0\.5 s"):
            await client.ask("DBPut", Key="x")
        assert await client.ask("Ping")


async def test_a_giant_line_without_end_is_not_kept() -> None:
    async with FakeAsterisk() as fake, connected(fake) as client:
        fake.answers["Ping"] = lambda action: None
        sent = 0
        while client.logins == 1 and sent < 500:
            await fake.send(b"x" * MAX_MESSAGE)
            sent += 1
            await asyncio.sleep(0.005)
        # Bytes that never become a message are no sign of life.
        await until(lambda: client.logins == 2)
        assert client.overlong == 1


@pytest.mark.parametrize(
    "greeting",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"x" * 200_000, b"\xff\xfe\0\r\n"],
)
async def test_something_that_is_not_asterisk(greeting: bytes) -> None:
    async with FakeAsterisk() as fake:
        fake.greeting = greeting
        client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=replace(SHORT, connect=0.1))
        task = asyncio.create_task(client.run())
        await until(lambda: fake.connections > 2 and client.state.phase is Phase.LOST)
        assert not fake.actions  # our secret is not shown to it
        fake.greeting = GREETING
        await until(lambda: client.state.phase is Phase.CONNECTED)
        client.close()
        await asyncio.wait_for(task, 1)


async def test_nobody_listens() -> None:
    async with FakeAsterisk() as fake:
        pass
    client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=SHORT)
    task = asyncio.create_task(client.run())
    await until(lambda: client.state.phase is Phase.LOST)
    assert client.state.error == f"nothing listens at 127.0.0.1:{fake.port}"
    client.close()
    await asyncio.wait_for(task, 1)


async def test_close_is_final_whatever_goes_on() -> None:
    async with FakeAsterisk() as fake:
        for moment in (0.0, 0.001, 0.01, 0.1):
            client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=SHORT)
            task = asyncio.create_task(client.run())
            await asyncio.sleep(moment)
            client.close()
            await asyncio.wait_for(task, 1)
        seen = fake.connections
        await fake.stop()
        client = AmiClient(Settings(fake.port), on_event=Ear().hear, timing=replace(SHORT, retry=0.3, retry_most=9))
        task = asyncio.create_task(client.run())
        await until(lambda: client.state.phase is Phase.LOST)
        client.close()
        await asyncio.wait_for(task, 0.2)
        await fake.start()
        await asyncio.sleep(0.4)
        assert fake.connections == seen


async def test_pauses_grow_and_are_spread() -> None:
    client = AmiClient(Settings(1), on_event=Ear().hear)
    client._enter(Phase.LOST)
    pauses = [[client._pause(failures) for _ in range(50)] for failures in range(12)]
    assert max(pauses[0]) <= 0.5
    assert min(pauses[1]) >= 0.5
    assert all(max(row) <= 5 for row in pauses)  # an Asterisk that is back is heard soon
    assert min(pauses[11]) >= 2.5
    assert len(set(pauses[11])) == 50
    assert client._pause(10**9) <= 5
    client._enter(Phase.REFUSED)
    assert client._pause(1) >= 30


async def test_a_failure_after_log_in_costs_only_itself() -> None:
    async def fails() -> None:
        raise RuntimeError("a defect")

    async with FakeAsterisk() as fake:
        client = AmiClient(Settings(fake.port), on_event=Ear().hear, on_login=fails, timing=SHORT)
        task = asyncio.create_task(client.run())
        await until(lambda: client.state.phase is Phase.CONNECTED)
        assert await client.ask("Ping")
        client.close()
        await asyncio.wait_for(task, 1)


async def test_an_asterisk_silent_after_log_in_is_asked_anew_over_a_new_connection() -> None:
    """Else its lines would stay as they are until somebody restarts it."""
    asked: list[Message] = []

    async def asks() -> None:
        asked.append(await client.ask("DBGetTree"))

    timing = replace(SHORT, ping_every=60)
    async with FakeAsterisk() as fake:
        fake.answers["DBGetTree"] = lambda action: None
        client = AmiClient(Settings(fake.port), on_event=Ear().hear, on_login=asks, timing=timing)
        task = asyncio.create_task(client.run())
        await until(lambda: client.logins == 2)
        del fake.answers["DBGetTree"]
        await until(lambda: asked)
        client.close()
        await asyncio.wait_for(task, 1)


async def test_it_knows_until_when_asterisk_was_there() -> None:
    async with FakeAsterisk() as fake, connected(fake, timing=replace(SHORT, ping_every=60)) as client:
        assert client.heard_before is None
        await asyncio.sleep(0.1)
        cut = datetime.now(UTC)
        fake.cut()
        await until(lambda: client.logins == 2)
        assert client.heard_before is not None
        assert timedelta() <= client.heard_before - cut < timedelta(seconds=1)
    async with FakeAsterisk() as fake, connected(fake) as client:
        await until(lambda: len(fake.actions) > 2)
        fake.mute, silent = True, datetime.now(UTC)
        await until(lambda: client.state.phase is Phase.LOST)
        fake.mute = False
        await until(lambda: client.logins == 2)
        assert client.heard_before is not None
        assert client.heard_before - silent < timedelta(seconds=0.05)
