"""Who calls, when and whom; what each of them saw; and what the call log must say of it."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import CallResult
from tests.chaos.servers import ask
from tests.chaos.world import World

BILLBOARD, GROUP, QUEUE, FORWARD, RADIO = "+74951230001", "+74951230002", "+74951230003", "+74951230004", "+74951230006"
CHANNELS = {
    BILLBOARD: "Billboard", GROUP: "Group", QUEUE: "Queue", FORWARD: "Forward", RADIO: 'Radio, "Europa"',
}  # fmt: skip
_VISITORS = 40
_numbers = count(1)


@dataclass
class Visitor:
    """Somebody who looks at the website, and what the website shows: a number, for a visit."""

    name: str
    address: str
    page: str
    number: str = ""
    visit: str = ""


@dataclass
class Placed:
    """A call: what was asked for, what the caller saw (None where the caller's phone broke), what must be logged."""

    caller: str
    dialled: str
    outcome: str
    visit: str | None
    channel: str | None
    handle: Future[CallResult]
    saw: CallResult | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)  # the lines' phones'

    @property
    def ended_as(self) -> str:
        """What became of it, as the caller saw it; who waits in a queue does not see whether somebody took the call."""
        assert self.saw is not None
        if self.dialled == QUEUE:
            return "answered" if any(row["answered_at"] for row in self.rows) else "abandoned"
        return self.saw.outcome

    @property
    def talk_times(self) -> list[float]:
        """How long the caller talked, in seconds: by the caller's clock and by the line's.

        Who waits in a queue is connected, but talks only with the line.
        """
        assert self.saw is not None
        lines = [row["ended_at"] - row["answered_at"] for row in self.rows if row["answered_at"]]
        return [max(lines, default=0.0)] + ([self.saw.talk_seconds] if self.dialled != QUEUE else [])


class Website:
    """Visitors, with leases that are held."""

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self.visitors = [
            Visitor("", f"198.51.100.{index}", f"https://shop.example/?utm_source=yandex&utm_medium=cpc&utm_content={index}")
            for index in range(_VISITORS)
        ]  # fmt: skip
        self.refused: list[tuple[int, Any]] = []  # answers that no page should get
        self.leased = 0
        self.told_to_wait = 0

    def lease(self, visitor: Visitor) -> None:
        """Have a page ask for its number; while nobody can give it, it keeps what it has."""
        body = {"site": "demo", "page": visitor.page, "visitor": visitor.name or None}
        for server in self._random.sample(self._world.servers, len(self._world.servers)):
            status, lease, headers = ask(f"{server.url}/api/v1/leases", body, {"X-Forwarded-For": visitor.address})
            if status == 201:
                visitor.name, visitor.number, visitor.visit = lease["visitor"], lease["number"], lease["visit"]
                self.leased += 1
                return
            if status == 503 and "Retry-After" in headers:
                self.told_to_wait += 1
            elif status:
                self.refused.append((status, lease))


def orders(random: Random, calls: int) -> list[dict[str, Any]]:
    """What the callers of a round will do. ``to``: a number, or None for one that a visitor is shown."""
    made = []
    for _ in range(calls):
        outcome = random.choices(("answered", "busy", "missed", "abandoned"), (12, 2, 2, 2))[0]
        made.append(
            {
                "at": random.uniform(0, 4.5),
                "to": random.choice([None, None, None, BILLBOARD, BILLBOARD, GROUP, QUEUE, FORWARD, RADIO]),
                "outcome": outcome,
                "ring": random.uniform(0.2, 0.8),
                "talk": random.uniform(0.5, 3.0),
                "hangup": random.choice(("caller", "line")),
            }
        )
        if made[-1]["to"] in (GROUP, QUEUE, FORWARD) and outcome != "answered":
            made[-1]["to"] = BILLBOARD  # what a queue makes of a busy line is not this test's business
    return sorted(made, key=lambda order: order["at"])


def place(world: World, website: Website, pool: ThreadPoolExecutor, random: Random, order: dict[str, Any]) -> Placed:
    """Place a call."""
    number, visit, channel = order["to"], None, CHANNELS.get(order["to"])
    if number is None:
        visitor = random.choice([visitor for visitor in website.visitors if visitor.number])
        number, visit, channel = visitor.number, visitor.visit, "Yandex Direct"
    caller = f"+7916{next(_numbers):07}"
    words = {name: order[name] for name in ("outcome", "ring", "talk", "hangup")}
    handle = pool.submit(world.lab.call, from_=caller, to=number, **words)
    return Placed(caller, number, order["outcome"], visit, channel, handle)


def gather(world: World, placed: list[Placed]) -> None:
    """Wait for the calls' ends, and for what the lines' phones say of them."""
    for call in placed:
        try:
            call.saw = call.handle.result()
        except PbxtrackError:
            call.saw = None
    deadline = time.monotonic() + 5
    while True:
        ledger = world.lab.ledger()
        for call in placed:
            if call.saw is not None:
                call.rows = [row for row in ledger if row["lab_call"] == call.saw.call_id]
        if time.monotonic() > deadline or all(call.rows for call in placed if call.saw is not None):
            return
        time.sleep(0.1)
