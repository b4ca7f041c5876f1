"""The model calls of a trace, each once, however many spans tell of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from simulate.trace.reading.dialect import GROUPS
from simulate.trace.reading.messages import says_nothing
from simulate.trace.reading.nesting import Above
from simulate.trace.reading.usage import COUNTS
from simulate.trace.span import Kind, Span, View

ViewOf = Callable[[Span], View]
ModelCall = tuple[Span, View]
"""The span that stands for a call, and what all the spans that tell of it say together."""
Groups = list[list[Span]]
"""The spans that tell of each call, the innermost first."""
BORDERS = frozenset({Kind.TOOL, Kind.AGENT, Kind.HANDOFF, Kind.WORKFLOW, Kind.TURN, Kind.CONVERSATION})
"""Kinds behind which another model call begins something of its own."""


def told_by(spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf, kind: Kind) -> Groups:
    """The spans that tell of each call of a model of that kind.

    One call may be told by several spans: nested ones, without an agent or a tool between them, and side by
    side by two instrumentations. The innermost stands for it, unless only another one tells its tokens; what
    it does not say, the others do. A span around several calls is none itself.
    """
    return _beside(_nested(spans, by_id, view, kind), by_id, view)


def model_calls(groups: Groups, view: ViewOf) -> list[ModelCall]:
    """The calls in the order in which they began."""
    return sorted((_told_together(group, view) for group in groups), key=lambda call: call[0].start_ns)


def _nested(spans: Sequence[Span], by_id: Mapping[str, Span], view: ViewOf, kind: Kind) -> Groups:
    models = [span for span in spans if view(span).kind is kind]
    above = Above(by_id, lambda span: view(span).kind in BORDERS or view(span).kind is kind)
    wrapper: dict[int, Span | None] = {}
    inside: dict[int, list[Span]] = {}
    for span in models:
        outer = above.of(span)
        same = outer is not None and view(outer).kind is kind and not _came_later(span, outer, view)
        wrapper[id(span)] = outer if same else None
        if (outer := wrapper[id(span)]) is not None:
            inside.setdefault(id(outer), []).append(span)
    groups: Groups = []
    passed: set[int] = set()
    # those that hold no other come first; what is left is inside itself, by broken parents
    for span in sorted(models, key=lambda span: id(span) in inside):
        if id(span) in inside and id(span) in passed:
            continue
        group: list[Span] = []
        alone, here = True, span
        while here is not None and id(here) not in passed:
            passed.add(id(here))
            if alone:
                group.append(here)
            here = wrapper[id(here)]
            alone = alone and here is not None and len(inside[id(here)]) == 1
        groups.append(group)
    return groups


def _beside(groups: Groups, by_id: Mapping[str, Span], view: ViewOf) -> Groups:
    """Put together what two instrumentations tell of one call side by side."""
    if len({span.scope for group in groups for span in group}) < 2:
        return groups
    found: Groups = []
    under_way: Groups = []
    for group in sorted(groups, key=lambda group: group[0].start_ns):
        start = group[0].start_ns
        under_way = [one for one in under_way if max(span.end_ns or 0 for span in one) > start]
        twin = next((one for one in under_way if _one_call(one, group, by_id, view)), None)
        if twin is None:
            found.append(group)
            under_way.append(group)
        else:
            # nearer to the wire, and told last where both began at once
            at = 0 if _around(twin[0], group[-1]) else len(twin)
            twin[at:at] = group
    return found


def _one_call(one: list[Span], other: list[Span], by_id: Mapping[str, Span], view: ViewOf) -> bool:
    """Whether spans of two instrumentations that overlap in time tell of one call: by the id of the answer;
    where they do not both tell it, by place, time, model and tokens. A span whose parent is not there may be
    part of any place in its service."""
    if {span.scope for span in one} & {span.scope for span in other}:
        return False
    ids = [{view(span).response_id for span in group} - {None} for group in (one, other)]
    if all(ids):
        return bool(ids[0] & ids[1])
    first, second = one[-1], other[-1]
    left, right = view(first), view(second)
    if first.parent_id != second.parent_id:
        lost = first.parent_id not in by_id or second.parent_id not in by_id
        if not lost or first.service != second.service:
            return False
    if not (_around(first, second) or _around(second, first)):
        return False
    told = [(each.input_tokens, each.output_tokens) for each in (left, right)]
    alike = told[0] == told[1] or (None, None) in told
    return alike and _models_agree(left, right)


def _came_later(inner: Span, outer: Span, view: ViewOf) -> bool:
    """Whether a span hangs below another by mistake: it began after that ended, and names another model or
    answers something else."""
    late = outer.end_ns is not None and inner.start_ns > outer.end_ns
    one, other = view(inner), view(outer)
    return late and not (_models_agree(one, other) and _answers_agree(one, other))


def _answers_agree(one: View, other: View) -> bool:
    """Whether both may have given one answer: where only one tells it, a stream's span has ended before."""
    if says_nothing(one.output) or says_nothing(other.output):
        return True
    return _answer(one) == _answer(other)


def _answer(view: View) -> list[tuple[str, list[Any]]]:
    told = ((message.text, message.tool_calls) for message in view.output or ())
    return [(text.strip(), [call.get("name") for call in calls]) for text, calls in told]


def _models_agree(one: View, other: View) -> bool:
    names = [{each.request_model, each.response_model} - {None} for each in (one, other)]
    return not all(names) or bool(names[0] & names[1])


def _around(outer: Span, inner: Span) -> bool:
    ends = (outer.end_ns, inner.end_ns)
    return outer.start_ns <= inner.start_ns and None not in ends and (ends[0] or 0) >= (ends[1] or 0)


_OWN = frozenset(
    {"deferred", "kind", "dialect", "tool_name", "tool_call_id", "tool_arguments", "tool_result", *COUNTS}
)
_FIELDS = [field.name for field in fields(View) if field.name not in _OWN | {"deferred"}]


def _told_together(group: list[Span], view: ViewOf) -> ModelCall:
    """One call out of all that its spans say; its tokens are those of one of them."""
    if len(group) == 1:
        return group[0], view(group[0])
    first = next((span for span in group if _tells_tokens(view(span))), group[0])
    views = [view(span) for span in group]
    usage = view(first)
    told = {name: _united([getattr(each, name) for each in views]) for name in _FIELDS}
    for name in GROUPS:
        told[name] = {key: value for each in reversed(views) for key, value in getattr(each, name).items()}
    told["error"] = max((each.error for each in views if each.error), key=len, default=None)
    return first, replace(usage, **told, **{name: getattr(usage, name) for name in COUNTS})


def _tells_tokens(view: View) -> bool:
    return view.input_tokens is not None or view.output_tokens is not None


def _united(values: Sequence[Any]) -> Any:
    """The first that says something; else the first that is known at all."""
    known = (value for value in values if value is not None)
    return next((value for value in values if not says_nothing(value)), next(known, None))
