"""The tree of a trace as lines of text: what was called, how long, for how many tokens and dollars.

No control character of a trace reaches the terminal: a name that holds one shows how it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len, set_cell_size

from simulate.model.text import counted, dollars, line
from simulate.trace.content import said
from simulate.trace.overview import Overview, Role, decisions, overview
from simulate.trace.reading import TraceReading
from simulate.trace.span import Kind, Score, Span, View
from simulate.trace.tree import Node, Tree

Paint = Callable[[str, str], str]
"""Text and style (``kind:LLM``, ``error``, ``dim``) → the text as the terminal shall show it."""

GUIDES = 24
"""Columns that indentation may take; deeper spans say their depth instead."""
MANY = 13
"""Columns of the kind."""
PLUMBING = frozenset({"transport", "a2a"})
"""Dialects whose steps carry calls and say nothing of the agent."""
SHORT = 0.05
"""Plumbing that takes a greater share of the trace than this is worth its line."""


@dataclass(frozen=True, slots=True)
class TreeOptions:
    """What the lines need to know of a trace beside its tree."""

    reading: TraceReading
    width: int = 80
    only: Container[int] | None = None
    """Ids (``id(node)``) of the nodes to show; None for all."""
    fold: bool = False
    """Whether neighbouring steps of plumbing, short and without an error, share one line."""
    content: bool = False
    """Whether what was asked, answered, passed to a tool and given back stands below each call."""
    paint: Paint = lambda text, style: text


def lines(tree: Tree, facts: TreeOptions) -> Iterator[str]:
    """A headline, the notes, and a line for each span."""
    about = overview(facts.reading)
    yield clip(_called(about), facts.width)
    yield clip(_headline(tree, facts), facts.width)
    yield from _about(about, facts)
    for note in [*tree.notes, *_without_content(facts)]:
        yield from (facts.paint(line, "dim") for line in _wrapped(f"! {shown(note)}", facts.width))
    yield ""
    cost = facts.reading.cost
    prices = {id(span): price.dollars for span, _, price in [*cost.calls, *cost.speech]}
    rows = [
        (nodes, guides, _figures(nodes[0].span, facts.reading.view(nodes[0].span), prices))
        for nodes, guides in _guided(tree, facts)
    ]
    widths = [max((cell_len(figures[at]) for _, _, figures in rows), default=0) for at in range(4)]
    for nodes, guides, figures in rows:
        if len(nodes) > 1:
            yield _folded_line(nodes, guides, widths, facts)
        else:
            yield from _span_lines(nodes[0], guides, figures, widths, facts)


def _called(about: Overview) -> str:
    first, *others = about.trace_ids or [""]
    if not others:
        return f"trace {shown(first)}"
    names = about.tags.get("conversation") or about.tags.get("session") or [first]
    return f"conversation {shown(names[0])}: {len(others) + 1} traces, the first {shown(first)}"


MOST_VERDICTS = 12
"""Verdicts that the head lists; each stands on its span, too."""


def _about(about: Overview, facts: TreeOptions) -> Iterator[str]:
    """When it was, who it was for, which models, what was judged, and which agent did what."""
    told = [f"began {moment(about.began_ns)}"] if about.began_ns else []
    told += [f"{name} {_some(values)}" for name, values in about.tags.items()]
    told += [f"models {', '.join(about.models)}"] if about.models else []
    yield from _filled([shown(one) for one in told], facts.width)
    ordered = sorted(about.verdicts, key=lambda one: one[1].passed() is not False)
    for span, score in ordered[:MOST_VERDICTS]:
        text = f"{_verdict(score)}  at {shown(span.name)}"
        yield facts.paint(clip(text, facts.width), "error" if score.passed() is False else "plain")
    if len(ordered) > MOST_VERDICTS:
        yield f"and {len(ordered) - MOST_VERDICTS} more verdicts"
    for role in about.roles:
        yield clip(f"agent {shown(role.name)}: {_did(role)}", facts.width)


def _some(values: list[str]) -> str:
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _verdict(score: Score) -> str:
    """``✗ Groundedness 0.4, needs 0.7``."""
    passed = score.passed()
    mark = {True: "✓", False: "✗", None: "•"}[passed]
    value = "" if score.value is None else f" {score.value:g}"
    needs = "" if score.threshold is None else f", needs {score.threshold:g}"
    label = f" {shown(score.label)}" if score.label else ""
    return f"{mark} {shown(score.name)}{value}{label}{needs}"


def _did(role: Role) -> str:
    parts = [counted(role.calls, "model call")]
    parts += [counted(role.tools, "tool call")] if role.tools else []
    parts += [counted(role.steps, "step")] if role.steps else []
    parts.append("cost unknown" if role.dollars is None else dollars(role.dollars))
    parts += [counted(role.failures, "failure")] if role.failures else []
    return ", ".join(parts)


def moment(ns: int) -> str:
    """``2026-11-30 14:05:12 CET``: the time of day in this machine's zone."""
    return datetime.fromtimestamp(ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def _filled(parts: list[str], width: int) -> Iterator[str]:
    """Parts side by side, as many as fit into a line."""
    row = ""
    for part in parts:
        if row and cell_len(row) + 2 + cell_len(part) > width:
            yield row
            row = ""
        row = f"{row}  {part}" if row else clip(part, width)
    if row:
        yield row


def _headline(tree: Tree, facts: TreeOptions) -> str:
    nodes = list(tree)
    kinds = Counter(facts.reading.view(node.span).kind for node in nodes)
    parts = [counted(len(nodes), "span")]
    if tree.duration is not None:
        parts.append(duration(tree.duration))
    # an error that its callers repeat is one error
    errors = sum(
        1
        for node in nodes
        if _failed(node, facts) and not any(_failed(each, facts) for each in node.children)
    )
    if errors:
        parts.append(counted(errors, "error"))
    # a call that three instrumentations wrap is one call, and `cost_of` counts it once
    kinds[Kind.LLM] = sum(1 for _, view, _ in facts.reading.cost.calls if view.kind is Kind.LLM)
    shown = (Kind.LLM, Kind.TOOL, Kind.RETRIEVER, Kind.TURN, Kind.UNKNOWN)
    parts.append(", ".join(f"{kinds[kind]} {kind}" for kind in shown if kinds[kind]))
    if facts.reading.cost.tokens is not None:
        parts.append(f"{facts.reading.cost.tokens:,} tokens")
    if facts.reading.cost.dollars is not None:
        parts.append(dollars(facts.reading.cost.dollars))
    elif facts.reading.cost.calls:
        parts.append("cost unknown")
    return "  ".join(part for part in parts if part)


def _failed(node: Node, facts: TreeOptions) -> bool:
    return node.span.status == "error" or facts.reading.view(node.span).error is not None


def _without_content(facts: TreeOptions) -> Iterator[str]:
    if facts.reading.llm_calls and not facts.reading.evidence.content:
        yield facts.reading.evidence.content.why_not


def _guided(tree: Tree, facts: TreeOptions) -> Iterator[tuple[list[Node], str]]:
    """Nodes in order with the lines that lead to them; what is filtered away leaves no gap. Several nodes
    together stand for one line."""
    plumbing = _plumbing(tree, facts) if facts.fold else frozenset[int]()

    def kept(nodes: list[Node]) -> list[list[Node]]:
        rows: list[list[Node]] = []
        for node in nodes:
            if facts.only is not None and id(node) not in facts.only:
                continue
            if rows and id(node) in plumbing and id(rows[-1][0]) in plumbing:
                rows[-1].append(node)
            else:
                rows.append([node])
        return rows

    waiting = [(root, "", "") for root in reversed(kept(tree.roots))]
    while waiting:
        nodes, before, branch = waiting.pop()
        guides = before + branch
        if len(guides) > GUIDES:
            guides = f"…{nodes[0].depth} ".ljust(4)
        yield nodes, guides
        below = kept(nodes[0].children) if len(nodes) == 1 else []
        inner = before + {"├ ": "│ ", "└ ": "  "}.get(branch, "")
        # a chain of thousands needs no line of thousands of blanks
        inner = inner[: GUIDES + 2]
        waiting.extend(
            (child, inner, "└ " if at == len(below) - 1 else "├ ")
            for at, child in reversed(list(enumerate(below)))
        )


def _plumbing(tree: Tree, facts: TreeOptions) -> frozenset[int]:
    """Ids of the nodes that are nothing but short steps of transport, with all that is below them."""
    found: set[int] = set()
    for node in reversed(tree.nodes):
        view = facts.reading.view(node.span)
        if (
            view.kind is Kind.CHAIN
            and view.dialect in PLUMBING
            and node.placement is None
            and node.span.duration is not None
            and node.span.duration <= SHORT * (tree.duration or 0.0)
            and not view.scores
            and not _failed(node, facts)
            and all(id(child) in found for child in node.children)
        ):
            found.add(id(node))
    return frozenset(found)


def _folded_line(nodes: list[Node], guides: str, widths: list[int], facts: TreeOptions) -> str:
    """``… 5 steps: POST ×3, GET ×2``, with the time of the longest."""
    names = Counter(node.span.name.rpartition(".")[2] for node in nodes)
    told = ", ".join(name if times == 1 else f"{name} ×{times}" for name, times in names.most_common())
    longest = max((node.span.duration or 0.0 for node in nodes), default=0.0)
    figure = f"≤ {duration(longest)}"
    rest = sum(width + 2 for width in widths[1:] if width)
    room = max(16, facts.width - MANY - max(widths[0], cell_len(figure)) - rest - 1)
    what = set_cell_size(
        clip(f"{guides}… {sum(_size(node) for node in nodes)} steps: {shown(told)}", room), room
    )
    return facts.paint(f"{'':<{MANY}}{what} {figure.rjust(widths[0])}".rstrip(), "dim")


def _size(node: Node) -> int:
    return sum(1 for _ in node.walk())


def _figures(span: Span, view: View, prices: Mapping[int, float | None]) -> list[str]:
    """Duration, time to the first token, tokens, cost; empty where the span does not say."""
    first = view.time_to_first_token
    tokens = ""
    if view.input_tokens is not None or view.output_tokens is not None:
        tokens = f"{count(view.input_tokens)}→{count(view.output_tokens)}"
    price = prices.get(id(span), view.cost)
    return [
        "…" if span.duration is None else duration(span.duration),
        "" if first is None else f"first {duration(first)}",
        tokens,
        "" if price is None else dollars(price),
    ]


def _span_lines(
    node: Node, guides: str, figures: list[str], widths: list[int], facts: TreeOptions
) -> Iterator[str]:
    span, view = node.span, facts.reading.view(node.span)
    right = "  ".join(
        " " * (width - cell_len(figure)) + figure
        for figure, width in zip(figures, widths, strict=True)
        if width
    )
    room = max(16, facts.width - MANY - cell_len(right) - 1)
    what = shown(_label(span, view)) + (f" ({node.placement})" if node.placement else "")
    what += "" if view.step is None else f" · step {view.step}"
    failed = span.status == "error" or view.error is not None
    kind = facts.paint(f"{view.kind:<{MANY}}", f"kind:{view.kind}")
    name = set_cell_size(clip(guides + what, room), room)
    yield (kind + (facts.paint(name, "error") if failed else name) + " " + right).rstrip()
    margin = " " * MANY + set_cell_size(guides, cell_len(guides)).replace("├", "│").replace("└", " ")
    if failed:
        text = f"{margin}  ✗ {shown(view.error or span.status_message or 'error')}"
        yield facts.paint(clip(text, facts.width), "error")
    if decided := decisions(span, view):
        yield facts.paint(clip(f"{margin}  {shown('; '.join(decided))}", facts.width), "dim")
    if facts.content:
        for text in said(view):
            yield facts.paint(clip(f"{margin}  {shown(text)}", facts.width), "dim")
    for score in view.scores:
        missed = score.passed() is False
        yield facts.paint(clip(f"{margin}  {_verdict(score)}", facts.width), "error" if missed else "dim")


def _label(span: Span, view: View) -> str:
    """The span's name, with the tool's or model's beside it where the name lacks it."""
    extra = view.tool_name if view.kind is Kind.TOOL else None
    if view.kind in (Kind.LLM, Kind.EMBEDDING):
        extra = view.response_model or view.request_model
    name = span.name
    if view.dialect in PLUMBING and " " not in name and name.count(".") > 2:
        name = "…" + ".".join(name.split(".")[-2:])  # the last two say what the modules before them repeat
    return name if not extra or extra in name else f"{name} {extra}"


# -- small things ----------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Foreign text, safe on a terminal and on one line."""
    return line(text, None)


def clip(text: str, width: int) -> str:
    """At most so many columns, wide characters counted as two."""
    text = text[: 2 * width + 100]  # what is beyond cannot be in sight, and is slow to measure
    if text.isascii():
        return text if len(text) <= width else text[: max(0, width - 1)].rstrip() + "…"
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def duration(seconds: float) -> str:
    """``412µs``, ``87ms``, ``1.23s``, ``2m05s``."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f}µs"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f}ms"
    if seconds < 99.995:
        return f"{seconds:.2f}s"
    return f"{round(seconds) // 60}m{round(seconds) % 60:02}s"


def count(tokens: int | None) -> str:
    """``812``, ``4.1k``; ``?`` where it is not known."""
    if tokens is None:
        return "?"
    return (
        f"{tokens}" if tokens < 1000 else f"{tokens / 1000:.1f}k" if tokens < 99_950 else f"{tokens // 1000}k"
    )


def _wrapped(text: str, width: int) -> Iterator[str]:
    while cell_len(text) > width:
        cut = text.rfind(" ", 1, width)
        cut = cut if cut > width // 2 else width
        yield text[:cut]
        text = "  " + text[cut:].lstrip()
    yield text
