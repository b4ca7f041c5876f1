"""Personal data without a judge: precision and recall by kind, on strings that people labelled.

python -m benchmarks.pii             # the table
python -m benchmarks.pii --verbose   # and each string that is wrong
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from simulate.trace.redaction.personal import personal
from simulate.trace.redaction.redact import Redactor

DATA = Path(__file__).parent / "data" / "pii.tsv"


def labelled(path: Path = DATA) -> list[tuple[str, str]]:
    """Kind and string of each line; the kind of a clean string is ``-``."""
    lines = (line.split("\t", 1) for line in path.read_text("utf-8").splitlines() if line)
    return [(kind, text) for kind, text in lines]


def trial(path: Path) -> list[tuple[str, str]]:
    """The same from a JSON file with ``missed`` and ``false``."""
    given = json.loads(path.read_text("utf-8"))
    found = [(str(one[0]).split(" ")[0], str(one[1])) for one in given["missed"]]
    return found + [("-", str(one[1])) for one in given["false"]]


def measure(
    rows: list[tuple[str, str]], finder: Callable[[str], bool]
) -> tuple[float, float, list[tuple[str, str]]]:
    """Precision, recall, and the rows that are wrong."""
    flagged = [(kind, text) for kind, text in rows if finder(text)]
    right = [row for row in flagged if row[0] != "-"]
    positives = [row for row in rows if row[0] != "-"]
    wrong = [row for row in rows if (row in flagged) == (row[0] == "-")]
    return len(right) / max(1, len(flagged)), len(right) / max(1, len(positives)), wrong


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--verbose", action="store_true", help="each string that is wrong")
    parser.add_argument("--trial", type=Path, help="a JSON file with `missed` and `false` instead")
    args = parser.parse_args()
    rows = labelled() if args.trial is None else trial(args.trial)
    redactor = Redactor(key=b"pii")
    began = time.process_time()
    precision, recall, wrong = measure(rows, lambda text: bool(personal(text)))
    spent = (time.process_time() - began) / len(rows) * 1e3
    old_precision, old_recall, _ = measure(rows, lambda text: bool(redactor.find(text)))
    missed = Counter(kind for kind, _ in wrong if kind != "-")
    totals = Counter(kind for kind, _ in rows)
    print(f"{'kind':<10}{'strings':>8}{'found':>8}{'recall':>9}")
    for kind, total in totals.items():
        if kind != "-":
            print(f"{kind:<10}{total:>8}{total - missed[kind]:>8}{1 - missed[kind] / total:>9.2f}")
    false = [text for kind, text in wrong if kind == "-"]
    print(f"{'clean':<10}{totals['-']:>8}   {len(false)} false alarms")
    print(f"precision {precision:.3f}, recall {recall:.3f}, {spent:.2f} ms a string")
    held_out = measure(labelled(DATA.with_name("pii_held_out.tsv")), lambda text: bool(personal(text)))
    print(f"strings that no rule was corrected on: precision {held_out[0]:.3f}, recall {held_out[1]:.3f}")
    print(f"the rules of redaction alone: precision {old_precision:.3f}, recall {old_recall:.3f}")
    if args.verbose:
        for kind, text in wrong:
            print(f"{'false alarm' if kind == '-' else 'missed ' + kind:<16}{text}   {personal(text) or ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
