"""What could not be compared: facts that a trace does not tell, and what differs in it that nobody reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

from simulate.model.text import counted
from simulate.trace.diff import content as contents
from simulate.trace.diff.align import Alignment
from simulate.trace.diff.behaviour import Story
from simulate.trace.diff.wording import listed
from simulate.trace.reading.hidden import blacked_out
from simulate.trace.reading.values import loose
from simulate.trace.span import Kind, Span


def not_told(one: Story, other: Story) -> list[str]:
    """What a trace does not tell, one sentence each: a change of it would not show."""
    before, after = list(_lacking(one)), list(_lacking(other))
    found = [f"in both traces {fact}" for fact in before if fact in after]
    found += [f"in the expected trace {fact}" for fact in before if fact not in after]
    return found + [f"in the actual trace {fact}" for fact in after if fact not in before]


def _lacking(story: Story) -> Iterator[str]:
    if story.mixed:
        held = f"{len(story.mixed)} conversations ({', '.join(story.mixed[:5])})"
        yield f"{held} were compared as one; --conversation ID compares one of them"
    if story.models and not story.captured:
        yield "what was said is not recorded; answers were not compared"
    elif story.models and story.partly_dark:
        yield f"{story.partly_dark}; their answers were not compared"
    elif story.silent:
        count = f"{len(story.silent)} of {counted(len(story.models), 'model call')}"
        where = story.silent[0].span.span_id
        yield f"{count} do not tell what the model answered, the first is {where}; it was not compared"
    if not story.evidence:
        yield "a tool call would not show; tools were not compared"
    dark = [
        ("the arguments", "not recorded", [act.name for act in story.tools if act.arguments is None]),
        ("the results", "not recorded", [
            act.name for act in story.tools if not act.result_known and act.error is None
        ]),
        ("parts of the arguments", "hidden", [act.name for act in story.tools if blacked_out(act.arguments)]),
        ("parts of the results", "hidden", [act.name for act in story.tools if blacked_out(act.result)]),
    ]  # fmt: skip
    for what, how, names in dark:
        if names:
            yield f"{what} of {', '.join(dict.fromkeys(names))} are {how}; they were not compared"
    if any(blacked_out(call.text) for call in story.answers().values()):
        yield "parts of what the model answered are hidden; they were not compared"


_CONTENT = re.compile(
    r"input|output|message|prompt|completion|argument|result|response|content|document|query|answer|body|"
    r"event|data|tool|value|param|args|text|transcript|payload",
    re.IGNORECASE,
)
_NOT_CONTENT = re.compile(
    r"ids?|uuid|.*time(stamp)?|created(_at)?|duration|latency|.*tokens?(_count)?|token_count|count|usage|.*cost|"
    r"mime_type|(json_)?schema|metadata|(system_)?fingerprint|index|step|"
    r"(tool|call|response|request|message|run|trace|span|tool_?call|tool_?use)_?id",
    re.IGNORECASE,
)
"""Steps of attributes' names, and members of their JSON, that differ between two runs of one behaviour."""
_VARIES = re.compile(
    r"\b(?=[\w-]*\d)(?:[0-9a-f]{6,}(?:-[0-9a-f]+)*|[\w-]{16,})\b"
    r"|\d+\.\d{3,}|\d{4}-\d\d-\d\d[T ][\d:.]+\S*",
    re.IGNORECASE,
)
"""Generated ids, long fractions and moments."""


def unread(one: Story, other: Story, alignment: Alignment) -> list[str]:
    """Where spans that are read alike still differ in what may be content, or stand in one trace alone.

    No reader knows every attribute of every instrumentation. This is what keeps "no change" from meaning
    "no change in what we happen to read".
    """
    places: Counter[str] = Counter()
    spans = 0
    for i, j in alignment.pairs:
        names = _differing(one.forest.spans[i], other.forest.spans[j])
        places.update(names)
        spans += bool(names)
    found: list[str] = []
    if spans:
        found.append(
            f"{counted(spans, 'span')} {'differs' if spans == 1 else 'differ'} in attributes of which no "
            f"change was read ({listed(places)}); look at them with simulate trace show"
        )
    for story, partner, name in ((one, alignment.left, "expected"), (other, alignment.right, "actual")):
        alone = Counter(
            story.forest.spans[node].name
            for node, match in enumerate(partner)
            if match < 0 and _acts(story, node)
        )
        if alone:
            verb = "is" if alone.total() == 1 else "are"
            found.append(
                f"{counted(alone.total(), 'span')} with content {verb} in the {name} trace alone, and no "
                f"change was read of it ({listed(alone)})"
            )
    return found


def _acts(story: Story, node: int) -> bool:
    """Whether a span that is read as nothing in particular took something in or gave something back."""
    view = story.forest.views[node]
    held = (view.input_value, view.output_value)
    return view.kind in (Kind.CHAIN, Kind.UNKNOWN) and any(value not in (None, "", {}, []) for value in held)


def _differing(one: Span, other: Span) -> list[str]:
    before, after = dict(_attributes(one)), dict(_attributes(other))
    return [
        name
        for name in {**before, **after}
        if before.get(name) != after.get(name)
        and _CONTENT.search(name)
        and not any(_NOT_CONTENT.fullmatch(step) for step in name.split("."))
        and set(_words(before.get(name))) != set(_words(after.get(name)))
    ]


def _attributes(span: Span) -> Iterator[tuple[str, Any]]:
    yield from span.attributes.items()
    for at, event in enumerate(span.events):
        for key, value in event.attributes.items():
            yield f"event {at} {event.name} {key}", value


def _words(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """What a value says, part by part, without what no two runs have in common."""
    value = loose(value)
    if _NOT_CONTENT.fullmatch(name) or value is None or depth > contents.DEEPEST:
        return
    if isinstance(value, dict):
        for key, part in cast("dict[Any, Any]", value).items():
            yield from _words(part, str(key), depth + 1)
    elif isinstance(value, list | tuple):
        for part in cast("Sequence[Any]", value):
            yield from _words(part, name, depth + 1)
    else:
        yield _VARIES.sub("…", contents.plain_text(str(value)))
