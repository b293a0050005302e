"""The site that the benchmarks call: a thousand numbers, two hundred of them leased."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from pbxtrack.pool import service
from pbxtrack.pool.model import LeaseGrant, LeaseRequest
from pbxtrack.storage.database import Database
from pbxtrack.storage.leases import SqlLeases

KEY = "bench"
STATIC = tuple(f"+7495123{index:04d}" for index in range(900, 1000))
LEASES = 200
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_CAMPAIGNS = ("spring", "brand", "retargeting", "video", "search")


def text(pool: str = "+74951230000..+74951230899") -> str:
    """The site file."""
    channels = "".join(
        f'  [[site.channel]]\n  name = "Billboard {index}"\n'
        f'  numbers = ["{STATIC[index * 20]}..{STATIC[index * 20 + 19]}"]\n\n'
        for index in range(5)
    )
    return f"""[[site]]
key = "{KEY}"
name = "Benchmark"
origins = ["https://shop.example"]
line = "PJSIP/sales"
timezone = "Europe/Moscow"
hold = "2h"
overflow_number = "+74950000000"
email = "sales@shop.example"

  [[site.pool]]
  name = "moscow"
  numbers = ["{pool}"]

  [[site.channel]]
  name = "Yandex Direct"
  match = {{ source = "yandex", medium = "cpc" }}

  [[site.channel]]
  name = "Google Ads"
  match = {{ source = "google", click_id = "gclid" }}

{channels}"""


def write(folder: Path) -> Path:
    """The site file as a file."""
    path = folder / "site.toml"
    path.write_text(text(), "utf-8")
    return path


def page(index: int) -> str:
    """The page that the visitor of this number came to."""
    source = ("yandex", "google")[index % 2]
    campaign = _CAMPAIGNS[index % len(_CAMPAIGNS)]
    return f"https://shop.example/?utm_source={source}&utm_medium=cpc&utm_campaign={campaign}&gclid=g{index}"


def lease(database: Database, count: int = LEASES) -> list[str]:
    """Lease numbers to that many visitors; the numbers."""
    numbers = []
    with database.transaction() as connection:
        requests = [LeaseRequest(KEY, page(index)) for index in range(count)]
        for grant in service.acquire(SqlLeases(connection), requests, datetime.now(UTC)):
            assert isinstance(grant, LeaseGrant)
            assert grant.number
            numbers.append(grant.number)
    return numbers


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def dialled(leased: Sequence[str], count: int) -> list[str]:
    """Numbers for that many calls: every other one leased, the rest static."""
    pairs = zip(cycle(leased), cycle(STATIC), strict=False)
    return list(islice((number for pair in pairs for number in pair), count))
