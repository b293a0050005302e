"""Rounds: calls come all the while, one thing breaks or two, all is mended, and the log must be right."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from tests.chaos import audit
from tests.chaos.callers import Placed, Website, gather, orders, place
from tests.chaos.faults import End, Fault, mended
from tests.chaos.world import World

LIMIT = 10.0  # s after the end of a fault, by which the log must be complete
_GIVE_UP = 30.0  # s


@dataclass
class Round:
    """What came of a round. ``recovery``: seconds from the end of faults and calls until the log was right."""

    name: str
    found: audit.Found
    recovery: float
    delays: list[float]


class Rounds:
    """Rounds in one world; the same ``seed`` breaks the same things at the same moments."""

    def __init__(self, world: World, seed: str) -> None:
        self._world, self._seed = world, seed
        self.website = Website(world, Random(f"{seed} website"))
        self.done: list[Round] = []

    def play(self, faults: Sequence[Fault], calls: int) -> Round:
        """One round, with these faults."""
        name = " + ".join(fault.name for fault in faults) or "nothing broken"
        random = Random(f"{self._seed} {len(self.done)} {name}")
        world = self._world
        world.until_well()
        world.asterisk_gone.clear()
        for visitor in self.website.visitors if not self.done else random.sample(self.website.visitors, 5):
            self.website.lease(visitor)
        since = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        moments = [(begin := random.uniform(0.5, 2.5), begin + random.uniform(1.0, 3.5)) for _ in faults]
        plan = orders(random, calls)
        begin = time.monotonic()
        placed: list[Placed] = []
        ends: list[End] = []
        with ThreadPoolExecutor(max(calls, 1)) as pool, mended(world, ends):
            breaking = [
                threading.Thread(target=self._break, args=(fault, begin, moment, ends))
                for fault, moment in zip(faults, moments, strict=True)
            ]
            for thread in breaking:
                thread.start()
            for order in plan:
                time.sleep(max(0.0, begin + order["at"] - time.monotonic()))
                if order["to"] is None:
                    self.website.lease(random.choice(self.website.visitors))
                placed.append(place(world, self.website, pool, random, order))
            for thread in breaking:
                thread.join()
            gather(world, placed)
        done = self._await(name, placed, since)
        self.done.append(done)
        return done

    def _break(self, fault: Fault, begin: float, moment: tuple[float, float], ends: list[End]) -> None:
        time.sleep(max(0.0, begin + moment[0] - time.monotonic()))
        end = fault.begin(self._world)
        ends.append(end)
        time.sleep(max(0.0, begin + moment[1] - time.monotonic()))
        ends.remove(end)
        end()

    def _await(self, name: str, placed: list[Placed], since: str) -> Round:
        """Compare until all is right, or it is too late."""
        over = time.monotonic()
        while True:
            log = self._world.calls(since)
            found = audit.compare(placed, log or [], self._world.asterisk_gone)
            waited = time.monotonic() - over
            if not found.wrong:
                return Round(name, found, waited, audit.delays(placed))
            if waited > _GIVE_UP:
                found.wrong += [line for linkedid in found.linkedids for line in self._world.evidence(linkedid)]
                found.wrong += [f"{server.name}: {server.last_words()}" for server in self._world.servers]
                return Round(name, found, waited, audit.delays(placed))
            time.sleep(0.25)
