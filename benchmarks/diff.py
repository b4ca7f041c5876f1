"""Alignment against known truth, beside a label-only LCS and DeepDiff; then a whole diff, file to report.

python -m benchmarks.diff            all of it
python -m benchmarks.diff --quick    without the 100,000 spans
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import diff_traces
from benchmarks.diff_traces import Edits
from simulate.trace.diff.align import align
from simulate.trace.diff.forest import plant
from simulate.trace.diff.sequence import common
from simulate.trace.span import Trace

CASES = {
    "2 % in, 2 % out, half reworded": Edits(),
    "and parallel tools reordered": Edits(reorder=True),
    "and an agent renamed": Edits(reorder=True, rename="billing"),
}


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def right(found: dict[str, str], truth: dict[str, str | None], total: int) -> float:
    """The share of all spans of both traces whose partner, or lack of one, is the true one."""
    kept = {origin for origin in truth.values() if origin is not None}
    good = sum(found.get(span_id) == origin for span_id, origin in truth.items())
    good += total - len(kept) - len(set(found.values()) - kept)
    return good / (len(truth) + total - len(kept))


def ours(first: Trace, second: Trace) -> tuple[dict[str, str], float, float]:
    from simulate.trace.reading import TraceReading

    start = time.perf_counter()
    a, b = (plant(trace.spans, [view for _, view in TraceReading(trace)]) for trace in (first, second))
    planted = time.perf_counter()
    result = align(a, b)
    done = time.perf_counter()
    found = {b.spans[j].span_id: a.spans[i].span_id for i, j in result.pairs}
    return found, done - start, done - planted


def by_labels(first: Trace, second: Trace) -> tuple[dict[str, str], float]:
    """The common subsequence of the names, in the order of their start: what a line diff would do."""
    start = time.perf_counter()
    a = sorted(first.spans, key=lambda span: span.start_ns)
    b = sorted(second.spans, key=lambda span: span.start_ns)
    pairs = common([span.name for span in a], [span.name for span in b])
    return {b[j].span_id: a[i].span_id for i, j in pairs}, time.perf_counter() - start


def deepdiff_seconds(first: Trace, second: Trace) -> float:
    from deepdiff import DeepDiff

    def rows(trace: Trace) -> list[dict[str, Any]]:
        return [{"name": span.name, "attributes": span.attributes} for span in trace.spans]

    start = time.perf_counter()
    DeepDiff(rows(first), rows(second), ignore_order=True)
    return time.perf_counter() - start


def accuracy(sizes: list[int]) -> None:
    print(f"{'spans':>8} {'case':34} {'ours':>9} {'seconds':>8} {'align':>7} {'labels':>9} {'seconds':>8}")
    for size in sizes:
        for name, edits in CASES.items():
            first, second, truth, total = diff_traces.pair(size, edits)
            found, seconds, aligning = ours(first, second)
            labels, label_seconds = by_labels(first, second)
            print(
                f"{total:8} {name:34} {right(found, truth, total):9.3%} {seconds:8.2f} {aligning:7.2f} "
                f"{right(labels, truth, total):9.3%} {label_seconds:8.2f}",
                flush=True,
            )
    print(f"peak memory {peak_mb():.0f} MB")


def pathological() -> None:
    for name, make in (("identical siblings", diff_traces.siblings), ("a chain", diff_traces.chain)):
        times: list[float] = []
        for count in (2_500, 10_000):
            first, second = make(count)
            _, seconds, _ = ours(first, second)
            times.append(seconds)
        print(
            f"{name:34} 2,500: {times[0]:.2f} s   10,000: {times[1]:.2f} s   ratio {times[1] / times[0]:.1f}"
        )


def beside_deepdiff() -> None:
    first, second, _, total = diff_traces.pair(300, Edits())
    _, seconds, _ = ours(first, second)
    other = deepdiff_seconds(first, second)
    print(
        f"{total} spans: ours {seconds:.3f} s, DeepDiff ignore_order {other:.2f} s ({other / seconds:.0f} ×)"
    )


def end_to_end(size: int = 10_000) -> None:
    """From two files to the summary and the page, beside reading the same files (processor time)."""
    import gc

    from simulate.interfaces.render.diff_html import write_diff_html
    from simulate.trace.diff import compare
    from simulate.trace.files import reader
    from simulate.trace.files.writing import write_otlp_jsonl
    from simulate.trace.reading import TraceReading

    first, second, _, _ = diff_traces.pair(size, Edits())
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("expected.jsonl", "actual.jsonl")]
        for path, trace in zip(paths, (first, second), strict=True):
            write_otlp_jsonl(path, trace.spans)
        gc.collect()
        gc.disable()  # as the command does
        clock = time.process_time
        for _ in range(2):  # the first round pays for imports
            start = clock()
            one, other = (reader.read(path)[0] for path in paths)
            parsed = clock()
            _ = TraceReading(one).views, TraceReading(other).views
            viewed = clock()
            diff = compare(one, other)
            diff.summary()
            write_diff_html(Path(folder) / "diff.html", diff)
            done = clock()
        gc.enable()
    parse, view, rest = parsed - start, viewed - parsed, done - viewed
    print(f"two files of {size:,} spans: parsed in {parse:.2f} s, canonical views {view:.2f} s")
    print(
        f"file to report {parse + rest:.2f} s: {(parse + rest) / (parse + view):.1f} × reading both into "
        f"canonical spans, {(parse + rest) / parse:.1f} × parsing alone"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="without the 100,000 spans")
    args = parser.parse_args()
    accuracy([1_000, 10_000] if args.quick else [1_000, 10_000, 100_000])
    pathological()
    beside_deepdiff()
    end_to_end()


if __name__ == "__main__":
    main()
