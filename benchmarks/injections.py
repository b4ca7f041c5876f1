"""Orders to the agent in what it reads: how many the rules of `PromptInjection` find without a judge.

python -m benchmarks.injections             # the rate
python -m benchmarks.injections --verbose   # and each text that is wrong
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.pii import labelled, measure
from simulate.scoring.evaluators.planted_orders import planted

DATA = Path(__file__).parent / "data"


def main() -> int:
    """Print the rate on the texts that the rules were corrected on, and on those that they were not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--verbose", action="store_true", help="each text that is wrong")
    args = parser.parse_args()
    for name in ("injections.tsv", "injections_held_out.tsv"):
        rows = labelled(DATA / name)
        precision, recall, wrong = measure(rows, lambda text: planted(text) is not None)
        print(f"{name:<26}{len(rows):>4} texts  precision {precision:.3f}  recall {recall:.3f}")
        for kind, text in wrong if args.verbose else ():
            print(f"  {'false alarm' if kind == '-' else 'missed':<12}{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
