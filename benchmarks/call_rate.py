"""The highest call rate that is sustained: plain Dial(), the least that FastAGI can be, pbxtrack; windows in turn."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks import running, site
from benchmarks.report import Line, Result, at_least
from benchmarks.sip_load import Load
from benchmarks.stats import quantile
from pbxtrack.lab.addresses import split
from pbxtrack.lab.lab import Lab

NAME = "call_rate"
ANSWERED, P99_LIMIT = 0.995, 500.0  # of the calls; ms
RATIO = 0.95
_KINDS = ("plain", "least", "ours")
_FIRST, _STEP = 50.0, 1.25  # calls a second; each step so much faster than the one before
_QUICK_STEP = 1.5
_TRIES = 2  # a window that fails may be another program's doing


@dataclass(frozen=True, slots=True)
class Window:
    """A few seconds at one rate."""

    kind: str
    rate: float
    answered: float
    p99_ms: float

    @property
    def sustained(self) -> bool:
        return self.answered >= ANSWERED and self.p99_ms < P99_LIMIT


async def run(*, quick: bool) -> Result:
    """Step up until neither keeps up; then, in the full run, once more in smaller steps from where each failed."""
    seconds, limit = (2.0, 48.0) if quick else (4.0, 300.0)
    with running.lab() as lab:
        leased = running.furnish(lab)
        async with running.serving(lab):
            load = Load(split(lab.addresses.sip), split(lab.addresses.lines["sales"]))
            gc.collect()
            gc.freeze()
            search = _Search(lab, load, leased, seconds, time.monotonic() + limit)
            step = _QUICK_STEP if quick else _STEP
            best = await search.climb(dict.fromkeys(_KINDS, _FIRST), step)
            found = search.failed >= {"plain", "ours"}
            if not quick:
                fine = step**0.25
                best = await search.climb({kind: rate * fine for kind, rate in best.items()}, fine, best)
            load.close()
        unanswered = running.unanswered(lab)
    ratio, least = (best[kind] / best["plain"] if best["plain"] else 0.0 for kind in ("ours", "least"))
    lines = [
        at_least("sustained rate, ours to plain", ratio, RATIO)
        if found
        else Line("sustained rate, ours to plain", "not found: time ran out before both failed", f"≥ {RATIO}"),
        Line("the same of FastAGI with a fixed answer", f"{least:.2f}"),
        Line("calls/s: ours, fixed answer, plain", ", ".join(f"{best[kind]:.0f}" for kind in reversed(_KINDS))),
        Line("calls that went on without our answer", str(unanswered)),
    ]
    windows = [asdict(window) | {"sustained": window.sustained} for window in search.windows]
    return Result(
        NAME,
        lines,
        {
            "sustained": best,
            "found": found,
            "unanswered": unanswered,
            "ratio": round(ratio, 3) if found else None,
            "ratio_least": round(least, 3) if found else None,
            "windows": windows,
        },
    )


class _Search:
    def __init__(self, lab: Lab, load: Load, leased: Sequence[str], seconds: float, deadline: float) -> None:
        self._lab, self._load, self._leased = lab, load, leased
        self._seconds, self._deadline = seconds, deadline
        self.windows: list[Window] = []
        self.failed: set[str] = set()

    async def climb(
        self, start: dict[str, float], step: float, best: dict[str, float] | None = None
    ) -> dict[str, float]:
        """The last rate that each kind sustained."""
        best = dict(best or dict.fromkeys(start, 0.0))
        rates = dict(start)
        while rates and time.monotonic() < self._deadline:
            for kind in list(rates):
                if await self._sustained(kind, rates[kind]):
                    best[kind] = round(rates[kind], 1)
                    rates[kind] *= step
                else:
                    del rates[kind]
                    self.failed.add(kind)
        return best

    async def _sustained(self, kind: str, rate: float) -> bool:
        for _ in range(_TRIES):
            window = await self._window(kind, rate)
            self.windows.append(window)
            if window.sustained:
                return True
        return False

    async def _window(self, kind: str, rate: float) -> Window:
        count = int(rate * self._seconds)
        numbers = (
            site.dialled(self._leased, count) if kind == "ours" else [running.untracked(kind, i) for i in range(count)]
        )
        calls = await self._load.run([(kind, number) for number in numbers], rate)
        delays = [call.post_dial_ms for call in calls if call.post_dial_ms is not None]
        await self._quiet()
        answered = sum(bool(call.answered) for call in calls) / count
        return Window(kind, round(rate, 1), round(answered, 4), round(quantile(delays, 0.99), 1) if delays else 1e9)

    async def _quiet(self) -> None:
        """Wait until the calls of the window are gone."""
        for _ in range(30):
            await asyncio.sleep(0.3)
            if "0 active channels" in await asyncio.to_thread(self._lab.asterisk, "core show channels count"):
                return
