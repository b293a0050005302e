"""Parts that the tests of AMI share: settings, short times, a store that can fail."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from pbxtrack.ami.link import Timing
from pbxtrack.calls.events import Fact
from pbxtrack.calls.lifecycle import Call
from pbxtrack.errors import StorageUnavailable

SHORT = Timing(
    connect=0.5, answer=0.5, ping_every=0.05, ping_answer=0.4, retry=0.02, retry_most=0.1, refused=0.1, healthy=0.2
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    port: int
    node: str = "pbx1"
    host: str = "127.0.0.1"
    username: str = "pbxtrack"
    secret: SecretStr = field(default_factory=lambda: SecretStr("secret"))


@dataclass
class Store:
    """Keeps facts in order, while it is ``open``; fails while ``down``, and always for calls in ``poison``.

    ``takes``: seconds for a batch.
    """

    facts: list[Fact] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    directory: dict[str, str] = field(default_factory=dict)
    poison: str = ""
    down: bool = False
    takes: float = 0.0
    batches: list[int] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def record(self, facts: Sequence[Fact]) -> None:
        await asyncio.sleep(self.takes)
        await self.open.wait()
        if self.down:
            raise StorageUnavailable("the database is away")
        if any(fact.linkedid == self.poison for fact in facts):
            raise ValueError("a fact that no database takes")
        self.batches.append(len(facts))
        self.facts += facts

    async def open_calls(self) -> Sequence[Call]:
        if self.down:
            raise StorageUnavailable("the database is away")
        return self.calls

    async def lines(self) -> Mapping[str, str]:
        return dict(self.directory)


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
