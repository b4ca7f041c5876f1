"""Two traces in, what changed out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from simulate.errors import TraceFileError
from simulate.model.secret_names import is_secret_name
from simulate.trace.conversations import only, read_conversations
from simulate.trace.diff import content as contents
from simulate.trace.diff.align import align
from simulate.trace.diff.behaviour import Story, tell
from simulate.trace.diff.calibrate import calibrated
from simulate.trace.diff.change import SECONDARY, Change, Tolerance
from simulate.trace.diff.explain import explain
from simulate.trace.diff.ignore import Ignore, ignoring
from simulate.trace.diff.not_compared import not_told, unread
from simulate.trace.diff.result import Diff
from simulate.trace.diff.scores import score_changes
from simulate.trace.diff.shape import shape_changes
from simulate.trace.diff.voice import voice_changes
from simulate.trace.diff.wording import contrast
from simulate.trace.reading import TraceReading
from simulate.trace.redaction.mask import SecretMask
from simulate.trace.span import Trace

Judge = Callable[[str, str], Awaitable[bool]]
"""Whether two texts mean the same to the person who gets them."""


def compare(
    expected: Trace | TraceReading,
    actual: Trace | TraceReading,
    *,
    repeats: Sequence[Trace] = (),
    ignore: Sequence[str] = (),
    tolerance: Tolerance | Mapping[str, float] | None = None,
) -> Diff:
    """What changed between two traces, the gravest first.

    Args:
        expected: The trace as it should be.
        actual: The trace as it is.
        repeats: Further runs of what made ``expected``. A difference that they show among themselves is not
            counted.
        ignore: What may differ: JSON paths of changes (``$.tools.send_mail.arguments.body``,
            ``$.answers[*]``), or categories (``latency``).
        tolerance: That of `Tolerance`, by name.

    Raises:
        InputError: ``ignore`` holds something that is not a path, or ``tolerance`` an unknown name.

    Swapping the traces gives the same changes the other way round; a trace has no changes against itself.
    """
    limits = Tolerance.of(tolerance)
    ignores = [Ignore(path) for path in ignore]
    diff = _compared(expected, actual, repeats, limits)
    mask = SecretMask()
    clean = mask.is_clean(diff.notes)
    if not clean or not all(_is_clean(change, mask) for change in (*diff.changes, *diff.varies)):
        # a change tells what was there: compared again, with placeholders that keep what differs apart
        expected, actual = (mask.trace(TraceReading.of(each).trace) for each in (expected, actual))
        repeats = [mask.trace(trace) for trace in repeats]
        diff = _compared(expected, actual, repeats, limits)
    ignoring(diff, ignores)
    return diff


def _compared(
    expected: Trace | TraceReading,
    actual: Trace | TraceReading,
    repeats: Sequence[Trace],
    limits: Tolerance,
) -> Diff:
    one, other = tell(expected), tell(actual)
    diff = _between(one, other, limits)
    if repeats:
        samples = [_between(one, tell(trace), limits).changes for trace in repeats]
        diff = calibrated(diff, samples)
    return diff


_NAME_IN_TEXT = re.compile(r'"([^"\\]{1,80})"\s*:')


def _is_clean(change: Change, mask: SecretMask) -> bool:
    """Whether a change tells no secret: by its shape, or by the name that it stands under."""
    named = {detail.path: [detail.expected, detail.actual] for detail in change.details}
    return (
        mask.is_clean([change.path, change.sentence, change.expected, change.actual, named])
        and not is_secret_name(change.path)
        and not any(is_secret_name(name) for name in _NAME_IN_TEXT.findall(change.sentence))
    )


def _between(one: Story, other: Story, tolerance: Tolerance) -> Diff:
    alignment = align(one.forest, other.forest)
    changes = explain(one, other, alignment, tolerance)
    changes += voice_changes(one, other, tolerance)
    changes += score_changes(one, other, tolerance)
    changes += shape_changes(one, other, alignment)
    changes.sort(key=lambda change: (*change.rank, change.path))
    lacking = not_told(one, other)
    if all(change.category in SECONDARY for change in changes):
        lacking += unread(one, other, alignment)
    return Diff(
        one.trace,
        other.trace,
        changes,
        notes=_notes(one, other),
        not_compared=lacking,
        alignment=alignment,
        forests=(one.forest, other.forest),
        readings=(one.reading, other.reading),
    )


def _notes(one: Story, other: Story) -> list[str]:
    notes: list[str] = []
    for story, name in ((one, "expected"), (other, "actual")):
        if not len(story.trace):
            notes.append(f"the {name} trace is empty")
        elif not story.models and not story.tools:
            notes.append(f"the {name} trace has neither model calls nor tool calls")
    before, after = one.heard(), other.heard()
    asked = (turn for turn in before if turn in after and not contents.same(before[turn], after[turn]))
    if (turn := next(asked, None)) is not None:
        now, was = contrast(after[turn], before[turn], 70)
        notes.append(f"the caller said something else in turn {turn}: {now} instead of {was}")
    return notes


async def judged(diff: Diff, judge: Judge) -> Diff:
    """The diff without the answers that mean the same.

    Args:
        diff: What `compare` found.
        judge: Called with the two texts of each changed answer; True where they mean the same.
    """

    async def stays(change: Change) -> bool:
        texts = (change.expected, change.actual)
        both = change.path.startswith("answers.") and all(isinstance(text, str) for text in texts)
        return not both or not await judge(str(change.expected), str(change.actual))

    answers = await asyncio.gather(*(stays(change) for change in diff.changes))
    return replace(diff, changes=[change for change, kept in zip(diff.changes, answers, strict=True) if kept])


def matches(
    expected: str | Path,
    trace: Trace | TraceReading,
    ignore: Sequence[str] = (),
    tolerance: Tolerance | Mapping[str, float] | None = None,
) -> Diff:
    """Compare a trace with the one in a file; ``Diff.same`` says whether it behaves alike.

    Args:
        expected: A trace file that holds exactly one trace. It is read once while it stays as it is.
        trace: The trace as it is.
        ignore: As for `compare`.
        tolerance: As for `compare`.

    Raises:
        TraceFileError: The file cannot be read, or does not hold exactly one conversation.
        InputError: As for `compare`.
    """
    return compare(recorded(expected), trace, ignore=ignore, tolerance=tolerance)


def recorded(path: str | Path) -> Trace:
    """The one conversation of a file; read once while the file stays as it is, however many runs it judges.

    Raises TraceFileError when the file cannot be read or does not hold exactly one trace.
    """
    try:
        state = Path(path).stat()
    except OSError as error:
        raise TraceFileError(f"cannot be read: {error}", where=str(path)) from error
    return _recorded(Path(path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _recorded(path: Path, *_: int) -> Trace:
    hint = "keep each conversation that is compared with in a file of its own"
    return only(read_conversations(path), str(path), hint)
