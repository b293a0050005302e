"""Post-dial delay: from the caller's INVITE to the line's, through plain Dial(), FastAGI at its least, pbxtrack."""

from __future__ import annotations

import asyncio
import gc
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import running, site
from benchmarks.report import Line, Result, at_most
from benchmarks.sip_load import Call, Load
from benchmarks.stats import cpu_ms, interval, quantile, quantiles, spread
from pbxtrack.lab.addresses import split

NAME = "post_dial"
RATE = 40.0  # calls a second
MEDIAN_LIMIT, P99_LIMIT = 2.0, 10.0  # ms
_KINDS = ("plain", "least", "ours")
_WARM_UP = 60  # calls of each kind

Samples = Mapping[str, Sequence[float]]


async def run(*, quick: bool) -> Result:
    """Rounds of paired calls, then of each kind alone."""
    rounds, pairs, alone = (4, 50, 50) if quick else (15, 100, 100)
    with running.lab() as lab:
        leased = running.furnish(lab)
        asterisk = lab.state.asterisk
        assert asterisk is not None
        version = lab.asterisk("core show version").split(" built")[0]
        async with running.serving(lab) as service:
            load = Load(split(lab.addresses.sip), split(lab.addresses.lines["sales"]))
            await load.run(orders(leased, _WARM_UP), RATE)
            gc.collect()
            gc.freeze()
            paired: list[list[Call]] = []
            solo: list[dict[str, Any]] = []
            for index in range(rounds):
                paired.append(await load.run(orders(leased, pairs), RATE))
                # Turn about, so that neither is always the first after the pairs.
                order = ("plain", "ours") if index % 2 else ("ours", "plain")
                solo += [await _alone(load, kind, leased, alone, service, asterisk.pid) for kind in order]
            load.close()
        unanswered = running.unanswered(lab)
    return _result(paired, solo, {"asterisk": version}, unanswered)


def orders(leased: Sequence[str], pairs: int) -> list[tuple[str, str]]:
    """Calls turn about: one to the plain Dial(), one by way of a fixed answer, one through pbxtrack."""
    ours = site.dialled(leased, pairs)
    return [
        (kind, number if kind == "ours" else running.untracked(kind, index))
        for index, number in enumerate(ours)
        for kind in _KINDS
    ]


async def _alone(
    load: Load, kind: str, leased: Sequence[str], count: int, service: int, asterisk: int
) -> dict[str, Any]:
    wanted = [order for order in orders(leased, count) if order[0] == kind]
    before = cpu_ms(service), cpu_ms(asterisk)
    calls = await load.run(wanted, RATE)
    await asyncio.sleep(0.5)  # the facts of the last calls are written
    after = cpu_ms(service), cpu_ms(asterisk)
    return {
        "kind": kind,
        "delays": _delays(calls, kind),
        "cpu_pbxtrack": (after[0] - before[0]) / count,
        "cpu_asterisk": (after[1] - before[1]) / count,
    }


def _delays(calls: Sequence[Call], kind: str) -> list[float]:
    return [round(call.post_dial_ms, 3) for call in calls if call.kind == kind and call.post_dial_ms is not None]


def _difference(part: float) -> Any:
    return lambda samples: quantile(samples["ours"], part) - quantile(samples["plain"], part)


def _result(
    paired: Sequence[Sequence[Call]], solo: Sequence[Mapping[str, Any]], environment: Mapping[str, str], unanswered: int
) -> Result:
    rounds = [{kind: _delays(calls, kind) for kind in _KINDS} for calls in paired]
    everything = {kind: [value for one in rounds for value in one[kind]] for kind in _KINDS}
    median, p99 = _difference(0.5)(everything), _difference(0.99)(everything)
    median_low, median_high = interval(rounds, _difference(0.5))
    least = quantile(everything["least"], 0.5) - quantile(everything["plain"], 0.5)
    p99_low, p99_high = interval(rounds, _difference(0.99))
    pairs = [second - first for one in rounds for first, second in zip(one["plain"], one["ours"], strict=False)]
    alone: dict[str, Any] = {
        kind: {
            "post_dial_ms": quantiles([value for one in solo if one["kind"] == kind for value in one["delays"]]),
            "cpu_ms_a_call": {
                who: spread([one[f"cpu_{who}"] for one in solo if one["kind"] == kind])
                for who in ("asterisk", "pbxtrack")
            },
        }
        for kind in ("plain", "ours")
    }
    failed = sum(bool(call.failure) for calls in paired for call in calls)
    asterisk = {kind: alone[kind]["cpu_ms_a_call"]["asterisk"]["median"] for kind in alone}
    solo_p50 = alone["ours"]["post_dial_ms"]["p50"] - alone["plain"]["post_dial_ms"]["p50"]
    solo_p99 = alone["ours"]["post_dial_ms"]["p99"] - alone["plain"]["post_dial_ms"]["p99"]
    lines = [
        at_most("added at the median", median, MEDIAN_LIMIT, "ms", f"  [{median_low:+.2f}, {median_high:+.2f}]"),
        at_most("added at p99", p99, P99_LIMIT, "ms", f"  [{p99_low:+.2f}, {p99_high:+.2f}]"),
        Line("added at the median by FastAGI with a fixed answer", f"{least:+.2f} ms"),
        Line("added at 40 calls/s, every call ours: median, p99", f"{solo_p50:+.2f} ms, {solo_p99:+.2f} ms"),
        Line("Asterisk's CPU a call: ours, plain", f"{asterisk['ours']:.1f} ms, {asterisk['plain']:.1f} ms"),
        Line("pbxtrack's CPU a call", f"{alone['ours']['cpu_ms_a_call']['pbxtrack']['median']:.1f} ms"),
        Line("calls that failed; that went on without our answer", f"{failed}; {unanswered}"),
    ]
    data = {
        "environment": environment,
        "rate": RATE,
        "failed": failed,
        "unanswered": unanswered,
        "paired": {
            "post_dial_ms": {kind: quantiles(values) for kind, values in everything.items()},
            "added_ms": {
                "p50": {"value": round(median, 3), "interval": [median_low, median_high]},
                "p50_least": round(least, 3),
                "p99": {"value": round(p99, 3), "interval": [p99_low, p99_high]},
                "median_of_pairs": round(statistics.median(pairs), 3),
            },
            "rounds": [{kind: quantiles(values) for kind, values in one.items()} for one in rounds],
        },
        "alone": alone,
        "alone_rounds": [
            {key: value for key, value in one.items() if key != "delays"} | {"post_dial_ms": quantiles(one["delays"])}
            for one in solo
        ],
    }
    return Result(NAME, lines, data)
