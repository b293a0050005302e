"""`make chaos`: every fault, and every two of different parts, under real calls; a table of what came of it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from random import Random

from tests.chaos.faults import Fault, pairs, singles
from tests.chaos.run import LIMIT, Round, Rounds
from tests.chaos.world import world

WRONG = ("not forwarded", "missing", "twice", "not ended", "wrong status", "wrong talk time", "wrong attribution")


def main() -> int:
    """Play it; 0 only if nothing was wrong."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=…", description=__doc__)
    parser.add_argument("--seed", default="pbxtrack", help="the same seed breaks the same things at the same moments")
    parser.add_argument("--calls", type=int, default=11, help="calls of a round")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), help="only on this one")
    parser.add_argument("--rounds", type=int, help="at most so many rounds, chosen by the seed")
    parser.add_argument("--only", help="only faults whose name contains this")
    options = parser.parse_args()
    kinds = [options.database] if options.database else ["postgresql", "sqlite"]
    return max([_play(database, options) for database in kinds])


def _play(database: str, options: argparse.Namespace) -> int:
    plan: list[tuple[Fault, ...]] = [(), *((fault,) for fault in singles(database)), *pairs(database)]
    if options.only:
        plan = [faults for faults in plan if any(options.only in fault.name for fault in faults)]
    if options.rounds:
        plan = Random(options.seed).sample(plan, min(options.rounds, len(plan)))
    with world(database) as made:
        rounds = Rounds(made, options.seed)
        print(_line(f"fault, on {database}", [*_HEADS]), flush=True)
        for faults in plan:
            done = rounds.play(faults, options.calls)
            print(_row(done), flush=True)
            for wrong in done.found.wrong:
                print("   ", wrong, file=sys.stderr, flush=True)
    return _sum(rounds)


_SHOWN = ("calls", "cut with Asterisk", "fallback", *WRONG)
_HEADS = (*_SHOWN, "recovery", "longest delay")


def _row(done: Round) -> str:
    counts = [str(done.found.counts[kind]) for kind in _SHOWN]
    worst = f"{1000 * max(done.delays):.0f} ms" if done.delays else "-"
    return _line(done.name, [*counts, f"{done.recovery:.1f} s", worst])


def _line(name: str, cells: list[str]) -> str:
    return f"{name:<62} " + " ".join(f"{cell:>{max(len(head), 6)}}" for cell, head in zip(cells, _HEADS, strict=False))


def _sum(rounds: Rounds) -> int:
    total: Counter[str] = Counter()
    for done in rounds.done:
        total.update(done.found.counts)
    slow = [done.name for done in rounds.done if done.recovery > LIMIT]
    website = rounds.website
    print(_line("all", [str(total[kind]) for kind in _SHOWN]))
    print(f"recovered later than {LIMIT:.0f} s: {len(slow)} {slow or ''}")
    print(
        f"website: {website.leased} leases, {website.told_to_wait} times told to wait, "
        f"{len(website.refused)} other answers {website.refused[:3] or ''}"
    )
    return 1 if slow or website.refused or any(total[kind] for kind in WRONG) else 0


if __name__ == "__main__":
    sys.exit(main())
