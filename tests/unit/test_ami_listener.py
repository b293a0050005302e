import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from pbxtrack.ami.link import Phase
from pbxtrack.ami.listener import MAX_AHEAD, MAX_BATCH, AmiListener
from pbxtrack.ami.messages import Message
from pbxtrack.calls.events import LegEnded, LegJoined
from pbxtrack.calls.lifecycle import Status, outcome
from pbxtrack.testing.fake_asterisk import FakeAsterisk, encode

from .ami_parts import SHORT, Settings, Store, until
from .ami_traces import START, Script, call_of, calls_of, facts_of, load

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def listening(fake: FakeAsterisk, store: Store, max_waiting: int = 100_000) -> AsyncIterator[AmiListener]:
    listener = AmiListener(
        Settings(fake.port),
        record=store.record,
        open_calls=store.open_calls,
        lines=store.lines,
        timing=SHORT,
        lines_every=0.05,
        max_waiting=max_waiting,
    )
    task = asyncio.create_task(listener.run())
    try:
        await until(lambda: listener.state.phase is Phase.CONNECTED)
        yield listener
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()


def joins(count: int, calls: int = 100) -> list[Message]:
    """Events that each give one fact, and tell their place in the order."""
    return [
        {
            "Event": "BridgeEnter", "Timestamp": f"{START}.000000", "Uniqueid": f"{START}.{n % calls}",
            "Linkedid": f"{START}.{n % calls}", "Channel": "PJSIP/x", "BridgeUniqueid": str(n),
            "ChanVariable": [f"PBXTRACK_CALL=pbx1-{START}.{n % calls}"],
        }
        for n in range(count)
    ]  # fmt: skip


def order(store: Store) -> list[int]:
    return [int(fact.bridge) for fact in store.facts if isinstance(fact, LegJoined)]


async def test_a_real_call_from_the_wire_to_the_store() -> None:
    events, store = load("lab/blind_transfer"), Store()
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        for event in events:
            if "Event" in event:
                await fake.send({name: value for name, value in event.items() if isinstance(value, str | list)})
        await until(lambda: len(store.facts) == len(facts_of(events)))
        assert (listener.malformed, listener.waiting, listener.calls) == (0, 0, 0)
    (call,) = calls_of(store.facts).values()
    assert call == call_of(events)
    assert outcome(call).status is Status.ANSWERED


async def test_a_burst_of_fifty_thousand_events() -> None:
    store, count = Store(), 50_000
    events = joins(count)
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        for start in range(0, count, 500):
            await fake.send(b"".join(map(encode, events[start : start + 500])))
        await until(lambda: len(store.facts) == count, 60)
        assert (listener.events, listener.facts, listener.lost, listener.reconnects) == (count, count, 0, 0)
    assert order(store) == list(range(count))
    assert max(store.batches) <= MAX_BATCH


async def test_the_socket_waits_for_a_store_that_is_slow() -> None:
    store, count = Store(), 5 * MAX_AHEAD
    async with FakeAsterisk() as fake, listening(fake, store, max_waiting=2 * MAX_AHEAD) as listener:
        store.open.clear()
        sending = asyncio.create_task(fake.send(b"".join(map(encode, joins(count)))))
        await until(lambda: listener.facts >= MAX_AHEAD)
        await asyncio.sleep(0.1)
        assert (listener.facts, listener.waiting) == (MAX_AHEAD, MAX_AHEAD)
        store.open.set()
        await until(lambda: len(store.facts) == count, 60)
        await sending
        assert (listener.lost, listener.reconnects) == (0, 0)
    assert order(store) == list(range(count))


async def test_a_long_queue_is_worked_off_without_leaving_the_socket_alone() -> None:
    store, count = Store(), 3 * MAX_AHEAD
    events = joins(count + MAX_BATCH)
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        store.down = True
        await fake.send(b"".join(map(encode, events[:count])))
        await until(lambda: listener.waiting == count, 60)
        store.down, store.takes = False, 0.05
        await until(lambda: store.batches)
        await fake.send(b"".join(map(encode, events[count:])))
        await until(lambda: listener.facts == len(events))
        assert listener.waiting > MAX_AHEAD
        store.takes = 0
        await until(lambda: listener.waiting == 0)
    assert order(store) == list(range(len(events)))


async def test_while_the_store_is_away_facts_wait_and_the_socket_is_read() -> None:
    store, count = Store(), 5000
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        store.down = True
        for event in joins(count):
            await fake.send(event)
        await until(lambda: listener.waiting == count)
        assert (store.facts, listener.lost) == ([], 0)
        store.down = False
        await until(lambda: listener.waiting == 0)
        assert listener.reconnects == 0
    assert order(store) == list(range(count))


async def test_what_finds_no_room_is_counted() -> None:
    store = Store()
    async with FakeAsterisk() as fake, listening(fake, store, max_waiting=100) as listener:
        store.down = True
        for event in joins(150):
            await fake.send(event)
        await until(lambda: listener.facts == 150)
        assert (listener.waiting, listener.lost) == (100, 50)
        store.down = False
        await until(lambda: listener.waiting == 0)
        await fake.send(joins(151)[-1])
        await until(lambda: len(store.facts) == 101)
    assert order(store) == [*range(100), 150]


async def test_a_fact_that_no_store_takes_costs_only_itself() -> None:
    store = Store(poison=f"{START}.3")
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        await fake.send(b"".join(map(encode, joins(20, calls=10))))
        await until(lambda: len(store.facts) == 18)
        assert (listener.rejected, listener.waiting) == (2, 0)
    assert order(store) == [n for n in range(20) if n % 10 != 3]


async def test_what_was_heard_is_recorded_before_it_ends() -> None:
    store = Store()
    async with FakeAsterisk() as fake:
        async with listening(fake, store) as listener:
            store.down = True
            await fake.send(b"".join(map(encode, joins(700))))
            await until(lambda: listener.waiting == 700)
            store.down = False
        assert order(store) == list(range(700))


async def test_after_a_restart_of_asterisk_its_calls_are_over_and_new_ones_are_heard() -> None:
    store = Store()
    script = Script().caller().new(2, 0.1, "PJSIP/sales").dial(2, 0.1).dialled(2, 1, "ANSWER").join(1, "b", 1, 2)
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        for event in script.events:
            await fake.send(event)
        await until(lambda: len(store.facts) == len(facts_of(script.events)))
        assert listener.calls == 1
        store.calls = list(calls_of(store.facts).values())
        await fake.stop()
        await fake.start()
        await until(lambda: listener.reconnects == 1 and any(isinstance(fact, LegEnded) for fact in store.facts))
        await until(lambda: listener.waiting == 0)
        (call,) = calls_of(store.facts).values()
        assert outcome(call).status is Status.ANSWERED
        assert all(leg.unseen for leg in call.legs.values())
        assert listener.calls == 0
        await fake.send(joins(1)[0])
        await until(lambda: isinstance(store.facts[-1], LegJoined))


async def test_it_compares_once_the_store_is_back() -> None:
    store = Store(down=True, calls=[call_of(Script().caller().dial(2, 0.1).events)])
    async with FakeAsterisk() as fake, listening(fake, store):
        await asyncio.sleep(0.1)
        assert store.facts == []
        store.down = False
        await until(lambda: store.facts, 15)


async def test_rubbish_between_events_is_counted_and_costs_nothing_else() -> None:
    store = Store()
    async with FakeAsterisk() as fake, listening(fake, store) as listener:
        one, two = joins(2)
        await fake.send(
            encode(one) + b"\0\xff\r\n\r\n: \r\n\r\nEvent: Hangup\r\n\r\nEvent: Hangup\r\nEvent: Hangup\r\n\r\n"
        )
        await fake.send(two)
        await until(lambda: len(store.facts) == 2)
        assert listener.malformed == 1
    assert order(store) == [0, 1]


async def test_what_is_not_recorded_in_time_at_the_end_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxtrack.ami.listener._DRAIN", 0.1)
    store = Store()
    async with FakeAsterisk() as fake:
        async with listening(fake, store) as listener:
            store.down = True
            await fake.send(b"".join(map(encode, joins(7))))
            await until(lambda: listener.waiting == 7)
        assert (listener.counts.facts, listener.counts.lost) == (7, 7)


async def test_how_late_events_are_is_told_by_the_latest_that_has_a_time() -> None:
    async with FakeAsterisk() as fake, listening(fake, Store()) as listener:
        assert listener.lag is None
        stamp = datetime.now(UTC) - timedelta(seconds=7)
        await fake.send({"Event": "Newexten", "Timestamp": f"{stamp.timestamp():.6f}"})
        await fake.send({"Event": "Newexten"})
        await until(lambda: listener.events == 2)
        assert listener.lag == pytest.approx(7, abs=3)
        assert listener.heard_at is not None
        assert listener.heard_at > stamp
