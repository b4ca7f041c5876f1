"""Planted faults: what the harness finds, what it misses, whom it blames, and how often it cries for nothing.

python -m benchmarks.faults            # every fault once, every clean control 100 times
python -m benchmarks.faults --clean 5 --fault double_refund --verbose
python -m benchmarks.faults --jitter 300   # clean agents in other words, spellings, orders and pauses
python -m benchmarks.faults --elsewhere    # an agent elsewhere whose spans are late, lost or misdated
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence

from fixtures.faults import play_elsewhere
from fixtures.faults.catalogue import CATALOGUE
from fixtures.faults.fault import MAST, TAU2, TRAIL
from fixtures.faults.play import Matrix, Played, matrix, play_all, play_jittered
from simulate.model.reliability import wilson


def main() -> int:
    """Exit code 1 where a fault was missed, blamed on the wrong side, or a clean run failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clean", type=int, default=100, help="clean runs of each scenario (default 100)")
    parser.add_argument("--fault", action="append", help="only faults of these names")
    parser.add_argument("--verbose", action="store_true", help="one line a fault")
    parser.add_argument("--jitter", type=int, metavar="N", help="so many clean runs in other words")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of --jitter")
    parser.add_argument("--elsewhere", action="store_true", help="the agent whose spans suffer on their way")
    args = parser.parse_args()
    if args.elsewhere:
        return _elsewhere()
    if args.jitter:
        return _jitter(args.jitter, args.seed)
    chosen = [each for each in CATALOGUE if not args.fault or each.name in args.fault]
    began = time.perf_counter()
    played = asyncio.run(play_all(chosen, args.clean))
    show(played, verbose=args.verbose)
    print(f"\n{len(played)} conversations in {time.perf_counter() - began:.1f} s")
    return int(any(each.verdict in ("missed", "wrong side", "false alarm") for each in played))


def _jitter(runs: int, seed: int) -> int:
    began = time.perf_counter()
    played = asyncio.run(play_jittered(runs, seed))
    alarms = [each for each in played if each.verdict == "false alarm"]
    checks = sum(len(each.outcome.verdicts) for each in played)
    print(f"{len(played)} clean runs in other words, {checks} verdicts: {len(alarms)} false alarms")
    print(f"{time.perf_counter() - began:.1f} s")
    for each in alarms:
        print(_line(each))
    return int(bool(alarms))


def _elsewhere() -> int:
    began = time.perf_counter()
    told = asyncio.run(play_elsewhere.play())
    for wrong in (False, True):
        some = [each for each in told if each.wrong is wrong]
        statuses = Counter(each.outcome.status for each in some)
        counts = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        print(f"{len(some)} cases, the agent {'wrong' if wrong else 'right'}: {counts}")
    mistakes = [each for each in told if each.mistake]
    print(f"{len(mistakes)} misjudged; {time.perf_counter() - began:.1f} s")
    for each in mistakes:
        print(f"{each.case.name}: {each.mistake}: {each.outcome.reason}")
    return int(bool(mistakes))


def show(played: Sequence[Played], *, verbose: bool = False) -> None:
    """The confusion matrix, then what went wrong, line by line."""
    print(f"{'side':<22}{'planted':>8}{'found':>8}{'missed':>8}{'wrong side':>12}{'by another check':>18}")
    for row in matrix(played):
        print(f"{row.side:<22}{row.planted:>8}{row.found:>8}{row.missed:>8}{row.wrong:>12}{row.other:>18}")
    print()
    for what, rows in (
        ("agent, by rules alone", ("agent",)),
        ("agent, all", ("agent", "agent, strong judge")),
    ):
        _share(what, [row for row in matrix(played) if row.side in rows], "found")
    others = [row for row in matrix(played) if not row.side.startswith("agent")]
    _share("others, on the right side", others, "on the right side")
    clean = [each for each in played if each.fault is None]
    alarms = [each for each in clean if each.verdict == "false alarm"]
    scenarios = len({each.fault.control for each in played if each.fault})
    print(f"clean controls: {len(clean)} runs of {scenarios} kinds, {len(alarms)} false alarms")
    tags = Counter(tag for each in played if each.fault is not None for tag in each.fault.taxonomy)
    for name, modes in (("MAST", list(MAST)), ("TRAIL", list(TRAIL)), ("τ²", list(TAU2))):
        lacking = [mode for mode in modes if f"{name} {mode}" not in tags]
        print(
            f"{name}: {len(modes) - len(lacking)} of {len(modes)} kinds"
            + (f"; none of {', '.join(lacking)}" * bool(lacking))
        )
    for each in played:
        bad = each.verdict in ("missed", "wrong side", "other check", "false alarm")
        silent = each.fault is not None and not each.manifested
        if bad or silent or (verbose and each.fault is not None):
            print(_line(each))


def _share(what: str, rows: Sequence[Matrix], done: str) -> None:
    """The share of the planted that was found, with its 95 % interval: a set of faults is a sample, too."""
    planted, found = sum(row.planted for row in rows), sum(row.found for row in rows)
    if planted:
        low, _ = wilson(planted, found)
        print(f"{what + ':':<28}{found} of {planted} {done}, {found / planted:.1%} (at least {low:.1%})")


def _line(each: Played) -> str:
    name = each.fault.name if each.fault else f"clean {each.scenario}"
    showed = "" if each.fault is None else ", showed itself" if each.manifested else ", NEVER SHOWED ITSELF"
    outcome = each.outcome
    blamed = f"{outcome.status}/{outcome.side or '-'}"
    return f"{each.verdict:<12} {name:<26} {blamed:<22} {(outcome.reason or '')[:150]!r}{showed}"


if __name__ == "__main__":
    sys.exit(main())
