"""A diff as one page: what changed on top, both trees side by side below, unchanged spans folded."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from simulate.interfaces.render.diff_conversation import conversation_rows
from simulate.interfaces.render.page import page
from simulate.interfaces.render.recording_panel import MEDIA
from simulate.interfaces.render.recordings_beside import SCRIPTS, STYLES, recordings_beside
from simulate.model.whole_file import write_pieces
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.change import Change
from simulate.trace.diff.content import dumped
from simulate.trace.diff.forest import Forest
from simulate.trace.diff.result import Diff, grouped, headline
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace

LONG = 4_000
"""Characters of one value that the page carries; what is cut off is counted."""
MANY = 500
"""Spans of one change that the page can point to."""

Row = list[Any]


def write_diff_html(path: str | Path, diff: Diff, recordings: Sequence[Path] = ()) -> Path:
    """Write the page; it is whole or not there. ``recordings`` are both calls', where they are calls."""
    if not recordings:
        return write_pieces(path, diff_page(diff))
    words = [_words(one) for one in diff.readings or (diff.expected, diff.actual)]
    beside = recordings_beside(Path(path), recordings, words)
    pages = diff_page(diff, before=beside, styles=STYLES, scripts=SCRIPTS, media=MEDIA)
    return write_pieces(path, pages)


def _words(source: Trace | TraceReading) -> int | None:
    """How many words the agent's voice was asked to say; None where no span tells."""
    texts = [str(view.voice["text"]) for _, view in TraceReading.of(source) if view.voice.get("text")]
    return sum(len(text.split()) for text in texts) or None


def diff_page(
    diff: Diff,
    *,
    before: str = "",
    without_script: str | None = None,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    media: str = "'none'",
) -> Iterator[bytes]:
    """The page in pieces. ``before`` and ``without_script`` are HTML, as `page` takes them; ``styles`` are
    for that."""
    data = [("diff", page_data(diff))]
    title = f"{'same' if diff.same else 'changed'} – {diff.actual.trace_id}"
    return page(
        title, data, scripts=("base.js", *scripts, "diff.js"), styles=("base.css", "diff.css", *styles),
        media=media, before=before, **({} if without_script is None else {"without_script": without_script}),
    )  # fmt: skip


def page_data(diff: Diff) -> dict[str, Any]:
    """What the page's script draws."""
    data: dict[str, Any] = {
        "same": diff.same,
        "headline": headline(diff),
        "expected": _side(diff.expected),
        "actual": _side(diff.actual),
        "repeats": diff.repeats,
        "unknown": diff.not_compared,
        "notes": diff.notes,
        "changes": [_change(change) for change in diff.changes],
        "groups": _groups(diff.changes),
        "talk": conversation_rows(*(diff.readings or (diff.expected, diff.actual))),
        "varies": [_change(change) for change in diff.varies],
        "rows": [],
    }
    if diff.alignment is not None and diff.forests is not None:
        data["rows"] = rows(*diff.forests, diff.alignment, diff.changes)
    return data


def _groups(changes: list[Change]) -> list[list[Any]]:
    """``[sentence, places of its changes]`` of each group of changes that are told in one."""
    place = {id(change): at for at, change in enumerate(changes)}
    return [[group.sentence, [place[id(one)] for one in group.changes]] for group in grouped(changes)]


def _side(trace: Any) -> dict[str, Any]:
    return {"id": trace.trace_id, "source": trace.source, "spans": len(trace)}


def _change(change: Change) -> dict[str, Any]:
    return {
        "category": change.category.value,
        "sentence": change.sentence,
        "path": change.path,
        "turn": change.turn,
        "sure": change.sure,
        "expected": _clip(change.expected),
        "actual": _clip(change.actual),
        "details": [[d.path, _clip(d.expected), _clip(d.actual)] for d in change.details],
        "left": change.expected_spans[:MANY],
        "right": change.actual_spans[:MANY],
    }


def _clip(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else dumped(value).decode("utf-8", "replace")
    return text if len(text) <= LONG else f"{text[:LONG]}… ({len(text) - LONG:,} more characters)"


def rows(left: Forest, right: Forest, alignment: Alignment, changes: list[Change]) -> list[Row]:
    """Both trees as one list: ``[state, changes, left cell, right cell]``, a cell being None or
    ``[depth, span id, label, kind, seconds, failed]``. States: ``=``, ``!`` changed, ``-`` ``+`` one side."""
    depths = _depths(left), _depths(right)
    masked = functools.cache(SecretMask().text)
    about: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, change in enumerate(changes):
        if change.path == "shape.spans":
            continue
        for side, ids in (("left", change.expected_spans), ("right", change.actual_spans)):
            for span_id in ids[:MANY]:
                about[side, span_id].append(index)
    found: list[Row] = []

    def add(i: int, j: int) -> None:
        cells = [
            None if node < 0 else _cell(forest, node, depth, masked)
            for node, forest, depth in ((i, left, depths[0]), (j, right, depths[1]))
        ]
        told: set[int] = set()
        for cell, side in zip(cells, ("left", "right"), strict=True):
            told.update(about.get((side, cell[1]), ()) if cell else ())
        state = "-" if j < 0 else "+" if i < 0 else "!" if told else "="
        found.append([state, sorted(told), *cells])

    at = 0
    for i, j in enumerate(alignment.left):
        if j >= at:
            for k in range(at, j):
                if alignment.right[k] < 0:
                    add(-1, k)
            at = j + 1
        add(i, j)
    for k in range(at, len(right)):
        if alignment.right[k] < 0:
            add(-1, k)
    return found


def _cell(forest: Forest, node: int, depths: list[int], masked: Callable[[str], str]) -> list[Any]:
    span = forest.spans[node]
    label, kind = forest.label[node], forest.kind[node]
    name = label[len(kind) + 1 :] or span.name
    return [depths[node], span.span_id, masked(name), kind, span.duration, span.status == "error"]


def _depths(forest: Forest) -> list[int]:
    depths: list[int] = []
    for above in forest.parent:
        depths.append(0 if above < 0 else depths[above] + 1)
    return depths
